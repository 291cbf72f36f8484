//===- QoptOps.td - How a tensor is quantized -----------------------------===//
//
// The operations that decide and carry out quantization, and every attribute of ours
// on operations of other dialects.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_QOPTOPS_TD
#define QOPT_DIALECT_QOPT_QOPTOPS_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "qopt/Dialect/Qopt/QoptInterfaces.td"

def Qopt_Dialect : Dialect {
  let name = "qopt";
  let summary = "Quantization of a float graph";
  let description = [{
    What qopt decides about a graph of `onnx` operators: where values are observed,
    how they are quantized, and the matrix products on integers.

    Codes, scales and zero points are SSA operands, never part of a type. W is
    [N, K]: N outputs, K inputs, y = x W^T. Rounding is to nearest, halves to even;
    clamps are inclusive.

    Its attributes on operations of other dialects are declared here and verified: an
    unknown one, a wrong type or a wrong place is an error.

    | attribute | on | meaning |
    | --- | --- | --- |
    | `layer` | what computes a linear | the layer's recovered name, "model.layers.0.self_attn.q_proj" |
    | `tied` | a linear | the array that its transposed weight was copied from, where others read it too |
    | `scheme` | a linear | what becomes of it (`#qopt.scheme`) |
    | `role` | argument or result of a function | what it is in the model (`#qopt.role`) |
    | `context_length` | module | tokens that the model was made for |
    | `value`, `name` | `memref.global` | the data of a parameter, and what it is called; their order is that of the parameter table |
    | `output` | `memref.alloc` of an entry | its memory becomes an output's and is the caller's |
    | `grain` | `scf.parallel` | indices that are worth a range of their own, 1 without |
    | `entry` | function | the entry point whose loop it was, while loops are outlined |
    | `arch` | GPU function | the one architecture that can run it ("sm_90a"); without it the baseline and all later ones |
    | `shared_bytes` | GPU function | dynamic shared memory of its launches, at most |
    | `tensor_map` | argument of a GPU function, a pointer | a tensor map, passed by value |
    | `tensor_maps` | GPU function | the numbers of these arguments, while the function is converted |
    | `frame` | `llvm.alloca` | the frame of a call, which tasks share |
    | `site` | what the simulator checks | which one of its kernel it is, for messages ("shfl.sync #3"); set before two equal ones could become one |
    | `sim_own` | access to memory | the simulator's own, which it does not check |
  }];
  let cppNamespace = "::qopt";
  let useDefaultAttributePrinterParser = 1;
  let discardableAttrs = (ins
      "::mlir::StringAttr":$layer,
      "::mlir::StringAttr":$tied,
      "::qopt::SchemeAttr":$scheme,
      "::qopt::RoleAttr":$role,
      "::mlir::IntegerAttr":$context_length,
      "::mlir::ElementsAttr":$value,
      "::mlir::StringAttr":$name,
      "::mlir::UnitAttr":$output,
      "::mlir::IntegerAttr":$grain,
      "::mlir::StringAttr":$entry,
      "::mlir::StringAttr":$arch,
      "::mlir::IntegerAttr":$shared_bytes,
      "::mlir::UnitAttr":$tensor_map,
      "::mlir::DenseI32ArrayAttr":$tensor_maps,
      "::mlir::UnitAttr":$frame,
      "::mlir::StringAttr":$site,
      "::mlir::UnitAttr":$sim_own);
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
}

class Qopt_Op<string mnemonic, list<Trait> traits = []> : Op<Qopt_Dialect, mnemonic, traits>;
class Qopt_Attr<string name, string attrMnemonic> : AttrDef<Qopt_Dialect, name> { let mnemonic = attrMnemonic; }

/// What is computed from other values: a pure operation whose result types follow from its
/// operands and attributes (lib/Dialect/Qopt/InferTypes.cpp).
class Qopt_ValueOp<string mnemonic, list<Trait> traits = []>
    : Qopt_Op<mnemonic, !listconcat([Pure, InferTypeOpAdaptor], traits)>;

