//===- ModelInputs.cpp - Small inputs to probe a decoder with -------------===//
//
// Sizes, masks and positions that differ where exporters' graphs may differ: padding on
// either side, holes, a cache, positions that do not count up.
//
//===----------------------------------------------------------------------===//
#include "qopt/Reference/ModelInputs.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// Null for what is no ranked tensor, as an argument of a function may be.
static RankedTensorType rankedTypeOf(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }

static bool isMatrixOfInts(Value value) {
  RankedTensorType type = rankedTypeOf(value);
  return type && type.getRank() == 2 && type.getElementType().isInteger();
}

ModelInputs::ModelInputs(func::FuncOp function) : function(function) {
  BlockArgument likely;
  for (BlockArgument argument : function.getArguments()) {
    RankedTensorType type = rankedTypeOf(argument);
    if (!type)
      continue;
    Role role = getArgRole(function, argument.getArgNumber());
    hasPast |= type.getRank() == 4 && role != Role::AttentionBias;
    bool canBeTokens = isMatrixOfInts(argument) || (type.getRank() == 3 && isa<FloatType>(type.getElementType()));
    if (role == Role::TokenIds || role == Role::Embeddings)
      tokens = argument;
    else if (role == Role::AttentionMask)
      attentionMask = argument;
    else if (role == Role::AttentionBias)
      attentionBias = argument;
    else if (role == Role::PositionIds && type.getRank() <= 2)
      (type.getRank() == 2 ? positionIds : positionRow) = argument;
    else if (canBeTokens && !likely)
      likely = argument;
  }
  if (!tokens)
    tokens = likely;
}

Sizes ModelInputs::adapt(Sizes wanted) const {
  if (!tokens)
    return wanted;
  RankedTensorType type = rankedTypeOf(tokens);
  if (type.getRank() < 2) // one text
    wanted.batch = 1;
  else if (!type.isDynamicDim(0))
    wanted.batch = type.getDimSize(0);
  if (unsigned dim = type.getRank() > 1 ? 1 : 0; type.getRank() > 0 && !type.isDynamicDim(dim))
    wanted.length = type.getDimSize(dim);
  if (!hasPast)
    wanted.past = 0;
  return wanted;
}

SmallVector<RankedTensorType> ModelInputs::types(Sizes sizes) const {
  sizes = adapt(sizes);
  SmallVector<RankedTensorType> result;
  for (BlockArgument argument : function.getArguments()) {
    RankedTensorType type = rankedTypeOf(argument);
    if (!type) {
      result.push_back({});
      continue;
    }
    SmallVector<int64_t> dims(type.getShape());
    for (auto [i, dim] : llvm::enumerate(dims)) {
      if (dim != ShapedType::kDynamic)
        continue;
      int64_t last = type.getRank() - 1;
      if (argument == attentionBias)
        dim = static_cast<int64_t>(i) == last       ? sizes.past + sizes.length
              : static_cast<int64_t>(i) == last - 1 ? sizes.length
              : i == 0                              ? sizes.batch
                                                    : 1;
      else if (getArgRole(function, argument.getArgNumber()) == Role::LogitsToKeep)
        dim = 1;
      else if (type.getRank() == 4)
        dim = i == 0 ? sizes.batch : i == 2 ? sizes.past : sizes.length;
      else if (argument == attentionMask)
        dim = i == 0 ? sizes.batch : sizes.past + sizes.length;
      else
        dim = i == 0 && type.getRank() > 1 ? sizes.batch : sizes.length;
    }
    result.push_back(RankedTensorType::get(dims, type.getElementType()));
  }
  return result;
}

/// What hides a key where it is added to its score, in every float type.
static constexpr int64_t kHidingBias = -10000;

/// Whether token `i` of `length` is shown. Batch row 0 is always whole.
static bool isShown(Padding padding, int64_t row, int64_t i, int64_t length) {
  if (row == 0)
    return true;
  switch (padding) {
  case Padding::None:
    return true;
  case Padding::Left:
    return i >= length / 2;
  case Padding::Right:
    return i < length - length / 2;
  case Padding::Holes:
    return i % 3 != 1;
  }
  llvm_unreachable("unknown padding");
}

void ModelInputs::fill(reference::Slice &slice, Sizes sizes, Padding padding, int64_t maxPosition,
                       std::mt19937 &random) const {
  for (auto [argument, type] : llvm::zip(function.getArguments(), types(sizes))) {
    if (!type) // memory
      continue;
    bool isFloat = isa<FloatType>(type.getElementType());
    if (isFloat && type.getRank() == 4 && argument != attentionBias) {
      slice.set(argument, randomTensor(type, random));
      continue;
    }
    Tensor tensor{type, std::vector<double>(isFloat ? type.getNumElements() : 0),
                  std::vector<int64_t>(isFloat ? 0 : type.getNumElements())};
    int64_t columns = type.getRank() > 0 ? type.getShape().back() : 1;
    for (int64_t i = 0, n = type.getNumElements(); i < n; ++i) {
      int64_t value = 0;
      if (argument == attentionMask)
        value = isShown(padding, i / columns, i % columns, columns);
      else if (argument == attentionBias) {
        int64_t tokens = type.getDimSize(type.getRank() - 2), position = i / columns % tokens + columns - tokens;
        bool isPadding = !isShown(padding, i / (columns * tokens), i % columns, columns);
        bool isSeen = i % columns == position || (i % columns < position && !isPadding);
        value = isFloat ? (isSeen ? 0 : kHidingBias) : isSeen;
      } else if (argument == positionIds || argument == positionRow)
        value = padding == Padding::None
                    ? i % columns
                    : static_cast<int64_t>(random() % static_cast<uint64_t>(std::max<int64_t>(maxPosition, 1)));
      if (isFloat)
        tensor.floats[i] = static_cast<double>(value);
      else
        tensor.ints[i] = value;
    }
    slice.set(argument, std::move(tensor));
  }
}

llvm::DenseSet<Value> ModelInputs::activations() const {
  llvm::DenseSet<Value> result;
  for (BlockArgument argument : function.getArguments())
    if (argument != attentionMask && argument != attentionBias && argument != positionIds && argument != positionRow)
      result.insert(argument);
  for (Operation &op : function.front())
    if (!isa<onnx::ShapeOp>(op) && llvm::any_of(op.getOperands(), [&](Value v) { return result.contains(v); }))
      result.insert(op.result_begin(), op.result_end());
  return result;
}

Tensor reference::randomTensor(RankedTensorType type, std::mt19937 &random) {
  // Sums of uniform numbers: the same on every standard library.
  Tensor tensor{type, std::vector<double>(type.getNumElements()), {}};
  for (double &value : tensor.floats) {
    double sum = 0;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<double>(random()) * 0x1p-32;
    value = static_cast<float>(sum - 6);
  }
  return tensor;
}
