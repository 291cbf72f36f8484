//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One row per iteration. Indices count from the end where negative; one out of
// range is reported and reads row 0, so that the rest of the program stays defined.
// A table that is the weight of a head, too, is stored once, packed for the product:
// its rows are then columns of the blocks.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

/// Copies a row of a table [V,K].
void copyRow(Kernel &k, Value data, Value source, Value y, Value row, int64_t width) {
  // i1 has no vectors in memory: a byte each there, a bit each in a register.
  int64_t vectorized = k.type(0).getElementTypeBitWidth() >= 8 ? width / kLanes * kLanes : 0;
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
LogicalResult emitGather(Kernel &k) {
  int64_t rows = k.integer("rows", 0);
  bool packed = rows > 0;
  if (failed(k.expectRanks({packed ? 3 : 2, 1, 2})))
    return failure();
  int64_t width = k.size(0, 1);
  Type element = k.type(0).getElementType();
  if (ShapedType::isDynamic(width) || !isa<IntegerType>(k.type(1).getElementType()))
    return k.function.emitOpError("requires rows of known size and integer indices");
  int64_t blocks = llvm::divideCeil(rows, kColumns);
  if (failed(k.expectShape(2, {ShapedType::kDynamic, width}, element)) ||
      (packed && failed(k.expectShape(0, {blocks, width, kColumns}, element))))
    return failure();

  Value data = k.arg(0), indices = k.arg(1), y = k.arg(2);
  k.parallel(k.dim(indices, 0), grainOfRows(width * 4), [&](Value row) {
    Value size = packed ? k.index(rows) : k.dim(data, 0);
    Value given = arith::IndexCastOp::create(k, k.getIndexType(), k.load(indices, {row}));
    Value wrapped = k.select(k.less(given, k.index(0)), k.add(given, size), given);
    Value valid = arith::CmpIOp::create(k, arith::CmpIPredicate::ult, wrapped, size);
    k.ifThen(valid, [] {}, [&] { k.failIndex(given, size); });
    Value source = k.select(valid, wrapped, k.index(0));
    (packed ? collectColumn : copyRow)(k, data, source, y, row, width);
  });
  return success();
}

} // namespace qopt::kernels
