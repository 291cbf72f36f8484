//===- SplitColumns.cpp - Columns with outliers apart (LLM.int8) -----------===//
//
// Three launches. The first marks the columns that hold an outlier: a warp reads 32
// columns of every eighth row of a block. The second, a single block, turns the
// marks into the list of columns in place: what is written never lies behind what is
// still to be read. The third quantizes row by row; there each block makes a byte
// per column from the list, whose first -1 ends a thread's part of it. Where the columns
// are given, that third launch is all.
//
//===----------------------------------------------------------------------===//
#include "Codes.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using namespace mlir;

namespace qopt::cuda {

namespace {

/// Where the marks are in the block's shared memory: behind the scratch of blockMax.
constexpr int64_t kMarksOffset = 128;

/// A byte for each element of a row.
struct Marks {
  /// None marked yet.
  Marks(Emitter &t, RowPieces &pieces, Value memory) : t(t), flags(pieces.codesType()), memory(memory) {
    pieces.forEach([&](Value i, Value) { t.store(t.splat(flags, int64_t(0)), t.at(memory, flags, i)); });
    t.barrier();
  }

  void set(Value column) { t.store(t.splat(t.getI8Type(), int64_t(1)), t.at(memory, t.getI8Type(), column)); }

  /// Which columns of piece i are not marked. A barrier must lie after the last set().
  Value areFree(Value i) { return t.equal(t.load(flags, t.at(memory, flags, i)), t.splat(flags, int64_t(0))); }

  Emitter &t;
  Type flags;
  Value memory;
};

struct SplitColumns {
  SplitColumns(Kernel &k, kernel::SplitColumnsOp op)
      : k(k), op(op), width(op.width()), threshold(outlierThreshold(op)) {}

  Kernel &k;
  kernel::SplitColumnsOp op;
  int64_t width;
  float threshold;