def Qopt_F32Tensor : RankedTensorOf<[F32]>;
def Qopt_I8Tensor : RankedTensorOf<[I8]>;
def Qopt_I32Tensor : RankedTensorOf<[I32]>;
def Qopt_I64Tensor : RankedTensorOf<[I64]>;
def Qopt_FloatTensor : RankedTensorOf<[F16, F32]>;
/// Zero points: integers, or floats where a group's smallest weight is a number of its own.
def Qopt_ZerosTensor : RankedTensorOf<[I8, F32]>;
/// What the codes of four bits stand for, in their order.
def Qopt_TableAttr : ConfinedAttr<DenseF32ArrayAttr, [DenseArrayCount<16>]>;

class Qopt_Shaped<string condition> : CPred<"::llvm::cast<::mlir::RankedTensorType>($_self)." # condition>;

/// Rows of the last dimension, as many as all others make.
class Qopt_RowsOf<Type element>
    : ConfinedType<RankedTensorOf<[element]>, [Qopt_Shaped<"getRank() >= 1">],
                   "tensor of rank 1 or more of " # element.summary # " values", "::mlir::RankedTensorType">;
/// [N, K], or what belongs to it.
class Qopt_StaticMatrixOf<list<Type> elements>
    : ConfinedType<RankedTensorOf<elements>, [Qopt_Shaped<"getRank() == 2">, Qopt_Shaped<"hasStaticShape()">],
                   "static matrix of " # !interleave(!foreach(e, elements, e.summary), " or ") # " values",
                   "::mlir::RankedTensorType">;
/// [batch, sequence, heads * head size].
def Qopt_HeadsTensor
    : ConfinedType<Qopt_F32Tensor, [Qopt_Shaped<"getRank() == 3">], "tensor of rank 3 of 32-bit float values",
                   "::mlir::RankedTensorType">;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// What calibration can measure of a value. Quoted in text, because a keyword has no hyphen.
def Qopt_StatisticSet : I32BitEnumAttr<"StatisticSet", "what is measured of a value", [
    I32BitEnumAttrCaseNone<"None", "none">,
    I32BitEnumAttrCaseBit<"AbsMax", 0, "absmax">,
    I32BitEnumAttrCaseBit<"ColumnAbsMax", 1, "column-absmax">,
    I32BitEnumAttrCaseBit<"Hessian", 2, "hessian">]> {
  let cppNamespace = "::qopt";
}

def Qopt_SchemeParameter : AttrParameter<"::qopt::Scheme", "a description, and a value for each of its options"> {
  let cppAccessorType = "const ::qopt::Scheme &";
}

def Qopt_SchemeAttr : Qopt_Attr<"Scheme", "scheme"> {
  let summary = "what becomes of one linear layer";
  let description = [{
    A scheme by its name and the options that differ from their defaults. Which schemes
    there are, and what options each has, is described under lib/Dialect/Qopt/Schemes;
    docs/Quantization.md lists them. An option is written as its name without hyphens
    (`group-size` is `groupSize`).

    ```mlir
    #qopt.scheme<kind = "gptq-int4", groupSize = 32, sym = false>
    ```
  }];
  let parameters = (ins Qopt_SchemeParameter:$value);
  let hasCustomAssemblyFormat = 1;
  let extraClassDeclaration = [{
    llvm::StringRef getName() const { return getValue().name(); }
    /// What the scheme does with the options that it has here.
    const ::qopt::SchemeVariant &getVariant() const { return getValue().variant(); }
    template <typename T>
    T get(const ::qopt::SchemeOption<T> &option) const { return getValue().get(option); }
  }];
}

/// The names are those of qopt/Support/Roles.h, which the runtime knows too.
def Qopt_RoleParameter : AttrParameter<"::qopt::Role", "what it is"> {
  let parser = "::qopt::parseRole($_parser)";
  let printer = "$_printer << ::qopt::roleName($_self)";
}

