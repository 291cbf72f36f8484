//===- MatmulRows.cpp - Products of few rows -------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

/// Warps that share 32 columns: a thread per sum.
constexpr int64_t kSplit = kFewRows * kWarpColumns / kWarp;

struct RowsThread : ProductThread {
  RowsThread(Emitter &t, const Product &p, ValueRange args) : ProductThread(t, p, args) {}
  void run();
};

void RowsThread::run() {
  Value firstColumns = t.block(), rows = args[kRows];
  WeightPlace place = placeOf(firstColumns);
  Value isRow = t.less(group, rows);
  Value x = t.row(args[kX], t.getI8Type(), t.select(isRow, group, t.i32(0)), p.inputs * p.elementBytes);
  // A unit lies in one group: the sums of whole units can be folded.
  int64_t unit = std::min(p.chunksAhead, p.chunksPerGroup());
  while (p.chunksPerGroup() % unit)
    --unit;
  int64_t units = llvm::divideCeil(p.chunks(), unit);
  auto loadUnit = [&](Value at) {
    Values raw;
    for (int64_t i = 0; i < unit; ++i)
      llvm::append_range(raw, p.load(t, args, place, t.add(t.mul(at, unit), i)));
    return raw;
  };
  Value zero = t.i32(0);
  auto multiplyUnit = [&](Value at, ValueRange raw, Values sums) {
    size_t each = raw.size() / unit;
    for (int64_t i = 0; i < unit; ++i) {
      Value firstWord = t.mul(t.add(t.mul(at, unit), i), kChunkWords);
      for (int64_t step = 0; step < kChunkSteps; ++step) {
        Values words;
        for (int64_t half = 0; half < 2; ++half) {
          Value word = p.lanesTakeRuns ? t.add(t.mul(inGroup, kStepWords), 2 * step + half)
                                       : t.add(inGroup, step * kStepWords + 4 * half);
          words.push_back(loadWord(x, t.add(firstWord, word), isRow));
        }
        // Rows 8 to 15 of the tile are not there.
        Fragment a = activations(words, p.splitFewRows);
        a.high = {a.high[0], zero, a.high[1], zero};
        if (!a.low.empty())
          a.low = {a.low[0], zero, a.low[1], zero};
        for (auto [j, b] : llvm::enumerate(p.decode(t, raw.slice(i * each, each), step)))
          multiply(a, b, sums, 4 * j);
      }
    }
    return sums;
  };
  // Sums 4j and 4j + 1 are of columns j and 4 + j; the others are of no row.
  Values state = zeroSums(p.paddedGroup ? kTiles * 2 : kTiles * 4), raw = loadUnit(t.warp());
  size_t numSums = state.size();
  llvm::append_range(state, raw);
  state = t.forLoop(t.warp(), t.i32(units), kSplit, state, [&](Value at, ValueRange carried) {
    Values next = loadUnit(t.add(at, kSplit));
    Values sums = carried.take_front(numSums);
    if (p.paddedGroup) {
      Values fresh = multiplyUnit(at, carried.drop_front(numSums), zeroSums(kTiles * 4)), used;
      SmallVector<int64_t> columns;
      for (int64_t j = 0; j < kTiles; ++j)
        for (int64_t i = 0; i < 2; ++i)
          used.push_back(fresh[4 * j + i]), columns.push_back(4 * i + j);
      sums = fold(p.groupScales(t, args, place, t.mul(at, unit)), used, sums, columns);
    } else {
      sums = multiplyUnit(at, carried.drop_front(numSums), sums);
    }
    llvm::append_range(sums, next);
    return sums;
  });
  int64_t stride = numSums / kTiles;
  Type type = sumType(), vector = t.vector(type, 4);
  Value mine = t.add(t.mul(t.add(t.mul(t.warp(), kFewRows), group), kWarpColumns), t.mul(inGroup, 8));
  for (int64_t i = 0; i < 2; ++i)
    t.store(t.pack({state[i], state[stride + i], state[2 * stride + i], state[3 * stride + i]}),
            t.at(t.at(t.shared(), type, mine), vector, i));
  t.barrier();
  Value row = t.warp(), column = t.add(t.mul(firstColumns, kWarpColumns), t.lane());
  Value sum;
  for (int64_t i = 0; i < kSplit; ++i) {
    Value part = t.load(type, t.at(t.at(t.shared(), type, t.thread()), type, i * kFewRows * kWarpColumns));
    sum = i ? t.add(sum, part) : part;
  }
  t.ifThen(t.both(t.less(row, rows), t.less(column, p.columns)), [&] {
    Values sums{sum};
    p.finish(t, args, {row}, {column}, sums);
    t.store(sums[0], t.at(t.row(args[kY], t.f32Type(), row, p.columns), t.f32Type(), column));
  });
}

} // namespace

void launchProductRows(Kernel &k, const Product &p, Value rows, ArrayRef<Argument> arguments) {
  Value any = k.min(rows, k.i64(1));
  k.launch({.grid = {k.i64(llvm::divideCeil(p.columns, kWarpColumns)), any}, .threads = kSplit * kWarp,
            .sharedBytes = kSplit * kFewRows * kWarpColumns * 4, .suffix = "_rows"},
           arguments, [&](Emitter &t, ValueRange args) { RowsThread(t, p, args).run(); });
}

} // namespace qopt::cuda
