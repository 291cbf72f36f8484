//===- CachedPositions.cpp - Positions behind those in a cache -------------===//
//
// What counts the tokens of a call from 0 on counts those of a row from the end of its cache on.
// Only that is replaced: angles, tables and learned positions are computed of it as before.
//
//===----------------------------------------------------------------------===//
#include "CacheInputs.h"
#include "CachedEntry.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Remarks.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

/// past_length .., [batch or 1, sequence].
void CachedEntry::countTokens() {
  Location loc = function.getLoc();
  b.setInsertionPointToStart(&body);
  auto ints = [&](ArrayRef<int64_t> shape, int64_t value) -> Value {
    return onnx::ConstantOp::create(b, loc,
                                    DenseElementsAttr::get(RankedTensorType::get(shape, b.getI64Type()), value));
  };
  positions = onnx::UnsqueezeOp::create(b, loc, pastLength, ints({1}, 1));
  if (!isOneToken) {
    Value axis = ints({1}, 0), shape = onnx::ShapeOp::create(b, loc, inputs.tokens, 1, b.getI64IntegerAttr(2));
    Value length = onnx::SqueezeOp::create(b, loc, shape, axis);
    Value range = onnx::RangeOp::create(b, loc, ints({}, 0), length, ints({}, 1));
    positions = onnx::AddOp::create(b, loc, onnx::UnsqueezeOp::create(b, loc, range, axis), positions);
  }
  for (Operation &op : llvm::make_range(body.begin(), b.getInsertionPoint()))
    counting.insert(&op);
}

bool CachedEntry::areCounted(Value value) {
  auto [entry, isNew] = counted.try_emplace(value, false);
  if (isNew && isa<RankedTensorType>(value.getType()))
    entry->second = lowering::areCounted(value, inputs);
  return entry->second;
}

/// Rows of padding are made 0, say; there are none.
void CachedEntry::dropPadding() {
  llvm::DenseSet<Value> activations = inputs.activations();
  for (onnx::WhereOp op : llvm::make_early_inc_range(body.getOps<onnx::WhereOp>())) {
    Value condition = op.getCondition();
    if (!activations.contains(op.getResult()) || activations.contains(condition) ||
        condition.getDefiningOp<onnx::ConstantOp>())
      continue;
    std::optional<bool> isFirst = lowering::withoutPadding(condition, inputs);
    Value chosen = isFirst.value_or(true) ? op.getX() : op.getY();
    if (isFirst && chosen.getType() == op.getType())
      op.replaceAllUsesWith(chosen);
  }
}

/// The new positions in the form of old ones, [1, .., sequence, .., 1]; null where their type does not tell it.
Value CachedEntry::positionsLike(RankedTensorType type) {
  SmallVector<int64_t> ones;
  for (int64_t i = 1, tokens = 0; i < type.getRank(); ++i) {
    if (type.getDimSize(i) == 1)
      ones.push_back(i);
    else if (tokens++)
      return {};
  }
  if (type.getRank() > 1 && static_cast<int64_t>(ones.size()) != type.getRank() - 2)
    return {};
  b.setInsertionPointAfterValue(positions);
  Value result = positions;
  if (!ones.empty())
    result = onnx::UnsqueezeOp::create(b, function.getLoc(), result,
                                       onnx::ConstantOp::create(b, function.getLoc(), b.getI64TensorAttr(ones)));
  if (typeOf(result).getElementType() != type.getElementType())
    result = onnx::CastOp::create(b, function.getLoc(), result, type.getElementType());
  return result;
}

