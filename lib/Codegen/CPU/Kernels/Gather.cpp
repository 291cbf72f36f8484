//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One row per iteration. Indices count from the end where negative; one out of
// range is reported and reads row 0, so that the rest of the program stays defined.
// A table that is the weight of a head, too, is stored once, packed for the product:
// its rows are then columns of the blocks.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

/// Copies a row of a table [V,K].
void copyRow(Kernel &k, Value data, Value source, Value y, Value row, int64_t width) {
  // i1 has no vectors in memory: a byte each there, a bit each in a register.
  int64_t vectorized = cast<MemRefType>(data.getType()).getElementTypeBitWidth() >= 8 ? width / kLanes * kLanes : 0;
  if (vectorized)
    k.forLoop(k.index(0), k.index(vectorized), kLanes,
              [&](Value i) { k.storeVector(k.loadVector(data, {source, i}), y, {row, i}); });
  if (vectorized < width)
    k.forLoop(k.index(vectorized), k.index(width), 1,
              [&](Value i) { k.store(k.load(data, {source, i}), y, {row, i}); });
}

/// Collects a column of packed weights [blocks,K,16].
void collectColumn(Kernel &k, Value data, Value source, Value y, Value row, int64_t width) {
  Value block = k.div(source, kColumns), lane = k.rem(source, kColumns);
  k.forLoop(k.index(0), k.index(width), 1, [&](Value i) { k.store(k.load(data, {block, i, lane}), y, {row, i}); });
}

} // namespace

/// data [V,K] or, packed, [blocks,K,16], indices [R], y [R,K].
void emit(Kernel &k, kernel::GatherOp op) {
  int64_t width = op.width();
  bool packed = op.isPacked();
  Value data = op.getData(), indices = op.getIndices(), y = op.getY();
  k.parallel(k.dim(indices, 0), grainOfRows(width * 4), [&](Value row) {
    Value size = packed ? k.index(*op.getRows()) : k.dim(data, 0);
    Value given = arith::IndexCastOp::create(k, k.getIndexType(), k.load(indices, {row}));
    Value wrapped = k.select(k.less(given, k.index(0)), k.add(given, size), given);
    Value valid = arith::CmpIOp::create(k, arith::CmpIPredicate::ult, wrapped, size);
    k.ifThen(valid, [] {}, [&] { k.failIndex(given, size); });
    Value source = k.select(valid, wrapped, k.index(0));
    (packed ? collectColumn : copyRow)(k, data, source, y, row, width);
  });
}

} // namespace qopt::kernels
