//===- OnnxOps.td - ONNX operators that language models use ---------------===//
//
// Operators keep ONNX's names, operand order and attribute names, in the form of
// the newest operator set: what older sets give as attributes (axes of Unsqueeze,
// starts of Slice ...) the importer turns into constant operands.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_ONNXOPS_TD
#define QOPT_DIALECT_ONNX_ONNXOPS_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let summary = "ONNX operators of language models";
  let description = [{
    The operators that exporters of Llama-type models emit, with ONNX's names and
    meaning, on ranked tensors. `?` stands for a dimension that is known at run
    time only. ONNX's `bool` is `i1`; signed integers are signless, unsigned ones
    are `ui8`, ....

    What the file says beside the operators is kept in attributes: `onnx.name` and
    `onnx.dims` (a name per dimension, empty where it has none) on arguments and
    results of functions, `onnx.scope` (the module path of the exporter) on
    operations. Another attribute of this name space is an error.
  }];
  let cppNamespace = "::qopt::onnx";
  let discardableAttrs = (ins
      "::mlir::StringAttr":$name,
      "::mlir::ArrayAttr":$dims,
      "::mlir::StringAttr":$scope);
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let hasConstantMaterializer = 1;
}

class Onnx_Op<string mnemonic, list<Trait> traits = []>
    : Op<Onnx_Dialect, mnemonic,
         !listconcat(traits, [Pure, InferTypeOpAdaptorWithIsCompatible])>;

/// One tensor in, one of the same shape out.
class Onnx_UnaryOp<string mnemonic, string what> : Onnx_Op<mnemonic> {
  let summary = what;
  let arguments = (ins AnyRankedTensor:$input);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}

/// Two tensors broadcast to one shape.
class Onnx_BinaryOp<string mnemonic, string what> : Onnx_Op<mnemonic> {
  let summary = what # ", with broadcasting";
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$lhs `,` $rhs attr-dict `:` functional-type(operands, results)}];
}

/// One tensor or more, broadcast to one shape.
class Onnx_VariadicOp<string mnemonic, string what> : Onnx_Op<mnemonic> {
  let summary = what # ", with broadcasting";
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$inputs attr-dict `:` functional-type(operands, results)}];
}

