//===- Attention.cpp - softmax(q k^T * scale + mask) v ---------------------===//
//
// One iteration is a block of queries of one head; it passes over the keys in
// blocks and keeps, per query, the largest score so far, the sum of exponentials
// and the weighted sum of values, rescaling them when the largest score grows
// (online softmax: Milakov & Gimelshein, arXiv 1805.02867; Dao et al., arXiv
// 2205.14135). No matrix of scores exists. A block of keys is transposed into
// scratch memory, so that scores of 16 keys are one vector and no lanes are summed.
//
// A masked score is the most negative finite number, a key beyond the last is
// minus infinity: a query that sees no key thus gets the mean of all values. With
// `causal`, blocks that no query of the block sees are skipped; they are visited
// after all where a query has seen nothing.
//
// With `in_order` GPUs do the same operation by operation where they can afford to
// (CUDA/Kernels/AttentionOrdered.cpp): who changes one changes both.
//
//===----------------------------------------------------------------------===//
#include "Tiles.h"
#include "llvm/Support/MathExtras.h"
#include <cfloat>
#include <cmath>

using namespace mlir;

namespace qopt::kernels {

namespace {

constexpr int64_t kQueries = 16; ///< queries of a block
constexpr int64_t kKeys = 32;    ///< keys of a block
constexpr int64_t kKeyVectors = kKeys / kLanes;

struct Attention {
  Kernel &k;
  Value q, keys, values, mask, past, y; ///< mask and past may be null; with past, keys and values are caches
  bool queryHeadsFirst, keyHeadsFirst, causal, offset;
  int64_t heads, keyHeads, headSize, valueSize;
  float scale, softcap;

  // Of the task.
  Value batch = {}, head = {}, keyHead = {}, firstQuery = {}, queries = {}, keyCount = {}, causalOffset = {};
  // Scratch: transposed keys [head size][keys], scores [queries][keys], mask values
  // [keys], weighted sums [queries][value size], and per query: maximum, sum, rescaling.
  Value transposed = {}, scores = {}, maskRow = {}, sums = {}, maxima = {}, totals = {}, factors = {};

  Values atQuery(Value query, Value i) const {
    return queryHeadsFirst ? Values{batch, head, query, i} : Values{batch, query, head, i};
  }
  Values atKey(Value key, Value i) const {
    return keyHeadsFirst ? Values{batch, keyHead, key, i} : Values{batch, key, keyHead, i};
  }
  Tiling tiling() const { return {{8, 4, 1}, kQueries, kKeyVectors, k.target.vnni512 ? 16 : 4}; }

