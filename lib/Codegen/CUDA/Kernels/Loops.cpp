//===- Loops.cpp - Outlined loops to kernels --------------------------------===//
//
// What has no hand-shaped kernel: linalg operations, scf loops, loads and stores. In
// the top block of such a function
//
// - size arithmetic stays on the host;
// - every scf.parallel becomes a launch with one thread per index (all indices of
//   several dimensions, and of loops directly inside);
// - what else touches memory becomes, together with its neighbours, a launch of a
//   single thread: slow, but rare (a sum over everything).
//
//===----------------------------------------------------------------------===//
#include "Loops.h"
#include "Captures.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

//===----------------------------------------------------------------------===//
// Fewer dimensions: less arithmetic per element
//===----------------------------------------------------------------------===//

/// Neighbouring parallel dimensions that every operand has side by side in memory
/// become one.
void collapseDimensions(func::FuncOp function) {
  SmallVector<linalg::LinalgOp> ops;
  function.walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    bool isDense = llvm::all_of(op->getOperandTypes(), [](Type type) {
      auto memref = dyn_cast<MemRefType>(type);
      return !memref || memref.getLayout().isIdentity();
    });
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    // What MLIR says of sequences of dimensions holds for such maps only.
    bool isPlain = llvm::all_of(maps, [](AffineMap map) { return map.isProjectedPermutation(); });
    if (!isDense || !isPlain || op.hasIndexSemantics() || op.getNumLoops() < 2)
      continue;
    SmallVector<utils::IteratorType> iterators = op.getIteratorTypesArray();
    SmallVector<ReassociationIndices> groups{{0}};
    for (int64_t i = 1; i < static_cast<int64_t>(op.getNumLoops()); ++i) {
      ReassociationIndices longer = groups.back();
      longer.push_back(i);
      bool isParallel = llvm::all_of(longer, [&](int64_t d) { return iterators[d] == utils::IteratorType::parallel; });
      if (isParallel && linalg::areDimSequencesPreserved(maps, longer))
        groups.back() = longer;
      else
        groups.push_back({i});
    }
    if (groups.size() == op.getNumLoops())
      continue;
    IRRewriter rewriter(op);
    if (succeeded(linalg::collapseOpIterationDims(op, groups, rewriter)))
      rewriter.eraseOp(op);
  }
}

//===----------------------------------------------------------------------===//
// Which launches
//===----------------------------------------------------------------------===//

/// Operations of the top block that become one launch.
struct Part {
  SmallVector<Operation *> ops;
  scf::ParallelOp loop; ///< the only operation; null: one thread runs `ops`
};

bool isHostOperation(Operation &op) {
  return isa<memref::AllocOp, memref::DeallocOp, RequireOp>(op) || isMemoryEffectFree(&op);
}

/// What an operation and its regions use from outside.
llvm::SetVector<Value> usedValues(Operation &op) {
  llvm::SetVector<Value> used(op.operand_begin(), op.operand_end());
  for (Region &region : op.getRegions())
    getUsedValuesDefinedAbove(region, used);
  return used;
}

