//===- StoredValues.cpp - Numbers around the codes of a file ----------------===//
//
// Constants where the file has constants, so that what follows can fold them.
//
//===----------------------------------------------------------------------===//
#include "StoredValues.h"
#include "Raising.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;
using namespace qopt::raise;

std::string raise::nameOf(Value codes) {
  std::optional<ConstantView> view = matchConstant(codes);
  StringRef name = view ? view->name : StringRef();
  if (name.empty())
    if (auto location = dyn_cast<NameLoc>(codes.getLoc()))
      name = location.getName();
  name.consume_back(".codes");
  return name.empty() ? "weight" : name.str();
}

Value raise::toScalar(OpBuilder &b, Location loc, Value scale) {
  RankedTensorType type = typeOf(scale);
  if (!type.getElementType().isF32()) {
    scale = CastOp::create(b, loc, type.clone(b.getF32Type()), scale, TypeAttr::get(b.getF32Type()));
    type = typeOf(scale);
  }
  if (type.getRank() == 0)
    return scale;
  if (std::optional<double> number = getConstantScalar(scale))
    return ConstantOp::create(
        b, loc, DenseElementsAttr::get(RankedTensorType::get({}, b.getF32Type()), static_cast<float>(*number)));
  auto none = DenseElementsAttr::get(RankedTensorType::get({0}, b.getI64Type()), ArrayRef<int64_t>());
  Value shape = ConstantOp::create(b, loc, none);
  return ReshapeOp::create(b, loc, RankedTensorType::get({}, b.getF32Type()), scale, shape, /*allowzero=*/0);
}

Value raise::scalarConstant(OpBuilder &b, Location loc, float value) {
  return ConstantOp::create(b, loc, DenseElementsAttr::get(RankedTensorType::get({}, b.getF32Type()), value));
}

Value raise::castTo(OpBuilder &b, Location loc, Value value, Type element) {
  RankedTensorType type = typeOf(value);
  if (type.getElementType() == element)
    return value;
  return CastOp::create(b, loc, type.clone(element), value, TypeAttr::get(element));
}

Value raise::zeroAsFloat(OpBuilder &b, Location loc, Value zero, double middle) {
  if (!zero)
    return scalarConstant(b, loc, static_cast<float>(-middle));
  if (std::optional<ConstantView> view = matchConstant(zero)) {
    auto ints = view->readAs<int64_t>();
    auto floats = ints ? std::nullopt : view->readAs<double>();
    double number = ints ? static_cast<double>(ints->front()) : floats ? floats->front() : 0;
    return scalarConstant(b, loc, static_cast<float>(number - middle));
  }
  auto cast = zero.getDefiningOp<CastOp>();
  Value number = cast && typeOf(cast.getInput()).getElementType().isF32() ? cast.getInput() : zero;
  number = toScalar(b, loc, number);
  if (middle == 0)
    return number;
  return SubOp::create(b, loc, number.getType(), number, scalarConstant(b, loc, static_cast<float>(middle)));
}

FailureOr<reference::Tensor> raise::evaluateConstants(Operation *op) {
  SmallVector<reference::Tensor> operands;
  for (Value operand : op->getOperands()) {
    FailureOr<reference::Tensor> tensor = reference::getConstant(operand);
    if (failed(tensor))
      return failure();
    operands.push_back(std::move(*tensor));
  }
  FailureOr<std::vector<reference::Tensor>> results = reference::evaluate(op, operands);
  if (failed(results))
    return failure();
  return std::move(results->front());
}

/// Replaces an operator of constants by its result, where the evaluator knows it.
static void foldConstant(Operation *op) {
  reference::Quiet quiet(op->getContext());
  FailureOr<reference::Tensor> tensor = evaluateConstants(op);
  if (failed(tensor))
    return;
  OpBuilder b(op);
  op->getResult(0).replaceAllUsesWith(ConstantOp::create(b, op->getLoc(), reference::toAttribute(*tensor)));
  op->erase();
}

/// Whether all operands of `op` are constants, integers of at most a byte among them.
static bool isOfCodes(Operation *op) {
  auto type = dyn_cast<RankedTensorType>(op->getOperand(0).getType());
  auto integer = type ? dyn_cast<IntegerType>(type.getElementType()) : IntegerType();
  return integer && integer.getWidth() > 1 && integer.getWidth() <= 8 &&
         llvm::all_of(op->getOperands(), [](Value value) { return matchConstant(value).has_value(); });
}

void raise::foldCodes(func::FuncOp function) {
  for (Operation &op : llvm::make_early_inc_range(function.front()))
    if (isa<QuantizeLinearOp>(op)
            ? matchConstant(op.getOperand(0)).has_value()
            : isa<TransposeOp, ReshapeOp, SqueezeOp, UnsqueezeOp, SliceOp, ConcatOp>(op) && isOfCodes(&op))
      foldConstant(&op);
}

