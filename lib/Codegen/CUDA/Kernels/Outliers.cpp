//===- Outliers.cpp - Outlier columns at the end of an int8 product --------===//
//
// Their products are added one after the other, or 16 at a time by tensor cores, in the
// order of the columns.
//
//===----------------------------------------------------------------------===//
#include "Outliers.h"
#include "qopt/Dialect/Kernel/Kernel.h"

using namespace mlir;

namespace qopt::cuda {

//===----------------------------------------------------------------------===//
// Where they are
//===----------------------------------------------------------------------===//

Value ListedOutliers::entry(Value i) const {
  Value isIn = t.less(i, inputs),
        column = t.load(t.getI32Type(), t.at(list, t.getI32Type(), t.select(isIn, i, t.i32(0))));
  return t.select(isIn, column, t.i32(-1));
}

Value ListedOutliers::activation(Value row, Value entry) const {
  return t.load(t.f32Type(), t.at(t.row(x, t.f32Type(), row, inputs), t.f32Type(), entry));
}

Value ListedOutliers::weight(Value column, Value entry) const {
  Type i8 = t.getI8Type();
  Value word = t.add(t.mul(t.shiftRight(entry, 2), 16), t.bitAnd(column, 15));
  Value block = t.row(w, i8, t.shiftRight(column, 4), words * 64);
  return t.toFloat(t.load(i8, t.at(block, i8, t.add(t.mul(word, 4), t.bitAnd(entry, 3)))), t.f32Type());
}

Values ListedOutliers::weights(Value block, Value quarter, Value entry) const {
  Type piece = t.vector(t.getI32Type(), 4);
  Value place = t.add(t.mul(t.shiftRight(entry, 2), 4), quarter);
  // To the top of the word, then down with its sign.
  Value shift = t.sub(t.i32(24), t.mul(t.bitAnd(entry, 3), 8));
  Values result;
  for (Value word : loadWords(t, t.at(t.row(w, piece, block, words * 4), piece, place))) {
    Value top = arith::ShLIOp::create(t, word, shift);
    result.push_back(t.toFloat(arith::ShRSIOp::create(t, top, t.i32(24)).getResult(), t.f32Type()));
  }
  return result;
}

Value KeptOutliers::entry(Value i) const { return t.select(t.less(i, count), i, t.i32(-1)); }

Value KeptOutliers::activation(Value row, Value entry) const {
  Type i64 = t.getI64Type();
  Value first = t.mul(t.toInteger(row, i64), t.toInteger(count, i64));
  return t.load(t.f32Type(), t.at(t.at(x, t.f32Type(), first), t.f32Type(), entry));
}

/// 16 weights.
Value KeptOutliers::weightRow(Value block, Value entry) const {
  return t.row(w, element, t.add(t.mul(block, count), entry), 16);
}

Value KeptOutliers::weight(Value column, Value entry) const {
  Value row = weightRow(t.shiftRight(column, 4), entry);
  return t.toFloat(t.load(element, t.at(row, element, t.bitAnd(column, 15))), t.f32Type());
}

Values KeptOutliers::weights(Value block, Value quarter, Value entry) const {
  Type piece = t.vector(element, 4);
  Value loaded = t.load(piece, t.at(weightRow(block, entry), piece, quarter));
  Values result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(t.toFloat(t.extract(loaded, i), t.f32Type()));
  return result;
}

//===----------------------------------------------------------------------===//
// Their products
//===----------------------------------------------------------------------===//

/// x of a row in units, as f16; 0 where there is no outlier.
static Value activationOrZero(const Outliers &o, Value row, Value entry) {
  Emitter &t = o.t;
  Value x = t.toHalf(t.mul(o.activation(row, t.max(entry, t.i32(0))), t.f32(1 / kernel::kOutlierUnit)));
  return t.select(t.lessEqual(t.i32(0), entry), x, t.splat(t.getF16Type(), 0.0));
}

/// Adds in units of x.
static void inUnits(Emitter &t, Values &sums, function_ref<void()> add) {
  auto scale = [&](float factor) {
    for (Value &sum : sums)
      sum = t.mul(sum, t.f32(factor));
  };
  scale(1 / kernel::kOutlierUnit);
  add();
  scale(kernel::kOutlierUnit);
}

static void addOneByOne(const Outliers &o, ValueRange rows, ValueRange columns, Values &sums, const OutlierLoop &loop) {
  constexpr int64_t kAhead = 4;
  Emitter &t = o.t;
  Value zero = t.i32(0);
  auto add = [&](Value entry, ValueRange carried) {
    Values weights, next;
    for (Value column : columns)
      weights.push_back(o.weight(column, t.max(entry, zero)));
    for (auto [r, row] : llvm::enumerate(rows)) {
      Value a = t.toFloat(activationOrZero(o, row, entry), t.f32Type());
      for (size_t c = 0; c < columns.size(); ++c)
        next.push_back(t.fma(a, weights[c], carried[r * columns.size() + c]));
    }
    return next;
  };
  if (loop) {
    sums = loop(t, sums, add);
    return;
  }
  auto stateAt = [&](Value first) {
    Values state{first};
    for (int64_t i = 0; i < kAhead; ++i)
      state.push_back(o.entry(t.add(first, i)));
    return state;
  };
  Values state = stateAt(zero);
  llvm::append_range(state, sums);
  state = t.whileLoop(
      state, [&](ValueRange carried) { return t.lessEqual(zero, carried[1]); },
      [&](ValueRange carried) {
        Values next = stateAt(t.add(carried[0], kAhead)), totals = carried.drop_front(1 + kAhead);
        for (Value entry : carried.slice(1, kAhead))
          totals = add(entry, totals);
        llvm::append_range(next, totals);
        return next;
      });
  sums.assign(state.end() - sums.size(), state.end());
}

void addOutliers(const Outliers &o, ValueRange rows, ValueRange columns, Values &sums, const OutlierLoop &loop) {
  inUnits(o.t, sums, [&] { addOneByOne(o, rows, columns, sums, loop); });
}

static void addByTiles(const Outliers &o, const WeightPlace &place, ValueRange rows, Values &sums) {
  constexpr int64_t kDepth = 16, kPerRow = 2 * kTiles;
  Emitter &t = o.t;
  Type f16 = t.getF16Type();
  // The first of 16 decides for all lanes, the other four are the lane's own.
  auto stateAt = [&](Value first) {
    Values state{first, o.entry(first)};
    for (int64_t i : {0, 1, 8, 9})
      state.push_back(o.entry(t.add(t.add(first, t.mul(place.inGroup, 2)), i)));
    return state;
  };
  Values state = stateAt(t.i32(0));
  size_t numEntries = state.size();
  llvm::append_range(state, sums);
  state = t.whileLoop(
      state, [&](ValueRange carried) { return t.lessEqual(t.i32(0), carried[1]); },
      [&](ValueRange carried) {
        Values next = stateAt(t.add(carried[0], kDepth)), totals = carried.drop_front(numEntries);
        ValueRange entries = carried.slice(2, 4);
        SmallVector<Values> weights;
        for (Value entry : entries)
          weights.push_back(o.weights(place.block, place.quarter, t.max(entry, t.i32(0))));
        SmallVector<Values> right(kTiles);
        for (int64_t j = 0; j < kTiles; ++j)
          for (size_t i = 0; i < 4; i += 2)
            right[j].push_back(t.pack({t.toFloat(weights[i][j], f16), t.toFloat(weights[i + 1][j], f16)}));
        for (size_t r = 0; r < rows.size(); r += 2) {
          Values left;
          for (size_t i = 0; i < 4; ++i) {
            auto x = [&](size_t entry) { return activationOrZero(o, rows[r + i % 2], entries[i / 2 * 2 + entry]); };
            left.push_back(t.pack({x(0), x(1)}));
          }
          for (int64_t j = 0; j < kTiles; ++j) {
            // Of a row: the n-tiles' first sums, then their second ones.
            size_t at[] = {r * kPerRow + j, r * kPerRow + kTiles + j, (r + 1) * kPerRow + j,
                           (r + 1) * kPerRow + kTiles + j};
            Values c = t.mmaF16(left, right[j], {totals[at[0]], totals[at[1]], totals[at[2]], totals[at[3]]});
            for (size_t i = 0; i < 4; ++i)
              totals[at[i]] = c[i];
          }
        }
        llvm::append_range(next, totals);
        return next;
      });
  sums.assign(state.end() - sums.size(), state.end());
}

void addOutlierTiles(const Outliers &o, const WeightPlace &place, ValueRange rows, Values &sums) {
  inUnits(o.t, sums, [&] { addByTiles(o, place, rows, sums); });
}

} // namespace qopt::cuda
