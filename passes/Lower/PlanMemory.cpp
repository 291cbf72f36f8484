//===- PlanMemory.cpp - One block of memory for many buffers --------------===//
//
// An entry point is straight-line code, so when a buffer lives is known. Buffers
// whose sizes are a constant times the same run-time factor (batch * sequence,
// say) share one allocation: each gets an offset, a constant times that factor,
// such that no two that live at the same time overlap (greedy by size: Pisarchyk
// and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
// The layers of a model thus use the same memory one after another.
//
// The body of a loop of layers (qopt.repeat) is straight-line code, too, and counts once. Its
// buffers live within a layer; those from outside that it uses live as long as the loop.
//
//===----------------------------------------------------------------------===//
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Passes/Passes.h"
#include "llvm/Support/MathExtras.h"
#include <map>

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_PLANMEMORY
#include "qopt/Passes/Passes.h.inc"

namespace {

constexpr int64_t kAlignment = 64;

/// A buffer and its place in the arena of its group.
struct Buffer {
  memref::AllocOp alloc;
  int64_t bytes = 0; ///< per unit of the group's factor
  int64_t first = 0, last = 0;
  int64_t offset = 0; ///< per unit as well
};

/// Buffers that have a place, to be found by when they live. Most live for a few operations only:
/// they stand in buckets of neighbouring positions, and looking for those of one lifetime does
/// not take longer where a model has more layers.
class Lifetimes {
public:
  void add(Buffer *buffer) {
    if (lastBucket(*buffer) - firstBucket(*buffer) >= kMostBuckets) {
      longLived.push_back(buffer);
      return;
    }
    for (int64_t i = firstBucket(*buffer); i <= lastBucket(*buffer); ++i)
      buckets[i].push_back(buffer);
  }

  /// Those that live at the same time as `buffer`, by offset.
  SmallVector<Buffer *> findOthers(const Buffer &buffer) const {
    SmallVector<Buffer *> found;
    auto take = [&](ArrayRef<Buffer *> some) {
      for (Buffer *other : some)
        if (other->first <= buffer.last && buffer.first <= other->last)
          found.push_back(other);
    };
    take(longLived);
    auto end = buckets.upper_bound(lastBucket(buffer));
    for (auto bucket = buckets.lower_bound(firstBucket(buffer)); bucket != end; ++bucket)
      take(bucket->second);
    llvm::sort(found, [](Buffer *l, Buffer *r) { return std::tie(l->offset, l) < std::tie(r->offset, r); });
    found.erase(llvm::unique(found), found.end());
    return found;
  }

private:
  static constexpr int64_t kBucket = 64, kMostBuckets = 16;
  static int64_t firstBucket(const Buffer &buffer) { return buffer.first / kBucket; }
  static int64_t lastBucket(const Buffer &buffer) { return buffer.last / kBucket; }

