//===- LongCalls.cpp - What only long texts show --------------------------===//
//
// A number has an effect if it has one with a small number in its place. A table goes on as it
// begins where it is the same everywhere, counts, or tells keys before a query from those
// behind it.
//
//===----------------------------------------------------------------------===//
#include "qopt/Reference/LongCalls.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "llvm/ADT/SetVector.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// More elements are not looked at; such a table counts as one that changes.
static constexpr int64_t kMostElements = int64_t(1) << 24;

/// A float from here on is no distance.
static constexpr int64_t kLargestFloat = int64_t(1) << 20;

/// Those that are not behind a shape.
static llvm::SetVector<Value> constantsBehind(Value value) {
  llvm::SetVector<Value> constants;
  llvm::SetVector<Operation *> seen;
  SmallVector<Value> open = {value};
  while (!open.empty()) {
    Value next = open.pop_back_val();
    Operation *op = next.getDefiningOp();
    if (!op || isa<onnx::ShapeOp>(op) || !seen.insert(op))
      continue;
    if (isa<onnx::ConstantOp>(op))
      constants.insert(next);
    open.append(op->operand_begin(), op->operand_end());
  }
  return constants;
}

static double elementOf(const Tensor &tensor, int64_t i) {
  return tensor.isFloat() ? tensor.floats[i] : static_cast<double>(tensor.ints[i]);
}

/// Whether elements are a + b i with their place i in the dimension `axis`; b may be 0.
static bool countsAlong(const Tensor &table, int64_t axis) {
  int64_t size = table.type.getDimSize(axis), inner = 1;
  for (int64_t dim : table.type.getShape().drop_front(axis + 1))
    inner *= dim;
  double first = elementOf(table, 0), step = size > 1 ? elementOf(table, inner) - first : 0;
  for (int64_t i = 0, n = table.numElements(); i < n; ++i)
    if (double expected = first + step * static_cast<double>(i / inner % size); elementOf(table, i) != expected)
      return false;
  return true;
}

/// Whether elements of the last two dimensions depend on which of their places is the larger one alone.
static bool isTriangular(const Tensor &table) {
  ArrayRef<int64_t> shape = table.type.getShape();
  if (shape.size() < 2 || shape.back() < 2 || shape[shape.size() - 2] < 2)
    return false;
  int64_t columns = shape.back(), rows = shape[shape.size() - 2];
  double seen = elementOf(table, 0), hidden = elementOf(table, 1);
  for (int64_t i = 0, n = table.numElements(); i < n; ++i)
    if (elementOf(table, i) != (i % columns <= i / columns % rows ? seen : hidden))
      return false;
  return true;
}

static bool goesOnAsItBegins(Value constant) {
  auto type = dyn_cast<RankedTensorType>(constant.getType());
  if (!type || !type.hasStaticShape() || type.getNumElements() > kMostElements)
    return false;
  if (llvm::all_of(type.getShape(), [](int64_t dim) { return dim <= kSeenDistance; }))
    return true; // all of it has been seen
  FailureOr<Tensor> table = getConstant(constant);
  if (failed(table))
    return false;
  if (isTriangular(*table))
    return true;
  for (int64_t axis = 0; axis < type.getRank(); ++axis)
    if (countsAlong(*table, axis))
      return true;
  return false;
}

std::optional<SmallVector<Value>> reference::findLongNumbers(Value value, const ModelInputs &inputs, int64_t context) {
  Quiet quiet(value.getContext());
  Sizes sizes = inputs.adapt({1, 9, 2});
  auto evaluate = [&](Value constant, const Tensor &other) {
    Slice slice;
    std::mt19937 random;
    inputs.fill(slice, sizes, Padding::None, sizes.length, random);
    if (constant)
      slice.set(constant, other);
    return slice.get(value);
  };
  FailureOr<Tensor> expected = evaluate({}, {});
  if (failed(expected))
    return std::nullopt;
  SmallVector<Value> numbers;
  for (Value constant : constantsBehind(value)) {
    auto type = cast<RankedTensorType>(constant.getType());
    if (!type.hasStaticShape() || type.getNumElements() != 1) {
      if (!goesOnAsItBegins(constant))
        return std::nullopt;
      continue;
    }
    FailureOr<Tensor> stored = getConstant(constant);
    if (failed(stored))
      continue;
    double number = elementOf(*stored, 0);
    // A negative or very large float is what hidden scores get.
    int64_t most = stored->isFloat() ? std::min(context, kLargestFloat) : context;
    if (std::abs(number) <= kSeenDistance || std::abs(number) >= static_cast<double>(most) ||
        (stored->isFloat() && number < 0))
      continue;
    for (int64_t small : {2, 5}) {
      Tensor other = *stored;
      other.floats.assign(other.floats.size(), std::copysign(static_cast<double>(small), number));
      other.ints.assign(other.ints.size(), number < 0 ? -small : small);
      // A number that is part of a shape cannot be changed alone, and is none of these.
      FailureOr<Tensor> actual = evaluate(constant, other);
      if (succeeded(actual) && (actual->floats != expected->floats || actual->ints != expected->ints)) {
        numbers.push_back(constant);
        break;
      }
    }
  }
  return numbers;
}

bool reference::changesInLongCalls(Value value, const ModelInputs &inputs, int64_t context) {
  std::optional<SmallVector<Value>> numbers = findLongNumbers(value, inputs, context);
  return !numbers || !numbers->empty();
}