  void mark();
  void compact();
  void quantizeRows();
};

/// columns[i]: 1 where column i holds an outlier, else 0.
void SplitColumns::mark() {
  constexpr int64_t kWarps = 8, kThreads = kWarps * kWarp;
  k.launch({.grid = {k.i64(llvm::divideCeil(width, kWarp))},
            .threads = kThreads,
            .sharedBytes = kThreads * 4,
            .suffix = "_mark"},
           {k.input(op.getX()), k.output(op.getColumns()), {k.toI32(k.dim(op.getX(), 0))}},
           [&](Emitter &t, ValueRange args) {
             Type f32 = t.f32Type(), i32 = t.i32Type();
             Value lane = t.lane(), warp = t.warp();
             Value column = t.add(t.mul(t.block(), kWarp), lane), exists = t.less(column, width);
             Value found = t.ifElse(
                 exists,
                 [&] {
                   return t.forLoop(warp, args[2], kWarps, {t.i32(0)}, [&](Value row, ValueRange carried) {
                     Value v = t.load(f32, t.at(t.row(args[0], f32, row, width), f32, column));
                     return Values{t.select(t.lessEqual(t.f32(threshold), t.abs(v)), t.i32(1), carried[0])};
                   });
                 },
                 [&] { return Values{t.i32(0)}; })[0];
             t.store(found, t.at(t.shared(), i32, t.thread()));
             t.barrier();
             t.ifThen(t.both(t.equal(warp, 0), exists), [&] {
               Value any = found;
               for (int64_t i = 1; i < kWarps; ++i)
                 any = t.bitOr(any, t.load(i32, t.at(t.at(t.shared(), i32, lane), i32, i * kWarp)));
               t.store(any, t.at(args[1], i32, column));
             });
           });
}

/// Marks to numbers of columns, then -1.
void SplitColumns::compact() {
  int64_t threads = std::min<int64_t>(1024, llvm::alignTo(width, kWarp)), warps = threads / kWarp;
  k.launch({.grid = {k.i64(1)}, .threads = threads, .sharedBytes = warps * 4, .suffix = "_compact"},
           {k.output(op.getColumns())}, [&](Emitter &t, ValueRange args) {
             Type i32 = t.i32Type();
             Value thread = t.thread(), warp = t.warp(), counts = t.shared();
             auto countBits = [&](Value bits) { return t.intrinsic("llvm.ctpop", i32, bits); };
             Values count =
                 t.forLoop(t.i32(0), t.i32(width), threads, {t.i32(0)}, [&](Value first, ValueRange carried) {
                   Value column = t.add(first, thread);
                   Value mark = t.ifElse(
                       t.less(column, width), [&] { return Values{t.load(i32, t.at(args[0], i32, column))}; },
                       [&] { return Values{t.i32(0)}; })[0];
                   Value isMarked = t.equal(mark, 1), bits = t.ballot(isMarked);
                   t.ifThen(t.equal(t.lane(), 0), [&] { t.store(countBits(bits), t.at(counts, i32, warp)); });
                   t.barrier();
                   // Marks before this thread's: of this warp, and of the warps before.
                   Value lower = t.sub(arith::ShLIOp::create(t, t.i32(1), t.lane()).getResult(), 1);
                   Value before = t.add(carried[0], countBits(t.bitAnd(bits, lower))), total = carried[0];
                   for (int64_t i = 0; i < warps; ++i) {
                     Value ofWarp = t.load(i32, t.at(counts, i32, i));
                     before = t.add(before, t.select(t.less(t.i32(i), warp), ofWarp, t.i32(0)));
                     total = t.add(total, ofWarp);
                   }
                   t.ifThen(isMarked, [&] { t.store(column, t.at(args[0], i32, before)); });
                   t.barrier();
                   return Values{total};
                 });
             t.forLoop(t.add(count[0], thread), t.i32(width), threads,
                       [&](Value i) { t.store(t.i32(-1), t.at(args[0], i32, i)); });
           });
}

void SplitColumns::quantizeRows() {
  int64_t threads = RowPieces::threadsFor(width);
  k.launch({.grid = {k.dim(op.getX(), 0)}, .threads = threads, .sharedBytes = kMarksOffset + width, .suffix = "_rows"},
           {k.input(op.getX()), k.output(op.getCodes()), k.output(op.getScale()), k.input(op.getColumns())},
           [&](Emitter &t, ValueRange args) {
             Type f32 = t.f32Type(), i32 = t.i32Type();
             Value row = t.block(), thread = t.thread();
             RowPieces pieces(t, t.row(args[0], f32, row, width), width, threads);
             Marks marks(t, pieces, t.shared(kMarksOffset));
             auto entry = [&](Value i) {
               return t.ifElse(
                   t.less(i, width), [&] { return Values{t.load(i32, t.at(args[3], i32, i))}; },
                   [&] { return Values{t.i32(-1)}; })[0];
             };
             t.whileLoop(
                 {thread, entry(thread)}, [&](ValueRange state) { return t.lessEqual(t.i32(0), state[1]); },
                 [&](ValueRange state) {
                   marks.set(state[1]);
                   Value next = t.add(state[0], threads);
                   return Values{next, entry(next)};
                 });
             Value codes = t.row(args[1], t.getI8Type(), row, width), scale = t.at(args[2], f32, row);
             // A single row loses only its outliers, which is the same set of columns.
             DynamicRow{codes, scale, threads, t.shared(), threshold}.run(
                 t, pieces, [&](Value i, Value) { return marks.areFree(i); });
           });
}

} // namespace

float outlierThreshold(kernel::SplitColumnsOp op) {
  float threshold = op.getThreshold().convertToFloat();
  return threshold > 0 ? threshold : INFINITY;
}

void emit(Kernel &k, kernel::SplitColumnsOp op) {
  SplitColumns split(k, op);
  split.mark();
  split.compact();
  split.quantizeRows();
}

void GivenOutliers::run(Emitter &t, Value x, RowPieces &pieces, DynamicRow quantization) const {
  Type f32 = t.f32Type(), i32 = t.i32Type();
  Marks marked(t, pieces, marks);
  t.forLoop(t.thread(), count, quantization.threads, [&](Value i) {
    Value column = t.load(i32, t.at(list, i32, i));
    marked.set(column);
    t.store(t.load(f32, t.at(x, f32, column)), t.at(outliers, f32, i));
  });
  t.barrier();
  quantization.onlyFree = true;
  quantization.run(t, pieces, [&](Value i, Value) { return marked.areFree(i); });
}

void emit(Kernel &k, kernel::SplitColumnsAtOp op) {
  int64_t width = op.width(), threads = RowPieces::threadsFor(width);
  k.launch({.grid = {k.dim(op.getX(), 0)}, .threads = threads, .sharedBytes = kMarksOffset + width},
           {k.input(op.getX()),
            k.input(op.getColumns()),
            k.output(op.getCodes()),
            k.output(op.getScale()),
            k.output(op.getOutliers()),
            {k.toI32(k.dim(op.getColumns(), 0))}},
           [&](Emitter &t, ValueRange args) {
             Type f32 = t.f32Type(), i64 = t.getI64Type();
             Value row = t.block(), x = t.row(args[0], f32, row, width), count = args[5];
             RowPieces pieces(t, x, width, threads);
             Value outliers = t.at(args[4], f32, t.mul(t.toInteger(row, i64), t.toInteger(count, i64)));
             DynamicRow quantization{t.row(args[2], t.getI8Type(), row, width), t.at(args[3], f32, row), threads,
                                     t.shared()};
             GivenOutliers{args[1], count, outliers, t.shared(kMarksOffset)}.run(t, x, pieces, quantization);
           });
}

} // namespace qopt::cuda