def Qopt_RoleAttr : Qopt_Attr<"Role", "role"> {
  let summary = "what an input or output of the model is";
  let description = [{
    As `qopt.role` on an argument or a result of a function. `qopt-assign-roles` decides it
    once, from types, uses and then names; all others only read it. The roles are
    those of qopt/Support/Roles.h: inputs are `token_ids`, `embeddings`,
    `attention_mask`, `attention_bias`, `position_ids`, `token_types`, `logits_to_keep`,
    `past_length`, `past_key`, `past_value`, `key_cache` or `value_cache`, outputs are `logits`,
    `last_logits`, `hidden_states`, `present_key` or `present_value`, and both may be `other`.

    ```mlir
    func.func @forward(%ids: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>})
    ```
  }];
  let parameters = (ins Qopt_RoleParameter:$value);
  let assemblyFormat = "`<` $value `>`";
}

//===----------------------------------------------------------------------===//
// Checks at run time
//===----------------------------------------------------------------------===//

/// Numbered as QrtError (qopt/Runtime/Abi.h), of which these are what code can find out.
def Qopt_RuntimeError : I64EnumAttr<"RuntimeError", "what is wrong at run time", [
    I64EnumAttrCase<"IndexOutOfRange", 2, "index_out_of_range">,
    I64EnumAttrCase<"ShapeMismatch", 3, "shape_mismatch">]> {
  let cppNamespace = "::qopt";
  let genSpecializedAttr = 0;
}
def Qopt_RuntimeErrorAttr : EnumAttr<Qopt_Dialect, Qopt_RuntimeError, "error">;

/// That what follows is not run is an effect that nothing may be moved across.
class Qopt_CheckOp<string mnemonic> : Qopt_Op<mnemonic, [MemoryEffects<[MemRead, MemWrite]>]>;

def Qopt_RequireOp : Qopt_CheckOp<"require"> {
  let summary = "leave the entry point with an error unless a condition holds";
  let description = [{
    `a` and `b` are the numbers of the error: index and size, or the two sizes that
    should be equal. Only in the top block of a function, whose exit then releases
    what it holds, or of a `qopt.repeat` there.

    ```mlir
    qopt.require %same, shape_mismatch(%rows, %columns)
    ```
  }];
  let arguments = (ins I1:$condition, Qopt_RuntimeErrorAttr:$error, I64:$a, I64:$b);
  let assemblyFormat = "$condition `,` $error `(` $a `,` $b `)` attr-dict";
  let hasVerifier = 1;
}

def Qopt_FailOp : Qopt_CheckOp<"fail"> {
  let summary = "record an error and go on";
  let description = [{
    The entry point ends with this error, the first one if there are more, when it
    returns. What follows is run and must stay in bounds. May stand anywhere, also
    inside of parallel loops.

    ```mlir
    scf.if %outside {
      qopt.fail index_out_of_range(%index, %size)
    }
    ```
  }];
  let arguments = (ins Qopt_RuntimeErrorAttr:$error, I64:$a, I64:$b);
  let assemblyFormat = "$error `(` $a `,` $b `)` attr-dict";
}

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

def Qopt_RepeatOp : Qopt_Op<"repeat", [SingleBlock, NoTerminator, RecursiveMemoryEffects]> {
  let summary = "the code of several equal layers, run one after the other";
  let description = [{
    Runs its body `count` times; the argument counts from 0. What a layer leaves to the
    next one is in memory from outside. Only in the top block of a function.

    ```mlir
    qopt.repeat 3 as %layer {
      %weight = qopt.select %layer of %w0, %w1, %w2 : memref<64xf32>
      func.call @scale(%x, %weight) : (memref<?x64xf32>, memref<64xf32>) -> ()
    }
    ```
  }];
  let arguments = (ins ConfinedAttr<I64Attr, [IntPositive]>:$count);
  let regions = (region SizedRegion<1>:$body);
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "int64_t":$count)>];
  let extraClassDeclaration = [{
    ::mlir::BlockArgument getLayer() { return getBody().getArgument(0); }
  }];
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

