//===- LowerToLoops.cpp - linalg on memrefs to loops ----------------------===//
//
// Simple on purpose: what takes time has hand-made kernels. Outer dimensions run
// in parallel, the innermost loop is the one LLVM vectorizes, and where only
// reductions are left inside, the sums stay in registers.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;

namespace {

/// A range of indices handed to a thread has about this many innermost iterations.
constexpr int64_t kGrainIterations = 8192;
/// What an inner dimension of unknown size counts for.
constexpr int64_t kAssumedSize = 64;

class LoopNest {
public:
  LoopNest(linalg::LinalgOp op, ImplicitLocOpBuilder &b) : op(op), b(b) {
    for (Range range : op.createLoopRanges(b, op.getLoc()))
      sizes.push_back(range.size);
    iterators = op.getIteratorTypesArray();
    indices.resize(sizes.size());
  }

  void emit(bool parallelInnermost) {
    size_t outer = 0;
    while (outer < iterators.size() && iterators[outer] == utils::IteratorType::parallel)
      ++outer;
    if (outer == iterators.size() && outer > 1 && !parallelInnermost)
      --outer;
    if (outer == 0)
      return emitInner(0);
    Value count = size(0);
    for (size_t i = 1; i < outer; ++i)
      count = b.createOrFold<arith::MulIOp>(count, size(i));
    Value zero = arith::ConstantIndexOp::create(b, 0), one = arith::ConstantIndexOp::create(b, 1);
    auto loop = scf::ParallelOp::create(b, ValueRange{zero}, ValueRange{count}, ValueRange{one});
    int64_t inner = 1;
    for (size_t i = outer; i < sizes.size(); ++i)
      inner *= std::max<int64_t>(getConstantIntValue(sizes[i]).value_or(kAssumedSize), 1);
    qopt::setAttr<qopt::attrs::Grain>(loop, b.getI64IntegerAttr(std::max<int64_t>(kGrainIterations / inner, 1)));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value rest = loop.getInductionVars()[0];
    for (size_t i = outer; i-- > 1;) {
      Value extent = size(i);
      indices[i] = arith::RemUIOp::create(b, rest, extent);
      rest = arith::DivUIOp::create(b, rest, extent);
    }
    indices[0] = rest;
    emitInner(outer);
  }

private:
  Value size(size_t i) { return getValueOrCreateConstantIndexOp(b, b.getLoc(), sizes[i]); }

  void emitInner(size_t next) {
    // A running sum is written at every step; a reduction once, at the end.
    bool onlyReductions = next < sizes.size();
    for (size_t i = next; i < sizes.size(); ++i) {
      onlyReductions &= iterators[i] != utils::IteratorType::parallel;
      for (OpOperand &init : op.getDpsInitsMutable())
        onlyReductions &= !op.getMatchingIndexingMap(&init).isFunctionOfDim(i);
    }
    if (onlyReductions) {
      SmallVector<Value> results = emitReduction(next, loadOutputs());
      return store(results);
    }
    if (next == sizes.size())
      return store(emitBody(loadOutputs()));
    auto loop = createFor(next, {});
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    emitInner(next + 1);
  }

  SmallVector<Value> emitReduction(size_t next, SmallVector<Value> sums) {
    if (next == sizes.size())
      return emitBody(sums);
    auto loop = createFor(next, sums);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> results = emitReduction(next + 1, SmallVector<Value>(loop.getRegionIterArgs()));
    scf::YieldOp::create(b, results);
    return SmallVector<Value>(loop.getResults());
  }

  scf::ForOp createFor(size_t i, ValueRange carried) {
    Value zero = arith::ConstantIndexOp::create(b, 0), one = arith::ConstantIndexOp::create(b, 1);
    auto loop = scf::ForOp::create(b, zero, size(i), one, carried);
    indices[i] = loop.getInductionVar();
    return loop;
  }

  SmallVector<Value> at(OpOperand &operand) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    SmallVector<Value> result;
    for (AffineExpr expression : map.getResults())
      result.push_back(affine::expandAffineExpr(b, b.getLoc(), expression, indices, {}));
    return result;
  }

  Value load(OpOperand &operand) {
    if (!isa<MemRefType>(operand.get().getType()))
      return operand.get();
    return memref::LoadOp::create(b, operand.get(), at(operand));
  }

  SmallVector<Value> loadOutputs() {
    SmallVector<Value> result;
    for (OpOperand &init : op.getDpsInitsMutable())
      result.push_back(op.payloadUsesValueFromOperand(&init) ? load(init) : Value());
    return result;
  }

  void store(ArrayRef<Value> results) {
    for (auto [init, result] : llvm::zip(op.getDpsInitsMutable(), results))
      memref::StoreOp::create(b, result, init.get(), at(init));
  }

  SmallVector<Value> emitBody(ArrayRef<Value> outputs) {
    Block *body = op.getBlock();
    IRMapping mapping;
    for (auto [i, input] : llvm::enumerate(op.getDpsInputOperands()))
      if (op.payloadUsesValueFromOperand(input))
        mapping.map(body->getArgument(i), load(*input));
    for (auto [i, output] : llvm::enumerate(outputs))
      if (output)
        mapping.map(body->getArgument(op.getNumDpsInputs() + i), output);
    for (Operation &inner : body->without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner))
        mapping.map(index.getResult(), indices[index.getDim()]);
      else
        b.clone(inner, mapping);
    }
    SmallVector<Value> results;
    for (Value result : body->getTerminator()->getOperands())
      results.push_back(mapping.lookupOrDefault(result));
    return results;
  }

  linalg::LinalgOp op;
  ImplicitLocOpBuilder &b;
  SmallVector<OpFoldResult> sizes;
  SmallVector<utils::IteratorType> iterators;
  SmallVector<Value> indices;
};

} // namespace

FailureOr<int64_t> qopt::host::lowerToLoops(Operation *root, bool parallelInnermost) {
  SmallVector<linalg::LinalgOp> ops;
  root->walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    if (!op.hasPureBufferSemantics())
      return op->emitOpError("expected operands that are memrefs");
    ImplicitLocOpBuilder b(op.getLoc(), op);
    LoopNest(op, b).emit(parallelInnermost);
    op->erase();
  }
  return static_cast<int64_t>(ops.size());
}
