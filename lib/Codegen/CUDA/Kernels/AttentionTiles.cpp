//===- AttentionTiles.cpp - Attention of many queries ----------------------===//
//
// FlashAttention-2 (Dao, arXiv 2307.08691): a block has 64 queries of one head, a
// warp 16 of them. It passes over the keys in tiles; per query it keeps the largest
// score so far, the sum of exponentials and the weighted sum of values, rescaled when
// the largest score grows. Both products are m16n8k16 of f16 with f32 sums; the
// exponentials of a warp's scores lie in the registers where the second product wants
// its left operand.
//
// The result may be rounded to int8 codes next, and codes are those of the CPU only if
// it is as exact as f32. So each f32 is the sum of two f16, x = high + low, and a product
// is high high + high low + low high: three mma, and what is left out is below 2^-22.
//
// Keys and values are split on their way into shared memory. They wait in registers
// for half a step: values are requested before the first product and stored after
// it, the next keys before the second one. Rows in shared memory are 16 bytes longer
// than a multiple of 32 bytes, so that ldmatrix meets no bank twice.
//
// With `causal`, tiles that no query of the block sees are skipped; they are visited
// after all (round 1) where a query has seen nothing.
//
//===----------------------------------------------------------------------===//
#include "Attention.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kWarps = 4, kThreads = kWarps * kWarp;
constexpr int64_t kRows = 16, kQueries = kWarps * kRows; ///< queries of a warp, of a block

/// Sizes of keys or values of a tile. In shared memory the low halves follow the high ones.
struct Staging {
  int64_t size, tileKeys;
  int64_t padded() const { return llvm::alignTo(size, 16); }
  int64_t rowHalves() const { return padded() + 8; }
  int64_t halves() const { return tileKeys * rowHalves(); }
  int64_t bytes() const { return 2 * halves() * 2; }
  // Loads of `lanes` floats, `rounds` per thread, of one column each: then addresses
  // of a thread's loads differ by constants, and need no registers of their own.
  int64_t lanes() const { return Emitter::lanesOf(size, 4); }
  int64_t pieces() const { return size / lanes(); }
  int64_t threadsOfKey() const { return std::max<int64_t>(llvm::PowerOf2Ceil(pieces()), kThreads / tileKeys); }
  int64_t keysOfRound() const { return kThreads / threadsOfKey(); }
  int64_t rounds() const { return tileKeys / keysOfRound(); }
};

/// 64 keys where a thread can hold its part of them in 32 registers, and their places: a
/// row that is not read in whole pieces needs one for each number.
int64_t tileKeys(const AttentionForm &form) {
  bool isEven = Emitter::lanesOf(form.headSize, 4) == 4 && Emitter::lanesOf(form.valueSize, 4) == 4;
  return isEven && std::max(form.headSize, form.valueSize) <= 64 ? 64 : 32;
}

/// f32 as the sum of two f16: vectors, or registers of the tensor cores.
template <typename T>
struct Split {
  T high, low;
};

struct Tiles : AttentionThread {
  Tiles(Emitter &t, const AttentionForm &form, ValueRange args)
      : AttentionThread(t, form, args), keyTile{form.headSize, tileKeys(form)},
        valueTile{form.valueSize, tileKeys(form)}, f16(t.getF16Type()) {}

  Staging keyTile, valueTile;
  Type f16;
  // Of the block, the warp, and the lane: g = lane / 4 is a row, t = lane % 4 a pair of
  // columns. Two rows per lane: queries [g] and [g + 8].
  Value batch, head, firstQuery, thread, lane, pair;
  Value queries[2], limits[2], maskRows[2], warpLimit;
  Value keyBase, valueBase, keyShared, valueShared, keyMatrix, valueMatrix;
  SmallVector<Split<Values>> queryFragments; ///< per 16 elements of a head
  // The state of the softmax, in the order of loop-carried values: per row the maximum
  // and this lane's part of the sum, then 4 sums of values per 8 columns.
  static constexpr unsigned kMaximum = 0, kSum = 2, kOutput = 4;
  int64_t outputTiles() const { return valueTile.padded() / 8; }

  void run();
  Value element(Value row, Value column, int64_t end);
  Split<Value> split(Value floats);
  Split<Value> queryPair(Value row, int64_t column);
  void loadQueries();
  Values loadTile(const Staging &s, Value base, Value firstKey);
  void storeTile(const Staging &s, Value shared, ValueRange pieces);
  void clearPadding(const Staging &s, Value shared);
  void multiply(const Split<Values> &left, const Staging &s, Value matrix, int64_t at, bool transposed, Value *sums);
  Values products();
  void addValues(ValueRange weights, Values &state);
  Values softmax(Values scores, Value firstKey, Values &state);
  Values visit(Value begin, Value end, ValueRange state);
  void finish(ValueRange state);
};

