//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One row per iteration. Indices count from the end where negative; one out of
// range is reported and reads row 0, so that the rest of the program stays defined.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace qopt::kernels {

/// data [V,K], indices [R], y [R,K].
LogicalResult emitGather(Kernel &k) {
  if (failed(k.expectRanks({2, 1, 2})))
    return failure();
  int64_t width = k.size(0, 1);
  Type element = k.type(0).getElementType();
  if (ShapedType::isDynamic(width) || !isa<IntegerType>(k.type(1).getElementType()))
    return k.function.emitOpError("requires rows of known size and integer indices");
  if (failed(k.expectShape(2, {ShapedType::kDynamic, width}, element)))
    return failure();

  Value data = k.arg(0), indices = k.arg(1), y = k.arg(2);
  // i1 has no vectors in memory: a byte each there, a bit each in a register.
  int64_t vectorized = element.getIntOrFloatBitWidth() >= 8 ? width / kLanes * kLanes : 0;
  k.parallel(k.dim(indices, 0), grainOfRows(width * 4), [&](Value row) {
    Value size = k.dim(data, 0);
    Value given = arith::IndexCastOp::create(k, k.getIndexType(), k.load(indices, {row}));
    Value wrapped = k.select(k.less(given, k.index(0)), k.add(given, size), given);
    Value valid = arith::CmpIOp::create(k, arith::CmpIPredicate::ult, wrapped, size);
    k.ifThen(valid, [] {}, [&] { k.failIndex(given, size); });
    Value source = k.select(valid, wrapped, k.index(0));
    if (vectorized)
      k.forLoop(k.index(0), k.index(vectorized), kLanes,
                [&](Value i) { k.storeVector(k.loadVector(data, {source, i}), y, {row, i}); });
    if (vectorized < width)
      k.forLoop(k.index(vectorized), k.index(width), 1,
                [&](Value i) { k.store(k.load(data, {source, i}), y, {row, i}); });
  });
  return success();
}

} // namespace qopt::kernels
