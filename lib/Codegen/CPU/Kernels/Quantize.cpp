//===- Quantize.cpp - Activations to int8 ----------------------------------===//
//
// Rounding without a conversion that could be undefined: the clamped value plus
// 1.5 * 2^23 is rounded to nearest even by the addition itself, and its low byte is
// the code. Rows are independent; `split_columns` first finds, column by column,
// which ones hold an outlier.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;

namespace qopt::kernels {

namespace {

/// int8 codes of 16 floats that are already divided by their scale; 0 for NaN.
Value toCodes(Kernel &k, Value v) {
  v = k.select(k.equal(v, v), v, k.splat(0.0f));
  Value clamped = k.min(k.max(v, k.splat(-128.0f)), k.splat(127.0f));
  Value bits = k.bitcast(k.add(clamped, k.splat(12582912.0f)), k.vector(k.getI32Type()));
  return arith::TruncIOp::create(k, k.vector(k.getI8Type()), bits);
}

Value magnitude(Kernel &k, Value v) {
  Type i32 = k.vector(k.getI32Type());
  Value bits = arith::AndIOp::create(k, k.bitcast(v, i32), k.splatI32(0x7fffffff));
  return k.bitcast(bits, v.getType());
}

/// Largest magnitude of a row; with `threshold`, of those below it.
Value rowAbsmax(Kernel &k, Value x, Value row, int64_t width, Value threshold) {
  Values largest = k.chunks(width, {k.splat(0.0f)}, [&](Value i, int64_t valid, ValueRange carried) {
    Value m = magnitude(k, k.loadVector(x, {row, i}, valid));
    if (threshold)
      m = k.select(k.less(m, threshold), m, k.splat(0.0f));
    return Values{k.max(m, carried[0])};
  });
  return k.maxLanes(largest[0]);
}

/// Codes of a row's elements, in this order of roundings: (x * 127) / absmax. Where
/// absmax is 0, so are x and the code.
Value rowCodes(Kernel &k, Value x, Value absmax) {
  return toCodes(k, arith::DivFOp::create(k, k.mul(x, k.splat(127.0f)), k.broadcast(absmax)));
}

/// x [R,K] and codes [R,K]; the width, or nothing after a diagnostic.
FailureOr<int64_t> checkRows(Kernel &k, unsigned codes) {
  int64_t width = k.size(0, 1);
  if (ShapedType::isDynamic(width))
    return k.function.emitOpError("requires rows of known size");
  if (failed(k.expectShape(0, {ShapedType::kDynamic, width}, k.getF32Type())) ||
      failed(k.expectShape(codes, {ShapedType::kDynamic, width}, k.getI8Type())))
    return failure();
  return width;
}

} // namespace

/// x [R,K], scale [], codes [R,K].
LogicalResult emitQuantize(Kernel &k) {
  if (failed(k.expectRanks({2, 0, 2})) || failed(k.expectShape(1, {}, k.getF32Type())))
    return failure();
  FailureOr<int64_t> width = checkRows(k, 2);
  if (failed(width))
    return failure();
  k.parallel(k.dim(k.arg(0), 0), grainOfRows(*width * 4), [&](Value row) {
    Value scale = k.broadcast(k.load(k.arg(1), {}));
    k.chunks(*width, [&](Value i, int64_t valid) {
      Value v = arith::DivFOp::create(k, k.loadVector(k.arg(0), {row, i}, valid), scale);
      k.storeVector(toCodes(k, v), k.arg(2), {row, i}, valid);
    });
  });
  return success();
}

/// x [R,K], codes [R,K], scale [R].
LogicalResult emitDynamicQuantize(Kernel &k) {
  if (failed(k.expectRanks({2, 2, 1})) || failed(k.expectShape(2, {ShapedType::kDynamic}, k.getF32Type())))
    return failure();
  FailureOr<int64_t> width = checkRows(k, 1);
  if (failed(width))
    return failure();
  Value x = k.arg(0);
  k.parallel(k.dim(x, 0), grainOfRows(*width * 4), [&](Value row) {
    Value absmax = rowAbsmax(k, x, row, *width, Value());
    k.store(arith::DivFOp::create(k, absmax, k.f32(127.0f)), k.arg(2), {row});
    k.chunks(*width, [&](Value i, int64_t valid) {
      k.storeVector(rowCodes(k, k.loadVector(x, {row, i}, valid), absmax), k.arg(1), {row, i}, valid);
    });
  });
  return success();
}

/// x [R,K], codes [R,K], scale [R], columns [K].
LogicalResult emitSplitColumns(Kernel &k) {
  Type i32 = k.getI32Type();
  if (failed(k.expectRanks({2, 2, 1, 1})) || failed(k.expectShape(2, {ShapedType::kDynamic}, k.getF32Type())))
    return failure();
  FailureOr<int64_t> width = checkRows(k, 1);
  if (failed(width) || failed(k.expectShape(3, {*width}, i32)))
    return failure();
  Value x = k.arg(0), codes = k.arg(1), columns = k.arg(3), rows = k.dim(x, 0);
  float threshold = k.real("threshold", 6.0f);
  if (!(threshold > 0)) // 0 means: no outliers
    threshold = INFINITY;
  auto limit = [&] { return k.splat(threshold); };
  auto isOutlier = [&](Value v) { return Value(arith::CmpFOp::create(k, arith::CmpFPredicate::OGE, magnitude(k, v), limit())); };

  // marks[i]: 1 where column i holds an outlier.
  int64_t padded = llvm::alignTo(*width, kLanes);
  Value marks = memref::AllocOp::create(k, MemRefType::get({padded}, i32), k.getI64IntegerAttr(64));
  auto mark = [&](Value first, int64_t valid) {
    Value zero = k.splatI32(0), one = k.splatI32(1);
    Values any = k.forLoop(k.index(0), rows, 1, {zero}, [&](Value row, ValueRange carried) {
      return Values{k.select(isOutlier(k.loadVector(x, {row, first}, valid)), one, carried[0])};
    });
    k.storeVector(any[0], marks, {first});
  };
  int64_t full = *width / kLanes;
  if (full)
    k.parallel(k.index(full), /*grain=*/4, [&](Value i) { mark(k.mul(i, k.index(kLanes)), kLanes); });
  if (full * kLanes < *width)
    mark(k.index(full * kLanes), *width - full * kLanes);

  Value count = k.forLoop(k.index(0), k.index(*width), 1, {k.index(0)}, [&](Value i, ValueRange carried) {
    k.store(arith::IndexCastOp::create(k, i32, i), columns, carried);
    return Values{k.add(carried[0], arith::IndexCastOp::create(k, k.getIndexType(), k.load(marks, {i})))};
  })[0];
  k.forLoop(count, k.index(*width), 1, [&](Value i) { k.store(k.i32(-1), columns, {i}); });

  k.parallel(rows, grainOfRows(*width * 4), [&](Value row) {
    Value absmax = rowAbsmax(k, x, row, *width, limit());
    k.store(arith::DivFOp::create(k, absmax, k.f32(127.0f)), k.arg(2), {row});
    // A single row loses only its outliers, which is the same set of columns.
    k.chunks(*width, [&](Value i, int64_t valid) {
      Value marked = arith::CmpIOp::create(k, arith::CmpIPredicate::ne, k.loadVector(marks, {i}), k.splatI32(0));
      Value v = k.select(marked, k.splat(0.0f), k.loadVector(x, {row, i}, valid));
      k.storeVector(rowCodes(k, v, absmax), codes, {row, i}, valid);
    });
  });
  memref::DeallocOp::create(k, marks);
  return success();
}

} // namespace qopt::kernels
