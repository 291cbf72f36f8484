//===- OnnxOps.td - ONNX operators that language models use ---------------===//
//
// Operators keep ONNX's names, operand order and attribute names, in the form of
// the newest operator set: what older sets give as attributes (axes of Unsqueeze,
// starts of Slice ...) the importer turns into constant operands. The number behind a
// name is the first operator set that has the operator in a form we know.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_ONNXOPS_TD
#define QOPT_DIALECT_ONNX_ONNXOPS_TD

include "qopt/Dialect/Onnx/OnnxBase.td"

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

def Onnx_ConstantOp : Onnx_Op<"Constant", 1, [ConstantLike, Onnx_ShapeContents]> {
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

def Onnx_ConstantOfShapeOp : Onnx_Op<"ConstantOfShape", 9, [Onnx_ShapeContents]> {
  let summary = "a tensor of the given shape, filled with one value";
  let arguments = (ins Onnx_Shape:$input, ElementsAttr:$value);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$input `,` $value attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

def Onnx_AbsOp : Onnx_UnaryOp<"Abs", 6, "absolute value">;
def Onnx_CeilOp : Onnx_FloatOp<"Ceil", 6, "round up">;
def Onnx_CosOp : Onnx_FloatOp<"Cos", 7, "cosine">;
def Onnx_ErfOp : Onnx_FloatOp<"Erf", 9, "error function">;
def Onnx_ExpOp : Onnx_FloatOp<"Exp", 6, "exponential">;
def Onnx_FloorOp : Onnx_FloatOp<"Floor", 6, "round down">;

def Onnx_IdentityOp : Onnx_UnaryOp<"Identity", 1, "the same value", Onnx_Tensor, Onnx_Tensor, "operandType()",
                                   [Onnx_Rearranges, Onnx_ShapeContents]> {
  let hasFolder = 1;
}

def Onnx_IsInfOp : Onnx_FloatTestOp<"IsInf", 10, "true where infinite">;
def Onnx_IsNaNOp : Onnx_FloatTestOp<"IsNaN", 9, "true where not a number">;
def Onnx_LogOp : Onnx_FloatOp<"Log", 6, "natural logarithm">;
def Onnx_NegOp : Onnx_UnaryOp<"Neg", 6, "negation", Onnx_Tensor, Onnx_Tensor, "operandType()", [Onnx_ShapeContents]>;
def Onnx_NotOp : Onnx_UnaryOp<"Not", 1, "logical negation", Onnx_Booleans, Onnx_Booleans, "operandType()",
                              [Onnx_ShapeContents]>;
def Onnx_ReciprocalOp : Onnx_FloatOp<"Reciprocal", 6, "1 / x">;
def Onnx_ReluOp : Onnx_UnaryOp<"Relu", 6, "max(x, 0)">;
def Onnx_RoundOp : Onnx_FloatOp<"Round", 11, "round to nearest, halves to even">;
def Onnx_SigmoidOp : Onnx_FloatOp<"Sigmoid", 6, "1 / (1 + exp(-x))">;
def Onnx_SignOp : Onnx_UnaryOp<"Sign", 9, "-1, 0 or 1">;
def Onnx_SinOp : Onnx_FloatOp<"Sin", 7, "sine">;
def Onnx_SoftplusOp : Onnx_FloatOp<"Softplus", 1, "log(1 + exp(x))">;
def Onnx_SqrtOp : Onnx_FloatOp<"Sqrt", 6, "square root">;
def Onnx_TanhOp : Onnx_FloatOp<"Tanh", 6, "hyperbolic tangent">;

def Onnx_SwishOp : Onnx_FloatOp<"Swish", 24, "x * sigmoid(alpha * x)"> {
  let arguments = (ins Onnx_Floats:$input, DefaultValuedAttr<F32Attr, "1.0f">:$alpha);
}

def Onnx_GeluApproximation : I32EnumAttr<"GeluApproximation", "how Gelu computes the error function", [
  I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Tanh", 1, "tanh">
]> {
  let cppNamespace = "::qopt::onnx";
  let genSpecializedAttr = 0;
}
def Onnx_GeluApproximationAttr : EnumAttr<Onnx_Dialect, Onnx_GeluApproximation, "gelu_approximation">;

def Onnx_GeluOp : Onnx_FloatOp<"Gelu", 20, "Gaussian error linear unit"> {
  let arguments = (ins Onnx_Floats:$input,
                       DefaultValuedAttr<Onnx_GeluApproximationAttr, "::qopt::onnx::GeluApproximation::None">:$approximate);
  let assemblyFormat = [{$input (`approximate` $approximate^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_CastOp : Onnx_UnaryOp<"Cast", 6, "conversion to another element type", Onnx_Tensor, AnyRankedTensor, "op.getTo()",
                               [Onnx_ShapeContents]> {
  let arguments = (ins Onnx_Tensor:$input, TypeAttrOf<AnyTypeOf<[AnyFloat, AnyInteger]>>:$to);
  let hasFolder = 1;
}

def Onnx_ClipOp : Onnx_Op<"Clip", 6, [Onnx_Elementwise, AttrSizedOperandSegments, Onnx_SameElements<>]> {
  let summary = "values limited to [min, max]";
  let arguments = (ins Onnx_Tensor:$input, Optional<Onnx_Scalar>:$min, Optional<Onnx_Scalar>:$max);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$input (`min` `(` $min^ `)`)? (`max` `(` $max^ `)`)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_AddOp : Onnx_ArithmeticOp<"Add", 7, "a + b", [Onnx_ShapeContents]>;
def Onnx_SubOp : Onnx_ArithmeticOp<"Sub", 7, "a - b", [Onnx_ShapeContents]>;
def Onnx_MulOp : Onnx_ArithmeticOp<"Mul", 7, "a * b", [Onnx_ShapeContents]>;
def Onnx_DivOp : Onnx_ArithmeticOp<"Div", 7, "a / b, truncated for integers", [Onnx_ShapeContents]>;
/// The exponent may have a type of its own.
def Onnx_PowOp : Onnx_BinaryOp<"Pow", 7, "a to the power of b">;
def Onnx_AndOp : Onnx_LogicalOp<"And", 7, "logical and", [Onnx_ShapeContents]>;
def Onnx_OrOp : Onnx_LogicalOp<"Or", 7, "logical or", [Onnx_ShapeContents]>;
def Onnx_XorOp : Onnx_LogicalOp<"Xor", 7, "logical exclusive or">;
def Onnx_EqualOp : Onnx_CompareOp<"Equal", 7, "a == b", [Onnx_ShapeContents]>;
def Onnx_LessOp : Onnx_CompareOp<"Less", 7, "a < b", [Onnx_ShapeContents]>;
def Onnx_LessOrEqualOp : Onnx_CompareOp<"LessOrEqual", 12, "a <= b", [Onnx_ShapeContents]>;
def Onnx_GreaterOp : Onnx_CompareOp<"Greater", 7, "a > b", [Onnx_ShapeContents]>;
def Onnx_GreaterOrEqualOp : Onnx_CompareOp<"GreaterOrEqual", 12, "a >= b", [Onnx_ShapeContents]>;

def Onnx_ModOp : Onnx_ArithmeticOp<"Mod", 10, "remainder"> {
  let arguments = (ins Onnx_Tensor:$lhs, Onnx_Tensor:$rhs, Onnx_Flag<0>:$fmod);
}

def Onnx_MaxOp : Onnx_VariadicOp<"Max", 6, "largest of the operands">;
def Onnx_MinOp : Onnx_VariadicOp<"Min", 6, "smallest of the operands">;
def Onnx_SumOp : Onnx_VariadicOp<"Sum", 6, "sum of the operands">;

def Onnx_WhereOp : Onnx_ElementwiseOp<"Where", 9, [Onnx_SameElements<1>, Onnx_ShapeContents],
                                      "::mlir::getElementTypeOrSelf(op.getX().getType())"> {
  let summary = "x where the condition holds, y elsewhere, with broadcasting";
  let arguments = (ins Onnx_Booleans:$condition, Onnx_Tensor:$x, Onnx_Tensor:$y);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$condition `,` $x `,` $y attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Shapes and data movement
//===----------------------------------------------------------------------===//

def Onnx_ShapeOp : Onnx_Op<"Shape", 1, [Onnx_ShapeContents]> {
  let summary = "dimensions start..end of the input, as i64";
  let arguments = (ins Onnx_Tensor:$data, DefaultValuedAttr<I64Attr, "0">:$start, OptionalAttr<I64Attr>:$end);
  let results = (outs Onnx_Tensor:$shape);
  let assemblyFormat = [{$data attr-dict `:` functional-type(operands, results)}];
}

def Onnx_ReshapeOp : Onnx_Op<"Reshape", 5, [Onnx_Rearranges, Onnx_ShapeContents]> {
  let summary = "the same elements in another shape";
  let description = [{
    In `shape`, one -1 is inferred and 0 copies the input's dimension (unless
    `allowzero`).
  }];
  let arguments = (ins Onnx_Tensor:$data, Onnx_Shape:$shape, Onnx_Flag<0>:$allowzero);
  let results = (outs Onnx_Tensor:$reshaped);
  let assemblyFormat = [{$data `,` $shape attr-dict `:` functional-type(operands, results)}];
}

def Onnx_ExpandOp : Onnx_Op<"Expand", 8, [Onnx_ShapeContents]> {
  let summary = "broadcast to a shape";
  let arguments = (ins Onnx_Tensor:$input, Onnx_Shape:$shape);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$input `,` $shape attr-dict `:` functional-type(operands, results)}];
}

def Onnx_TransposeOp : Onnx_Op<"Transpose", 1, [Onnx_Rearranges]> {
  let summary = "permuted dimensions";
  let arguments = (ins Onnx_Tensor:$data, DenseI64ArrayAttr:$perm);
  let results = (outs Onnx_Tensor:$transposed);
  let assemblyFormat = [{$data attr-dict `:` functional-type(operands, results)}];
}

def Onnx_UnsqueezeOp : Onnx_Op<"Unsqueeze", 1, [Onnx_Rearranges, Onnx_ShapeContents]> {
  let summary = "dimensions of size 1 inserted at axes";
  let arguments = (ins Onnx_Tensor:$data, Onnx_Shape:$axes);
  let results = (outs Onnx_Tensor:$expanded);
  let assemblyFormat = [{$data `,` $axes attr-dict `:` functional-type(operands, results)}];
}

def Onnx_SqueezeOp : Onnx_Op<"Squeeze", 1, [Onnx_Rearranges, Onnx_ShapeContents]> {
  let summary = "dimensions of size 1 removed";
  let arguments = (ins Onnx_Tensor:$data, Optional<Onnx_Shape>:$axes);
  let results = (outs Onnx_Tensor:$squeezed);
  let assemblyFormat = [{$data (`,` $axes^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_FlattenOp : Onnx_Op<"Flatten", 1, [Onnx_Rearranges]> {
  let summary = "a matrix: the dimensions before axis, and from axis on";
  let arguments = (ins Onnx_Tensor:$input, DefaultValuedAttr<I64Attr, "1">:$axis);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}

def Onnx_ConcatOp : Onnx_Op<"Concat", 4, [Onnx_SameElements<>, Onnx_ShapeContents]> {
  let summary = "operands joined along an axis";
  let arguments = (ins Variadic<Onnx_Tensor>:$inputs, I64Attr:$axis);
  let results = (outs Onnx_Tensor:$concat_result);
  let assemblyFormat = [{$inputs attr-dict `:` functional-type(operands, results)}];
}

def Onnx_SplitOp : Onnx_Op<"Split", 2, [Onnx_ShapeContentsOfEach]> {
  let summary = "parts along an axis";
  let arguments = (ins Onnx_Tensor:$input, Optional<Onnx_Shape>:$split,
                       DefaultValuedAttr<I64Attr, "0">:$axis, OptionalAttr<I64Attr>:$num_outputs);
  let results = (outs Variadic<Onnx_Tensor>:$outputs);
  let assemblyFormat = [{$input (`,` $split^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_SliceOp : Onnx_Op<"Slice", 1, [AttrSizedOperandSegments, Onnx_ShapeContents]> {
  let summary = "elements starts..ends along axes, in steps";
  let arguments = (ins Onnx_Tensor:$data, Onnx_Shape:$starts, Onnx_Shape:$ends, Optional<Onnx_Shape>:$axes,
                       Optional<Onnx_Shape>:$steps);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$data `,` $starts `,` $ends (`axes` `(` $axes^ `)`)? (`steps` `(` $steps^ `)`)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GatherOp : Onnx_Op<"Gather", 1, [Onnx_ShapeContents]> {
  let summary = "slices of data along an axis, chosen by indices";
  let arguments = (ins Onnx_Tensor:$data, Onnx_Indices:$indices, DefaultValuedAttr<I64Attr, "0">:$axis);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$data `,` $indices attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GatherElementsOp : Onnx_Op<"GatherElements", 11> {
  let summary = "elements along an axis, chosen by indices of the same rank";
  let arguments = (ins Onnx_Tensor:$data, Onnx_Indices:$indices, DefaultValuedAttr<I64Attr, "0">:$axis);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$data `,` $indices attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GatherNDOp : Onnx_Op<"GatherND", 11> {
  let summary = "slices of data, chosen by index tuples";
  let arguments = (ins Onnx_Tensor:$data, Onnx_Indices:$indices, DefaultValuedAttr<I64Attr, "0">:$batch_dims);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$data `,` $indices attr-dict `:` functional-type(operands, results)}];
}

def Onnx_ScatterNDOp : Onnx_Op<"ScatterND", 11> {
  let summary = "a copy of data with slices replaced at index tuples";
  let arguments = (ins Onnx_Tensor:$data, Onnx_Indices:$indices, Onnx_Tensor:$updates);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$data `,` $indices `,` $updates attr-dict `:` functional-type(operands, results)}];
}

def Onnx_TileOp : Onnx_Op<"Tile", 6> {
  let summary = "the input repeated along each dimension";
  let arguments = (ins Onnx_Tensor:$input, Onnx_Shape:$repeats);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$input `,` $repeats attr-dict `:` functional-type(operands, results)}];
}

def Onnx_TriluOp : Onnx_Op<"Trilu", 14> {
  let summary = "upper or lower triangle of the last two dimensions";
  let arguments = (ins Onnx_Matrices:$input, Optional<Onnx_Shape>:$k, Onnx_Flag<1>:$upper);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$input (`,` $k^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_RangeOp : Onnx_Op<"Range", 11, [Onnx_SameElements<>, Onnx_ShapeContents]> {
  let summary = "start, start + delta, ... below limit";
  let arguments = (ins Onnx_Scalar:$start, Onnx_Scalar:$limit, Onnx_Scalar:$delta);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$start `,` $limit `,` $delta attr-dict `:` functional-type(operands, results)}];
}

def Onnx_CumSumOp : Onnx_Op<"CumSum", 11> {
  let summary = "running sum along an axis";
  let arguments = (ins Onnx_Tensor:$x, Onnx_Shape:$axis, Onnx_Flag<0>:$exclusive, Onnx_Flag<0>:$reverse);
  let results = (outs Onnx_Tensor:$y);
  let assemblyFormat = [{$x `,` $axis attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

def Onnx_ReduceMaxOp : Onnx_ReduceOp<"ReduceMax", "maximum", [Onnx_ShapeContents]>;
def Onnx_ReduceMeanOp : Onnx_ReduceOp<"ReduceMean", "mean">;
def Onnx_ReduceMinOp : Onnx_ReduceOp<"ReduceMin", "minimum", [Onnx_ShapeContents]>;
def Onnx_ReduceProdOp : Onnx_ReduceOp<"ReduceProd", "product", [Onnx_ShapeContents]>;
def Onnx_ReduceSumOp : Onnx_ReduceOp<"ReduceSum", "sum", [Onnx_ShapeContents]>;

def Onnx_SoftmaxOp : Onnx_Op<"Softmax", 1, [Onnx_MakesActivation]> {
  let summary = "exp(x) / sum(exp(x)) along an axis";
  let arguments = (ins Onnx_Floats:$input, DefaultValuedAttr<I64Attr, "-1">:$axis);
  let results = (outs Onnx_Floats:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Linear algebra and the parts of a decoder layer
//===----------------------------------------------------------------------===//

def Onnx_MatMulOp : Onnx_Op<"MatMul", 1, [Onnx_SameElements<>, Onnx_MakesActivation]> {
  let summary = "matrix product over the last two dimensions, as numpy.matmul";
  let arguments = (ins Onnx_Tensor:$A, Onnx_Tensor:$B);
  let results = (outs Onnx_Tensor:$Y);
  let assemblyFormat = [{$A `,` $B attr-dict `:` functional-type(operands, results)}];
}

def Onnx_GemmOp : Onnx_Op<"Gemm", 7, [Onnx_SameElements<>, Onnx_MakesActivation]> {
  let summary = "alpha * A' * B' + beta * C";
  let arguments = (ins Onnx_Matrix:$A, Onnx_Matrix:$B, Optional<Onnx_Tensor>:$C,
                       DefaultValuedAttr<F32Attr, "1.0f">:$alpha, DefaultValuedAttr<F32Attr, "1.0f">:$beta,
                       Onnx_Flag<0>:$transA, Onnx_Flag<0>:$transB);
  let results = (outs Onnx_Tensor:$Y);
  let assemblyFormat = [{$A `,` $B (`,` $C^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_RMSNormalizationOp : Onnx_Op<"RMSNormalization", 23, [Onnx_MakesActivation]> {
  let summary = "x / sqrt(mean(x^2) + epsilon) * scale over the dimensions from axis";
  let arguments = (ins Onnx_Floats:$X, Onnx_Floats:$scale, DefaultValuedAttr<I64Attr, "-1">:$axis,
                       DefaultValuedAttr<F32Attr, "1e-5f">:$epsilon, DefaultValuedAttr<I64Attr, "1">:$stash_type);
  let results = (outs Onnx_Floats:$Y);
  let assemblyFormat = [{$X `,` $scale attr-dict `:` functional-type(operands, results)}];
}

/// onnxruntime has it in all operator sets, ONNX since 17.
def Onnx_LayerNormalizationOp : Onnx_Op<"LayerNormalization", 1, [Onnx_MakesActivation]> {
  let summary = "(x - mean) / sqrt(variance + epsilon) * scale + b over the dimensions from axis";
  let description = [{
    `Mean` and `InvStdDev`, 1 / sqrt(variance + epsilon), have size 1 in those dimensions.
  }];
  let arguments = (ins Onnx_Floats:$X, Onnx_Floats:$Scale, Optional<Onnx_Floats>:$B,
                       DefaultValuedAttr<I64Attr, "-1">:$axis, DefaultValuedAttr<F32Attr, "1e-5f">:$epsilon,
                       DefaultValuedAttr<I64Attr, "1">:$stash_type);
  let results = (outs Onnx_Floats:$Y, Onnx_Floats:$Mean, Onnx_Floats:$InvStdDev);
  let assemblyFormat = [{$X `,` $Scale (`,` $B^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_RotaryEmbeddingOp : Onnx_Op<"RotaryEmbedding", 23, [Onnx_MakesActivation]> {
  let summary = "rotary position embedding";
  let description = [{
    `X` is [batch, heads, sequence, head size], or [batch, sequence, hidden] with
    `num_heads`. The caches are [max position, head size / 2] with `position_ids`
    [batch, sequence], or [batch or 1, sequence, head size / 2] without.
  }];
  let arguments = (ins Onnx_Heads:$X, Onnx_Floats:$cos_cache, Onnx_Floats:$sin_cache,
                       Optional<Onnx_Integers>:$position_ids, Onnx_Flag<0>:$interleaved,
                       DefaultValuedAttr<I64Attr, "0">:$num_heads,
                       DefaultValuedAttr<I64Attr, "0">:$rotary_embedding_dim);
  let results = (outs Onnx_Floats:$Y);
  let assemblyFormat = [{$X `,` $cos_cache `,` $sin_cache (`,` $position_ids^)? attr-dict `:` functional-type(operands, results)}];
}

def Onnx_AttentionOp : Onnx_Op<"Attention", 23, [AttrSizedOperandSegments, SameVariadicResultSize, Onnx_MakesActivation]> {
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
  let arguments = (ins Onnx_Heads:$Q, Onnx_Heads:$K, Onnx_Heads:$V,
                       Optional<Onnx_Mask>:$attn_mask, Optional<Onnx_Cache>:$past_key,
                       Optional<Onnx_Cache>:$past_value, Onnx_Flag<0>:$is_causal,
                       DefaultValuedAttr<I64Attr, "0">:$q_num_heads, DefaultValuedAttr<I64Attr, "0">:$kv_num_heads,
                       OptionalAttr<F32Attr>:$scale, DefaultValuedAttr<F32Attr, "0.0f">:$softcap);
  let results = (outs Onnx_Floats:$Y, Optional<Onnx_Floats>:$present_key, Optional<Onnx_Floats>:$present_value);
  let assemblyFormat = [{$Q `,` $K `,` $V (`mask` `(` $attn_mask^ `)`)? (`past_key` `(` $past_key^ `)`)? (`past_value` `(` $past_value^ `)`)? attr-dict `:` functional-type(operands, results)}];
}

//===----------------------------------------------------------------------===//
// Quantization
//===----------------------------------------------------------------------===//

def Onnx_QuantizeLinearOp : Onnx_Op<"QuantizeLinear", 10> {
  let summary = "round(x / scale) + zero point, saturated to the type `to`";
  let description = [{
    Scale and zero point are one number; a vector along `axis`; or, with a `block_size`, of
    the shape of x but for `axis`, where each stands for so many elements. Rounds to
    nearest, halves to even.
  }];
  let arguments = (ins Onnx_Tensor:$x, Onnx_Floats:$y_scale, Optional<Onnx_Tensor>:$y_zero_point,
                       DefaultValuedAttr<I64Attr, "1">:$axis, DefaultValuedAttr<I64Attr, "0">:$block_size,
                       TypeAttrOf<AnyTypeOf<[AnyFloat, AnyInteger]>>:$to);
  let results = (outs Onnx_Tensor:$y);
  let assemblyFormat = [{$x `,` $y_scale (`,` $y_zero_point^)? attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
}

def Onnx_DequantizeLinearOp : Onnx_Op<"DequantizeLinear", 10> {
  let summary = "(x - zero point) * scale, in the type `to`";
  let description = [{
    Scale and zero point as of `QuantizeLinear`. A zero point may be a float, as
    MatMulNBits of com.microsoft has it.
  }];
  let arguments = (ins Onnx_Tensor:$x, Onnx_Floats:$x_scale, Optional<Onnx_Tensor>:$x_zero_point,
                       DefaultValuedAttr<I64Attr, "1">:$axis, DefaultValuedAttr<I64Attr, "0">:$block_size,
                       TypeAttrOf<AnyFloat>:$to);
  let results = (outs Onnx_Floats:$y);
  let assemblyFormat = [{$x `,` $x_scale (`,` $x_zero_point^)? attr-dict `:` functional-type(operands, results)}];
  let hasVerifier = 1;
}

#endif // QOPT_DIALECT_ONNX_ONNXOPS_TD
