//===- Quantize.cpp - Activations to int8 ----------------------------------===//
//
// Rounding without a conversion that could be undefined: the clamped value plus
// 1.5 * 2^23 is rounded to nearest even by the addition itself, and its low byte is
// the code. Rows are independent; `split_columns` first finds, column by column,
// which ones hold an outlier, `split_columns_at` is told.
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

/// Up to 16 elements of a row, from the first one and so many.
using RowLoader = function_ref<Value(Value, int64_t)>;

/// Largest magnitude of a row.
Value rowAbsmax(Kernel &k, int64_t width, RowLoader load) {
  Values largest = k.chunks(width, {k.splat(0.0f)}, [&](Value i, int64_t valid, ValueRange carried) {
    return Values{k.max(magnitude(k, load(i, valid)), carried[0])};
  });
  return k.maxLanes(largest[0]);
}

/// Codes of a row, in this order of roundings: (x * 127) / absmax. Where absmax is 0, so
/// are x and the code.
void storeRowCodes(Kernel &k, Value row, int64_t width, Value absmax, Value codes, RowLoader load) {
  k.chunks(width, [&](Value i, int64_t valid) {
    Value scaled = arith::DivFOp::create(k, k.mul(load(i, valid), k.splat(127.0f)), k.broadcast(absmax));
    k.storeVector(toCodes(k, scaled), codes, {row, i}, valid);
  });
}

void storeRowScale(Kernel &k, Value row, Value absmax, Value scale) {
  k.store(arith::DivFOp::create(k, absmax, k.f32(127.0f)), scale, {row});
}

/// An i32 for each column, and as many more as fill vectors.
Value allocateMarks(Kernel &k, int64_t width) {
  int64_t padded = llvm::alignTo(width, kLanes);
  return memref::AllocOp::create(k, MemRefType::get({padded}, k.getI32Type()), k.getI64IntegerAttr(64));
}

/// Elements from column i on, zeros where the mark is not 0.
Value withoutMarked(Kernel &k, Value elements, Value marks, Value i) {
  Value marked = arith::CmpIOp::create(k, arith::CmpIPredicate::ne, k.loadVector(marks, {i}), k.splatI32(0));
  return k.select(marked, k.splat(0.0f), elements);
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
    auto load = [&](Value i, int64_t valid) { return k.loadVector(x, {row, i}, valid); };
    Value absmax = rowAbsmax(k, *width, load);
    storeRowScale(k, row, absmax, k.arg(2));
    storeRowCodes(k, row, *width, absmax, k.arg(1), load);
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
  auto isOutlier = [&](Value v) {
    return Value(arith::CmpFOp::create(k, arith::CmpFPredicate::OGE, magnitude(k, v), limit()));
  };

  // marks[i]: 1 where column i holds an outlier.
  Value marks = allocateMarks(k, *width);
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
    Value absmax = rowAbsmax(k, *width, [&](Value i, int64_t valid) {
      Value v = k.loadVector(x, {row, i}, valid);
      return k.select(k.less(magnitude(k, v), limit()), v, k.splat(0.0f));
    });
    storeRowScale(k, row, absmax, k.arg(2));
    // A single row loses only its outliers, which is the same set of columns.
    storeRowCodes(k, row, *width, absmax, codes,
                  [&](Value i, int64_t valid) { return withoutMarked(k, k.loadVector(x, {row, i}, valid), marks, i); });
  });
  memref::DeallocOp::create(k, marks);
  return success();
}

/// x [R,K], columns [M], codes [R,K], scale [R], outliers [R,M].
LogicalResult emitSplitColumnsAt(Kernel &k) {
  FailureOr<int64_t> width = k.expectSplitColumnsAt();
  if (failed(width))
    return failure();
  Value x = k.arg(0), count = k.dim(k.arg(1), 0), marks = allocateMarks(k, *width);
  auto column = [&](Value i) -> Value {
    return arith::IndexCastOp::create(k, k.getIndexType(), k.load(k.arg(1), {i}));
  };
  k.forLoop(k.index(0), k.index(*width), kLanes, [&](Value i) { k.storeVector(k.splatI32(0), marks, {i}); });
  k.forLoop(k.index(0), count, 1, [&](Value i) { k.store(k.i32(1), marks, {column(i)}); });
  k.parallel(k.dim(x, 0), grainOfRows(*width * 4), [&](Value row) {
    auto load = [&](Value i, int64_t valid) { return withoutMarked(k, k.loadVector(x, {row, i}, valid), marks, i); };
    Value absmax = rowAbsmax(k, *width, load);
    storeRowScale(k, row, absmax, k.arg(3));
    storeRowCodes(k, row, *width, absmax, k.arg(2), load);
    k.forLoop(k.index(0), count, 1, [&](Value i) { k.store(k.load(x, {row, column(i)}), k.arg(4), {row, i}); });
  });
  memref::DeallocOp::create(k, marks);
  return success();
}

} // namespace qopt::kernels