/// As much of a table as there are positions: all of it, where rows are read by these.
void CachedEntry::dropTableEnds() {
  for (onnx::SliceOp op : llvm::make_early_inc_range(body.getOps<onnx::SliceOp>())) {
    auto starts = onnx::getConstantInts(op.getStarts());
    auto axes = onnx::getConstantInts(op.getAxes());
    bool isBeginning = op.getData().getDefiningOp<onnx::ConstantOp>() && starts && axes &&
                       *starts == SmallVector<int64_t>{0} && *axes == SmallVector<int64_t>{0};
    auto steps = op.getSteps() ? onnx::getConstantInts(op.getSteps()) : SmallVector<int64_t>{1};
    if (isBeginning && steps == SmallVector<int64_t>{1} && llvm::all_of(op->getUsers(), [&](Operation *user) {
          auto gather = dyn_cast<onnx::GatherOp>(user);
          return gather && gather.getIndices() != op.getResult() && gather.getAxis() == 0;
        }))
      op.replaceAllUsesWith(op.getData());
  }
}

/// Where what was computed of positions that count tokens is no such positions any more, the new ones
/// stand in their place.
LogicalResult CachedEntry::replacePositions() {
  dropTableEnds();
  eraseDeadOps(function);
  llvm::DenseSet<Value> activations = inputs.activations();
  countTokens();
  llvm::DenseMap<Type, Value> forms;
  for (Operation &op : body) {
    bool isCount = llvm::any_of(op.getResults(), [&](Value v) { return !activations.contains(v) && areCounted(v); });
    if (counting.contains(&op) || isa<onnx::ShapeOp, onnx::ConstantOp>(op) || isCount)
      continue;
    for (OpOperand &use : op.getOpOperands()) {
      Value old = use.get();
      auto type = dyn_cast<RankedTensorType>(old.getType());
      if (!type || type.getRank() < 1 || activations.contains(old) || old.getDefiningOp<onnx::ConstantOp>() ||
          counting.contains(old.getDefiningOp()) || !areCounted(old))
        continue;
      // Rows of a table, for each text then.
      if (type.getRank() == 1 && !isa<onnx::GatherOp>(op))
        continue;
      Value &form = forms[type];
      if (!form)
        form = positionsLike(type);
      if (!form)
        return fail(&op, "positions " + typeText(type) + " do not show which dimension counts tokens");
      use.set(form);
    }
  }
  if (positions.use_empty()) {
    positions = {};
    counting.clear();
  }
  return widenTexts(forms);
}

/// Tables of positions were the same for all texts. Types and shapes behind them that say so do not any more.
LogicalResult CachedEntry::widenTexts(const llvm::DenseMap<Type, Value> &forms) {
  llvm::DenseSet<Value> changed;
  for (auto [type, form] : forms)
    if (form && form.getType() != type)
      changed.insert(form);
  for (Operation &op : body.without_terminator()) {
    if (llvm::none_of(op.getOperands(), [&](Value v) { return changed.contains(v); }))
      continue;
    if (auto reshape = dyn_cast<onnx::ReshapeOp>(op)) {
      std::optional<SmallVector<int64_t>> shape = onnx::getConstantInts(reshape.getShape());
      if (shape && !shape->empty() && shape->front() == 1 && !llvm::is_contained(*shape, 0)) {
        shape->front() = 0;
        b.setInsertionPoint(reshape);
        reshape.getShapeMutable().assign(onnx::ConstantOp::create(b, op.getLoc(), b.getI64TensorAttr(*shape)));
        reshape.setAllowzero(0);
      }
    }
    auto infer = dyn_cast<InferTypeOpInterface>(op);
    SmallVector<Type> types;
    if (!infer || failed(infer.inferReturnTypes(b.getContext(), op.getLoc(), op.getOperands(), op.getAttrDictionary(),
                                                op.getPropertiesStorage(), op.getRegions(), types)))
      return fail(&op, "'" + op.getName().getStringRef() + "' has one table of positions for all texts");
    for (auto [result, type] : llvm::zip(op.getResults(), types))
      if (result.getType() != type) {
        if (typeOf(result).getRank() != cast<RankedTensorType>(type).getRank() && !isa<onnx::GatherOp>(op))
          return fail(&op, "'" + op.getName().getStringRef() + "' has one table of positions for all texts");
        result.setType(type);
        changed.insert(result);
      }
  }
  return success();
}