class Onnx_ReduceOp<string mnemonic, string what> : Onnx_Op<mnemonic> {
  let summary = what # " over axes";
  let description = [{
    Without `axes`: over all dimensions, or none with `noop_with_empty_axes`.
  }];
  let arguments = (ins AnyRankedTensor:$data, Optional<AnyRankedTensor>:$axes,
                       DefaultValuedAttr<I64Attr, "1">:$keepdims,
                       DefaultValuedAttr<I64Attr, "0">:$noop_with_empty_axes);
  let results = (outs AnyRankedTensor:$reduced);
  let assemblyFormat = [{$data (`,` $axes^)? attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

def Onnx_ConstantOp : Onnx_Op<"Constant", [ConstantLike]> {
  let summary = "a constant tensor";
  let description = [{
    Weights are `dense_resource` attributes over the mapped model file; the key of
    the resource is the initializer's name.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{attr-dict $value}];
  let hasFolder = 1;
}

def Onnx_ConstantOfShapeOp : Onnx_Op<"ConstantOfShape"> {
  let summary = "a tensor of the given shape, filled with one value";
  let arguments = (ins AnyRankedTensor:$input, ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input `,` $value attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

def Onnx_AbsOp : Onnx_UnaryOp<"Abs", "absolute value">;
def Onnx_CeilOp : Onnx_UnaryOp<"Ceil", "round up">;
def Onnx_CosOp : Onnx_UnaryOp<"Cos", "cosine">;
def Onnx_ErfOp : Onnx_UnaryOp<"Erf", "error function">;
def Onnx_ExpOp : Onnx_UnaryOp<"Exp", "exponential">;
def Onnx_FloorOp : Onnx_UnaryOp<"Floor", "round down">;

def Onnx_IdentityOp : Onnx_UnaryOp<"Identity", "the same value"> {
  let hasFolder = 1;
}

def Onnx_IsInfOp : Onnx_UnaryOp<"IsInf", "true where infinite">;
def Onnx_IsNaNOp : Onnx_UnaryOp<"IsNaN", "true where not a number">;
def Onnx_LogOp : Onnx_UnaryOp<"Log", "natural logarithm">;
def Onnx_NegOp : Onnx_UnaryOp<"Neg", "negation">;
def Onnx_NotOp : Onnx_UnaryOp<"Not", "logical negation">;
def Onnx_ReciprocalOp : Onnx_UnaryOp<"Reciprocal", "1 / x">;
def Onnx_ReluOp : Onnx_UnaryOp<"Relu", "max(x, 0)">;
def Onnx_RoundOp : Onnx_UnaryOp<"Round", "round to nearest, halves to even">;
def Onnx_SigmoidOp : Onnx_UnaryOp<"Sigmoid", "1 / (1 + exp(-x))">;
def Onnx_SignOp : Onnx_UnaryOp<"Sign", "-1, 0 or 1">;
def Onnx_SinOp : Onnx_UnaryOp<"Sin", "sine">;
def Onnx_SoftplusOp : Onnx_UnaryOp<"Softplus", "log(1 + exp(x))">;
def Onnx_SqrtOp : Onnx_UnaryOp<"Sqrt", "square root">;
def Onnx_TanhOp : Onnx_UnaryOp<"Tanh", "hyperbolic tangent">;

def Onnx_SwishOp : Onnx_Op<"Swish"> {
  let summary = "x * sigmoid(alpha * x)";
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<F32Attr, "1.0f">:$alpha);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GeluOp : Onnx_Op<"Gelu"> {
  let summary = "Gaussian error linear unit; approximate is none or tanh";
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<StrAttr, "\"none\"">:$approximate);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}

def Onnx_CastOp : Onnx_Op<"Cast"> {
  let summary = "conversion to another element type";
  let arguments = (ins AnyRankedTensor:$input, TypeAttr:$to);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
  let hasFolder = 1;
}

def Onnx_ClipOp : Onnx_Op<"Clip", [AttrSizedOperandSegments]> {
  let summary = "values limited to [min, max]";
  let arguments = (ins AnyRankedTensor:$input, Optional<AnyRankedTensor>:$min, Optional<AnyRankedTensor>:$max);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input (`min` `(` $min^ `)`)? (`max` `(` $max^ `)`)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_AddOp : Onnx_BinaryOp<"Add", "a + b">;
def Onnx_SubOp : Onnx_BinaryOp<"Sub", "a - b">;
def Onnx_MulOp : Onnx_BinaryOp<"Mul", "a * b">;
def Onnx_DivOp : Onnx_BinaryOp<"Div", "a / b, truncated for integers">;
def Onnx_PowOp : Onnx_BinaryOp<"Pow", "a to the power of b">;
def Onnx_AndOp : Onnx_BinaryOp<"And", "logical and">;
def Onnx_OrOp : Onnx_BinaryOp<"Or", "logical or">;
def Onnx_XorOp : Onnx_BinaryOp<"Xor", "logical exclusive or">;
def Onnx_EqualOp : Onnx_BinaryOp<"Equal", "a == b">;
def Onnx_LessOp : Onnx_BinaryOp<"Less", "a < b">;
def Onnx_LessOrEqualOp : Onnx_BinaryOp<"LessOrEqual", "a <= b">;
def Onnx_GreaterOp : Onnx_BinaryOp<"Greater", "a > b">;
def Onnx_GreaterOrEqualOp : Onnx_BinaryOp<"GreaterOrEqual", "a >= b">;

def Onnx_ModOp : Onnx_Op<"Mod"> {
  let summary = "remainder, with broadcasting";
  let arguments = (ins AnyRankedTensor:$lhs, AnyRankedTensor:$rhs, DefaultValuedAttr<I64Attr, "0">:$fmod);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$lhs `,` $rhs attr-dict `:` functional-type(operands, results)}];
}

def Onnx_MaxOp : Onnx_VariadicOp<"Max", "largest of the operands">;
def Onnx_MinOp : Onnx_VariadicOp<"Min", "smallest of the operands">;
def Onnx_SumOp : Onnx_VariadicOp<"Sum", "sum of the operands">;

def Onnx_WhereOp : Onnx_Op<"Where"> {
  let summary = "x where the condition holds, y elsewhere, with broadcasting";
  let arguments = (ins AnyRankedTensor:$condition, AnyRankedTensor:$x, AnyRankedTensor:$y);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$condition `,` $x `,` $y attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Shapes and data movement
//===----------------------------------------------------------------------===//

def Onnx_ShapeOp : Onnx_Op<"Shape"> {
  let summary = "dimensions start..end of the input, as i64";
  let arguments = (ins AnyRankedTensor:$data, DefaultValuedAttr<I64Attr, "0">:$start, OptionalAttr<I64Attr>:$end);
  let results = (outs AnyRankedTensor:$shape);
  let assemblyFormat = [{$data attr-dict `:` functional-type(operands, results)}];
  let hasFolder = 1;
}

def Onnx_ReshapeOp : Onnx_Op<"Reshape"> {
  let summary = "the same elements in another shape";
  let description = [{
    In `shape`, one -1 is inferred and 0 copies the input's dimension (unless
    `allowzero`).
  }];
  let arguments = (ins AnyRankedTensor:$data, AnyRankedTensor:$shape, DefaultValuedAttr<I64Attr, "0">:$allowzero);
  let results = (outs AnyRankedTensor:$reshaped);
  let assemblyFormat = [{$data `,` $shape attr-dict `:` functional-type(operands, results)}];
}

def Onnx_ExpandOp : Onnx_Op<"Expand"> {
  let summary = "broadcast to a shape";
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$shape);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input `,` $shape attr-dict `:` functional-type(operands, results)}];
}

def Onnx_TransposeOp : Onnx_Op<"Transpose"> {
  let summary = "permuted dimensions";
  let arguments = (ins AnyRankedTensor:$data, DenseI64ArrayAttr:$perm);
  let results = (outs AnyRankedTensor:$transposed);
  let assemblyFormat = [{$data attr-dict `:` functional-type(operands, results)}];
}

def Onnx_UnsqueezeOp : Onnx_Op<"Unsqueeze"> {
  let summary = "dimensions of size 1 inserted at axes";
  let arguments = (ins AnyRankedTensor:$data, AnyRankedTensor:$axes);
  let results = (outs AnyRankedTensor:$expanded);
  let assemblyFormat = [{$data `,` $axes attr-dict `:` functional-type(operands, results)}];
}

def Onnx_SqueezeOp : Onnx_Op<"Squeeze"> {
  let summary = "dimensions of size 1 removed";
  let arguments = (ins AnyRankedTensor:$data, Optional<AnyRankedTensor>:$axes);
  let results = (outs AnyRankedTensor:$squeezed);
  let assemblyFormat = [{$data (`,` $axes^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_FlattenOp : Onnx_Op<"Flatten"> {
  let summary = "a matrix: the dimensions before axis, and from axis on";
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<I64Attr, "1">:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}

def Onnx_ConcatOp : Onnx_Op<"Concat"> {
  let summary = "operands joined along an axis";
  let arguments = (ins Variadic<AnyRankedTensor>:$inputs, I64Attr:$axis);
  let results = (outs AnyRankedTensor:$concat_result);
  let assemblyFormat = [{$inputs attr-dict `:` functional-type(operands, results)}];
}

def Onnx_SplitOp : Onnx_Op<"Split"> {
  let summary = "parts along an axis";
  let arguments = (ins AnyRankedTensor:$input, Optional<AnyRankedTensor>:$split,
                       DefaultValuedAttr<I64Attr, "0">:$axis, OptionalAttr<I64Attr>:$num_outputs);
  let results = (outs Variadic<AnyRankedTensor>:$outputs);
  let assemblyFormat = [{$input (`,` $split^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_SliceOp : Onnx_Op<"Slice", [AttrSizedOperandSegments]> {
  let summary = "elements starts..ends along axes, in steps";
  let arguments = (ins AnyRankedTensor:$data, AnyRankedTensor:$starts, AnyRankedTensor:$ends,
                       Optional<AnyRankedTensor>:$axes, Optional<AnyRankedTensor>:$steps);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$data `,` $starts `,` $ends (`axes` `(` $axes^ `)`)? (`steps` `(` $steps^ `)`)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GatherOp : Onnx_Op<"Gather"> {
  let summary = "slices of data along an axis, chosen by indices";
  let arguments = (ins AnyRankedTensor:$data, AnyRankedTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$data `,` $indices attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GatherElementsOp : Onnx_Op<"GatherElements"> {
  let summary = "elements along an axis, chosen by indices of the same rank";
  let arguments = (ins AnyRankedTensor:$data, AnyRankedTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$data `,` $indices attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GatherNDOp : Onnx_Op<"GatherND"> {
  let summary = "slices of data, chosen by index tuples";
  let arguments = (ins AnyRankedTensor:$data, AnyRankedTensor:$indices, DefaultValuedAttr<I64Attr, "0">:$batch_dims);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$data `,` $indices attr-dict `:` functional-type(operands, results)}];
}

def Onnx_ScatterNDOp : Onnx_Op<"ScatterND"> {
  let summary = "a copy of data with slices replaced at index tuples";
  let arguments = (ins AnyRankedTensor:$data, AnyRankedTensor:$indices, AnyRankedTensor:$updates);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$data `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)}];
}

def Onnx_TileOp : Onnx_Op<"Tile"> {
  let summary = "the input repeated along each dimension";
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$repeats);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input `,` $repeats attr-dict `:` functional-type(operands, results)}];
}

def Onnx_TriluOp : Onnx_Op<"Trilu"> {
  let summary = "upper or lower triangle of the last two dimensions";
  let arguments = (ins AnyRankedTensor:$input, Optional<AnyRankedTensor>:$k, DefaultValuedAttr<I64Attr, "1">:$upper);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input (`,` $k^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_RangeOp : Onnx_Op<"Range"> {
  let summary = "start, start + delta, ... below limit";
  let arguments = (ins AnyRankedTensor:$start, AnyRankedTensor:$limit, AnyRankedTensor:$delta);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$start `,` $limit `,` $delta attr-dict `:` functional-type(operands, results)}];
}

def Onnx_CumSumOp : Onnx_Op<"CumSum"> {
  let summary = "running sum along an axis";
  let arguments = (ins AnyRankedTensor:$x, AnyRankedTensor:$axis, DefaultValuedAttr<I64Attr, "0">:$exclusive,
                       DefaultValuedAttr<I64Attr, "0">:$reverse);
  let results = (outs AnyRankedTensor:$y);
  let assemblyFormat = [{$x `,` $axis attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

def Onnx_ReduceMaxOp : Onnx_ReduceOp<"ReduceMax", "maximum">;
def Onnx_ReduceMeanOp : Onnx_ReduceOp<"ReduceMean", "mean">;
def Onnx_ReduceMinOp : Onnx_ReduceOp<"ReduceMin", "minimum">;
def Onnx_ReduceProdOp : Onnx_ReduceOp<"ReduceProd", "product">;
def Onnx_ReduceSumOp : Onnx_ReduceOp<"ReduceSum", "sum">;

def Onnx_SoftmaxOp : Onnx_Op<"Softmax"> {
  let summary = "exp(x) / sum(exp(x)) along an axis";
  let arguments = (ins AnyRankedTensor:$input, DefaultValuedAttr<I64Attr, "-1">:$axis);
  let results = (outs AnyRankedTensor:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Linear algebra and the parts of a decoder layer
//===----------------------------------------------------------------------===//

def Onnx_MatMulOp : Onnx_Op<"MatMul"> {
  let summary = "matrix product over the last two dimensions, as numpy.matmul";
  let arguments = (ins AnyRankedTensor:$A, AnyRankedTensor:$B);
  let results = (outs AnyRankedTensor:$Y);
  let assemblyFormat = [{$A `,` $B attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GemmOp : Onnx_Op<"Gemm"> {
  let summary = "alpha * A' * B' + beta * C";
  let arguments = (ins AnyRankedTensor:$A, AnyRankedTensor:$B, Optional<AnyRankedTensor>:$C,
                       DefaultValuedAttr<F32Attr, "1.0f">:$alpha, DefaultValuedAttr<F32Attr, "1.0f">:$beta,
                       DefaultValuedAttr<I64Attr, "0">:$transA, DefaultValuedAttr<I64Attr, "0">:$transB);
  let results = (outs AnyRankedTensor:$Y);
  let assemblyFormat = [{$A `,` $B (`,` $C^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_RMSNormalizationOp : Onnx_Op<"RMSNormalization"> {
  let summary = "x / sqrt(mean(x^2) + epsilon) * scale over the dimensions from axis";
  let arguments = (ins AnyRankedTensor:$X, AnyRankedTensor:$scale, DefaultValuedAttr<I64Attr, "-1">:$axis,
                       DefaultValuedAttr<F32Attr, "1e-5f">:$epsilon, DefaultValuedAttr<I64Attr, "1">:$stash_type);
  let results = (outs AnyRankedTensor:$Y);
  let assemblyFormat = [{$X `,` $scale attr-dict `:` functional-type(operands, results)}];
}

def Onnx_RotaryEmbeddingOp : Onnx_Op<"RotaryEmbedding"> {
  let summary = "rotary position embedding";
  let description = [{
    `X` is [batch, heads, sequence, head size], or [batch, sequence, hidden] with
    `num_heads`. The caches are [max position, head size / 2] with `position_ids`
    [batch, sequence], or [batch or 1, sequence, head size / 2] without.
  }];
  let arguments = (ins AnyRankedTensor:$X, AnyRankedTensor:$cos_cache, AnyRankedTensor:$sin_cache,
                       Optional<AnyRankedTensor>:$position_ids, DefaultValuedAttr<I64Attr, "0">:$interleaved,
                       DefaultValuedAttr<I64Attr, "0">:$num_heads,
                       DefaultValuedAttr<I64Attr, "0">:$rotary_embedding_dim);
  let results = (outs AnyRankedTensor:$Y);
  let assemblyFormat = [{$X `,` $cos_cache `,` $sin_cache (`,` $position_ids^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_AttentionOp : Onnx_Op<"Attention", [AttrSizedOperandSegments, SameVariadicResultSize]> {
  let summary = "scaled dot-product attention with grouped heads";
  let description = [{
    4-D form: Q [batch, q heads, q length, head size], K and V [batch, kv heads,
    kv length, head size]. 3-D form: [batch, length, heads * head size] with
    `q_num_heads` and `kv_num_heads`. `attn_mask` broadcasts to [batch, q heads,
    q length, kv length]; boolean: true takes part; float: added to the scores.
    Keys and values are appended to `past_key` and `past_value` where given.
    `is_causal`: query i sees keys up to i + past length.

    A score that is masked out counts as the most negative finite number, so a
    query that sees no key gets the mean of all values (what exporters' additive
    masks do), not NaN.
  }];
  let arguments = (ins AnyRankedTensor:$Q, AnyRankedTensor:$K, AnyRankedTensor:$V,
                       Optional<AnyRankedTensor>:$attn_mask, Optional<AnyRankedTensor>:$past_key,
                       Optional<AnyRankedTensor>:$past_value, DefaultValuedAttr<I64Attr, "0">:$is_causal,
                       DefaultValuedAttr<I64Attr, "0">:$q_num_heads, DefaultValuedAttr<I64Attr, "0">:$kv_num_heads,
                       OptionalAttr<F32Attr>:$scale, DefaultValuedAttr<F32Attr, "0.0f">:$softcap);
  let results = (outs AnyRankedTensor:$Y, Optional<AnyRankedTensor>:$present_key, Optional<AnyRankedTensor>:$present_value);
  let assemblyFormat = [{$Q `,` $K `,` $V (`mask` `(` $attn_mask^ `)`)? (`past_key` `(` $past_key^ `)`)? (`past_value` `(` $past_value^ `)`)? attr-dict `:` functional-type(operands, results)}];
}

#endif // QOPT_DIALECT_ONNX_ONNXOPS_TD
