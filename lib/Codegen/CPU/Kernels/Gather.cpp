//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One row per iteration. Indices count from the end where negative; one out of
// range is reported and reads row 0, so that the rest of the program stays defined.
// A table that is the weight of a head, too, is stored once, packed for the product:
// its rows are then columns of the blocks. Codes are read as their numbers times the scale
// of the row.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

Value scaleCode(Kernel &k, Value code, Value scale) {
  return k.mul(arith::SIToFPOp::create(k, k.getF32Type(), code), scale);
}

/// Copies row `source` of a table [V,K]; codes times `scale`, which is null where there are none.
void copyRow(Kernel &k, kernel::GatherOp op, Value source, Value row, Value scale) {
  Value data = op.getData(), y = op.getY();
  int64_t width = op.width();
  auto scaled = [&](Value codes) {
    return scale ? k.mul(arith::SIToFPOp::create(k, k.vector(k.getF32Type()), codes), k.broadcast(scale)) : codes;
  };
  // i1 has no vectors in memory: a byte each there, a bit each in a register.
  int64_t vectorized = cast<MemRefType>(data.getType()).getElementTypeBitWidth() >= 8 ? width / kLanes * kLanes : 0;
  if (vectorized)
    k.forLoop(k.index(0), k.index(vectorized), kLanes,
              [&](Value i) { k.storeVector(scaled(k.loadVector(data, {source, i})), y, {row, i}); });
  if (vectorized < width)
    k.forLoop(k.index(vectorized), k.index(width), 1, [&](Value i) {
      Value element = k.load(data, {source, i});
      k.store(scale ? scaleCode(k, element, scale) : element, y, {row, i});
    });
}

/// Collects a column of packed weights [blocks,K,16], or [blocks,K/4,16,4].
void collectColumn(Kernel &k, kernel::GatherOp op, Value source, Value row, Value scale) {
  int64_t inputs = op.packedInputs();
  Value block = k.div(source, kColumns), lane = k.mul(k.rem(source, kColumns), k.index(inputs));
  k.forLoop(k.index(0), k.index(op.width()), 1, [&](Value i) {
    Value step = inputs == 1 ? i : k.div(i, inputs), place = inputs == 1 ? lane : k.add(lane, k.rem(i, inputs));
    Value element = k.load(op.getData(), {block, step, place});
    k.store(scale ? scaleCode(k, element, scale) : element, op.getY(), {row, i});
  });
}

} // namespace

/// data [V,K] or packed, indices [R], y [R,K].
void emit(Kernel &k, kernel::GatherOp op) {
  Value indices = op.getIndices();
  k.parallel(k.dim(indices, 0), grainOfRows(op.width() * 4), [&](Value row) {
    Value size = op.isPacked() ? k.index(*op.getRows()) : k.dim(op.getData(), 0);
    Value given = arith::IndexCastOp::create(k, k.getIndexType(), k.load(indices, {row}));
    Value wrapped = k.select(k.less(given, k.index(0)), k.add(given, size), given);
    Value valid = arith::CmpIOp::create(k, arith::CmpIPredicate::ult, wrapped, size);
    k.ifThen(valid, [] {}, [&] { k.failIndex(given, size); });
    Value source = k.select(valid, wrapped, k.index(0));
    Value scale = op.getScales() ? k.load(op.getScales(), {source}) : Value();
    (op.isPacked() ? collectColumn : copyRow)(k, op, source, row, scale);
  });
}

} // namespace qopt::kernels
