//===- LayerLoop.cpp - A loop in place of equal layers ----------------------===//
//
// The loop is made beside the layers, which go when it is complete. What a value in the loop
// is follows from the values in one place of all layers:
//
// - the same value: it comes from before the loop;
// - a parameter or an argument for each: `qopt.select` takes the one of the layer;
// - a buffer for each that no other layer sees: one buffer in the loop;
// - a buffer for each that the layer before has filled: one buffer outside of the loop, in
//   which each layer leaves what the next one reads;
// - the same operation without effects on such values: the operation in the loop.
//
//===----------------------------------------------------------------------===//
#include "LayerLoop.h"
#include "Repetition.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

bool lowering::isExpression(Operation *op) {
  return op->getNumRegions() == 0 && op->getNumResults() == 1 && (isMemoryEffectFree(op) || isa<memref::AllocOp>(op));
}

namespace {

class LoopMaker {
public:
  LoopMaker(ArrayRef<Operation *> steps, const LayerRange &layers, bool mayCopy)
      : steps(steps), first(layers.first), period(layers.period), count(layers.count), mayCopy(mayCopy),
        b(steps[first]) {
    for (auto [i, step] : llvm::enumerate(steps))
      number[step] = i;
  }

  LogicalResult run() {
    repeat = RepeatOp::create(b, steps[first]->getLoc(), count);
    b.setInsertionPointToStart(&repeat.getBody().front());
    for (int64_t place = 0; place < period; ++place)
      if (failed(copyStep(place)))
        return giveUp();
    if (failed(joinBuffers()))
      return giveUp();
    for (Operation *step : llvm::reverse(steps.slice(first, period * count)))
      step->erase();
    for (auto [old, shared] : replaced)
      old.replaceAllUsesWith(shared);
    return success();
  }

private:
  /// What is in one place of each layer.
  using Values = SmallVector<Value>;

  /// A buffer of each layer, and its copy in the loop.
  struct Buffer {
    Values ofLayers;
    memref::AllocOp local;
    bool isRead = false, isLeft = false; ///< filled by the layer before; read by the next one
  };

  LogicalResult giveUp() {
    repeat.erase();
    return failure();
  }

  Operation *step(int64_t layer, int64_t place) { return steps[first + layer * period + place]; }

  LogicalResult copyStep(int64_t place);
  Value make(const Values &values);
  Value makeOnce(const Values &values);
  LogicalResult moveBeforeLoop(Value value);
  bool areParameters(const Values &values);
  Value makeBuffer(const Values &values);
  Value makeExpression(const Values &values);
  SmallVector<int64_t> usesOf(Value value);
  bool isUsedWithin(Value value, int64_t firstLayer, int64_t lastLayer);
  LogicalResult joinBuffers();
  LogicalResult joinBuffers(Buffer &read, Buffer &left);

  ArrayRef<Operation *> steps;
  int64_t first, period, count;
  bool mayCopy; ///< what a layer leaves, at its end
  OpBuilder b;
  RepeatOp repeat;
  llvm::DenseMap<Operation *, int64_t> number;
  llvm::DenseMap<Value, SmallVector<std::pair<Values, Value>>> made; ///< by the first layer's value
  llvm::DenseMap<Value, std::pair<int64_t, Value>> results;          ///< of the first layer: place, and in the loop
  std::vector<Buffer> buffers;
  SmallVector<std::pair<Value, Value>> replaced;
};

} // namespace

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

LogicalResult LoopMaker::copyStep(int64_t place) {
  SmallVector<SmallVector<OpOperand *>> operands;
  for (int64_t layer = 0; layer < count; ++layer) {
    if (layer > 0 && !lowering::areAlike(step(0, place), step(layer, place)))
      return failure();
    for (Value result : step(layer, place)->getResults())
      if (!isUsedWithin(result, layer, layer))
        return failure();
    operands.push_back(lowering::outerOperands(step(layer, place)));
  }
  SmallVector<Value> inLoop;
  for (size_t i = 0; i < operands[0].size(); ++i) {
    Values values;
    for (const auto &ofLayer : operands)
      values.push_back(ofLayer[i]->get());
    inLoop.push_back(make(values));
    if (!inLoop.back())
      return failure();
  }
  Operation *copy = b.clone(*step(0, place));
  for (auto [operand, value] : llvm::zip_equal(lowering::outerOperands(copy), inLoop))
    operand->set(value);
  for (auto [old, result] : llvm::zip_equal(step(0, place)->getResults(), copy->getResults()))
    results[old] = {place, result};
  return success();
}