/// q[row][column], 0 beyond the head.
Value Tiles::element(Value row, Value column, int64_t end) {
  Value isInside = t.less(column, end);
  Value loaded = t.load(f32(), t.at(row, f32(), t.select(isInside, column, t.i32(0))));
  return t.select(isInside, loaded, t.f32(0));
}

Split<Value> Tiles::split(Value floats) {
  auto type = dyn_cast<VectorType>(floats.getType());
  Type halves = t.vector(f16, type ? type.getNumElements() : 1);
  Value high = t.toFloat(floats, halves);
  return {high, t.toFloat(t.sub(floats, t.toFloat(high, floats.getType())), halves)};
}

/// Two neighbours of a query from column + 2 (lane % 4) on, scaled.
Split<Value> Tiles::queryPair(Value row, int64_t column) {
  Value at = t.add(pair, column), two;
  if (form.headSize % 2 == 0 && column + 8 <= form.headSize)
    two = t.load(t.vector(f32(), 2), t.at(row, f32(), at));
  else
    two = t.pack({element(row, at, form.headSize), element(row, t.add(at, 1), form.headSize)});
  return split(t.mul(two, t.broadcast(t.f32(queryFactor()), 2)));
}

void Tiles::loadQueries() {
  Value rows[2];
  for (int r = 0; r < 2; ++r)
    rows[r] = queryRow(q, form.headSize, batch, head, t.min(queries[r], t.sub(queryCount, 1)));
  for (int64_t column = 0; column < keyTile.padded(); column += 16) {
    Split<Values> &fragment = queryFragments.emplace_back();
    for (int i = 0; i < 4; ++i) {
      Split<Value> two = queryPair(rows[i % 2], column + i / 2 * 8);
      fragment.high.push_back(two.high);
      fragment.low.push_back(two.low);
    }
  }
}

/// Keys beyond the last one repeat it: their weights are 0.
Values Tiles::loadTile(const Staging &s, Value base, Value firstKey) {
  Type piece = t.vector(f32(), s.lanes());
  Value column = t.min(t.rem(thread, s.threadsOfKey()), t.i32(s.pieces() - 1)), last = t.sub(keyCount, 1);
  Value firstOfThread = t.add(firstKey, t.div(thread, s.threadsOfKey()));
  Values pieces;
  for (int64_t i = 0; i < s.rounds(); ++i) {
    Value key = t.min(t.add(firstOfThread, i * s.keysOfRound()), last);
    pieces.push_back(t.load(piece, t.at(t.row(base, f32(), key, keyStride(s.size)), piece, column)));
  }
  return pieces;
}

void Tiles::storeTile(const Staging &s, Value shared, ValueRange pieces) {
  Value column = t.rem(thread, s.threadsOfKey()), key = t.div(thread, s.threadsOfKey());
  Value first = t.at(shared, f16, t.add(t.mul(key, s.rowHalves()), t.mul(column, s.lanes())));
  auto store = [&] {
    for (int64_t i = 0; i < s.rounds(); ++i) {
      Value place = t.at(first, f16, i * s.keysOfRound() * s.rowHalves());
      Split<Value> halves = split(pieces[i]);
      t.store(halves.high, place);
      t.store(halves.low, t.at(place, f16, s.halves()));
    }
  };
  if (s.pieces() == s.threadsOfKey())
    store();
  else
    t.ifThen(t.less(column, s.pieces()), store);
}

/// Columns from the size on take part in products: they must be numbers.
void Tiles::clearPadding(const Staging &s, Value shared) {
  int64_t width = s.padded() - s.size;
  if (!width)
    return;
  t.forLoop(thread, t.i32(2 * s.tileKeys * width), kThreads, [&](Value i) {
    Value row = t.at(shared, f16, t.mul(t.div(i, width), s.rowHalves()));
    t.store(t.splat(f16, 0.0), t.at(row, f16, t.add(t.rem(i, width), s.size)));
  });
}

/// Adds to 2 x 4 sums the product of `left` and 16 columns (of keys or of values), whose
/// matrices begin `at` halves from `matrix` on.
void Tiles::multiply(const Split<Values> &left, const Staging &s, Value matrix, int64_t at, bool transposed,
                     Value *sums) {
  auto load = [&](int64_t offset) {
    Values loaded = t.loadMatrices(t.at(matrix, f16, at + offset), 4, transposed);
    for (Value &two : loaded)
      two = t.bitcast(two, t.vector(f16, 2));
    return loaded;
  };
  Split<Values> right{load(0), load(s.halves())};
  for (int64_t n = 0; n < 2; ++n) {
    auto add = [&](ValueRange a, ValueRange b) {
      llvm::copy(t.mmaF16(a, b.slice(2 * n, 2), ArrayRef(sums + 4 * n, 4)), sums + 4 * n);
    };
    add(left.high, right.low);
    add(left.low, right.high);
    add(left.high, right.high);
  }
}