  void emit();
  void task(Value index);
  Value loadPast();
  void allocateScratch();
  void keyBlock(Value firstKey);
  void transposeKeys(Value firstKey);
  void computeScores();
  void loadMaskRow(Value query, Value firstKey);
  Value maskedScores(Value query, Value row, Value firstKey, int64_t vector);
  void softmaxRow(Value row, Value firstKey);
  void addValues(Value firstKey);
  void finish();
};

/// Rows of 16 become columns: four rounds of interleaving rows i and i + 8. LLVM must take
/// the rounds as they are: looking through all four of them, it spent an eighth of the time
/// of a whole compilation on finding shuffles that were more and not fewer.
void transpose16(Kernel &k, Values &rows) {
  SmallVector<int64_t> low, high;
  for (int64_t i = 0; i < kLanes / 2; ++i) {
    low.append({i, kLanes + i});
    high.append({kLanes / 2 + i, kLanes + kLanes / 2 + i});
  }
  for (int64_t round = 1; round < kLanes; round *= 2) {
    Values next;
    for (int64_t i = 0; i < kLanes / 2; ++i) {
      next.push_back(k.shuffle(rows[i], rows[i + kLanes / 2], low));
      next.push_back(k.shuffle(rows[i], rows[i + kLanes / 2], high));
    }
    if (round < kLanes / 2)
      for (Value &row : next)
        row = k.fence(row);
    rows = next;
  }
}

void Attention::transposeKeys(Value firstKey) {
  Value last = k.sub(keyCount, k.index(1));
  k.forLoop(k.index(0), k.index(kKeys), kLanes, [&](Value group) {
    auto chunk = [&](Value column, int64_t valid) {
      Values rows;
      for (int64_t j = 0; j < kLanes; ++j) {
        Value key = k.minIndex(k.add(k.add(firstKey, group), k.index(j)), last);
        rows.push_back(k.loadVector(keys, atKey(key, column), valid));
      }
      transpose16(k, rows);
      for (int64_t d = 0; d < valid; ++d)
        k.storeVector(rows[d], transposed, {k.add(column, k.index(d)), group});
    };
    k.chunks(headSize, chunk);
  });
}

void Attention::computeScores() {
  Tiling t = tiling();
  k.tiles(k.index(0), queries, t.rowSizes, [&](Value row, int64_t rows) {
    int64_t span = t.blocks(rows);
    k.forLoop(k.index(0), k.index(kKeys), span * kLanes, [&](Value key) {
      auto left = [&](int64_t r, Value d) { return k.load(q, atQuery(k.add(firstQuery, k.add(row, k.index(r))), d)); };
      auto right = [&](int64_t b, Value d) { return k.loadVector(transposed, {d, k.add(key, k.index(b * kLanes))}); };
      Values zeros(rows * span, k.splat(0.0f));
      Values dots = multiplyTile(k, rows, span, k.index(0), k.index(headSize), zeros, left, right);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t b = 0; b < span; ++b)
          k.storeVector(dots[r * span + b], scores, {k.add(row, k.index(r)), k.add(key, k.index(b * kLanes))});
    });
  });
}

/// The mask of one query (or of all, where it does not depend on the query), as float:
/// booleans become 1 and 0.
void Attention::loadMaskRow(Value query, Value firstKey) {
  auto clamp = [&](Value i, int64_t dim) { return k.minIndex(i, k.sub(k.dim(mask, dim), k.index(1))); };
  Values where{clamp(batch, 0), clamp(head, 1), clamp(query, 2), Value()};
  k.forLoop(k.index(0), k.index(kKeys), 1, [&](Value i) {
    where[3] = clamp(k.add(firstKey, i), 3);
    Value value = k.load(mask, where);
    if (value.getType().isInteger(1))
      value = k.select(value, k.f32(1.0f), k.f32(0.0f));
    k.store(value, maskRow, {i});
  });
}

Value Attention::maskedScores(Value query, Value row, Value firstKey, int64_t vector) {
  Value lowest = k.splat(-FLT_MAX);
  Value s = k.mul(k.loadVector(scores, {row, k.index(vector * kLanes)}), k.splat(scale));
  if (softcap != 0.0f)
    s = k.mul(k.tanh(k.mul(s, k.splat(1.0f / softcap))), k.splat(softcap));
  if (mask) {
    Value m = k.loadVector(maskRow, {k.index(vector * kLanes)});
    bool boolean = cast<MemRefType>(mask.getType()).getElementType().isInteger(1);
    s = boolean ? k.select(k.equal(m, k.splat(0.0f)), lowest, s) : k.max(lowest, k.add(s, m));
  }
  SmallVector<int32_t> lanes = llvm::to_vector(llvm::seq<int32_t>(vector * kLanes, (vector + 1) * kLanes));
  Type i32 = k.getI32Type();
  Value position = arith::ConstantOp::create(k, DenseElementsAttr::get(k.vector(i32), ArrayRef<int32_t>(lanes)));
  auto beyond = [&](Value limit) {
    Value bound = arith::IndexCastOp::create(k, i32, k.sub(limit, firstKey));
    return Value(arith::CmpIOp::create(k, arith::CmpIPredicate::sge, position, k.broadcast(bound)));
  };
  if (causal)
    s = k.select(beyond(k.add(k.add(query, causalOffset), k.index(1))), lowest, s);
  return k.select(beyond(keyCount), k.splat(-INFINITY), s);
}

/// Scores of one query become exponentials; its maximum, total and rescaling follow.
void Attention::softmaxRow(Value row, Value firstKey) {
  Value query = k.add(firstQuery, row);
  if (mask && cast<MemRefType>(mask.getType()).getDimSize(2) != 1)
    loadMaskRow(query, firstKey);
  Values s;
  for (int64_t v = 0; v < kKeyVectors; ++v)
    s.push_back(maskedScores(query, row, firstKey, v));
  Value largest = s[0];
  for (Value v : ArrayRef(s).drop_front())
    largest = k.max(largest, v);
  Value before = k.load(maxima, {row});
  Value after = k.max(before, k.maxLanes(largest));
  Value after16 = k.broadcast(after), total;
  for (int64_t v = 0; v < kKeyVectors; ++v) {
    Value p = k.exp(k.sub(s[v], after16));
    k.storeVector(p, scores, {row, k.index(v * kLanes)});
    total = total ? k.add(total, p) : p;
  }
  Value factor = k.exp(k.sub(k.broadcast(before), after16));
  factor = vector::ExtractOp::create(k, factor, ArrayRef<int64_t>{0});
  k.store(after, maxima, {row});
  k.store(factor, factors, {row});
  k.store(k.add(k.mul(k.load(totals, {row}), factor), k.sumLanes(total)), totals, {row});
}

void Attention::addValues(Value firstKey) {
  Tiling t = tiling();
  Value count = k.minIndex(k.sub(keyCount, firstKey), k.index(kKeys));
  int64_t vectors = llvm::divideCeil(valueSize, kLanes);
  k.tiles(k.index(0), queries, t.rowSizes, [&](Value row, int64_t rows) {
    auto group = [&](Value first, int64_t span, int64_t lastValid) {
      auto column = [&](int64_t b) { return k.mul(k.add(first, k.index(b)), k.index(kLanes)); };
      Values initial;
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t b = 0; b < span; ++b) {
          Value at = k.add(row, k.index(r));
          initial.push_back(k.mul(k.loadVector(sums, {at, column(b)}), k.broadcast(k.load(factors, {at}))));
        }
      auto left = [&](int64_t r, Value i) { return k.load(scores, {k.add(row, k.index(r)), i}); };
      auto right = [&](int64_t b, Value i) {
        return k.loadVector(values, atKey(k.add(firstKey, i), column(b)), b + 1 == span ? lastValid : kLanes);
      };
      Values result = multiplyTile(k, rows, span, k.index(0), count, initial, left, right);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t b = 0; b < span; ++b)
          k.storeVector(result[r * span + b], sums, {k.add(row, k.index(r)), column(b)});
    };
    int64_t span = t.blocks(rows);
    int64_t full = valueSize / kLanes / span * span;
    if (full)
      k.forLoop(k.index(0), k.index(full), span, [&](Value first) { group(first, span, kLanes); });
    for (int64_t first = full; first < vectors; first += span) {
      int64_t here = std::min(span, vectors - first);
      int64_t valid = std::min(valueSize - (first + here - 1) * kLanes, kLanes);
      group(k.index(first), here, valid);
    }
  });
}