  std::map<int64_t, SmallVector<Buffer *>> buckets;
  SmallVector<Buffer *> longLived;
};

/// Buffers of which each has `bytes` times the product of `factors` bytes.
struct Group {
  SmallVector<Value> factors;
  SmallVector<Buffer> buffers;
};

int64_t elementBytes(Type type) { return type.isIndex() ? 8 : llvm::divideCeil(type.getIntOrFloatBitWidth(), 8); }

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || function.isPrivate())
      return;
    Block &block = function.getBody().front();
    if (failed(chooseOutputs(cast<func::ReturnOp>(block.getTerminator()))))
      return signalPassFailure();

    for (BlockArgument argument : block.getArguments())
      order[argument] = next++;
    number(block);
    SmallVector<memref::AllocOp> allocs;
    for (Operation &op : block) {
      if (auto alloc = dyn_cast<memref::AllocOp>(op))
        allocs.push_back(alloc);
      else if (auto repeat = dyn_cast<RepeatOp>(op))
        llvm::append_range(allocs, repeat.getBody().getOps<memref::AllocOp>());
    }
    SmallVector<Group> groups;
    for (memref::AllocOp alloc : allocs) {
      if (hasAttr<attrs::Output>(alloc))
        continue;
      if (alloc.use_empty()) {
        alloc.erase();
        continue;
      }
      if (failed(checkSizes(alloc)))
        return signalPassFailure();
      addToGroup(alloc, groups);
    }
    for (Group &group : groups) {
      numBuffers += group.buffers.size();
      ++numArenas;
      emitArena(group, placeBuffers(group));
    }
  }

  /// Every output gets memory of its own.
  LogicalResult chooseOutputs(func::ReturnOp ret) {
    llvm::SmallDenseSet<Operation *> taken;
    OpBuilder b(ret);
    for (OpOperand &operand : ret->getOpOperands()) {
      auto type = dyn_cast<MemRefType>(operand.get().getType());
      if (!type)
        return ret.emitOpError("expected memrefs but got ") << operand.get().getType();
      Operation *root = operand.get().getDefiningOp();
      while (isa_and_nonnull<memref::CastOp, memref::CollapseShapeOp, memref::ExpandShapeOp>(root))
        root = root->getOperand(0).getDefiningOp();
      if (isa_and_nonnull<memref::AllocOp>(root) && root->getBlock() == ret->getBlock() && taken.insert(root).second) {
        setFlag<attrs::Output>(root);
        continue;
      }
      // Known sizes are constants here: canonicalization would make them some, and lose the flag.
      SmallVector<OpFoldResult> sizes = memref::getMixedSizes(b, ret.getLoc(), operand.get());
      for (OpFoldResult &size : sizes)
        if (std::optional<int64_t> known = getConstantIntValue(size))
          size = b.getIndexAttr(*known);
      SmallVector<int64_t> shape;
      SmallVector<Value> dynamicSizes;
      dispatchIndexOpFoldResults(sizes, dynamicSizes, shape);
      auto copy = memref::AllocOp::create(b, ret.getLoc(), MemRefType::get(shape, type.getElementType()), dynamicSizes);
      setFlag<attrs::Output>(copy);
      linalg::CopyOp::create(b, ret.getLoc(), operand.get(), copy.getResult());
      auto dense = MemRefType::get(type.getShape(), type.getElementType());
      operand.set(b.createOrFold<memref::CastOp>(ret.getLoc(), dense, copy));
    }
    return success();
  }

  void number(Block &block) {
    for (Operation &op : block) {
      position[&op] = next++;
      for (Value result : op.getResults())
        order[result] = position[&op];
      if (auto repeat = dyn_cast<RepeatOp>(op)) {
        number(repeat.getBody().front());
        end[&op] = next++;
      }
    }
  }

  /// Memory is allocated once for all layers.
  static LogicalResult checkSizes(memref::AllocOp alloc) {
    if (!alloc.getType().getElementType().isIntOrIndexOrFloat())
      return alloc.emitOpError("expected elements that are numbers but got ") << alloc.getType();
    auto repeat = dyn_cast<RepeatOp>(alloc->getParentOp());
    for (Value size : alloc.getDynamicSizes())
      if (repeat && repeat.getBody().isAncestor(size.getParentRegion()))
        return alloc.emitOpError("expected a size from outside of the loop of layers");
    return success();
  }

  /// From the first to the last operation that uses the buffer or a view of it.
  void findLifetime(Buffer &buffer) {
    Block *block = buffer.alloc->getBlock();
    buffer.first = std::numeric_limits<int64_t>::max();
    SmallVector<Value> aliases{buffer.alloc.getResult()};
    while (!aliases.empty()) {
      Value alias = aliases.pop_back_val();
      for (Operation *user : alias.getUsers()) {
        Operation *at = block->findAncestorOpInBlock(*user);
        buffer.first = std::min(buffer.first, position[at]);
        buffer.last = std::max(buffer.last, isa<RepeatOp>(at) ? end[at] : position[at]);
        bool givesMemory = llvm::any_of(user->getResultTypes(), llvm::IsaPred<BaseMemRefType>);
        if (isa<ViewLikeOpInterface>(user) && user->getNumResults() == 1)
          aliases.push_back(user->getResult(0));
        else if (givesMemory)
          buffer.last = next;
      }
    }
  }

  void addToGroup(memref::AllocOp alloc, SmallVectorImpl<Group> &groups) {
    MemRefType type = alloc.getType();
    Buffer buffer{alloc, elementBytes(type.getElementType())};
    SmallVector<Value> factors;
    bool isTooMuch = false;
    auto multiply = [&](int64_t factor) { isTooMuch |= __builtin_mul_overflow(buffer.bytes, factor, &buffer.bytes); };
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size))
        multiply(size);
    SmallVector<Value> pending(alloc.getDynamicSizes());
    while (!pending.empty()) {
      Value size = pending.pop_back_val();
      if (auto product = size.getDefiningOp<arith::MulIOp>())
        pending.append({product.getLhs(), product.getRhs()});
      else if (std::optional<int64_t> constant = getConstantIntValue(size))
        multiply(*constant);
      else
        factors.push_back(size);
    }
    // Absurd sizes are left to fail alone.
    if (isTooMuch || buffer.bytes < 0 || buffer.bytes > int64_t(1) << 56) {
      if (auto repeat = dyn_cast<RepeatOp>(alloc->getParentOp()))
        alloc->moveBefore(repeat);
      return;
    }
    buffer.bytes = std::max<int64_t>(llvm::alignTo(buffer.bytes, kAlignment), kAlignment);
    findLifetime(buffer);
    llvm::sort(factors, [&](Value l, Value r) { return order[l] < order[r]; });
    Group *group = llvm::find_if(groups, [&](const Group &group) { return group.factors == factors; });
    if (group == groups.end())
      group = &groups.emplace_back(Group{factors, {}});
    group->buffers.push_back(buffer);
  }

  /// Sets the offsets; returns the size of the arena.
  static int64_t placeBuffers(Group &group) {
    SmallVector<Buffer *> bySize;
    for (Buffer &buffer : group.buffers)
      bySize.push_back(&buffer);
    llvm::sort(bySize,
               [](Buffer *l, Buffer *r) { return std::tie(r->bytes, l->first, l) < std::tie(l->bytes, r->first, r); });
    Lifetimes placed;
    int64_t total = 0;
    for (Buffer *buffer : bySize) {
      int64_t offset = 0;
      for (Buffer *other : placed.findOthers(*buffer))
        if (other->offset < offset + buffer->bytes)
          offset = std::max(offset, other->offset + other->bytes);
      buffer->offset = offset;
      total = std::max(total, offset + buffer->bytes);
      placed.add(buffer);
    }
    return total;
  }

  void emitArena(Group &group, int64_t total) {
    memref::AllocOp first = group.buffers.front().alloc;
    Location loc = first.getLoc();
    auto repeat = dyn_cast<RepeatOp>(first->getParentOp());
    OpBuilder b(repeat ? repeat : first.getOperation());
    auto bytes = MemRefType::get({ShapedType::kDynamic}, b.getI8Type());
    SmallVector<int64_t> shape(group.factors.size(), ShapedType::kDynamic);
    shape.push_back(total);
    Value arena = memref::AllocOp::create(b, loc, MemRefType::get(shape, b.getI8Type()), group.factors);
    if (group.factors.empty()) {
      arena = memref::CastOp::create(b, loc, bytes, arena);
    } else {
      ReassociationIndices all = llvm::to_vector<2>(llvm::seq<int64_t>(0, shape.size()));
      arena = memref::CollapseShapeOp::create(b, loc, bytes, arena, SmallVector<ReassociationIndices>{all});
    }
    Value unit = arith::ConstantIndexOp::create(b, loc, 1);
    for (Value factor : group.factors)
      unit = b.createOrFold<arith::MulIOp>(loc, unit, factor);
    for (Buffer &buffer : group.buffers) {
      b.setInsertionPoint(buffer.alloc);
      Value offset = arith::ConstantIndexOp::create(b, loc, buffer.offset);
      Value shift = b.createOrFold<arith::MulIOp>(loc, unit, offset);
      Value view = memref::ViewOp::create(b, buffer.alloc.getLoc(), buffer.alloc.getType(), arena, shift,
                                          buffer.alloc.getDynamicSizes());
      buffer.alloc.replaceAllUsesWith(view);
      buffer.alloc.erase();
    }
  }

  int64_t next = 0;
  llvm::DenseMap<Operation *, int64_t> position, end; ///< the end of a loop
  llvm::DenseMap<Value, int64_t> order;
};

} // namespace
} // namespace qopt