/// Scores of the warp's queries and a tile's keys: 4 per 8 keys.
Values Tiles::products() {
  Values scores(keyTile.tileKeys / 2, t.f32(0));
  for (auto [step, left] : llvm::enumerate(queryFragments))
    for (int64_t keys = 0; keys < keyTile.tileKeys; keys += 16)
      multiply(left, keyTile, keyMatrix, keys * keyTile.rowHalves() + 16 * step, /*transposed=*/false,
               &scores[keys / 2]);
  return scores;
}

void Tiles::addValues(ValueRange weights, Values &state) {
  for (int64_t keys = 0; keys < valueTile.tileKeys; keys += 16) {
    Split<Values> left;
    for (int64_t i = 0; i < 4; ++i) {
      int64_t first = keys / 2 + 2 * i;
      Split<Value> two = split(t.pack({weights[first], weights[first + 1]}));
      left.high.push_back(two.high);
      left.low.push_back(two.low);
    }
    for (int64_t column = 0; column < valueTile.padded(); column += 16)
      multiply(left, valueTile, valueMatrix, keys * valueTile.rowHalves() + column, /*transposed=*/true,
               &state[kOutput + column / 2]);
  }
}

/// Scores become weights; the state is rescaled.
Values Tiles::softmax(Values scores, Value firstKey, Values &state) {
  auto keyOf = [&](size_t i) { return t.add(t.add(firstKey, pair), 8 * (i / 4) + i % 2); };
  for (auto [i, s] : llvm::enumerate(scores))
    s = score(s, maskRows[i / 2 % 2], keyOf(i));
  // Only tiles at an edge look at each key.
  Value isEdge = form.window ? t.boolean(true) : t.less(warpLimit, t.add(firstKey, keyTile.tileKeys));
  scores = t.ifElse(
      isEdge,
      [&] {
        Values hidden;
        for (auto [i, s] : llvm::enumerate(scores))
          hidden.push_back(hide(s, keyOf(i), limits[i / 2 % 2]));
        return hidden;
      },
      [&] { return scores; });
  Value factors[2], maxima[2];
  for (unsigned r = 0; r < 2; ++r) {
    Value largest = state[kMaximum + r];
    for (size_t i = 0; i < scores.size(); ++i)
      if (i / 2 % 2 == r)
        largest = larger(largest, scores[i]);
    maxima[r] = t.warpMax(largest, 4);
    factors[r] = t.exp2Approx(t.sub(state[kMaximum + r], maxima[r]));
    state[kMaximum + r] = maxima[r];
    state[kSum + r] = t.mul(state[kSum + r], factors[r]);
  }
  for (auto [i, s] : llvm::enumerate(scores)) {
    s = t.exp2Approx(t.sub(s, maxima[i / 2 % 2]));
    state[kSum + i / 2 % 2] = t.add(state[kSum + i / 2 % 2], s);
  }
  for (size_t i = kOutput; i < state.size(); ++i)
    state[i] = t.mul(state[i], factors[i / 2 % 2]);
  return scores;
}

/// Keys [begin, end); all threads of the block.
Values Tiles::visit(Value begin, Value end, ValueRange initial) {
  t.ifThen(t.less(begin, end), [&] { storeTile(keyTile, keyShared, loadTile(keyTile, keyBase, begin)); });
  return t.forLoop(begin, end, keyTile.tileKeys, initial, [&](Value firstKey, ValueRange carried) {
    Values state = llvm::to_vector(carried);
    Values loaded = loadTile(valueTile, valueBase, firstKey);
    t.barrier(); // keys are there, the values before are used
    Values weights = softmax(products(), firstKey, state);
    storeTile(valueTile, valueShared, loaded);
    loaded = loadTile(keyTile, keyBase, t.add(firstKey, keyTile.tileKeys));
    t.barrier(); // values are there, the keys are used
    addValues(weights, state);
    storeTile(keyTile, keyShared, loaded);
    return state;
  });
}