/// The value in the loop; null where there is none.
Value LoopMaker::make(const Values &values) {
  auto &known = made[values[0]];
  for (auto &[others, value] : known)
    if (others == values)
      return value;
  Value value = makeOnce(values);
  made[values[0]].emplace_back(values, value);
  return value;
}

Value LoopMaker::makeOnce(const Values &values) {
  Value some = values[0];
  if (llvm::all_equal(values))
    return succeeded(moveBeforeLoop(some)) ? some : Value();
  if (!llvm::all_equal(ValueRange(values).getTypes()))
    return {};
  if (llvm::all_of(values, llvm::IsaPred<BlockArgument>) || areParameters(values))
    return isa<BaseMemRefType>(some.getType())
               ? SelectOp::create(b, repeat.getLoc(), some.getType(), repeat.getLayer(), values)
               : Value();
  if (llvm::all_of(values, [](Value value) { return value.getDefiningOp<memref::AllocOp>() != nullptr; }))
    return makeBuffer(values);
  // What an operation with effects has computed earlier in the same layer.
  if (auto found = results.find(some); found != results.end()) {
    auto [place, result] = found->second;
    for (auto [layer, value] : llvm::enumerate(values))
      if (value.getDefiningOp() != step(layer, place) ||
          cast<OpResult>(value).getResultNumber() != cast<OpResult>(some).getResultNumber())
        return {};
    return result;
  }
  return makeExpression(values);
}

LogicalResult LoopMaker::moveBeforeLoop(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || op->isBeforeInBlock(repeat))
    return success();
  if (!isExpression(op))
    return failure();
  for (Value operand : op->getOperands())
    if (failed(moveBeforeLoop(operand)))
      return failure();
  op->moveBefore(repeat);
  return success();
}

/// Whether these are entries of the parameter table, which are read before the loop.
bool LoopMaker::areParameters(const Values &values) {
  return llvm::all_of(values, [&](Value value) {
    auto read = value.getDefiningOp<memref::GetGlobalOp>();
    auto global =
        read ? SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(read, read.getNameAttr()) : memref::GlobalOp();
    return global && hasAttr<attrs::Value>(global) && succeeded(moveBeforeLoop(value));
  });
}

