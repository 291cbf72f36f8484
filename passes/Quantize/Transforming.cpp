//===- Transforming.cpp - What the passes before quantizing share ---------===//
//
// Normalizations are looked at by data flow: what they are called does not matter, only who
// reads them.
//
//===----------------------------------------------------------------------===//
#include "Transforming.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Logits.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/StoredWeights.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Remarks.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::transform;

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

bool transform::isFloatConstant(Value operand) {
  std::optional<ConstantView> view = operand ? matchWeight(operand) : std::nullopt;
  return view && isa<FloatType>(view->type.getElementType()) && view->isComplete();
}

std::vector<float> transform::readConstant(Value operand) { return *matchWeight(operand)->readAs<float>(); }

void transform::setConstant(OpOperand &operand, ArrayRef<float> values) {
  Operation *user = operand.getOwner();
  ConstantView view = *matchWeight(operand.get());
  OpBuilder builder(user);
  StringRef name = view.name.empty() ? StringRef("transformed") : view.name;
  operand.set(createFloats(builder, operand.get().getLoc(), view.type.getShape(), values, name));
  user->removeAttr(attrs::Tied::getNameStr());
}

bool transform::hasConstantWeights(onnx::MatMulOp op) {
  RankedTensorType type = typeOf(op.getB());
  return type.getRank() == 2 && type.getElementType().isF32() && isFloatConstant(op.getB());
}

OpOperand *transform::findAddedConstant(Operation *sum, int64_t features) {
  for (OpOperand &operand : sum->getOpOperands())
    if (isFloatConstant(operand.get()) && typeOf(operand.get()).getRank() &&
        typeOf(operand.get()).getShape().back() == features)
      return &operand;
  return nullptr;
}

std::string transform::layerName(onnx::MatMulOp op) {
  auto name = getAttr<attrs::Layer>(op);
  return name ? ("layer \"" + name.getValue() + "\"").str() : "a product";
}

bool transform::isHead(ArrayRef<onnx::MatMulOp> linears) {
  return llvm::all_of(linears, [](onnx::MatMulOp op) { return qopt::isHead(op); });
}

//===----------------------------------------------------------------------===//
// Normalizations
//===----------------------------------------------------------------------===//

int64_t NormGroup::features() const { return typeOf(norm->getOperand(0)).getShape().back(); }

SmallVector<OpOperand *> NormGroup::constants() const {
  SmallVector<OpOperand *> result{&scale()};
  if (hasBias())
    result.push_back(&norm->getOpOperand(2));
  return result;
}

void transform::moveFactors(ArrayRef<OpOperand *> divided, ArrayRef<onnx::MatMulOp> multiplied,
                            ArrayRef<float> factors) {
  for (OpOperand *operand : divided) {
    std::vector<float> values = readConstant(operand->get());
    for (auto [i, value] : llvm::enumerate(values))
      value /= factors[i % factors.size()];
    setConstant(*operand, values);
  }
  for (onnx::MatMulOp linear : multiplied) {
    std::vector<float> weights = readConstant(linear.getB());
    size_t columns = weights.size() / factors.size();
    for (auto [i, weight] : llvm::enumerate(weights))
      weight *= factors[i / columns];
    setConstant(linear.getBMutable(), weights);
  }
}

/// A product that reads `value` and multiplies it with constants [K, N]; null otherwise.
static onnx::MatMulOp matchReader(OpOperand &use) {
  auto op = dyn_cast<onnx::MatMulOp>(use.getOwner());
  return op && use.getOperandNumber() == 0 && hasConstantWeights(op) ? op : onnx::MatMulOp();
}

/// Why the factors of a normalization with this first result cannot be moved; empty if they can.
static std::string whyNotMovable(const NormGroup &group, int64_t axis) {
  Value result = group.norm->getResult(0);
  RankedTensorType type = typeOf(group.norm->getOperand(0));
  int64_t rank = type.getRank();
  if (rank == 0 || type.isDynamicDim(rank - 1) || (axis != -1 && axis != rank - 1))
    return "it is not over the last dimension alone, of a known size";
  for (OpOperand *operand : group.constants())
    if (!isFloatConstant(operand->get()) || typeOf(operand->get()).getShape() != ArrayRef(group.features()))
      return "its scale is no constant of " + std::to_string(group.features()) + " values";
  for (Value other : group.norm->getResults().drop_front())
    if (!other.use_empty())
      return "its mean or deviation is read as well";
  for (OpOperand &use : result.getUses())
    if (!matchReader(use))
      return "its result also goes to '" + use.getOwner()->getName().getStringRef().str() + "'";
  return "";
}

std::vector<NormGroup> transform::findNormGroups(func::FuncOp function,
                                                 function_ref<void(Operation *, const Twine &)> onMissed) {
  std::vector<NormGroup> groups;
  for (Operation &op : function.front()) {
    if (!isa<onnx::RMSNormalizationOp, onnx::LayerNormalizationOp>(op))
      continue;
    NormGroup group{&op, {}};
    for (OpOperand &use : op.getResult(0).getUses())
      if (onnx::MatMulOp linear = matchReader(use))
        group.linears.push_back(linear);
    if (group.linears.empty())
      continue;
    // Uses are listed from the last to the first.
    std::reverse(group.linears.begin(), group.linears.end());
    std::string reason = whyNotMovable(group, op.getAttrOfType<IntegerAttr>("axis").getValue().getSExtValue());
    if (reason.empty())
      groups.push_back(std::move(group));
    else
      onMissed(&op, "the normalization in front of " + layerName(group.linears.front()) + ": " + reason);
  }
  return groups;
}

ObserveOp transform::observeBehind(Operation *after, Value value, onnx::MatMulOp reader) {
  while (isa_and_present<ObserveOp>(after->getNextNode()))
    after = after->getNextNode();
  OpBuilder builder(after->getContext());
  builder.setInsertionPointAfter(after);
  auto name = getAttr<attrs::Layer>(reader);
  return ObserveOp::create(builder, value.getLoc(), value, name ? name : builder.getStringAttr("a product"),
                           StatisticSetAttr::get(builder.getContext(), StatisticSet::ColumnAbsMax), FloatAttr());
}

//===----------------------------------------------------------------------===//
// What is left
//===----------------------------------------------------------------------===//

void LeftOut::add(Operation *op, const Twine &reason) {
  std::string text = reason.str();
  remarkMissed(op->getLoc(), topics::kTransformation, transformation + " leaves " + text);
  if (count++ == 0)
    first = text;
}

LogicalResult LeftOut::check(Location location, const Twine &expected) const {
  if (isUseful)
    return success();
  return emitError(location) << transformation << " found nothing to do: expected " << expected << ", but got "
                             << (count ? std::to_string(count) + " that it has to leave, the first " + first
                                       : std::string("none"));
}

SmallVector<func::FuncOp> transform::functionsOf(ModuleOp module) {
  return llvm::filter_to_vector(module.getOps<func::FuncOp>(),
                                [](func::FuncOp function) { return function.getBody().hasOneBlock(); });
}