void Tiles::finish(ValueRange state) {
  for (unsigned r = 0; r < 2; ++r) {
    Value factor = t.div(t.f32(1), t.warpSum(state[kSum + r], 4));
    t.ifThen(t.less(queries[r], queryCount), [&] {
      Value row = queryRow(y, form.valueSize, batch, head, queries[r]);
      for (int64_t column = 0; column < form.valueSize; column += 8) {
        Value at = t.add(pair, column), values[2];
        for (int i = 0; i < 2; ++i)
          values[i] = t.mul(state[kOutput + column / 2 + 2 * r + i], factor);
        if (form.valueSize % 2 == 0 && column + 8 <= form.valueSize) {
          t.store(t.pack(values), t.at(row, f32(), at));
          continue;
        }
        for (int i = 0; i < 2; ++i)
          t.ifThen(t.less(t.add(at, i), form.valueSize), [&] { t.store(values[i], t.at(row, f32(), t.add(at, i))); });
      }
    });
  }
}

void Tiles::run() {
  Value tile = t.block(0);
  if (form.causal) // the longest ones first
    tile = t.sub(t.div(t.sub(queryCount, 1), kQueries), tile);
  head = t.block(1);
  batch = t.block(2);
  thread = t.thread();
  lane = t.lane();
  pair = t.mul(t.bitAnd(lane, 3), 2);
  firstQuery = t.mul(tile, kQueries);
  Value firstOfWarp = t.add(firstQuery, t.mul(t.warp(), kRows));
  for (int r = 0; r < 2; ++r) {
    queries[r] = t.add(t.add(firstOfWarp, t.shiftRight(lane, 2)), 8 * r);
    limits[r] = limit(queries[r]);
    maskRows[r] = maskRow(batch, head, t.min(queries[r], t.sub(queryCount, 1)));
  }
  warpLimit = form.causal ? t.min(limit(firstOfWarp), keyCount) : keyCount;
  Value keyHead = t.div(head, form.group());
  keyBase = keyRows(keys, form.headSize, batch, keyHead);
  valueBase = keyRows(values, form.valueSize, batch, keyHead);
  keyShared = t.shared(kFlagBytes);
  valueShared = t.shared(kFlagBytes + keyTile.bytes());
  // Rows of the four matrices of a ldmatrix. Keys: 8 keys x 8 columns, the next columns,
  // then both for the next 8 keys; values: the next keys come before the next columns.
  Value low = t.bitAnd(lane, 7), third = t.bitAnd(t.shiftRight(lane, 3), 1), fourth = t.shiftRight(lane, 4);
  auto matrix = [&](const Staging &s, Value shared, Value rowBit, Value columnBit) {
    Value row = t.add(low, t.mul(rowBit, 8));
    return t.at(shared, f16, t.add(t.mul(row, s.rowHalves()), t.mul(columnBit, 8)));
  };
  keyMatrix = matrix(keyTile, keyShared, fourth, third);
  valueMatrix = matrix(valueTile, valueShared, third, fourth);
  clearPadding(keyTile, keyShared);
  clearPadding(valueTile, valueShared);
  loadQueries();

  Values state{lowest(), lowest(), t.f32(0), t.f32(0)};
  if (sinks) { // lanes of a row have parts of its sum
    state[kMaximum] = state[kMaximum + 1] = sink(head);
    state[kSum] = state[kSum + 1] = t.select(t.equal(pair, 0), t.f32(1), t.f32(0));
  }
  state.append(4 * outputTiles(), t.f32(0));
  if (!form.causal)
    return finish(visit(t.i32(0), keyCount, state));
  Value seen = visible(limit(t.min(t.add(firstQuery, kQueries - 1), t.sub(queryCount, 1))));
  Value end = t.mul(t.div(t.add(seen, keyTile.tileKeys - 1), keyTile.tileKeys), keyTile.tileKeys);
  finish(visitInRounds(
      end, state, [&](Value begin, Value last, ValueRange carried) { return visit(begin, last, carried); },
      [&](Value round, ValueRange carried) {
        return someoneIsBlind(round, queries, carried.slice(kMaximum, 2), kWarps);
      }));
}

} // namespace

void launchAttentionTiles(Kernel &k, const AttentionForm &form) {
  Staging keys{form.headSize, tileKeys(form)}, values{form.valueSize, tileKeys(form)};
  Value tiles = k.ceilDiv(k.dim(form.q, form.queryDim()), kQueries);
  k.launch({.grid = {tiles, k.i64(form.heads), k.dim(form.q, 0)},
            .threads = kThreads,
            .sharedBytes = AttentionThread::kFlagBytes + keys.bytes() + values.bytes(),
            .suffix = "_tiles"},
           attentionArguments(k, form), [&](Emitter &t, ValueRange args) { Tiles(t, form, args).run(); });
}

} // namespace qopt::cuda