void Attention::keyBlock(Value firstKey) {
  transposeKeys(firstKey);
  computeScores();
  if (mask && cast<MemRefType>(mask.getType()).getDimSize(2) == 1)
    loadMaskRow(k.index(0), firstKey);
  k.forLoop(k.index(0), queries, 1, [&](Value row) { softmaxRow(row, firstKey); });
  addValues(firstKey);
}

void Attention::allocateScratch() {
  Type f32 = k.getF32Type();
  int64_t padded = llvm::alignTo(valueSize, kLanes);
  transposed = k.scratch({headSize, kKeys}, f32);
  scores = k.scratch({kQueries, kKeys}, f32);
  maskRow = k.scratch({kKeys}, f32);
  sums = k.scratch({kQueries, padded}, f32);
  maxima = k.scratch({kQueries}, f32);
  totals = k.scratch({kQueries}, f32);
  factors = k.scratch({kQueries}, f32);
  k.storeVector(k.splat(-FLT_MAX), maxima, {k.index(0)});
  k.storeVector(k.splat(0.0f), totals, {k.index(0)});
  k.forLoop(k.index(0), k.index(kQueries), 1, [&](Value row) {
    k.forLoop(k.index(0), k.index(padded), kLanes, [&](Value i) { k.storeVector(k.splat(0.0f), sums, {row, i}); });
  });
}

void Attention::finish() {
  k.forLoop(k.index(0), queries, 1, [&](Value row) {
    Value total = k.broadcast(k.load(totals, {row}));
    Value query = k.add(firstQuery, row);
    auto divide = [&](Value i, int64_t valid) {
      Value mean = arith::DivFOp::create(k, k.loadVector(sums, {row, i}), total);
      k.storeVector(mean, y, atQuery(query, i), valid);
    };
    k.chunks(valueSize, divide);
  });
}

