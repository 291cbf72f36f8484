//===- CacheInputs.cpp - What a cache stands for --------------------------===//
//
// A few sizes and a look at the numbers behind them suffice: positions that are not counted show
// at once or are limited by a constant, and a mask that is the same for all queries knows no
// distance that only long texts have.
//
//===----------------------------------------------------------------------===//
#include "CacheInputs.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Reference/LongCalls.h"
#include <limits>

using namespace mlir;
using namespace qopt;

bool lowering::areCounted(Value value, const reference::ModelInputs &inputs) {
  reference::Quiet quiet(value.getContext());
  std::mt19937 random(1);
  for (reference::Sizes wanted : {reference::Sizes{1, 5}, reference::Sizes{2, 3}, reference::Sizes{1, 4, 3}}) {
    reference::Sizes sizes = inputs.adapt(wanted);
    reference::Slice slice;
    inputs.fill(slice, sizes, reference::Padding::None, /*maxPosition=*/1, random);
    FailureOr<reference::Tensor> found = slice.get(value);
    if (failed(found) || found->ints.empty() || found->ints.size() % sizes.length != 0)
      return false;
    // Positions that are an input start at 0 in every probe.
    int64_t first = inputs.positionIds ? 0 : sizes.past;
    for (auto [i, position] : llvm::enumerate(found->ints))
      if (position != first + static_cast<int64_t>(i) % sizes.length)
        return false;
  }
  return !reference::changesInLongCalls(value, inputs, std::numeric_limits<int64_t>::max());
}

std::optional<bool> lowering::withoutPadding(Value condition, const reference::ModelInputs &inputs) {
  reference::Quiet quiet(condition.getContext());
  std::mt19937 random(1);
  std::optional<bool> all;
  for (reference::Sizes wanted : {reference::Sizes{1, 5}, reference::Sizes{2, 3}, reference::Sizes{2, 4, 3}}) {
    reference::Slice slice;
    inputs.fill(slice, inputs.adapt(wanted), reference::Padding::None, /*maxPosition=*/1, random);
    FailureOr<reference::Tensor> found = slice.get(condition);
    if (failed(found) || found->ints.empty() || !llvm::all_equal(found->ints) || (all && *all != (found->ints[0] != 0)))
      return std::nullopt;
    all = found->ints[0] != 0;
  }
  return reference::changesInLongCalls(condition, inputs, std::numeric_limits<int64_t>::max()) ? std::nullopt : all;
}

bool lowering::isPaddingMask(Value mask, const reference::ModelInputs &inputs) {
  RankedTensorType type = typeOf(mask);
  if (!type.getElementType().isInteger(1) || type.getRank() != 4 || type.getDimSize(1) != 1 || type.getDimSize(2) != 1)
    return false;
  Value source = mask;
  while (isa_and_present<onnx::CastOp, onnx::UnsqueezeOp>(source.getDefiningOp()))
    source = source.getDefiningOp()->getOperand(0);
  // Or: rows that a text has, and those of its new tokens.
  return source == inputs.attentionMask ||
         (source.getDefiningOp<onnx::OrOp>() && withoutPadding(mask, inputs).value_or(false));
}

bool lowering::isGivenBias(Value mask, const reference::ModelInputs &inputs) {
  while (mask && (mask.getDefiningOp<onnx::CastOp>() || mask.getDefiningOp<onnx::WhereOp>()))
    mask = mask.getDefiningOp()->getOperand(0);
  return mask && mask == inputs.attentionBias;
}

bool lowering::isPastInput(Value past) {
  while (past && !isa<BlockArgument>(past)) {
    if (auto slice = past.getDefiningOp<onnx::SliceOp>()) {
      auto starts = onnx::getConstantInts(slice.getStarts()), axes = onnx::getConstantInts(slice.getAxes());
      bool isPrefix = starts && axes && *starts == SmallVector<int64_t>{0} && *axes == SmallVector<int64_t>{2};
      if (!isPrefix || slice.getSteps())
        return false;
    } else if (!past.getDefiningOp<onnx::CastOp>()) {
      return false;
    }
    past = past.getDefiningOp()->getOperand(0);
  }
  return true;
}

void lowering::dropWholeSlices(func::FuncOp function) {
  reference::Quiet quiet(function.getContext());
  for (onnx::SliceOp op : llvm::make_early_inc_range(function.front().getOps<onnx::SliceOp>())) {
    auto axes = onnx::getConstantInts(op.getAxes());
    auto ends = onnx::getConstantInts(op.getEnds());
    if (op.getSteps() || !axes || *axes != SmallVector<int64_t>{1} || !ends ||
        ends->front() < std::numeric_limits<int32_t>::max() || op.getType() != op.getData().getType())
      continue;
    reference::Slice slice;
    FailureOr<reference::Tensor> starts = slice.get(op.getStarts());
    if (succeeded(starts) && starts->ints == std::vector<int64_t>{0})
      op.replaceAllUsesWith(op.getData());
  }
}