/// The launches of a function in order. Fails where the host, or another launch, would
/// need a value that a launch computes.
FailureOr<SmallVector<Part>> cutUp(func::FuncOp function) {
  SmallVector<Part> parts;
  llvm::DenseMap<Operation *, size_t> partOf;
  for (Operation &op : function.getBody().front().without_terminator()) {
    std::optional<size_t> source;
    for (Value value : usedValues(op)) {
      auto found = partOf.find(value.getDefiningOp());
      if (found != partOf.end())
        source = std::max(source.value_or(0), found->second);
    }
    auto loop = dyn_cast<scf::ParallelOp>(op);
    if (isHostOperation(op) && !source) {
      // Memory must not go while a launch that uses it is still being put together.
      if (isa<memref::DeallocOp>(op))
        parts.emplace_back();
      continue;
    }
    if (loop || parts.empty() || parts.back().loop)
      parts.push_back({{}, loop});
    parts.back().ops.push_back(&op);
    partOf[&op] = parts.size() - 1;
    if (source && *source != parts.size() - 1)
      return op.emitOpError("needs a value that an earlier kernel computes");
    if (isa<func::CallOp, memref::DeallocOp, memref::AllocOp>(op))
      return op.emitOpError("cannot run in a kernel");
  }
  llvm::erase_if(parts, [](const Part &part) { return part.ops.empty(); });
  return parts;
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

class LoopKernel {
public:
  LoopKernel(Kernel &k, Part &part, StringRef suffix) : k(k), part(part), suffix(suffix), captures(k) {}

  LogicalResult emit() {
    for (Operation *op : part.ops)
      hoistConstants(op);
    if (failed(capture()))
      return failure();
    if (part.loop)
      return emitParallel();
    k.launch({.grid = {k.i64(1)}, .threads = 1, .suffix = suffix}, captures.arguments,
             [&](Emitter &t, ValueRange args) {
               IRMapping mapping;
               captures.makeAll(t, args, mapping);
               for (Operation *op : part.ops)
                 finish(t, t.clone(*op, mapping), args);
             });
    return success();
  }

private:
  /// Constants and globals of inner loops are seen from outside.
  void hoistConstants(Operation *op) {
    op->walk([&](Operation *inner) {
      if (inner != op && (inner->hasTrait<OpTrait::ConstantLike>() || isa<memref::GetGlobalOp>(inner)))
        inner->moveBefore(op);
    });
  }

  LogicalResult capture() {
    llvm::SetVector<Value> used;
    llvm::SmallPtrSet<Operation *, 8> inside(part.ops.begin(), part.ops.end());
    for (Operation *op : part.ops) {
      used.insert_range(usedValues(*op));
      WalkResult walk = op->walk([&](Operation *inner) {
        canFail |= isa<FailOp>(inner);
        bool isForbidden = isa<func::CallOp, memref::AllocOp, memref::CopyOp>(inner);
        if (auto loop = dyn_cast<scf::ParallelOp>(inner))
          isForbidden |= loop.getNumReductions() > 0;
        if (!isForbidden)
          return WalkResult::advance();
        inner->emitOpError("cannot run in a kernel");
        return WalkResult::interrupt();
      });
      if (walk.wasInterrupted())
        return failure();
    }
    for (Value value : used)
      if (!inside.contains(value.getDefiningOp()) && failed(captures.add(value)))
        return failure();
    if (canFail) {
      errors = captures.arguments.size();
      captures.arguments.push_back(k.errors());
    }
    return success();
  }

  /// Loops whose indices all get threads of their own: `part.loop` and those that are
  /// all there is inside.
  SmallVector<scf::ParallelOp> nest() {
    SmallVector<scf::ParallelOp> loops{part.loop};
    while (true) {
      Block &body = *loops.back().getBody();
      auto inner = dyn_cast<scf::ParallelOp>(body.front());
      if (!inner || inner->getNextNode() != body.getTerminator() ||
          llvm::any_of(inner->getOperands(),
                       [&](Value bound) { return part.loop.getRegion().isAncestor(bound.getParentRegion()); }))
        return loops;
      loops.push_back(inner);
    }
  }

  /// How many steps from `lower` to `upper`, not less than none, as i64.
  Value extent(Value lower, Value upper, Value step) {
    auto toI64 = [&](Value value) { return k.createOrFold<arith::IndexCastOp>(k.getI64Type(), value); };
    Value length = k.max(k.sub(toI64(upper), toI64(lower)), k.i64(0));
    Value size = toI64(step);
    return k.div(k.add(length, k.sub(size, 1)), size);
  }

  LogicalResult emitParallel() {
    SmallVector<scf::ParallelOp> loops = nest();
    Value count = k.i64(1);
    Values indices, lowers, steps;
    SmallVector<size_t> extents;
    for (scf::ParallelOp loop : loops)
      for (auto [index, lower, upper, step] :
           llvm::zip(loop.getInductionVars(), loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
        Value size = extent(lower, upper, step);
        count = k.mul(count, size);
        extents.push_back(captures.addSize(size));
        indices.push_back(index);
        lowers.push_back(lower);
        steps.push_back(step);
      }
    k.launchOver(
        count, captures.arguments,
        [&](Emitter &t, ValueRange args, Value i) {
          IRMapping mapping;
          captures.makeAll(t, args, mapping);
          Value rest = Captures::toIndex(t, i);
          for (size_t d = indices.size(); d-- > 0;) {
            Value own = rest;
            if (d > 0) {
              Value size = captures.size(t, args, extents[d]);
              own = t.rem(rest, size);
              rest = t.div(rest, size);
            }
            Value step = mapping.lookup(steps[d]), lower = mapping.lookup(lowers[d]);
            mapping.map(indices[d], t.add(t.mul(own, step), lower));
          }
          for (Operation &op : loops.back().getBody()->without_terminator())
            finish(t, t.clone(op, mapping), args);
        },
        suffix);
    return success();
  }

  /// Inner parallel loops run one after the other; errors go to the device's record.
  void finish(Emitter &t, Operation *op, ValueRange args) {
    SmallVector<scf::ParallelOp> loops;
    SmallVector<FailOp> fails;
    op->walk([&](FailOp fail) { fails.push_back(fail); });
    op->walk([&](scf::ParallelOp loop) { loops.push_back(loop); });
    for (FailOp fail : fails) {
      Emitter inner(t.getLoc(), OpBuilder(fail));
      inner.fail(args[errors], static_cast<QrtError>(fail.getError()), fail.getA(), fail.getB());
      fail.erase();
    }
    for (scf::ParallelOp loop : loops) {
      IRRewriter rewriter(loop);
      (void)scf::parallelForToNestedFors(rewriter, loop);
    }
  }

  Kernel &k;
  Part &part;
  StringRef suffix;
  Captures captures;
  bool canFail = false;
  size_t errors = 0;
};

} // namespace

LogicalResult emitLoops(ModuleOp module, ArrayRef<func::FuncOp> functions) {
  for (func::FuncOp function : functions)
    collapseDimensions(function);
  if (failed(host::lowerToLoops(module, /*parallelInnermost=*/true)))
    return failure();
  for (func::FuncOp function : functions) {
    FailureOr<SmallVector<Part>> parts = cutUp(function);
    if (failed(parts))
      return failure();
    for (auto [i, part] : llvm::enumerate(*parts)) {
      Kernel k(function, OpBuilder(part.ops.back()));
      std::string suffix = parts->size() > 1 ? "_" + std::to_string(i) : "";
      if (failed(LoopKernel(k, part, suffix).emit()))
        return failure();
      for (Operation *op : llvm::reverse(part.ops))
        op->erase();
    }
  }
  return success();
}

} // namespace qopt::cuda