void Attention::task(Value index) {
  Value queryCount = k.dim(q, queryHeadsFirst ? 2 : 1);
  keyCount = k.dim(keys, keyHeadsFirst ? 2 : 1);
  if (past) // what is beyond the capacity was not appended
    keyCount = k.minIndex(k.add(loadPast(), queryCount), keyCount);
  Value blocks = k.ceilDiv(queryCount, kQueries);
  firstQuery = k.mul(k.rem(index, blocks), k.index(kQueries));
  queries = k.minIndex(k.sub(queryCount, firstQuery), k.index(kQueries));
  Value outer = k.div(index, blocks);
  head = k.rem(outer, heads);
  batch = k.div(outer, heads);
  keyHead = k.div(head, heads / keyHeads);
  causalOffset = offset ? k.sub(keyCount, queryCount) : k.index(0);
  allocateScratch();
  if (!causal) {
    k.forLoop(k.index(0), keyCount, kKeys, [&](Value firstKey) { keyBlock(firstKey); });
    return finish();
  }
  // Round 0: the blocks that the last query of the block sees. Round 1: the others,
  // if some query has seen no key at all.
  Value seen = k.add(k.add(firstQuery, queries), causalOffset);
  Value visible = k.mul(k.ceilDiv(k.minIndex(seen, keyCount), kKeys), k.index(kKeys));
  k.forLoop(k.index(0), k.index(2), 1, [&](Value round) {
    Value isFirst = k.equal(round, k.index(0));
    // Unused maxima are the lowest, too: look at this block's queries only.
    Value highest = k.forLoop(k.index(0), queries, 1, {k.f32(FLT_MAX)}, [&](Value row, ValueRange lowest) {
      return Values{k.min(lowest[0], k.load(maxima, {row}))};
    })[0];
    Value blind = k.equal(highest, k.f32(-FLT_MAX));
    Value begin = k.select(isFirst, k.index(0), visible);
    Value end = k.select(isFirst, visible, k.select(blind, keyCount, k.index(0)));
    k.forLoop(begin, end, kKeys, [&](Value firstKey) { keyBlock(firstKey); });
  });
  finish();
}

Value Attention::loadPast() {
  Value given = arith::IndexCastOp::create(k, k.getIndexType(), k.load(past, {k.index(0)}));
  return arith::MaxSIOp::create(k, arith::MinSIOp::create(k, given, k.dim(keys, 2)), k.index(0));
}

void Attention::emit() {
  Value blocks = k.ceilDiv(k.dim(q, queryHeadsFirst ? 2 : 1), kQueries);
  k.parallel(k.mul(k.mul(k.dim(q, 0), k.index(heads)), blocks), /*grain=*/1, [&](Value i) { task(i); });
}

/// What both operations say: attention to all keys, heads behind tokens.
template <typename Op>
Attention describe(Kernel &k, Op op) {
  return {.k = k,
          .q = op.getQ(),
          .keys = op.getKeys(),
          .values = op.getValues(),
          .mask = {},
          .past = {},
          .y = op.getY(),
          .queryHeadsFirst = false,
          .keyHeadsFirst = false,
          .causal = false,
          .offset = false,
          .heads = op.heads(),
          .keyHeads = op.keyHeads(),
          .headSize = op.headSize(),
          .valueSize = op.valueSize(),
          .scale = op.scaleFactor(),
          .softcap = op.softcapLimit()};
}

} // namespace

void emit(Kernel &k, kernel::AttentionOp op) {
  Attention attention = describe(k, op);
  attention.mask = op.getMask();
  attention.queryHeadsFirst = op.getQHeadsFirst();
  attention.keyHeadsFirst = op.getKvHeadsFirst();
  attention.causal = op.getCausal();
  attention.offset = op.getOffset();
  attention.emit();
}

void emit(Kernel &k, kernel::CachedAttentionOp op) {
  Attention attention = describe(k, op);
  attention.past = op.getPast();
  attention.keyHeadsFirst = attention.causal = attention.offset = true;
  attention.emit();
}

} // namespace qopt::kernels