def Qopt_SelectOp : Qopt_Op<"select", [Pure]> {
  let summary = "what one layer of several has in this place";
  let description = [{
    `layer` counts a `qopt.repeat` around it, which runs as often as there are values. They
    are either parameters or arguments of an entry point, and are of one type: code takes
    the address from the table that the caller passes.

    ```mlir
    %weight = qopt.select %layer of %w0, %w1, %w2 : memref<64xf32>
    ```
  }];
  let arguments = (ins Index:$layer, Variadic<AnyMemRef>:$values);
  let results = (outs AnyMemRef:$result);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

def Qopt_ParameterOp : Qopt_ValueOp<"parameter"> {
  let summary = "a named array of the module: weights, codes, scales";
  let description = [{
    ```mlir
    %w = qopt.parameter "model.norm.weight" dense_resource<w> : tensor<256xf32>
    ```
  }];
  let arguments = (ins StrAttr:$name, ElementsAttr:$value);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$name $value attr-dict";
}

//===----------------------------------------------------------------------===//
// Calibration
//===----------------------------------------------------------------------===//

def Qopt_ObserveOp : Qopt_Op<"observe", [Pure, SameOperandsAndResultType]> {
  let summary = "record statistics of a value during calibration";
  let description = [{
    Identity on `input`. `name` is the first of the linear layers that read the
    value; `statistics` says what is collected: `absmax`, `column-absmax`, `hessian`. After
    calibration `absmax` holds the magnitude that gets the largest code: 127 times
    the scale.

    ```mlir
    %1 = qopt.observe %0 "model.layers.0.self_attn.q_proj" ["absmax"] : tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins AnyRankedTensor:$input, StrAttr:$name, Qopt_StatisticSet:$statistics, OptionalAttr<F32Attr>:$absmax);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$input $name custom<Statistics>($statistics) (`absmax` `(` $absmax^ `)`)? attr-dict `:` type($input)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Quantization of values
//===----------------------------------------------------------------------===//

def Qopt_QuantizeOp : Qopt_ValueOp<"quantize"> {
  let summary = "float to int8 with one given scale";
  let description = [{
    clamp(rne(x / scale), -128, 127), per tensor. Constraint: the scale has rank 0.
  }];
  let arguments = (ins Qopt_F32Tensor:$input, Qopt_F32Tensor:$scale);
  let results = (outs Qopt_I8Tensor:$codes);
  let assemblyFormat = "$input `,` $scale attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qopt_DynamicQuantizeOp : Qopt_ValueOp<"dynamic_quantize"> {
  let summary = "float to int8 with a scale per token, or per token and group of inputs, measured at run time";
  let description = [{
    Over the last dimension: scale = absmax / 127, code = rne(x * 127 / absmax). A row
    of zeros has scale 0 and codes 0. `scale` has the shape of the input without its
    last dimension.

    With `group_size` each group of so many inputs, the last of a row being the rest, is
    treated as a row, and `scale` is [..., ceil(K / group_size)]. Constraint: the group
    size is in [1, K].

    ```mlir
    %q, %s = qopt.dynamic_quantize %x {group_size = 128} : (tensor<?x256xf32>) -> (tensor<?x256xi8>, tensor<?x2xf32>)
    ```
  }];
  let arguments = (ins Qopt_RowsOf<F32>:$input, OptionalAttr<I64Attr>:$group_size);
  let results = (outs Qopt_I8Tensor:$codes, Qopt_F32Tensor:$scale);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qopt_SplitColumnsOp : Qopt_ValueOp<"split_columns"> {
  let summary = "LLM.int8: int8 codes of the ordinary columns and the list of outlier columns";
  let description = [{
    As `dynamic_quantize`, but magnitudes of at least `threshold` take no part in a
    row's absmax, their codes are 0, and with more than one row every column that
    holds one has codes 0 in all rows. `columns` [K] lists these outlier columns in
    rising order, then -1. [Dettmers et al., arXiv 2208.07339; bitsandbytes
    int8_vectorwise_quant]
  }];
  let arguments = (ins Qopt_RowsOf<F32>:$input, F32Attr:$threshold);
  let results = (outs Qopt_I8Tensor:$codes, Qopt_F32Tensor:$scale, Qopt_I32Tensor:$columns);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qopt_SplitColumnsAtOp : Qopt_ValueOp<"split_columns_at"> {
  let summary = "int8 codes of the ordinary columns, and the given columns as they are";
  let description = [{
    As `dynamic_quantize`, but the listed columns take no part in a row's absmax and
    their codes are 0; `outliers` [..., M] holds them in the order of the list. There is
    no threshold: what else is large makes its row's scale large. Constraints: `columns`
    rise strictly and lie in [0, K).

    ```mlir
    %q, %s, %o = qopt.split_columns_at %x {columns = array<i32: 10, 68>} : (tensor<?x256xf32>) -> (tensor<?x256xi8>, tensor<?xf32>, tensor<?x2xf32>)
    ```
  }];
  let arguments = (ins Qopt_RowsOf<F32>:$input, DenseI32ArrayAttr:$columns);
  let results = (outs Qopt_I8Tensor:$codes, Qopt_F32Tensor:$scale, Qopt_F32Tensor:$outliers);
  let assemblyFormat = "$input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qopt_ReplaceColumnsOp : Qopt_ValueOp<"replace_columns"> {
  let summary = "a weight matrix some of whose columns were kept";
  let description = [{
    `input` [N, K] with its columns `columns` (strictly rising, in [0, K)) replaced by
    those of `values` [N, M]. It stands behind a `dequantize`, until products take the
    two parts.
  }];
  let arguments = (ins Qopt_StaticMatrixOf<[F32]>:$input, Qopt_FloatTensor:$values, DenseI32ArrayAttr:$columns);
  let results = (outs Qopt_F32Tensor:$result);
  let assemblyFormat = "$input `,` $values attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qopt_DequantizeOp : Qopt_ValueOp<"dequantize"> {
  let summary = "integers to float";
  let description = [{
    scale * (code - zero). The granularity follows from the shape of `scale`:

    - rank 0: per tensor, codes of any shape;
    - [N] for codes [N, K]: per channel;
    - [N, G] with `group_size`: per group of inputs, G = ceil(K / group_size). Codes
      are unsigned 4-bit numbers, two per byte along K, even k in the low nibble:
      [N, ceil(K / 2)] as i8; `columns` is K where the last byte of a row holds one
      code, and not needed otherwise. `zeros` [N, G] defaults to 8.

    In groups, codes of four bits may be places in a `table` of 16 numbers: scale *
    table[code], without zeros. With `bytes` they are signed 8-bit numbers [N, K], whose
    `zeros` default to 0. Codes of eight bits, per channel or in groups, are with `float8`
    the bits of f8E4M3FN, without zeros.

    ```mlir
    %w = qopt.dequantize %codes, %scale {group_size = 32} : (tensor<64x32xi8>, tensor<64x2xf16>) -> tensor<64x64xf32>
    ```
  }];
  let arguments = (ins Qopt_I8Tensor:$codes, Qopt_FloatTensor:$scale, Optional<Qopt_ZerosTensor>:$zeros,
                       OptionalAttr<I64Attr>:$group_size, OptionalAttr<ConfinedAttr<I64Attr, [IntPositive]>>:$columns,
                       OptionalAttr<Qopt_TableAttr>:$table, UnitAttr:$bytes, UnitAttr:$float8);
  let results = (outs Qopt_F32Tensor:$result);
  let assemblyFormat = "$codes `,` $scale (`,` $zeros^)? attr-dict `:` functional-type(operands, results)";
  let builders = [OpBuilder<(ins "::mlir::Value":$codes, "::mlir::Value":$scale), [{
    build($_builder, $_state, codes, scale, ::mlir::Value(), ::mlir::IntegerAttr(), ::mlir::IntegerAttr(),
          ::mlir::DenseF32ArrayAttr(), ::mlir::UnitAttr(), ::mlir::UnitAttr());
  }]>];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

def Qopt_MatmulW8A8Op : Qopt_ValueOp<"matmul_w8a8", [AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<Qopt_QuantizedProductOpInterface, ["getInputScale", "getKeptWeights"]>]> {
  let summary = "int8 activations times int8 weights, summed in int32";
  let description = [{
    y[t, n] = x_scale[t] * w_scale[n] * sum_k x[t, k] w[n, k]; `x_scale` has rank 0
    (per tensor) or the shape of x without its last dimension (per token).

    With `outliers` (LLM.int8) some columns are multiplied in float. Those that
    `split_columns` found: `outliers` is all of x, and the columns c in the list
    `columns` add sum_c outliers[t, c] * (w[n, c] * w_scale[n]). Those that
    `split_columns_at` took out: with `weights` [N, M], outliers [..., M] add
    sum_i outliers[t, i] * weights[n, i].
  }];
  let arguments = (ins Qopt_RowsOf<I8>:$x, Qopt_F32Tensor:$x_scale, Qopt_StaticMatrixOf<[I8]>:$w, Qopt_F32Tensor:$w_scale,
                       Optional<Qopt_F32Tensor>:$outliers, Optional<Qopt_I32Tensor>:$columns,
                       Optional<Qopt_StaticMatrixOf<[F16, F32]>>:$outlier_weights);
  let results = (outs Qopt_F32Tensor:$y);
  let assemblyFormat = [{$x `,` $x_scale `,` $w `,` $w_scale (`outliers` `(` $outliers^ `)`)? (`columns` `(` $columns^ `)`)?
                         (`weights` `(` $outlier_weights^ `)`)? attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
}

def Qopt_MatmulW8A16Op : Qopt_ValueOp<"matmul_w8a16",
    [DeclareOpInterfaceMethods<Qopt_QuantizedProductOpInterface, ["getWeightZeros"]>]> {
  let summary = "float activations times weights of eight bits";
  let description = [{
    y[t, n] = w_scale[n] * sum_k x[t, k] w[n, k]. With `group_size`, `w_scale` and `zeros`
    [N, G] as in `dequantize` per group with `bytes`:
    y[t, n] = sum_k x[t, k] * w_scale[n, k / group_size] * (w[n, k] - zeros[n, k / group_size]).
    With `float8`, w holds the bits of f8E4M3FN, and there are no zeros.
  }];
  let arguments = (ins Qopt_RowsOf<F32>:$x, Qopt_StaticMatrixOf<[I8]>:$w, Qopt_FloatTensor:$w_scale,
                       Optional<Qopt_I8Tensor>:$zeros, OptionalAttr<I64Attr>:$group_size, UnitAttr:$float8);
  let results = (outs Qopt_F32Tensor:$y);
  let assemblyFormat = "$x `,` $w `,` $w_scale (`,` $zeros^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qopt_MatmulW4A16Op : Qopt_ValueOp<"matmul_w4a16",
    [DeclareOpInterfaceMethods<Qopt_QuantizedProductOpInterface, ["getWeightZeros"]>]> {
  let summary = "float activations times group-wise int4 weights";
  let description = [{
    y[t, n] = sum_k x[t, k] * scale[n, k / group_size] * (w[n, k] - zero[n, k / group_size]);
    `w`, `scale`, `zeros` as in `dequantize` per group. With a `table`, table[w[n, k]] takes the
    place of w[n, k] - zero.
  }];
  let arguments = (ins Qopt_RowsOf<F32>:$x, Qopt_StaticMatrixOf<[I8]>:$w, Qopt_FloatTensor:$scale,
                       Optional<Qopt_ZerosTensor>:$zeros, I64Attr:$group_size, OptionalAttr<Qopt_TableAttr>:$table);
  let results = (outs Qopt_F32Tensor:$y);
  let assemblyFormat = "$x `,` $w `,` $scale (`,` $zeros^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Qopt_MatmulW4A8Op : Qopt_ValueOp<"matmul_w4a8",
    [DeclareOpInterfaceMethods<Qopt_QuantizedProductOpInterface, ["getInputScale", "getWeightZeros"]>]> {
  let summary = "int8 activations times group-wise int4 weights, summed in int32 by groups";
  let description = [{
    y[t, n] = sum_g x_scale[t, g] * scale[n, g] * sum_{k in g} x[t, k] (w[n, k] - zero[n, g]);
    `w`, `scale`, `zeros` as in `dequantize` per group, x and `x_scale` as `dynamic_quantize`
    by groups of `x_group_size` gives them. Sums of groups are exact; what they are scaled to
    is added in float in the order of the groups, the same everywhere. Constraint: a group of
    x has as many inputs as one of the weights, or a multiple of eight that divides them.

    ```mlir
    %y = qopt.matmul_w4a8 %q, %s, %w, %ws {group_size = 128, x_group_size = 64} : (tensor<?x256xi8>, tensor<?x4xf32>, tensor<8x128xi8>, tensor<8x2xf16>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins Qopt_RowsOf<I8>:$x, Qopt_RowsOf<F32>:$x_scale, Qopt_StaticMatrixOf<[I8]>:$w,
                       Qopt_FloatTensor:$scale, Optional<Qopt_I8Tensor>:$zeros, I64Attr:$group_size,
                       I64Attr:$x_group_size);
  let results = (outs Qopt_F32Tensor:$y);
  let assemblyFormat = [{$x `,` $x_scale `,` $w `,` $scale (`,` $zeros^)? attr-dict `:`
                         functional-type(operands, results)}];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Keys or values of all tokens so far, read and written in place. (A size that is not known
/// is a negative number.)
class Qopt_CacheIs<string condition> : CPred<"::llvm::cast<::mlir::MemRefType>($_self)." # condition>;
def Qopt_CacheType
    : ConfinedType<MemRefRankOf<[F32, F16], [4]>,
                   [Qopt_CacheIs<"getLayout().isIdentity()">, Qopt_CacheIs<"getDimSize(1) >= 1">,
                    Qopt_CacheIs<"getDimSize(3) >= 1">],
                   "dense cache of rank 4 of 32-bit float or 16-bit float values, with known heads and head size",
                   "::mlir::MemRefType">;
def Qopt_Cache : Arg<Qopt_CacheType, "[batch, kv heads, capacity, head size]", [MemRead, MemWrite]>;

def Qopt_CachedAttentionOp : Qopt_Op<"cached_attention", [InferTypeOpAdaptor, AttrSizedOperandSegments]> {
  let summary = "causal attention of new tokens to those in a cache and themselves";
  let description = [{
    Writes `k` and `v` to the caches at `past_length` ([batch], or one element for all),
    rounded where these are f16, then attends: query i sees the keys 0 .. past_length + i,
    and of these, where there is a `window` w, the last w. It is an error at run time if the
    new tokens do not fit into the caches.

    `q`, `k`, `v` and the result are [batch, sequence, heads * head size]; what heads
    and head sizes are follows from the caches. `scale` defaults to
    1 / sqrt(head size); a `softcap` c > 0 turns a score s into c tanh(s / c). `slopes` and
    `sinks` have an element for each head: a slope times the distance from key to query is
    taken from the score (ALiBi, arXiv 2108.12409); a sink is the score of one more key, whose
    value is 0 (arXiv 2309.17453).

    ```mlir
    %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, memref<?x4x?x8xf32>, memref<?x4x?x8xf32>, tensor<1xi64>) -> tensor<?x?x64xf32>
    ```
  }];
  let arguments = (ins Qopt_HeadsTensor:$q, Qopt_HeadsTensor:$k, Qopt_HeadsTensor:$v, Qopt_Cache:$key_cache,
                       Qopt_Cache:$value_cache, Qopt_I64Tensor:$past_length, Optional<Qopt_F32Tensor>:$slopes,
                       Optional<Qopt_F32Tensor>:$sinks, OptionalAttr<F32Attr>:$scale,
                       DefaultValuedAttr<F32Attr, "0.0f">:$softcap,
                       OptionalAttr<ConfinedAttr<I64Attr, [IntMinValue<1>]>>:$window);
  let results = (outs Qopt_F32Tensor:$y);
  let assemblyFormat = [{$q `,` $k `,` $v `,` $key_cache `,` $value_cache `,` $past_length (`slopes` `(` $slopes^ `)`)?
                         (`sinks` `(` $sinks^ `)`)? attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
}

#endif // QOPT_DIALECT_QOPT_QOPTOPS_TD