static bool hasOneScale(QuantizeLinearOp op) {
  return isSingle(op.getYScale()) && (!op.getYZeroPoint() || isSingle(op.getYZeroPoint()));
}
static bool hasOneScale(DequantizeLinearOp op) {
  return isSingle(op.getXScale()) && (!op.getXZeroPoint() || isSingle(op.getXZeroPoint()));
}

/// `op` in front of the rounding that it is behind, and what it moves in front of the next one.
static void moveAhead(Operation *op) {
  Operation *rounding = op->getOperand(0).getDefiningOp();
  auto quantize = dyn_cast_if_present<QuantizeLinearOp>(rounding);
  auto dequantize = dyn_cast_if_present<DequantizeLinearOp>(rounding);
  bool isRounded = dequantize && hasOneScale(dequantize) && dequantize.getX().getDefiningOp<QuantizeLinearOp>();
  if (!isRounded && !(quantize && hasOneScale(quantize)))
    return;
  Value x = rounding->getOperand(0);
  RankedTensorType type = typeOf(op->getResult(0));
  OpBuilder b(op);
  IRMapping operands;
  operands.map(op->getOperand(0), x);
  Operation *moved = b.clone(*op, operands);
  moved->getResult(0).setType(type.clone(typeOf(x).getElementType()));
  operands.map(x, moved->getResult(0));
  Operation *behind = b.clone(*rounding, operands);
  behind->getResult(0).setType(type);
  op->getResult(0).replaceAllUsesWith(behind->getResult(0));
  op->erase();
  moveAhead(moved);
}

void raise::rearrangeFirst(func::FuncOp function) {
  for (Operation &op : llvm::make_early_inc_range(function.front()))
    if (isa<TransposeOp, ReshapeOp, FlattenOp, SqueezeOp, UnsqueezeOp>(op))
      moveAhead(&op);
}

static Value gatherRows(OpBuilder &b, GatherOp gather, Value table) {
  SmallVector<int64_t> shape(typeOf(gather.getIndices()).getShape());
  llvm::append_range(shape, typeOf(table).getShape().drop_front());
  return GatherOp::create(b, gather.getLoc(), RankedTensorType::get(shape, typeOf(table).getElementType()), table,
                          gather.getIndices(), b.getI64IntegerAttr(0));
}

Value raise::gatherTable(OpBuilder &b, GatherOp gather, Value table) {
  auto offset = table.getDefiningOp<SubOp>();
  if (!offset)
    return gatherRows(b, gather, table);
  Value rows = gatherRows(b, gather, offset.getLhs());
  return SubOp::create(b, gather.getLoc(), rows.getType(), rows, gatherRows(b, gather, offset.getRhs()));
}

Value raise::gatherGroups(OpBuilder &b, GatherOp gather, const StoredWeights &stored, StringRef name,
                          std::string &why) {
  if (stored.inputs % stored.groupSize) {
    why =
        "its rows of " + std::to_string(stored.inputs) + " are no whole groups of " + std::to_string(stored.groupSize);
    return {};
  }
  Location loc = gather.getLoc();
  std::string prefix = name.str() + ".rows";
  int64_t rows = stored.outputs, groups = stored.groups();
  std::vector<float> scales, zeros;
  double middle = stored.bits() == 8 && !stored.shift() ? 128 : 0;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t group = 0; group < groups; ++group) {
      scales.push_back(static_cast<float>(stored.scaleAt(row, group)));
      zeros.push_back(static_cast<float>(stored.zeroAt(row, group) - middle));
    }
  auto reshape = [&](Value value, ArrayRef<int64_t> last) -> Value {
    RankedTensorType indices = typeOf(gather.getIndices());
    SmallVector<int64_t> sizes(indices.getRank(), 0), shape(indices.getShape());
    sizes.append(last.begin(), last.end());
    shape.append(last.begin(), last.end());
    return ReshapeOp::create(b, loc, RankedTensorType::get(shape, b.getF32Type()), value, createInts(b, loc, sizes),
                             /*allowzero=*/0);
  };
  auto perGroup = [&](ArrayRef<float> values, StringRef suffix) {
    Value table = createFloats(b, loc, {rows, groups}, values, prefix + suffix.str());
    return reshape(gatherRows(b, gather, table), {groups, 1});
  };
  Value codes = gatherRows(b, gather, createStoredCodes(b, loc, stored, prefix));
  Value x = reshape(castTo(b, loc, codes, b.getF32Type()), {groups, stored.groupSize});
  if (llvm::any_of(zeros, [](float zero) { return zero != 0; }))
    x = SubOp::create(b, loc, x.getType(), x, perGroup(zeros, ".zeros"));
  x = MulOp::create(b, loc, x.getType(), x, perGroup(scales, ".scale"));
  return reshape(x, {stored.inputs});
}
