//===- Passes.td - qopt's passes ------------------------------------------===//
//
// One file per pass under passes/<phase>/, named as the def; one test under
// test/Passes, named as the flag without "qopt-".
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_PASSES_TD
#define QOPT_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"
include "qopt/Passes/RunDialects.td"

//===----------------------------------------------------------------------===//
// Raise: exporters' decompositions become the standard operators
//===----------------------------------------------------------------------===//

def FoldConstants : Pass<"qopt-fold-constants", "::mlir::func::FuncOp"> {
  let summary = "Compute operators whose operands are small constants";
  let description = [{
    The evaluator computes them; operands and results of more than `max-elements`
    elements (weights) are left alone, and so are casts of 16-bit weights.

    ```mlir
    %a = onnx.Constant dense<[2, 3]> : tensor<2xi64>
    %b = onnx.Mul %a, %a : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
    ```
    ==>
    ```mlir
    %b = onnx.Constant dense<[4, 9]> : tensor<2xi64>
    ```
    Ensures: no onnx operator has only small constants as operands, unless its
    results are big or it cannot be evaluated.
  }];
  let options = [
    Option<"maxElements", "max-elements", "int64_t", /*default=*/"4096", "Elements of the largest operand or result that is computed">,
  ];
  let statistics = [Statistic<"numFolded", "folded", "Operators computed">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def FoldWeights : Pass<"qopt-fold-weights", "::mlir::func::FuncOp"> {
  let summary = "Compute the weights and tables that depend on constants only";
  let description = [{
    The evaluator computes them, of whatever size: parts of an array, joined or scaled ones,
    normalised ones, sums with the product of an adapter.

    ```mlir
    %delta = onnx.MatMul %a, %b : (tensor<64x4xf32>, tensor<4x64xf32>) -> tensor<64x64xf32>
    %w = onnx.Add %w0, %delta : ...
    %y = onnx.MatMul %x, %w : ...
    ```
    ==>
    ```mlir
    %w = onnx.Constant dense_resource<q_proj.weight> : tensor<64x64xf32>
    %y = onnx.MatMul %x, %w : ...
    ```
    Ensures: what a product multiplies with is a constant, perhaps cast and transposed, or
    depends on an input, or cannot be evaluated.
  }];
  let statistics = [Statistic<"numFolded", "folded", "Weights computed">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def RaiseQuantized : Pass<"qopt-raise-quantized", "::mlir::func::FuncOp"> {
  let summary = "Keep the codes of weights that a file has quantized";
  let description = [{
    A `DequantizeLinear` of constants in front of a product becomes `qopt.dequantize` of
    parameters, in a form that products have kernels for (StoredWeights.h); no number changes. Where the other
    factor is dequantized with one scale, too, its codes become int8. Of a table, rows are
    looked up and then dequantized. Other readers get a float constant, and matrices among
    them are named in one warning.

    ```mlir
    %w = onnx.DequantizeLinear %codes, %scales {axis = 1 : i64, block_size = 32 : i64, to = f32} : (tensor<64x64xui4>, tensor<64x2xf32>) -> tensor<64x64xf32>
    %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
    %y = onnx.MatMul %x, %t : ...
    ```
    ==>
    ```mlir
    %c = qopt.parameter "w.codes" dense_resource<w.codes> : tensor<64x32xi8>
    %s = qopt.parameter "w.scale" dense_resource<w.scale> : tensor<64x2xf32>
    %w = qopt.dequantize %c, %s, %z {group_size = 32 : i64} : ...
    %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
    %y = onnx.MatMul %x, %t : ...
    ```
  }];
  let options = [
    Option<"dequantize", "dequantize", "bool", /*default=*/"false", "All become float constants, and no activation is rounded">,
  ];
  let dependentDialects = ["::qopt::onnx::OnnxDialect", "::qopt::QoptDialect"];
}

def ExpandQuantization : Pass<"qopt-expand-quantization", "::mlir::func::FuncOp"> {
  let summary = "Write QuantizeLinear and DequantizeLinear as arithmetic";
  let description = [{
    ```mlir
    %q = onnx.QuantizeLinear %x, %s {to = i8} : (tensor<?x64xf32>, tensor<f32>) -> tensor<?x64xi8>
    %y = onnx.DequantizeLinear %q, %s {to = f32} : (tensor<?x64xi8>, tensor<f32>) -> tensor<?x64xf32>
    ```
    ==>
    ```mlir
    %0 = onnx.Div %x, %s : ...
    %1 = onnx.Round %0 : ...
    %2 = onnx.Clip %1 min(%low) max(%high) : ...
    %y = onnx.Mul %2, %s : ...
    ```
    Codes that are read by something else in between are i32. With `codes` the same is done
    to `qopt.dequantize` that no product or look-up of rows has taken: constants become
    floats.
    Ensures: neither operator is left.
  }];
  let options = [
    Option<"codes", "codes", "bool", /*default=*/"false", "qopt.dequantize that is left, too">,
  ];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def SplitProducts : Pass<"qopt-split-products", "::mlir::func::FuncOp"> {
  let summary = "Take offsets and sums out of products of codes";
  let description = [{
    x (A + B)^T becomes x A^T + x B^T, and offsets of weights or of activations are subtracted
    behind the product, so that its factors are codes with scales.

    ```mlir
    %w = onnx.Sub %d, %offset : (tensor<64x32xf32>, tensor<64x1xf32>) -> tensor<64x32xf32>
    %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : ...
    %y = onnx.MatMul %x, %t : ...
    ```
    ==>
    ```mlir
    %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : ...
    %0 = onnx.MatMul %x, %t : ...
    %sum = onnx.ReduceSum %x, %last : (tensor<?x?x32xf32>, tensor<1xi64>) -> tensor<?x?x1xf32>
    %1 = onnx.Mul %sum, %offset : (tensor<?x?x1xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
    %y = onnx.Sub %0, %1 : ...
    ```
    Expects: layers named, since both products of a sum have the name of the layer.
  }];
  let dependentDialects = ["::qopt::onnx::OnnxDialect", "::qopt::QoptDialect"];
}

def AssignRoles : Pass<"qopt-assign-roles", "::mlir::func::FuncOp"> {
  let summary = "Decide what each input and output of the model is";
  let description = [{
    Every argument and result of a public function gets `qopt.role`; whoever fills an input
    or reads an output later asks for it. Names prove nothing, so types and uses decide:

    - `token_ids`: integers that choose rows of a constant table. Of several such inputs
      the one whose table has as many rows as there are logits; then names decide;
    - `embeddings`: without token ids, floats [batch, sequence, features] that go into
      products with weights;
    - `position_ids`: integers that become the angles of rotary embeddings, or choose rows of
      two tables;
    - `attention_mask` [batch, keys] and, of more dimensions, `attention_bias`: what meets
      the scores without a product in between;
    - `past_key`, `past_value`: what is multiplied to scores, or by their softmax;
      `present_key`, `present_value`: the same where it is returned;
    - `logits`: as wide as the embedding table is long, else the last product's result;
      `last_logits`: the same for the last token only;
    - `hidden_states`: as wide as an embedding.

    Where the graph leaves it open, the names `input_ids`, `attention_mask`, `position_ids`,
    `past...` and `present...` count; what is nothing of all this is `other`. Roles that
    are there already stay.

    ```mlir
    func.func @forward(%a: tensor<?x?xi64>) -> tensor<?x?x16xf32> {
      %x = onnx.Gather %table, %a : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
      %y = onnx.MatMul %x, %head : (tensor<?x?x8xf32>, tensor<8x16xf32>) -> tensor<?x?x16xf32>
    ```
    ==>
    ```mlir
    func.func @forward(%a: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>})
        -> (tensor<?x?x16xf32> {qopt.role = #qopt.role<logits>}) {
    ```
    Expects: floats of one type. Ensures: a role on every argument and result.
  }];
  let statistics = [Statistic<"numAssigned", "assigned", "Inputs and outputs that are known">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect", "::qopt::QoptDialect"];
}

def RaiseAttention : Pass<"qopt-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "Find attention";
  let description = [{
    What lies between the projections of queries, keys and values and the mixed
    values becomes one operator: heads split and joined, key heads repeated, scores
    scaled and masked. Where the mask equals the causal one, it goes; where it also
    hides padding, `attention_mask` stays as a boolean mask; another mask stays as
    it is: so does one that differs from these for sequences up to `max-position`
    tokens (a sliding window). Recognised by probing, and replaced only where both
    compute the same. Rows that the exporter's own graph makes NaN or 0, because they
    see no key, do not count.

    ```mlir
    %q4 = onnx.Transpose %q3 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x8xf32>) -> tensor<?x2x?x8xf32>
    ...
    %p = onnx.Softmax %masked : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
    %o = onnx.MatMul %p, %v4 : (tensor<?x2x?x?xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
    %t = onnx.Transpose %o {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x2x?x8xf32>) -> tensor<?x?x2x8xf32>
    %y = onnx.Reshape %t, %shape : (tensor<?x?x2x8xf32>, tensor<3xi64>) -> tensor<?x?x16xf32>
    ```
    ==>
    ```mlir
    %y = onnx.Attention %q, %k, %v {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64, scale = 0.353553385 : f32} : (tensor<?x?x16xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x16xf32>
    ```
    Expects: resolved shapes, rotary embeddings already raised.
  }];
  let options = [
    Option<"maxPosition", "max-position", "int64_t", /*default=*/"0", "Longest sequence; 0: the module's qopt.context_length, or any">,
  ];
  let statistics = [Statistic<"numRaised", "raised", "Attentions found">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def RaiseRotaryEmbedding : Pass<"qopt-raise-rotary-embedding", "::mlir::func::FuncOp"> {
  let summary = "Find rotary position embeddings";
  let description = [{
    What turns pairs of channels of queries and keys by angles that depend on the
    position becomes one operator on the projection's result. The tables hold what
    the exporter's own computation gives for every position; positions are the
    model's input, or counted, or the exporter's. Recognised by probing, whatever
    the spelling, and replaced only where both compute the same.

    Where nobody says how many positions there are, or more than 32768, and only
    products and angles stand between them and the tables, the tables are computed
    for the tokens of a call, [batch, sequence, pairs], and the operator has no positions.

    ```mlir
    %4 = onnx.Reshape %q, %shape : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x2x32xf32>
    %5 = onnx.Transpose %4 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x32xf32>) -> tensor<?x2x?x32xf32>
    %6 = onnx.Mul %5, %cos : (tensor<?x2x?x32xf32>, tensor<1x1x?x32xf32>) -> tensor<?x2x?x32xf32>
    ...
    %11 = onnx.Add %6, %10 : (tensor<?x2x?x32xf32>, tensor<?x2x?x32xf32>) -> tensor<?x2x?x32xf32>
    ```
    ==>
    ```mlir
    %4 = onnx.RotaryEmbedding %q, %cos, %sin, %positions {num_heads = 2 : i64} : (tensor<?x?x64xf32>, tensor<512x16xf32>, tensor<512x16xf32>, tensor<1x?xi64>) -> tensor<?x?x64xf32>
    %5 = onnx.Reshape %4, %shape : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x2x32xf32>
    %11 = onnx.Transpose %5 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x32xf32>) -> tensor<?x2x?x32xf32>
    ```
    Expects: resolved shapes, normalizations already raised.
  }];
  let options = [
    Option<"maxPosition", "max-position", "int64_t", /*default=*/"0", "Positions in the tables; 0: the module's qopt.context_length, or 4096">,
  ];
  let statistics = [Statistic<"numRaised", "raised", "Rotary embeddings found">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def ResolveShapes : Pass<"qopt-resolve-shapes", "::mlir::func::FuncOp"> {
  let summary = "Turn shape computations into constant shapes";
  let description = [{
    Dimensions and small integers are followed through the function as polynomials of
    the inputs' dimensions, which are equal where they have one name in `onnx.dims`.
    What is a number becomes static, the shape operands of Reshape and Expand become
    constants (0 copies a dimension, -1 is inferred, 1 keeps the input's), operators
    that change nothing go, and shapes of activations are read from the inputs. What
    is not proved stays an operation.

    ```mlir
    %s = onnx.Shape %ids : (tensor<?x?xi64>) -> tensor<2xi64>
    %h = onnx.Constant dense<[-1, 32]> : tensor<2xi64>
    %t = onnx.Concat %s, %h {axis = 0 : i64} : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
    %y = onnx.Reshape %x, %t : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
    ```
    ==>
    ```mlir
    %t = onnx.Constant dense<[0, 0, 2, 32]> : tensor<4xi64>
    %y = onnx.Reshape %x, %t : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x2x32xf32>
    ```
    Expects: names of dimensions in `onnx.dims`; a dimension without one is equal to
    no other. Ensures: dimensions that do not depend on these are static.
  }];
  let statistics = [Statistic<"numResolved", "resolved", "Operators made constant or removed">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def NameLayers : Pass<"qopt-name-layers", "::mlir::func::FuncOp"> {
  let summary = "Recover the names of linear layers";
  let description = [{
    A linear is an `onnx.MatMul` with a constant matrix. Its name comes from the
    node's metadata, else the node's name, else its weight's name, else its place in
    the decoder.

    ```mlir
    %1 = onnx.MatMul %0, %w {onnx.scope = "model.layers.0.mlp.up_proj"} : ...
    ```
    ==>
    ```mlir
    %1 = onnx.MatMul %0, %w {onnx.scope = "model.layers.0.mlp.up_proj", qopt.layer = "model.layers.0.mlp.up_proj"} : ...
    ```
    Expects: `qopt-normalize-linears`; attention raised, for names from the place.
    Ensures: every linear has a name of its own.
  }];
  let statistics = [Statistic<"numLayers", "layers", "Linear layers named">];
}

def NormalizeLinears : Pass<"qopt-normalize-linears", "::mlir::func::FuncOp"> {
  let summary = "Turn every linear layer into MatMul with a constant [K, N] weight";
  let description = [{
    ```mlir
    %wt = onnx.Transpose %table {perm = array<i64: 1, 0>} : (tensor<512x64xf32>) -> tensor<64x512xf32>
    %1 = onnx.MatMul %0, %wt : ...
    ```
    ==>
    ```mlir
    %w = onnx.Constant dense_resource<table.transposed> : tensor<64x512xf32>
    %1 = onnx.MatMul %0, %w {qopt.tied = "table"} : ...
    ```
    `qopt.tied` names the array that the weight is a transposed copy of, when it has
    other uses. `Gemm` becomes `MatMul` and `Add`. A weight of 16-bit floats is cast
    right before the product. Parts that are taken of what a transpose brings to the front, as
    queries of a packed product, are taken before it is transposed.
    Ensures: no `MatMul` reads a transposed constant matrix.
  }];
}

def RaiseRmsNormalization : Pass<"qopt-raise-rms-normalization", "::mlir::func::FuncOp"> {
  let summary = "Find RMS normalization";
  let description = [{
    ```mlir
    %2 = onnx.Pow %x, %two : ...
    %3 = onnx.ReduceMean %2, %last : ...
    %4 = onnx.Add %3, %epsilon : ...
    %5 = onnx.Sqrt %4 : ...
    %6 = onnx.Reciprocal %5 : ...
    %7 = onnx.Mul %x, %6 : ...
    %8 = onnx.Mul %scale, %7 : ...
    ```
    ==>
    ```mlir
    %8 = onnx.RMSNormalization %x, %scale {epsilon = 1.000000e-05 : f32} : ...
    ```
    Expects: constants folded.
  }];
}

def RaiseSwish : Pass<"qopt-raise-swish", "::mlir::func::FuncOp"> {
  let summary = "Find x * sigmoid(alpha * x)";
  let description = [{
    ```mlir
    %1 = onnx.Sigmoid %x : ...
    %2 = onnx.Mul %x, %1 : ...
    ```
    ==>
    ```mlir
    %2 = onnx.Swish %x : ...
    ```
  }];
}

def WidenFloats : Pass<"qopt-widen-floats", "::mlir::func::FuncOp"> {
  let summary = "Compute in float32 what a model of 16-bit floats computes";
  let description = [{
    Values of float16 and bfloat16 become float32; weights stay as they are and are
    cast where a product reads them, and so are the rows of a table of embeddings.
    Inputs and outputs keep their types. The lowest number of a narrow type, which
    masks are made of, becomes the lowest of float32.

    ```mlir
    %w = onnx.Constant dense_resource<up_proj.weight> : tensor<64x172xf16>
    %1 = onnx.MatMul %0, %w : (tensor<?x?x64xf16>, tensor<64x172xf16>) -> tensor<?x?x172xf16>
    ```
    ==>
    ```mlir
    %w = onnx.Constant dense_resource<up_proj.weight> : tensor<64x172xf16>
    %c = onnx.Cast %w {to = f32} : (tensor<64x172xf16>) -> tensor<64x172xf32>
    %1 = onnx.MatMul %0, %c : (tensor<?x?x64xf32>, tensor<64x172xf32>) -> tensor<?x?x172xf32>
    ```
    Ensures: no operator but Gather and Transpose of a constant matrix gives 16-bit
    floats, other than a Cast of what the function returns.
  }];
  let statistics = [Statistic<"numWidened", "widened", "Values widened">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

//===----------------------------------------------------------------------===//
// Quantize: schemes, observers, calibration, rewriting
//===----------------------------------------------------------------------===//

def AssignScheme : Pass<"qopt-assign-scheme", "::mlir::ModuleOp"> {
  let summary = "Mark every linear layer with the scheme it will get";
  let description = [{
    A linear is an `onnx.MatMul` whose second operand is a constant matrix and that
    carries a layer name (`qopt.layer`). The head (`lm_head`) has a scheme of its own, `head`:
    int8 weights unless a package is repeated, which leave it in float; `same` is that of the
    others.

    ```mlir
    %1 = onnx.MatMul %0, %w {qopt.layer = "model.layers.0.mlp.up_proj"} : ...
    ```
    ==>
    ```mlir
    %1 = onnx.MatMul %0, %w {qopt.layer = "model.layers.0.mlp.up_proj", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : ...
    ```

    An override is `PATTERN=SPEC`. PATTERN is a glob over the whole layer name, or a
    regular expression found anywhere in it after `re:`; SPEC is a scheme with its own
    options in braces (`rtn-int4{group-size=32 sym=false}`) or `skip`. The last override
    that matches wins; one that matches no layer is an error. Overrides of the driver
    (CalibrationContext) come after those of the option. An option has the value that the
    override gives, else that of `scheme`, else that of the package in `compat`, else its
    default. Here it is decided what `activations=auto` of int4 schemes is: int8 where the
    module has code for the CPU and the groups are of 32 inputs or more, else float.
    Under a budget of the driver the layers that have `scheme` choose among several schemes by running the model
    (qopt/Calibration/ChooseSchemes.h).

    Expects: layer names. Ensures: every linear has a scheme, with a group size in [1, K],
    and activations of int8 or of float.
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", /*default=*/"\"skip\"", "NAME or NAME{option=value ...}; skip: float">,
    Option<"compat", "compat", "std::string", /*default=*/"", "Package whose choices to repeat where no option says otherwise">,
    Option<"head", "head", "std::string", /*default=*/"", "Scheme of the output layer: NAME{...} or same; by default int8 weights, and float with compat">,
    ListOption<"overrides", "overrides", "std::string", "PATTERN=SPEC, the last match wins">,
  ];
  let statistics = [Statistic<"numLinears", "linears", "Linear layers marked">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def Calibrate : Pass<"qopt-calibrate", "::mlir::ModuleOp"> {
  let summary = "Run calibration text through the function and finish its observers";
  let description = [{
    Cuts the function at its observed values into stages, compiles each distinct stage
    once for this machine and runs stage after stage over all samples. A finished
    `absmax` observer gets its value; the others are removed after the linears that read
    them have been quantized, as their schemes say: `hessian` for GPTQ, `column-absmax`
    where calibration chooses which columns stay in float. Later stages compute with
    the quantized weights, and with the quantized activations of `absmax`.

    ```mlir
    %1 = qopt.observe %0 "model.layers.0.self_attn.q_proj" ["hessian"] : tensor<?x?x64xf32>
    %2 = onnx.MatMul %1, %w {qopt.layer = "model.layers.0.self_attn.q_proj", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 32>} : ...
    ```
    ==>
    ```mlir
    %c = qopt.parameter "model.layers.0.self_attn.q_proj.weight.codes" dense_resource<...> : tensor<64x32xi8>
    %s = qopt.parameter "model.layers.0.self_attn.q_proj.weight.scale" dense_resource<...> : tensor<64x2xf16>
    %w = qopt.dequantize %c, %s {group_size = 32} : (tensor<64x32xi8>, tensor<64x2xf16>) -> tensor<64x64xf32>
    %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
    %2 = onnx.MatMul %0, %t {qopt.layer = "model.layers.0.self_attn.q_proj", ...} : ...
    ```

    The function's inputs are `input_ids`, and where there are `attention_mask` and
    `position_ids` (`onnx.name`). Nothing is done without observers.

    Expects: observers; token windows from the driver (CalibrationContext) or `calibration`.
    Ensures: no observer without its value; no linear whose weights depend on data with a
    constant weight.
  }];
  let options = [
    Option<"calibration", "calibration", "std::string", /*default=*/"", "Token ids [n, length] as .npy; default: what the driver gives">,
    Option<"batchSize", "batch-size", "int64_t", /*default=*/"0", "Samples per run of a stage; 0: as the schemes ask, else 8">,
    Option<"reference", "reference", "bool", /*default=*/"false", "Compute with the evaluator of both dialects instead of compiled code: slow, for tests">,
  ];
  let statistics = [Statistic<"numStages", "stages", "Stages run">,
                    Statistic<"numDistinct", "distinct", "Stages compiled">];
  let dependentDialects = kRunDialects;
}

def FoldCalibration : Pass<"qopt-fold-calibration", "::mlir::func::FuncOp"> {
  let summary = "Turn measured ranges into scales";
  let description = [{
    ```mlir
    %1 = qopt.observe %0 "model.layers.0.mlp.up_proj" ["absmax"] absmax(1.270000e+02) : tensor<?x?x64xf32>
    ```
    ==>
    ```mlir
    %s = qopt.parameter "model.layers.0.mlp.up_proj.input_scale" dense<1.000000e+00> : tensor<f32>
    %q = qopt.quantize %0, %s : (tensor<?x?x64xf32>, tensor<f32>) -> tensor<?x?x64xi8>
    %1 = qopt.dequantize %q, %s : (tensor<?x?x64xi8>, tensor<f32>) -> tensor<?x?x64xf32>
    ```
    The scale is absmax / 127, and 1 where absmax is 0. An observer without a value is an
    error: there was no calibration.

    Ensures: no `qopt.observe`.
  }];
  let statistics = [Statistic<"numFolded", "folded", "Observers folded">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def InsertObservers : Pass<"qopt-insert-observers", "::mlir::func::FuncOp"> {
  let summary = "Observe the inputs of linears whose scheme needs data";
  let description = [{
    Which statistics a scheme needs stands in its description. Linears that read the same
    value and need the same share one observer, named after the first of them.

    ```mlir
    %1 = onnx.MatMul %0, %w {qopt.layer = "model.layers.0.mlp.up_proj", qopt.scheme = #qopt.scheme<kind = "int8-static">} : ...
    ```
    ==>
    ```mlir
    %x = qopt.observe %0 "model.layers.0.mlp.up_proj" ["absmax"] : tensor<?x?x64xf32>
    %1 = onnx.MatMul %x, %w {qopt.layer = "model.layers.0.mlp.up_proj", qopt.scheme = #qopt.scheme<kind = "int8-static">} : ...
    ```
    Expects: schemes. Ensures: every linear that needs data reads an observer.
  }];
  let statistics = [Statistic<"numObservers", "observers", "Observers inserted">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def QuantizeMatmulW4A16 : Pass<"qopt-quantize-matmul-w4a16", "::mlir::func::FuncOp"> {
  let summary = "Form products of float activations and int4 weights";
  let description = [{
    ```mlir
    %w = qopt.dequantize %codes, %scale {group_size = 32} : (tensor<64x32xi8>, tensor<64x2xf16>) -> tensor<64x64xf32>
    %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
    %y = onnx.MatMul %x, %t : (tensor<?x?x64xf32>, tensor<64x64xf32>) -> tensor<?x?x64xf32>
    ```
    ==>
    ```mlir
    %y = qopt.matmul_w4a16 %x, %codes, %scale {group_size = 32} : (tensor<?x?x64xf32>, tensor<64x32xi8>, tensor<64x2xf16>) -> tensor<?x?x64xf32>
    ```
  }];
  let statistics = [Statistic<"numMatmuls", "matmuls", "Products rewritten">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def QuantizeMatmulW4A8 : Pass<"qopt-quantize-matmul-w4a8", "::mlir::func::FuncOp"> {
  let summary = "Form products of int8 activations and int4 weights";
  let description = [{
    Only where the scheme wants activations of int8. Those that share an input and the size of
    its groups share the codes. The zero points of the weights are an operand, if there are any.

    ```mlir
    %w = qopt.dequantize %codes, %scale {group_size = 32} : (tensor<64x32xi8>, tensor<64x2xf16>) -> tensor<64x64xf32>
    %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
    %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 32, activations = int8, activationGroupSize = 32>} : (tensor<?x?x64xf32>, tensor<64x64xf32>) -> tensor<?x?x64xf32>
    ```
    ==>
    ```mlir
    %q, %s = qopt.dynamic_quantize %x {group_size = 32} : (tensor<?x?x64xf32>) -> (tensor<?x?x64xi8>, tensor<?x?x2xf32>)
    %y = qopt.matmul_w4a8 %q, %s, %codes, %scale {group_size = 32, x_group_size = 32} : (tensor<?x?x64xi8>, tensor<?x?x2xf32>, tensor<64x32xi8>, tensor<64x2xf16>) -> tensor<?x?x64xf32>
    ```
    Expects: schemes as `qopt-assign-scheme` makes them.
  }];
  let statistics = [Statistic<"numMatmuls", "matmuls", "Products rewritten">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def QuantizeMatmulW8A16 : Pass<"qopt-quantize-matmul-w8a16", "::mlir::func::FuncOp"> {
  let summary = "Form products of float activations and int8 weights";
  let description = [{
    ```mlir
    %w = qopt.dequantize %codes, %scale : (tensor<64x64xi8>, tensor<64xf32>) -> tensor<64x64xf32>
    %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
    %y = onnx.MatMul %x, %t : (tensor<?x?x64xf32>, tensor<64x64xf32>) -> tensor<?x?x64xf32>
    ```
    ==>
    ```mlir
    %y = qopt.matmul_w8a16 %x, %codes, %scale : (tensor<?x?x64xf32>, tensor<64x64xi8>, tensor<64xf32>) -> tensor<?x?x64xf32>
    ```
    Linears whose scheme quantizes activations are left to their own pass.
  }];
  let statistics = [Statistic<"numMatmuls", "matmuls", "Products rewritten">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def QuantizeMatmulW8A8 : Pass<"qopt-quantize-matmul-w8a8", "::mlir::func::FuncOp"> {
  let summary = "Form products of int8 activations and int8 weights";
  let description = [{
    One scale that calibration chose, the quantize / dequantize pair of `x` being there:

    ```mlir
    %d = qopt.dequantize %q, %s : (tensor<?x?x64xi8>, tensor<f32>) -> tensor<?x?x64xf32>
    %y = onnx.MatMul %d, %t : (tensor<?x?x64xf32>, tensor<64x64xf32>) -> tensor<?x?x64xf32>
    ```
    ==>
    ```mlir
    %y = qopt.matmul_w8a8 %q, %s, %codes, %scale : (tensor<?x?x64xi8>, tensor<f32>, tensor<64x64xi8>, tensor<64xf32>) -> tensor<?x?x64xf32>
    ```
    where `%t` is the transposed dequantize of `%codes` and `%scale`. Scales per token: one
    `qopt.dynamic_quantize` of `x`, shared by all linears that read it, gives `%q` and `%s`.
  }];
  let statistics = [Statistic<"numMatmuls", "matmuls", "Products rewritten">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def TieEmbedding : Pass<"qopt-tie-embedding", "::mlir::func::FuncOp"> {
  let summary = "Read the embedding from the head's weights where they are the same";
  let description = [{
    A table whose transpose is the weight of a linear that becomes int8 codes with a scale
    per output, without data, is read from that weight: so qopt-quantize-weights lets both
    have the same codes, which are stored once.

    ```mlir
    %0 = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
    %y = onnx.MatMul %x, %w {qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : ...
    ```
    ==>
    ```mlir
    %rows = onnx.Transpose %w {perm = [1, 0]} : (tensor<8x16xf32>) -> tensor<16x8xf32>
    %0 = onnx.Gather %rows, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
    ```

    Expects: schemes. A table of 16-bit floats is tied where its rows are only cast to f32.
  }];
  let statistics = [Statistic<"numTied", "tied", "Tables read from a weight">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def QuantizeWeights : Pass<"qopt-quantize-weights", "::mlir::func::FuncOp"> {
  let summary = "Quantize the weights of linears whose scheme needs no data";
  let description = [{
    How, each scheme's description says.

    ```mlir
    %w = onnx.Constant dense_resource<up> : tensor<64x64xf32>
    ```
    ==>
    ```mlir
    %c = qopt.parameter "model.layers.0.mlp.up_proj.weight.codes" dense_resource<...> : tensor<64x64xi8>
    %s = qopt.parameter "model.layers.0.mlp.up_proj.weight.scale" dense_resource<...> : tensor<64xf32>
    %d = qopt.dequantize %c, %s : (tensor<64x64xi8>, tensor<64xf32>) -> tensor<64x64xf32>
    %w = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<64x64xf32>) -> tensor<64x64xf32>
    ```
    Expects: schemes. Ensures: only linears that are float or need data have a constant weight.
  }];
  let statistics = [Statistic<"numLinears", "linears", "Weight matrices quantized">];
  let dependentDialects = ["::qopt::QoptDialect", "::qopt::onnx::OnnxDialect"];
}

def SplitColumns : Pass<"qopt-split-columns", "::mlir::func::FuncOp"> {
  let summary = "Form LLM.int8 products: int8 codes and a few float columns";
  let description = [{
    ```mlir
    %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 4.0>} : ...
    ```
    ==>
    ```mlir
    %q, %s, %columns = qopt.split_columns %x {threshold = 4.000000e+00 : f32} : (tensor<?x?x64xf32>) -> (tensor<?x?x64xi8>, tensor<?x?xf32>, tensor<64xi32>)
    %y = qopt.matmul_w8a8 %q, %s, %codes, %scale outliers(%x) columns(%columns) : ...
    ```
    where `%t` is the transposed dequantize of `%codes` and `%scale`. If calibration chose the
    columns, `%t` is the transposed replace_columns of that dequantize and `%kept`, and it becomes
    ```mlir
    %q, %s, %o = qopt.split_columns_at %x {columns = array<i32: 10, 68>} : (tensor<?x?x64xf32>) -> (tensor<?x?x64xi8>, tensor<?x?xf32>, tensor<?x?x2xf32>)
    %y = qopt.matmul_w8a8 %q, %s, %codes, %scale outliers(%o) weights(%kept) : ...
    ```
    Linears that read the same value share its split. Without any outlier column the product is
    one with a scale per token (qopt-quantize-matmul-w8a8).
  }];
  let statistics = [Statistic<"numMatmuls", "matmuls", "Products rewritten">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

def VerifyQuantized : Pass<"qopt-verify-quantized", "::mlir::func::FuncOp"> {
  let summary = "Check that every linear became the operator of its scheme";
  let description = [{
    An error, naming the layer, for: a linear without a scheme; a scheme other than float
    on an operator that is not its product; a scale that is not positive and finite; a
    `qopt.observe`. Changes nothing.
  }];
}

//===----------------------------------------------------------------------===//
// Lower: from operators to kernels
//===----------------------------------------------------------------------===//

def AddCache : Pass<"qopt-add-cache", "::mlir::ModuleOp"> {
  let summary = "Add entry points that keep keys and values between calls";
  let description = [{
    From `@forward` of a decoder come `@prefill` (tokens [batch, sequence]) and
    `@decode` (tokens [batch, 1]): what they compute for the tokens given is what
    `@forward` computes for them behind all tokens of earlier calls. Their inputs are
    the tokens, `past_length` (how many tokens the caches hold, for each row, or, where
    something is computed of all rows together, one number for all) and per layer `cache.N.key` and `cache.N.value`, [batch, kv heads, capacity, head
    size], to which the call appends. Attention masks, positions and an exporter's own
    past keys and values are gone: all tokens are shown, or the last of a window, and
    positions count from `past_length`. The result are the logits of the last token, [batch, 1,
    vocabulary]; what is behind the last attention is only computed for it.

    ```mlir
    %p = onnx.RotaryEmbedding %k, %cos, %sin, %positions {...} : ...
    %y = onnx.Attention %q, %p, %v mask(%mask) {is_causal = 1 : i64, ...} : ...
    ```
    ==>
    ```mlir
    %p = onnx.RotaryEmbedding %k, %cos, %sin, %counted {...} : ...
    %y = qopt.cached_attention %q, %p, %v, %key_cache, %value_cache, %past_length {...} : ...
    ```
    Expects: the raised form, quantized or not. Nothing is added unless every
    operation treats each token alone, but for attention that is causal, with a mask that at
    most hides padding, and keys by their distance, or adds to scores in proportion to
    it. What is computed of positions must read numbers of the tokens. With
    `cache-type=f16` keys and values are kept in half the memory; what attention reads is
    then rounded, and computed in f32 as before.
  }];
  let options = [Option<"cacheType", "cache-type", "std::string", /*default=*/"\"f32\"",
                        "Of keys and values in the caches: f32 or f16">];
  let statistics = [Statistic<"numEntries", "entries", "Entry points added">];
  let dependentDialects = ["::qopt::QoptDialect", "::qopt::onnx::OnnxDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ConvertToKernels : Pass<"qopt-convert-to-kernels", "::mlir::ModuleOp"> {
  let summary = "Make kernels of the heavy operators";
  let description = [{
    Matrix products with constant weights, quantization of activations,
    RMSNormalization, RotaryEmbedding, Attention and Gather of rows become operations of
    the kernel dialect, which the code generators write by hand. Weights are packed for
    them; a float table of which a weight is the transpose (a tied head) is read from the
    packed weight. Operators that no kernel fits are left; `--debug-only=pattern-application`
    says why.

    ```mlir
    %1 = onnx.MatMul %0, %w : (tensor<?x?x256xf32>, tensor<256x768xf32>) -> tensor<?x?x768xf32>
    ```
    ==>
    ```mlir
    %rows = tensor.collapse_shape %0 [[0, 1], [2]] : tensor<?x?x256xf32> into tensor<?x256xf32>
    %e = tensor.empty(%n) : tensor<?x768xf32>
    %y = kernel.matmul_float ins(%rows, %w_packed : tensor<?x256xf32>, tensor<48x256x16xf32>) outs(%e : tensor<?x768xf32>) -> tensor<?x768xf32>
    %1 = tensor.expand_shape %y [[0, 1], [2]] output_shape [%batch, %sequence, 768] : tensor<?x768xf32> into tensor<?x?x768xf32>
    ```
    Expects: operators in the form of Raise; weights that are constants or parameters.
    Ensures: none of `qopt.matmul_*` with constant weights is left.
  }];
  let statistics = [Statistic<"numKernels", "kernels", "Kernels made">];
  let dependentDialects = ["::qopt::QoptDialect", "::qopt::kernel::KernelDialect", "::qopt::onnx::OnnxDialect",
                           "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect"];
}

def ConvertOnnxToLinalg : Pass<"convert-onnx-to-linalg", "::mlir::ModuleOp"> {
  let summary = "Lower onnx operators to linalg on tensors";
  let description = [{
    Shape arithmetic becomes index arithmetic on dimensions of the arguments.
    Sizes known at run time only that must agree are compared there (`qopt.require`);
    of elementwise operators and the batches of products either may be 1 then.

    ```mlir
    %0 = onnx.Add %a, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
    ```
    ==>
    ```mlir
    %dim = tensor.dim %a, %c0 : tensor<?x4xf32>
    %e = tensor.empty(%dim) : tensor<?x4xf32>
    %0 = linalg.generic {...} ins(%a, %b : ...) outs(%e : ...) { arith.addf ... }
    ```
    With `quant-types` the weights of products in float, of int8 or int4 codes with constant
    scales, are casts of the quant dialect:

    ```mlir
    %q = quant.scast %codes : tensor<2x4xi8> to tensor<2x4x!quant.uniform<i8:f32:0, {1.0,2.0}>>
    %w = quant.dcast %q : tensor<2x4x!quant.uniform<i8:f32:0, {1.0,2.0}>> to tensor<2x4xf32>
    ```
    Groups that do not divide the columns, scales of 0 and codes of other kinds stay loops.
    Expects: functions of one block on ranked tensors. Ensures: no onnx operator is
    left but large constants.
  }];
  let options = [Option<"quantTypes", "quant-types", "bool", /*default=*/"false", "Weights as types of the quant dialect">];
  let dependentDialects = ["::qopt::QoptDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect", "::mlir::func::FuncDialect", "::mlir::scf::SCFDialect",
                           "::mlir::bufferization::BufferizationDialect", "::mlir::quant::QuantDialect"];
}

def ReplaceDialects : Pass<"qopt-replace-dialects", "::mlir::ModuleOp"> {
  let summary = "What is left of qopt's dialects to those of MLIR";
  let description = [{
    The end of the way to other compilers: constants and checks get the operations of MLIR, and
    attributes that only qopt knows go.

    ```mlir
    %w = qopt.parameter "norm.weight" dense_resource<w> : tensor<256xf32>
    qopt.require %same, shape_mismatch(%rows, %columns)
    ```
    ==>
    ```mlir
    %w = arith.constant dense_resource<w> : tensor<256xf32>
    cf.assert %same, "requires equal sizes"
    ```
    Expects: what `convert-onnx-to-linalg` leaves. Ensures: no operation and no attribute of
    qopt's dialects; an operation that has no such form is an error.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect"];
}

def FuseElementwise : Pass<"qopt-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "Make one loop of chains of elementwise operations";
  let description = [{
    MLIR's `linalg-fuse-elementwise-ops` with an end: a loop that would get more than 64
    operations stays two.

    ```mlir
    %0 = linalg.generic {...} ins(%x : ...) outs(%e : ...) { arith.negf ... }
    %1 = linalg.generic {...} ins(%0 : ...) outs(%e : ...) { math.exp ... }
    ```
    ==>
    ```mlir
    %1 = linalg.generic {...} ins(%x : ...) outs(%e : ...) { arith.negf ..., math.exp ... }
    ```
    Expects: what `convert-onnx-to-linalg` leaves. Ensures: the time that it takes, and what is
    left to LLVM, grow with the number of operations.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

def ExtractParameters : Pass<"qopt-extract-parameters", "::mlir::ModuleOp"> {
  let summary = "Move large constants to the parameter table";
  let description = [{
    ```mlir
    %w = qopt.parameter "norm.weight" dense_resource<w> : tensor<256xf32>
    ```
    ==>
    ```mlir
    memref.global "private" @parameter_0 : memref<256xf32> {qopt.name = "norm.weight", qopt.value = dense_resource<w> : tensor<256xf32>}
    %m = memref.get_global @parameter_0 : memref<256xf32>
    %w = bufferization.to_tensor %m restrict : memref<256xf32> to tensor<256xf32>
    ```
    Ensures: no `qopt.parameter` and no `onnx.Constant` is left; equal constants share
    one global; the globals are in order of first use.
  }];
  let statistics = [Statistic<"numParameters", "parameters", "Entries of the parameter table">];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect", "::mlir::memref::MemRefDialect"];
}

def GroupKernels : Pass<"qopt-group-kernels", "::mlir::ModuleOp"> {
  let summary = "Put kernels that can run as one into a group";
  let description = [{
    A group is the products of one input, what only prepares this input before them
    (`rms_norm`, then a quantization), and what is done with their results element by
    element after them (elementwise loops, `rotary`, `cache_append`). It must be a sequence: nothing
    between its operations touches memory.

    ```mlir
    kernel.rms_norm ins(%x, %weight : ...) outs(%n : ...)
    kernel.matmul_float ins(%n, %gate : ...) outs(%g : ...)
    kernel.matmul_float ins(%n, %up : ...) outs(%u : ...)
    linalg.generic {...} ins(%g, %u : ...) outs(%y : ...) {...}
    ```
    ==>
    ```mlir
    kernel.group(%a = %x : ..., %b = %weight : ..., %c = %n scratch : ..., ...) {
      kernel.stage preparation {
        kernel.rms_norm ...
      } products {
        kernel.matmul_float ...
        kernel.matmul_float ...
      } epilogue {
        linalg.generic ...
      }
    }
    ```
    Buffers used nowhere else stay arguments, marked `scratch`: their memory is planned
    with that of the entry point. A target that knows nothing of groups runs the stages in
    order.
    Expects: bufferized entry points whose memory is not planned yet: afterwards
    buffers overlap that are written and read at the same time in a group. Ensures: no
    operation of a group writes what another one reads as a whole, but for scratch.

    Where the last loop only makes the input that the next group quantizes, both are stages
    of one group.
  }];
  let statistics = [Statistic<"numGroups", "groups", "Groups made">];
  let dependentDialects = ["::qopt::kernel::KernelDialect", "::mlir::func::FuncDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::memref::MemRefDialect"];
}

def RollLayers : Pass<"qopt-roll-layers", "::mlir::func::FuncOp"> {
  let summary = "Make one loop of the equal layers of an entry point";
  let description = [{
    Layers are operations of which each is like the one some places before, at least three
    times. In one place of all layers there must be the same value, a parameter or argument
    for each, a buffer for each that no other layer sees or that the layer before has filled,
    or the same operation without effects on such values.

    ```mlir
    kernel.matmul_float ins(%x0, %w0 : ...) outs(%x1 : ...)
    kernel.matmul_float ins(%x1, %w1 : ...) outs(%x2 : ...)
    kernel.matmul_float ins(%x2, %w2 : ...) outs(%x3 : ...)
    ```
    ==>
    ```mlir
    qopt.repeat 3 as %layer {
      %w = qopt.select %layer of %w0, %w1, %w2 : memref<8x8xf32>
      %y = memref.alloc(%rows) : memref<?x8xf32>
      kernel.matmul_float ins(%x0, %w : ...) outs(%y : ...)
      memref.copy %y, %x0 : memref<?x8xf32> to memref<?x8xf32>
    }
    ```
    What a layer leaves to the next one is in one buffer. There is no copy where a layer
    writes it only after it has read what it was given, as with residual connections around
    both halves of a layer.
    Expects: bufferized functions of one block, whose memory is not planned yet. Ensures: what
    runs, and in which order, is the same.
  }];
  let statistics = [Statistic<"numLayers", "layers", "Layers that became a loop">];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::qopt::QoptDialect"];
}

def PlanMemory : Pass<"qopt-plan-memory", "::mlir::func::FuncOp"> {
  let summary = "Let buffers that do not live at the same time share memory";
  let description = [{
    Memory of outputs is allocated apart (`qopt.output`) and goes to the caller; all
    other buffers of an entry point become views of a few arenas, one per run-time
    factor of their sizes.

    ```mlir
    %0 = memref.alloc(%s) : memref<?x4xf32>
    ```
    ==>
    ```mlir
    %a = memref.alloc(%s) : memref<?x128xi8>
    %b = memref.collapse_shape %a [[0, 1]] : memref<?x128xi8> into memref<?xi8>
    %0 = memref.view %b[%offset][%s] : memref<?xi8> to memref<?x4xf32>
    ```
    Expects: bufferized functions of one block. Ensures: no output shares memory with
    another value.
  }];
  let statistics = [Statistic<"numBuffers", "buffers", "Buffers placed">, Statistic<"numArenas", "arenas", "Arenas made">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect"];
}

def SeparateBuffers : Pass<"qopt-separate-buffers", "::mlir::func::FuncOp"> {
  let summary = "Give every loop memory of its own for its result";
  let description = [{
    ```mlir
    %e = tensor.empty(%n) : tensor<?x4xf32>
    %0 = linalg.exp ins(%x : ...) outs(%e : ...) -> tensor<?x4xf32>
    %1 = linalg.exp ins(%0 : ...) outs(%e : ...) -> tensor<?x4xf32>
    ```
    ==>
    ```mlir
    %e = tensor.empty(%n) : tensor<?x4xf32>
    %0 = linalg.exp ins(%x : ...) outs(%e : ...) -> tensor<?x4xf32>
    %f = tensor.empty(%n) : tensor<?x4xf32>
    %1 = linalg.exp ins(%0 : ...) outs(%f : ...) -> tensor<?x4xf32>
    ```
    Whoever looks at one loop then sees all readers of its result.
  }];
  let statistics = [Statistic<"numBuffers", "buffers", "Buffers made">];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def OutlineKernels : Pass<"qopt-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Make a function of every kernel, group and loop nest of an entry point";
  let description = [{
    ```mlir
    kernel.rms_norm ins(%x, %w : memref<4x64xf32>, memref<64xf32>) outs(%y : memref<4x64xf32>) {epsilon = 1.0e-05 : f32}
    linalg.generic {...} ins(%a : memref<?x4xf32>) outs(%b : memref<?x4xf32>) {...}
    ```
    ==>
    ```mlir
    %0 = memref.cast %x : memref<4x64xf32> to memref<?x64xf32>
    %1 = memref.cast %y : memref<4x64xf32> to memref<?x64xf32>
    call @rms_norm_k64(%0, %w, %1) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
    call @forward_loop_0(%a, %b) : (memref<?x4xf32>, memref<?x4xf32>) -> ()

    func.func private @rms_norm_k64(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>) {
      kernel.rms_norm ins(%x, %w : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-05 : f32}
      return
    }
    ```
    Kernels are named by their shapes; sizes on which their code does not depend are unknown
    in their functions, and equal kernels, and equal groups, share one. Whatever a loop nest
    uses becomes an argument, so that equal nests give equal functions, which
    duplicate-function-elimination merges.
    Expects: bufferized functions. Ensures: entry points hold no kernel, group or linalg
    operation, and every private function holds one of them.
  }];
  let statistics = [Statistic<"numFunctions", "functions", "Kernels, groups and loop nests outlined">];
  let dependentDialects = ["::mlir::func::FuncDialect", "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect"];
}

//===----------------------------------------------------------------------===//
// Code for hosts: from functions on memory to the LLVM dialect
//===----------------------------------------------------------------------===//

def EmitCpuKernels : Pass<"qopt-emit-cpu-kernels", "::mlir::ModuleOp"> {
  let summary = "Make loops of kernels, for one level of x86-64";
  let description = [{
    Kernels of groups, too: the stages of a group run one after the other, since calls cost
    a CPU little.

    ```mlir
    func.func private @cache_append(%x: memref<?x4xf32>, %length: memref<1xi64>, %cache: memref<?x4xf32>) {
      kernel.cache_append ins(%x, %length : memref<?x4xf32>, memref<1xi64>) outs(%cache : memref<?x4xf32>)
      return
    }
    ```
    ==>
    ```mlir
    func.func private @cache_append(%x: memref<?x4xf32>, %length: memref<1xi64>, %cache: memref<?x4xf32>) {
      ...
      scf.parallel (%i) = (%c0) to (%n) step (%c1) {
        %v = vector.load %x[%i, %c0] : memref<?x4xf32>, vector<4xf32>
        ...
      }
      return
    }
    ```
    Expects: kernels on memory, each alone in a function (qopt-outline-kernels). Ensures: no
    operation of the `kernel` dialect; what can run in parallel is in one-dimensional
    scf.parallel at the top of the function.
  }];
  let options = [Option<"level", "level", "std::string", /*default=*/"\"x86-64-v3\"",
                        "Level of x86-64 to make code for: x86-64-v3 or x86-64-v4">];
  let statistics = [Statistic<"numKernels", "kernels", "Kernels made loops">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect", "::qopt::QoptDialect"];
}

def LowerToLoops : Pass<"qopt-lower-to-loops", "::mlir::func::FuncOp"> {
  let summary = "Make loops of linalg operations on memory";
  let description = [{
    The leading parallel dimensions become one scf.parallel that knows how many of its
    iterations are worth a thread; inner sums stay in registers. Where all dimensions are
    parallel the last one is a loop of its own, for vectors, unless `parallel-innermost`:
    a thread of a GPU computes one element.

    ```mlir
    linalg.generic {iterator_types = ["parallel", "parallel"], ...}
        ins(%x : memref<?x4xf32>) outs(%y : memref<?x4xf32>) {...}
    ```
    ==>
    ```mlir
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      scf.for %j = %c0 to %c4 step %c1 {
        %a = memref.load %x[%i, %j] : memref<?x4xf32>
        ...
        memref.store %b, %y[%i, %j] : memref<?x4xf32>
      }
    } {qopt.grain = 2048 : i64}
    ```
    Expects: linalg operations on memrefs. Ensures: none is left.
  }];
  let options = [Option<"parallelInnermost", "parallel-innermost", "bool", /*default=*/"false",
                        "Make the innermost dimension parallel, too">];
  let statistics = [Statistic<"numLoops", "loops", "Operations made loops">];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def LowerHostAbi : Pass<"qopt-lower-host-abi", "::mlir::ModuleOp"> {
  let summary = "Make of functions what the runtime calls";
  let description = [{
    ```mlir
    memref.global "private" @parameter_0 : memref<8xf32> {qopt.name = "w", qopt.value = dense_resource<w> : tensor<8xf32>}
    func.func @forward(%x: memref<?x8xf32>) -> memref<?x8xf32> {
      %w = memref.get_global @parameter_0 : memref<8xf32>
      %y = memref.alloc(%n) {qopt.output} : memref<?x8xf32>
      call @scale(%x, %w, %y) : (memref<?x8xf32>, memref<8xf32>, memref<?x8xf32>) -> ()
      return %y : memref<?x8xf32>
    }
    ```
    ==>
    ```mlir
    func.func @forward(%api: !llvm.ptr, %context: !llvm.ptr, %parameters: !llvm.ptr, %inputs: !llvm.ptr, %outputs: !llvm.ptr) -> i64 {
      %frame = llvm.alloca ... {qopt.frame} : (i64) -> !llvm.ptr
      ...
      call @scale(%frame, %x, %w, %y) : (!llvm.ptr, memref<?x8xf32>, memref<8xf32>, memref<?x8xf32>) -> ()
      ...
    }
    ```
    Public functions become QrtEntry (Abi.h), which read their inputs and parameters from
    tables and write their outputs to one; private functions get the frame of the call
    first. Memory is asked of the runtime and given back whatever happens: after a call that
    failed, or without memory, a function leaves at once.
    Expects: what lowering leaves, after qopt-emit-cpu-kernels or qopt-emit-cuda-kernels:
    functions of one block whose allocations, uses of parameters and qopt.require are at the top.
    Ensures: no memory is allocated and no error reported but through the runtime.
  }];
  let statistics = [Statistic<"numEntries", "entries", "Entry points">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def LowerLaunches : Pass<"qopt-lower-launches", "::mlir::ModuleOp"> {
  let summary = "Make calls of the runtime of kernel launches";
  let description = [{
    ```mlir
    gpu.launch_func @kernels::@scale blocks in (%n, %c1, %c1) threads in (%c32, %c1, %c1) args(%x : !llvm.ptr, %n : i64)
    gpu.module @kernels {...}
    ```
    ==>
    ```mlir
    llvm.store %number, %kernel : i64, !llvm.ptr
    ...  // sizes, and the addresses of the arguments
    llvm.call %launch(%context, %description, %addresses) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
    ```
    A kernel is known by its number among all kernels of the module.
    Expects: qopt-lower-host-abi; launches outside of parallel loops, with arguments of type
    !llvm.ptr, i32, i64 or f32. Ensures: no gpu.module.
  }];
  let statistics = [Statistic<"numLaunches", "launches", "Launches made calls">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect"];
}

def OutlineTasks : Pass<"qopt-outline-tasks", "::mlir::ModuleOp"> {
  let summary = "Make tasks of the runtime of parallel loops";
  let description = [{
    ```mlir
    func.func private @scale(%frame: !llvm.ptr, %x: memref<?xf32>) {
      scf.parallel (%i) = (%c0) to (%n) step (%c1) {...} {qopt.grain = 8192 : i64}
    ```
    ==>
    ```mlir
    llvm.func internal @scale_task_0(%captured: !llvm.ptr, %begin: i64, %end: i64) {...}
    func.func private @scale(%frame: !llvm.ptr, %x: memref<?xf32>) {
      %small = arith.cmpi sle, %count, %grain : i64
      scf.if %small {
        llvm.call @scale_task_0(%captured, %zero, %count) : (!llvm.ptr, i64, i64) -> ()
      } else {
        llvm.call %parallel_for(%context, %task, %captured, %count, %grain) : ...
      }
    ```
    What a loop uses is packed into a struct on the stack; constants are made again inside.
    Parallel loops within one stay loops: the outermost has the threads.
    Expects: qopt-lower-host-abi; loops of one dimension from 0 in steps of 1 without
    reductions. Ensures: no scf.parallel outside of a task.
  }];
  let statistics = [Statistic<"numTasks", "tasks", "Tasks made">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::LLVM::LLVMDialect", "::mlir::scf::SCFDialect"];
}

//===----------------------------------------------------------------------===//
// Code for GPUs and their simulator: from functions on memory to the LLVM dialect
//===----------------------------------------------------------------------===//

def EmitCudaKernels : Pass<"qopt-emit-cuda-kernels", "::mlir::ModuleOp"> {
  let summary = "Make GPU kernels of outlined kernels, groups and loops";
  let description = [{
    ```mlir
    func.func private @gather_k64(%data: memref<512x64xf32>, %indices: memref<?xi64>, %y: memref<?x64xf32>) {
      kernel.gather ins(%data, %indices : memref<512x64xf32>, memref<?xi64>) outs(%y : memref<?x64xf32>)
      return
    }
    ```
    ==>
    ```mlir
    func.func private @gather_k64(%data: memref<512x64xf32>, %indices: memref<?xi64>, %y: memref<?x64xf32>) {
      ...
      gpu.launch_func @kernels::@gather_k64 blocks in (...) threads in (...) args(%p : !llvm.ptr, ...)
      return
    }
    gpu.module @kernels {
      gpu.func @gather_k64(%data: !llvm.ptr, ...) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {...}
    }
    ```
    A group is one launch for a single row where that can be; for more rows what makes rows
    and their quantization are one. All else of it is called, as functions of their own.
    Expects: what qopt-lower leaves; a kernel or group is alone in a private function.
    Ensures: private functions only compute sizes and launch kernels; the operands of
    launches are device addresses, i32, i64 and f32.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
                           "::mlir::gpu::GPUDialect", "::mlir::LLVM::LLVMDialect", "::mlir::math::MathDialect",
                           "::mlir::memref::MemRefDialect", "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect",
                           "::mlir::vector::VectorDialect"];
}

def SelectKernels : Pass<"qopt-select-kernels", "::mlir::ModuleOp"> {
  let summary = "Keep the kernels that one GPU architecture can run, and nothing else";
  let description = [{
    ```mlir
    func.func @forward(...) {...}
    gpu.module @kernels {
      gpu.func @product(...) kernel {...}
      gpu.func @product_wgmma(...) kernel attributes {qopt.arch = "sm_90a"} {...}
    }
    ```
    ==> with `chip=sm_80`
    ```mlir
    gpu.module @kernels {
      gpu.func @product(...) kernel {...}
    }
    ```
    Expects: a gpu.module, as qopt-emit-cuda-kernels makes it; its functions may be those of
    the LLVM dialect already. Ensures: gpu.modules alone.
  }];
  let options = [Option<"chip", "chip", "std::string", /*default=*/"\"\"",
                        "architecture to keep kernels for, such as sm_80; without it all are kept">];
  let statistics = [Statistic<"numLeftOut", "left-out", "Kernels of other architectures">];
  let dependentDialects = ["::mlir::gpu::GPUDialect"];
}

def ConvertKernelsToLlvm : Pass<"qopt-convert-kernels-to-llvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Convert GPU kernels to the LLVM and nvvm dialects";
  let description = [{
    ```mlir
    gpu.func @add(%x: !llvm.ptr, %map: !llvm.ptr {qopt.tensor_map}) kernel {
      %i = gpu.thread_id x
      ...
    }
    ```
    ==>
    ```mlir
    llvm.func @add(%x: !llvm.ptr, %map: !llvm.ptr {llvm.align = 64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant})
        attributes {nvvm.kernel} {
      %i = nvvm.read.ptx.sreg.tid.x : i32
      ...
    }
    ```
    No operation becomes a call of libdevice. A kernel whose warps share out registers
    also gets nvvm.minctasm, so that ptxas knows with how many they begin.
    Expects: kernels without scf and affine operations. Ensures: operations of the LLVM
    and nvvm dialects alone, but for casts between types that cancel out.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect"];
}

def ExpandMath : Pass<"qopt-expand-math", "::mlir::ModuleOp"> {
  let summary = "Compute functions of math by arithmetic";
  let description = [{
    ```mlir
    %0 = math.exp %x : f32
    ```
    ==> a polynomial in arith operations and math.fma, within about two units in the last
    place, with the same bits wherever it is computed; no function of libm is called.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

def PrepareForLlvm : Pass<"qopt-prepare-for-llvm", "::mlir::ModuleOp"> {
  let summary = "Rewrite what the conversions to LLVM do not take as it is";
  let description = [{
    memref.expand_shape of dense memrefs with several dynamic sizes becomes
    memref.reinterpret_cast, and stack buffers of a known size move to the beginning of
    their function, where a loop reuses them; the memref.alloca_scopes around them go.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
}

def ConvertKernelsToSim : Pass<"qopt-convert-kernels-to-sim", "::mlir::ModuleOp"> {
  let summary = "Make functions of GPU kernels that one simulated thread calls";
  let description = [{
    ```mlir
    gpu.module @kernels {
      gpu.func @add(%x: !llvm.ptr) kernel {
        %i = gpu.thread_id x
        gpu.barrier
        ...
      }
    }
    ```
    ==>
    ```mlir
    func.func @add(%thread: !llvm.ptr, %arguments: !llvm.ptr) {
      %x = llvm.load %arguments ... : !llvm.ptr -> !llvm.ptr
      %i = llvm.load %thread[...] : !llvm.ptr -> i32
      nvvm.barrier {qopt.site = "barrier #1"}
      ...
    }
    ```
    Thread numbers are fields of the thread (SimAbi.h), device intrinsics that compute are
    arithmetic, and what threads meet at has a name before anything is optimized: two
    equal operations in two branches must not become one.
    Expects: gpu.modules alone. Ensures: no gpu operation.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::func::FuncDialect", "::mlir::LLVM::LLVMDialect",
                           "::mlir::math::MathDialect", "::mlir::NVVM::NVVMDialect"];
}

def LowerSimOps : Pass<"qopt-lower-sim-ops", "::mlir::ModuleOp"> {
  let summary = "Make calls of the simulator of operations that only GPUs have";
  let description = [{
    ```mlir
    nvvm.barrier {qopt.site = "barrier #1"}
    %0 = llvm.load %x : !llvm.ptr<3> -> f32
    ```
    ==>
    ```mlir
    llvm.call %barrier(%thread, %site) : !llvm.ptr, (!llvm.ptr, !llvm.ptr) -> ()
    ...  // a trap where %x is misaligned or outside of shared memory
    %0 = llvm.load %x : !llvm.ptr -> f32
    ```
    Expects: what qopt-convert-kernels-to-sim makes, in the LLVM dialect. Ensures: no nvvm
    operation, and no memory but address space 0.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // QOPT_PASSES_PASSES_TD