Value LoopMaker::makeExpression(const Values &values) {
  Operation *some = values[0].getDefiningOp();
  for (Value value : values) {
    Operation *op = value.getDefiningOp();
    if (!op || !some || !isExpression(op) || !lowering::areAlike(some, op))
      return {};
  }
  SmallVector<Value> operands;
  for (unsigned i = 0; i < some->getNumOperands(); ++i) {
    Values ofLayers = llvm::map_to_vector(values, [&](Value value) { return value.getDefiningOp()->getOperand(i); });
    operands.push_back(make(ofLayers));
    if (!operands.back())
      return {};
  }
  Operation *copy = b.clone(*some);
  copy->setOperands(operands);
  return copy->getResult(0);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// A buffer in the loop. PlanMemory will take it out, so its size must be known before.
Value LoopMaker::makeBuffer(const Values &values) {
  auto some = values[0].getDefiningOp<memref::AllocOp>();
  for (Value value : values)
    if (value.getDefiningOp<memref::AllocOp>().getDynamicSizes() != some.getDynamicSizes())
      return {};
  for (Value size : some.getDynamicSizes())
    if (failed(moveBeforeLoop(size)))
      return {};
  auto local = cast<memref::AllocOp>(b.clone(*some));
  buffers.push_back({values, local});
  return local;
}

/// The steps that use a value, or what is made of it without effects: of a buffer its views.
SmallVector<int64_t> LoopMaker::usesOf(Value value) {
  SmallVector<int64_t> uses;
  Block *block = repeat->getBlock();
  bool isMemory = isa<BaseMemRefType>(value.getType());
  SmallVector<Value> pending{value};
  while (!pending.empty())
    for (Operation *user : pending.pop_back_val().getUsers()) {
      Operation *op = block->findAncestorOpInBlock(*user);
      if (op == block->getTerminator())
        uses.push_back(steps.size());
      else if (auto found = number.find(op); found != number.end())
        uses.push_back(found->second);
      else if (op != repeat && (!isMemory || isa<BaseMemRefType>(op->getResult(0).getType())))
        pending.push_back(op->getResult(0));
    }
  return uses;
}

/// From before the loop (layer -1) to behind it (layer `count`).
bool LoopMaker::isUsedWithin(Value value, int64_t firstLayer, int64_t lastLayer) {
  return llvm::all_of(usesOf(value), [&](int64_t at) {
    return (firstLayer < 0 || at >= first + firstLayer * period) &&
           (lastLayer >= count || at < first + (lastLayer + 1) * period);
  });
}

/// What is a buffer of each layer alone stays in the loop; the others are read in one place
/// and left in another one.
LogicalResult LoopMaker::joinBuffers() {
  llvm::DenseMap<Value, SmallVector<size_t>> byFirst;
  for (auto [i, buffer] : llvm::enumerate(buffers))
    byFirst[buffer.ofLayers[0]].push_back(i);
  for (Buffer &read : buffers)
    if (auto found = byFirst.find(read.ofLayers[1]); found != byFirst.end()) {
      if (found->second.size() != 1 || failed(joinBuffers(read, buffers[found->second.front()])))
        return failure();
    }
  for (Buffer &buffer : buffers) {
    if (buffer.isRead || buffer.isLeft)
      continue;
    for (auto [layer, value] : llvm::enumerate(buffer.ofLayers))
      if (!isUsedWithin(value, layer, layer))
        return failure();
  }
  return success();
}

LogicalResult LoopMaker::joinBuffers(Buffer &read, Buffer &left) {
  if (&read == &left || read.isRead || read.isLeft || left.isRead || left.isLeft ||
      read.local.getType() != left.local.getType() || read.local.getDynamicSizes() != left.local.getDynamicSizes())
    return failure();
  for (int64_t layer = 0; layer <= count; ++layer) {
    Value buffer = layer < count ? read.ofLayers[layer] : left.ofLayers[layer - 1];
    if ((layer > 0 && buffer != left.ofLayers[layer - 1]) || !isUsedWithin(buffer, layer - 1, layer))
      return failure();
  }
  if (failed(moveBeforeLoop(read.ofLayers[0])))
    return failure();
  read.isRead = left.isLeft = true;
  Value shared = read.ofLayers[0];
  // Where a layer touches what it leaves only after it has last seen what it was given, both
  // are the same memory.
  int64_t lastRead = -1, firstLeft = period;
  for (int64_t use : usesOf(left.ofLayers[0]))
    if (int64_t at = use - first; at < period)
      firstLeft = std::min(firstLeft, at);
    else
      lastRead = std::max(lastRead, at - period);
  bool isInPlace = lastRead < firstLeft;
  if (!isInPlace && !mayCopy)
    return failure();
  read.local.replaceAllUsesWith(shared);
  read.local.erase();
  replaced.emplace_back(left.ofLayers[count - 1], shared);
  if (isInPlace) {
    left.local.replaceAllUsesWith(shared);
    left.local.erase();
  } else {
    b.setInsertionPointToEnd(&repeat.getBody().front());
    memref::CopyOp::create(b, repeat.getLoc(), left.local, shared);
  }
  return success();
}

LogicalResult lowering::makeLoop(ArrayRef<Operation *> steps, const LayerRange &layers, bool mayCopy) {
  return LoopMaker(steps, layers, mayCopy).run();
}
