//===- ContribOperators.cpp - onnxruntime's operators ---------------------===//
//
// Operators that onnxruntime's optimizer and builder write, as the standard
// operators they stand for. Definitions: docs/ContribOperators.md of onnxruntime.
//
//===----------------------------------------------------------------------===//
#include "OperatorTable.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

static NamedAttribute floatAttribute(NodeImport &node, StringRef name, float fallback) {
  auto value = node.take<FloatAttr>(name);
  return node.builder.getNamedAttr(name, value ? value : node.builder.getF32FloatAttr(fallback));
}

/// RMSNormalization before it was standard; without the second output.
static Status importSimplifiedLayerNorm(NodeImport &node) {
  NamedAttribute attributes[] = {
      node.builder.getNamedAttr("axis", node.builder.getI64IntegerAttr(node.takeInt("axis", -1))),
      floatAttribute(node, "epsilon", 1e-5f)};
  node.attributes.erase("stash_type"); // f32, as always here
  return node.finish(node.createOne("RMSNormalization", node.inputs, attributes));
}

/// RMSNormalization of a sum, which is the fourth output; without the others.
static Status importSkipLayerNorm(NodeImport &node) {
  Result<Value> sum = node.createOne("Add", {node.inputs[0], node.inputs[1]});
  if (sum && node.inputs.size() > 3 && node.inputs[3])
    sum = node.createOne("Add", {*sum, node.inputs[3]});
  if (!sum)
    return sum.error();
  NamedAttribute epsilon = floatAttribute(node, "epsilon", 1e-12f);
  Result<Value> normalized = node.createOne("RMSNormalization", {*sum, node.inputs[2]}, epsilon);
  if (!normalized)
    return normalized.error();
  node.results = SmallVector<Value>{*normalized, Value(), Value(), *sum};
  return {};
}

static Status importQuickGelu(NodeImport &node) {
  NamedAttribute alpha = floatAttribute(node, "alpha", 1.702f);
  return node.finish(node.createOne("Swish", node.inputs, alpha));
}

/// alpha * A' * B', where ' swaps the last two dimensions.
static Status importFusedMatMul(NodeImport &node) {
  if (node.takeInt("transBatchA", 0) || node.takeInt("transBatchB", 0))
    return Error{"transBatchA and transBatchB are not supported"};
  SmallVector<Value> operands(node.inputs);
  for (auto [operand, name] : llvm::zip(operands, ArrayRef<StringRef>{"transA", "transB"})) {
    if (!node.takeInt(name, 0))
      continue;
    int64_t rank = typeOf(operand).getRank();
    if (rank < 2)
      return Error{name.str() + " requires an operand of rank 2 or more"};
    auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
    std::swap(perm[rank - 1], perm[rank - 2]);
    NamedAttribute attribute = node.builder.getNamedAttr("perm", node.builder.getDenseI64ArrayAttr(perm));
    Result<Value> transposed = node.createOne("Transpose", operand, attribute);
    if (!transposed)
      return transposed.error();
    operand = *transposed;
  }
  Result<Value> product = node.createOne("MatMul", operands);
  auto alpha = node.take<FloatAttr>("alpha");
  if (!product || !alpha || alpha.getValueAsDouble() == 1)
    return node.finish(product);
  Type element = typeOf(*product).getElementType();
  if (!isa<FloatType>(element))
    return Error{"requires float operands"};
  auto scale = FloatAttr::get(element, alpha.getValueAsDouble());
  Value factor = node.constant(DenseElementsAttr::get(RankedTensorType::get({}, element), scale));
  return node.finish(node.createOne("Mul", {*product, factor}));
}

/// onnxruntime registers the first two in the default domain as well.
static const std::pair<const char *, OperatorInfo> operators[] = {
    {"SimplifiedLayerNormalization", {{1, 2, 2, 2}, importSimplifiedLayerNorm}},
    {"SkipSimplifiedLayerNormalization", {{1, 3, 4, 4}, importSkipLayerNorm}},
    {"QuickGelu", {{1, 1, 1, 1}, importQuickGelu}},
    {"FusedMatMul", {{1, 2, 2, 1}, importFusedMatMul}},
};

std::optional<OperatorInfo> qopt::lookupContribOperator(StringRef domain, StringRef name) {
  for (const auto &[known, info] : operators)
    if (name == known && (domain == "com.microsoft" || (domain.empty() && name.contains("Simplified"))))
      return info;
  return std::nullopt;
}
