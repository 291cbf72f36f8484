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

/// Largest magnitude of `width` elements of a row.
Value rowAbsmax(Kernel &k, int64_t width, RowLoader load) {
  Values largest = k.chunks(width, {k.splat(0.0f)}, [&](Value i, int64_t valid, ValueRange carried) {
    return Values{k.max(magnitude(k, load(i, valid)), carried[0])};
  });
  return k.maxLanes(largest[0]);
}

/// Codes of `width` elements of a row from `first` on, in this order of roundings:
/// (x * 127) / absmax. Where absmax is 0, so are x and the code.
void storeRowCodes(Kernel &k, Value row, Value first, int64_t width, Value absmax, Value codes, RowLoader load) {
  k.chunks(width, [&](Value i, int64_t valid) {
    Value scaled = arith::DivFOp::create(k, k.mul(load(i, valid), k.splat(127.0f)), k.broadcast(absmax));
    k.storeVector(toCodes(k, scaled), codes, {row, k.add(i, first)}, valid);
  });
}

void storeRowScale(Kernel &k, ValueRange place, Value absmax, Value scale) {
  k.store(arith::DivFOp::create(k, absmax, k.f32(127.0f)), scale, place);
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

} // namespace

void emit(Kernel &k, kernel::QuantizeOp op) {
  Value x = op.getX();
  int64_t width = op.width();
  k.parallel(k.dim(x, 0), grainOfRows(width * 4), [&](Value row) {
    Value scale = k.broadcast(k.load(op.getScale(), {}));
    k.chunks(width, [&](Value i, int64_t valid) {
      Value v = arith::DivFOp::create(k, k.loadVector(x, {row, i}, valid), scale);
      k.storeVector(toCodes(k, v), op.getCodes(), {row, i}, valid);
    });
  });
}

/// `size` elements of a row from `first` on, whose scale is at `place`.
static void quantizePart(Kernel &k, kernel::DynamicQuantizeOp op, Value row, Value first, int64_t size,
                         ValueRange place) {
  auto load = [&](Value i, int64_t valid) { return k.loadVector(op.getX(), {row, k.add(i, first)}, valid); };
  Value absmax = rowAbsmax(k, size, load);
  storeRowScale(k, place, absmax, op.getScale());
  storeRowCodes(k, row, first, size, absmax, op.getCodes(), load);
}

void emit(Kernel &k, kernel::DynamicQuantizeOp op) {
  int64_t width = op.width(), size = op.groupSize(), full = width / size, rest = width % size;
  k.parallel(k.dim(op.getX(), 0), grainOfRows(width * 4), [&](Value row) {
    if (!op.isByGroups())
      return quantizePart(k, op, row, k.index(0), width, {row});
    k.forLoop(k.index(0), k.index(full), 1,
              [&](Value group) { quantizePart(k, op, row, k.mul(group, k.index(size)), size, {row, group}); });
    if (rest)
      quantizePart(k, op, row, k.index(full * size), rest, {row, k.index(full)});
  });
}

void emit(Kernel &k, kernel::SplitColumnsOp op) {
  Type i32 = k.getI32Type();
  int64_t width = op.width();
  Value x = op.getX(), codes = op.getCodes(), columns = op.getColumns(), rows = k.dim(x, 0);
  float threshold = op.getThreshold().convertToFloat();
  if (!(threshold > 0)) // 0 means: no outliers
    threshold = INFINITY;
  auto limit = [&] { return k.splat(threshold); };
  auto isOutlier = [&](Value v) {
    return Value(arith::CmpFOp::create(k, arith::CmpFPredicate::OGE, magnitude(k, v), limit()));
  };

  // marks[i]: 1 where column i holds an outlier.
  Value marks = allocateMarks(k, width);
  auto mark = [&](Value first, int64_t valid) {
    Value zero = k.splatI32(0), one = k.splatI32(1);
    Values any = k.forLoop(k.index(0), rows, 1, {zero}, [&](Value row, ValueRange carried) {
      return Values{k.select(isOutlier(k.loadVector(x, {row, first}, valid)), one, carried[0])};
    });
    k.storeVector(any[0], marks, {first});
  };
  int64_t full = width / kLanes;
  if (full)
    k.parallel(k.index(full), /*grain=*/4, [&](Value i) { mark(k.mul(i, k.index(kLanes)), kLanes); });
  if (full * kLanes < width)
    mark(k.index(full * kLanes), width - full * kLanes);

  Value count = k.forLoop(k.index(0), k.index(width), 1, {k.index(0)}, [&](Value i, ValueRange carried) {
    k.store(arith::IndexCastOp::create(k, i32, i), columns, carried);
    return Values{k.add(carried[0], arith::IndexCastOp::create(k, k.getIndexType(), k.load(marks, {i})))};
  })[0];
  k.forLoop(count, k.index(width), 1, [&](Value i) { k.store(k.i32(-1), columns, {i}); });

  k.parallel(rows, grainOfRows(width * 4), [&](Value row) {
    Value absmax = rowAbsmax(k, width, [&](Value i, int64_t valid) {
      Value v = k.loadVector(x, {row, i}, valid);
      return k.select(k.less(magnitude(k, v), limit()), v, k.splat(0.0f));
    });
    storeRowScale(k, row, absmax, op.getScale());
    // A single row loses only its outliers, which is the same set of columns.
    storeRowCodes(k, row, k.index(0), width, absmax, codes,
                  [&](Value i, int64_t valid) { return withoutMarked(k, k.loadVector(x, {row, i}, valid), marks, i); });
  });
  memref::DeallocOp::create(k, marks);
}

void emit(Kernel &k, kernel::SplitColumnsAtOp op) {
  int64_t width = op.width();
  Value x = op.getX(), list = op.getColumns(), count = k.dim(list, 0), marks = allocateMarks(k, width);
  auto column = [&](Value i) -> Value { return arith::IndexCastOp::create(k, k.getIndexType(), k.load(list, {i})); };
  k.forLoop(k.index(0), k.index(width), kLanes, [&](Value i) { k.storeVector(k.splatI32(0), marks, {i}); });
  k.forLoop(k.index(0), count, 1, [&](Value i) { k.store(k.i32(1), marks, {column(i)}); });
  k.parallel(k.dim(x, 0), grainOfRows(width * 4), [&](Value row) {
    auto load = [&](Value i, int64_t valid) { return withoutMarked(k, k.loadVector(x, {row, i}, valid), marks, i); };
    Value absmax = rowAbsmax(k, width, load);
    storeRowScale(k, row, absmax, op.getScale());
    storeRowCodes(k, row, k.index(0), width, absmax, op.getCodes(), load);
    k.forLoop(k.index(0), count, 1, [&](Value i) { k.store(k.load(x, {row, column(i)}), op.getOutliers(), {row, i}); });
  });
  memref::DeallocOp::create(k, marks);
}

} // namespace qopt::kernels
