//===- Transforms.td - Passes on the float model before quantizing --------===//
//
// As in Passes.td; their files are under passes/Quantize.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_TRANSFORMS_TD
#define QOPT_PASSES_TRANSFORMS_TD

include "mlir/Pass/PassBase.td"
include "qopt/Passes/RunDialects.td"

def FoldNorms : Pass<"qopt-fold-norms", "::mlir::ModuleOp"> {
  let summary = "Fold the scales of normalizations into weights";
  let description = [{
    (scale * x) W = x (diag(scale) W): the weights that read a normalization take its scale
    over, which becomes 1. What a LayerNormalization adds is divided by it.

    ```mlir
    %1 = onnx.RMSNormalization %0, %scale : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
    %2 = onnx.MatMul %1, %w : (tensor<?x?x64xf32>, tensor<64x172xf32>) -> tensor<?x?x172xf32>
    ```
    ==>
    ```mlir
    %1 = onnx.RMSNormalization %0, %ones : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
    %2 = onnx.MatMul %1, %folded : (tensor<?x?x64xf32>, tensor<64x172xf32>) -> tensor<?x?x172xf32>
    ```
    A normalization that something else than products with constant weights reads stays, with
    a remark; none to fold is an error.

    Expects: the raised form. Ensures: the same function, but for rounding.
  }];
  let statistics = [Statistic<"numFolded", "folded", "Normalizations folded">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def SmoothActivations : Pass<"qopt-smooth-activations", "::mlir::ModuleOp"> {
  let summary = "Move outliers of activations into weights";
  let description = [{
    SmoothQuant: the scale of a normalization is divided by
    s[k] = max(max|x[k]|^alpha / max(max|W[k]|, 1e-5)^(1 - alpha), 1e-5), and the rows of all weights
    that read it are multiplied by s[k]. The largest activations are those of the float model
    on the calibration text. The normalization in front of the head stays, as do those that
    something else reads, with a remark; none to smooth is an error.

    Expects: the raised form; token windows from the driver (CalibrationContext) or `calibration`.
    Ensures: the same function, but for rounding.
  }];
  let options = [
    Option<"alpha", "alpha", "double", /*default=*/"0.5", "How much of the difficulty moves into the weights: 0 to 1">,
    Option<"calibration", "calibration", "std::string", /*default=*/"", "Token ids [n, length] as .npy; default: what the driver gives">,
  ];
  let statistics = [Statistic<"numSmoothed", "smoothed", "Normalizations smoothed">];
  let dependentDialects = kRunDialects;
}

def RotateActivations : Pass<"qopt-rotate-activations", "::mlir::ModuleOp"> {
  let summary = "Rotate features by Hadamard matrices in weights";
  let description = [{
    QuaRot's R1: the features between products are multiplied by an orthogonal matrix
    Q = diag(signs) H / sqrt(n), so that none of them is an outlier. Which values have to be
    rotated together is found by data flow: from what a normalization gives to products,
    through sums, other normalizations and reshapes, to the tables and weights that make the
    values (W Q) and the weights that read them (Q^T W). A normalization with a scale of 1
    does not change what a rotation does.

    R2 (`heads`): the values of attention are rotated within each head, between the product
    that makes them and the one that reads what attention returns.

    H is the product of Sylvester's and one of Paley's matrices (R. Paley, 1933); where they give none of this
    order, Q is a random orthogonal matrix. Signs depend on `seed`.

    What cannot be rotated stays, with a remark that says why; nothing to rotate is an error.

    Expects: the raised form with folded normalizations. Ensures: the same function, but for rounding.
  }];
  let options = [
    Option<"seed", "seed", "int64_t", /*default=*/"0", "Of the signs">,
    Option<"heads", "heads", "bool", /*default=*/"true", "Rotate the values of attention, too">,
  ];
  let statistics = [Statistic<"numSpaces", "spaces", "Spaces of features rotated">,
                    Statistic<"numHeads", "heads", "Attentions whose values were rotated">];
  let dependentDialects = ["::qopt::onnx::OnnxDialect"];
}

def SearchScales : Pass<"qopt-search-scales", "::mlir::ModuleOp"> {
  let summary = "Scale weights up where activations are large";
  let description = [{
    AWQ: the weights that read a value are multiplied by s[k], and what makes the value is
    divided by it: the scale of a normalization, the weights in front of an elementwise product (`up_proj` for
    `down_proj`), or those of the values of attention where they have the shape of what reads them.
    s = x^r, or with `duo` x^r / (w^(1 - r) + 1e-4), where x are mean magnitudes of the activations and w
    those of the weights relative to their group's largest. r is the one of 0, .05 ... .95 with the least
    squared error, on the calibration text, of what the next product makes (attention's output projection, down_proj), when
    the weights are rounded as `scheme` does.

    With `clip` weights are then cut to the share 1, .95 ... .55 of the largest of their group that gives the least squared
    error of the group's part of the product, but for queries and keys. This changes the float model.

    What cannot be scaled stays, with a remark that says why; nothing to scale is an error.

    Expects: the raised form; token windows from the driver (CalibrationContext) or `calibration`.
    Ensures: without `clip` the same function, but for rounding.
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", /*default=*/"\"rtn-int4\"", "How weights are rounded in the search: NAME or NAME{option=value ...}, without calibration">,
    Option<"duo", "duo", "bool", /*default=*/"true", "Scales depend on the weights, too">,
    Option<"clip", "clip", "bool", /*default=*/"true", "Search the largest weight of each group">,
    Option<"calibration", "calibration", "std::string", /*default=*/"", "Token ids [n, length] as .npy; default: what the driver gives">,
  ];
  let statistics = [Statistic<"numScaled", "scaled", "Values scaled">,
                    Statistic<"numClipped", "clipped", "Linear layers whose weights were clipped">];
  let dependentDialects = kRunDialects;
}

def RoundInt8 : Pass<"qopt-round-int8", "::mlir::ModuleOp"> {
  let summary = "Round weights and inputs of linear layers to int8, in float";
  let description = [{
    The ablations of LLM.int8() (Dettmers et al., arXiv 2208.07339): what int8 does to a model, computed in float, so that
    any combination of granularities can be compared. Weights and activations have one scale in all (`weights`,
    `inputs` tensor) or one per output and per token (row); with `zero-point` the codes span what is between the
    smallest and the largest number, else 127 is the largest magnitude. Features of which some token of the call has a
    magnitude of at least `threshold` are multiplied as they are with the weights as they are, and count in no scale
    of the activations; 0: none are.

    ```mlir
    %1 = onnx.MatMul %0, %w {qopt.layer = "model.layers.0.mlp.up_proj"} : (tensor<?x?x64xf32>, tensor<64x172xf32>) -> tensor<?x?x172xf32>
    ```
    ==>
    ```mlir
    %1 = onnx.Abs %0 : (tensor<?x?x64xf32>) -> tensor<?x?x64xf32>
    ...
    %9 = onnx.MatMul %8, %rounded {qopt.layer = "model.layers.0.mlp.up_proj"} : (tensor<?x?x64xf32>, tensor<64x172xf32>) -> tensor<?x?x172xf32>
    ```
    Layers that match a glob of `skip` stay. Nothing to round is an error.

    Expects: the raised form. Ensures: the same with other weights and inputs.
  }];
  let options = [
    Option<"inputs", "inputs", "std::string", /*default=*/"\"row\"", "One scale of activations for each token (row) or for a call (tensor)">,
    Option<"weights", "weights", "std::string", /*default=*/"\"row\"", "One scale of weights for each output (row) or for the layer (tensor)">,
    Option<"zeroPoint", "zero-point", "bool", /*default=*/"false", "Codes span from the smallest to the largest number">,
    Option<"threshold", "threshold", "double", /*default=*/"0", "Magnitude from which a feature stays in float; 0: none does">,
    ListOption<"skip", "skip", "std::string", "Globs of layers that stay; by default lm_head">,
  ];
  let statistics = [Statistic<"numRounded", "rounded", "Linear layers rounded">];
  let dependentDialects = ["::qopt::QoptDialect", "::qopt::onnx::OnnxDialect"];
}

#endif // QOPT_PASSES_TRANSFORMS_TD
