//===- ContribOperators.cpp - onnxruntime's operators ---------------------===//
//
// Operators that onnxruntime's optimizer and builder write, as the standard operators they
// stand for: the table, activations and products. Definitions: docs/ContribOperators.md of
// onnxruntime.
//
//===----------------------------------------------------------------------===//
#include "ContribOperators.h"
#include "OperatorTable.h"
#include "QuantizedOperators.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

static Status importQuickGelu(NodeImport &node) {
  OperatorBuilder b(node);
  NamedAttribute alpha = b.takeFloat("alpha", 1.702f);
  return b.finish(b.make("Swish", node.inputs, alpha));
}

/// Gelu of a sum, in the way that `kind` says.
static Status importGelu(NodeImport &node, onnx::GeluApproximation kind) {
  OperatorBuilder b(node);
  Value x = node.inputs[0];
  if (node.inputs.size() > 1)
    x = b.make("Add", {x, node.inputs[1]});
  auto approximate = onnx::GeluApproximationAttr::get(node.builder.getContext(), kind);
  return b.finish(b.make("Gelu", x, node.builder.getNamedAttr("approximate", approximate)));
}
static Status importErfGelu(NodeImport &node) { return importGelu(node, onnx::GeluApproximation::None); }
static Status importTanhGelu(NodeImport &node) { return importGelu(node, onnx::GeluApproximation::Tanh); }

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// `operand` as a product reads it: `swapped` exchanges the last two dimensions, `outer` moves the
/// first dimension behind the others of the batch before that.
static Result<Value> arrangeFactor(OperatorBuilder &b, Value operand, bool swapped, bool outer) {
  int64_t rank = typeOf(operand).getRank();
  if (rank < 2 && (swapped || outer))
    return Error{"transposes an operand of rank " + std::to_string(rank)};
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (outer)
    std::rotate(perm.begin(), perm.begin() + 1, perm.end() - 1);
  if (swapped)
    std::swap(perm[rank - 1], perm[rank - 2]);
  return llvm::is_sorted(perm) ? operand : b.transpose(operand, perm);
}

/// alpha * A' * B'.
static Status importFusedMatMul(NodeImport &node) {
  OperatorBuilder b(node);
  SmallVector<Value> factors;
  for (size_t i : {0, 1}) {
    const char *swap = i == 0 ? "transA" : "transB", *move = i == 0 ? "transBatchA" : "transBatchB";
    bool swapped = node.takeInt(swap, 0), outer = node.takeInt(move, 0);
    Result<Value> factor = arrangeFactor(b, node.inputs[i], swapped, outer);
    if (!factor)
      return factor.error();
    factors.push_back(*factor);
  }
  Value product = b.make("MatMul", factors);
  if (auto alpha = node.take<FloatAttr>("alpha"); alpha && alpha.getValueAsDouble() != 1 && !b.hasFailed())
    product = b.make("Mul", {product, b.floatLike(product, alpha.getValueAsDouble())});
  return b.finish(product);
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

static const std::pair<const char *, OperatorInfo> operators[] = {
    {"Attention", {{1, 2, 7, 2}, contrib::importAttention}},
    {"BiasGelu", {{1, 2, 2, 1}, importErfGelu}},
    {"DequantizeLinear", {{1, 2, 3, 1}, quantized::importContribDequantizeLinear}},
    {"DynamicQuantizeMatMul", {{1, 3, 5, 1}, quantized::importDynamicQuantizeMatMul}},
    {"FastGelu", {{1, 1, 2, 1}, importTanhGelu}},
    {"FusedMatMul", {{1, 2, 2, 1}, importFusedMatMul}},
    {"GatherBlockQuantized", {{1, 3, 4, 1}, quantized::importGatherBlockQuantized}},
    {"Gelu", {{1, 1, 1, 1}, importErfGelu}},
    {"GroupQueryAttention", {{1, 1, 17, 4}, contrib::importGroupQueryAttention}},
    {"MatMulIntegerToFloat", {{1, 4, 7, 1}, quantized::importMatMulIntegerToFloat}},
    {"MatMulNBits", {{1, 3, 6, 1}, quantized::importMatMulNBits}},
    {"MultiHeadAttention", {{1, 1, 10, 4}, contrib::importMultiHeadAttention}},
    {"QGemm", {{1, 2, 9, 1}, quantized::importQGemm}},
    {"QLinearAdd", {{1, 2, 8, 1}, quantized::importQLinearBinary}},
    {"QLinearConcat", {{1, 5, onnx::OperatorForm::kAny, 1}, quantized::importQLinearConcat}},
    {"QLinearMul", {{1, 2, 8, 1}, quantized::importQLinearBinary}},
    {"QLinearSigmoid", {{1, 2, 5, 1}, quantized::importQLinearUnary}},
    {"QLinearSoftmax", {{1, 2, 5, 1}, quantized::importQLinearSoftmax}},
    {"QuantizeLinear", {{1, 2, 3, 1}, quantized::importContribQuantizeLinear}},
    {"QuickGelu", {{1, 1, 1, 1}, importQuickGelu}},
    {"RotaryEmbedding", {{1, 4, 4, 1}, contrib::importRotaryEmbedding}},
    {"SimplifiedLayerNormalization", {{1, 2, 2, 2}, contrib::importSimplifiedLayerNorm}},
    {"SkipLayerNormalization", {{1, 3, 5, 4}, contrib::importSkipLayerNorm}},
    {"SkipSimplifiedLayerNormalization", {{1, 3, 4, 4}, contrib::importSkipSimplifiedLayerNorm}},
    {"TransposeMatMul", {{1, 2, 2, 1}, importFusedMatMul}},
};

std::optional<OperatorInfo> qopt::lookupContribOperator(StringRef domain, StringRef name) {
  // onnxruntime registers this one in the default domain, and exporters of others copied it.
  bool isAnywhere = name == "SimplifiedLayerNormalization" || name == "SkipSimplifiedLayerNormalization";
  for (const auto &[known, info] : operators)
    if (name == known && (domain == "com.microsoft" || isAnywhere))
      return info;
  return std::nullopt;
}
