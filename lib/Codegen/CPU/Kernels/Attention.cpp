//===- Attention.cpp - softmax(q k^T * scale + mask) v ---------------------===//
//
// One iteration is a block of queries of all heads that share keys and values: each pair
// of a query and a head is a row. It passes over the keys in blocks and keeps, per row,
// the largest score so far, the sum of exponentials and the weighted sum of values,
// rescaling them when the largest score grows (online softmax: Milakov & Gimelshein,
// arXiv 1805.02867; Dao et al., arXiv 2205.14135). No matrix of scores exists. A block of
// keys is transposed into scratch memory, so that scores of 16 keys are one vector and no
// lanes are summed; a block of values is copied beside it. There both are f32, whatever
// the cache holds, and all rows read them from the nearest cache.
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

constexpr int64_t kRows = 32; ///< rows of a block where heads are few
constexpr int64_t kKeys = 32; ///< keys of a block
constexpr int64_t kKeyVectors = kKeys / kLanes;
constexpr int64_t kFewRows = 4; ///< more rows than these are padded to multiples of it

struct Attention {
  Kernel &k;
  Value q, keys, values, mask, past, y; ///< mask and past may be null; with past, keys and values are caches
  bool queryHeadsFirst, keyHeadsFirst, causal, offset;
  int64_t heads, keyHeads, headSize, valueSize;
  float scale, softcap;

  // Of the task: queries, and rows, which are (query, head) with the heads of a query side by side.
  Value batch = {}, keyHead = {}, firstQuery = {}, queries = {}, rows = {}, paddedRows = {};
  Value keyCount = {}, causalOffset = {};
  // Scratch: queries [rows][head size], transposed keys [head size][keys], values
  // [keys][value size], scores [rows][keys], what is reduced to one number of each row
  // [rows][16], mask values [keys], weighted sums [rows][value size], and per row: maximum,
  // sum, rescaling.
  Value rowQueries = {}, transposed = {}, valueBlock = {}, scores = {}, partial = {}, maskRow = {}, sums = {};
  Value maxima = {}, totals = {}, factors = {};

  int64_t groupHeads() const { return heads / keyHeads; }
  int64_t taskQueries() const { return std::max<int64_t>(kRows / groupHeads(), 1); }
  int64_t taskRows() const { return llvm::alignTo(taskQueries() * groupHeads(), kLanes); }
  int64_t paddedValues() const { return llvm::alignTo(valueSize, kLanes); }
  Value queryOf(Value row) const { return k.add(firstQuery, k.div(row, groupHeads())); }
  Value headOf(Value row) const { return k.add(k.mul(keyHead, k.index(groupHeads())), k.rem(row, groupHeads())); }
  Values atRow(Value row, Value i) const {
    Value query = queryOf(row), head = headOf(row);
    return queryHeadsFirst ? Values{batch, head, query, i} : Values{batch, query, head, i};
  }
  Values atKey(Value key, Value i) const {
    return keyHeadsFirst ? Values{batch, keyHead, key, i} : Values{batch, key, keyHead, i};
  }
  Tiling tiling(int64_t blocks) const {
    return k.target.vnni512 ? Tiling{{8, kFewRows, 1}, /*taskRows=*/0, blocks, /*accumulators=*/16}
                            : Tiling{{kFewRows, 1}, /*taskRows=*/0, blocks, /*accumulators=*/4};
  }
  /// A mask that is the same for all rows.
  bool isMaskShared() const {
    auto type = cast<MemRefType>(mask.getType());
    return type.getDimSize(1) == 1 && type.getDimSize(2) == 1;
  }

  void emit();
  void task(Value index);
  Value loadPast();
  void allocateScratch();
  void loadQueries();
  Value loadFloats(Value from, Value key, Value column, int64_t valid);
  void keyBlock(Value firstKey);
  void transposeKeys(Value firstKey);
  void loadValues(Value firstKey, Value count);
  void computeScores();
  void loadMaskRow(Value row, Value firstKey);
  Value maskedScores(Value row, Value firstKey, int64_t vector);
  Value reducePartial(Value firstRow, function_ref<Value(Value, Value)> combine);
  void softmax(Value firstKey);
  void addValues(Value count);
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

//===----------------------------------------------------------------------===//
// What a block reads
//===----------------------------------------------------------------------===//

/// Elements of a key or value, as f32. What the next block needs is on its way then: a block
/// is too short for the processor to see by itself what comes.
Value Attention::loadFloats(Value from, Value key, Value column, int64_t valid) {
  Value last = k.sub(keyCount, k.index(1));
  k.prefetch(from, atKey(k.minIndex(k.add(key, k.index(kKeys)), last), column));
  Value loaded = k.loadVector(from, atKey(key, column), valid);
  VectorType f32 = k.vector(k.getF32Type());
  return loaded.getType() == f32 ? loaded : Value(arith::ExtFOp::create(k, f32, loaded));
}

/// Rows beyond the last are zeros.
void Attention::loadQueries() {
  k.forLoop(k.index(0), rows, 1, [&](Value row) {
    k.chunks(headSize, [&](Value i, int64_t valid) {
      k.storeVector(k.loadVector(q, atRow(row, i), valid), rowQueries, {row, i}, valid);
    });
  });
  k.forLoop(rows, paddedRows, 1, [&](Value row) {
    k.chunks(headSize, [&](Value i, int64_t valid) { k.storeVector(k.splat(0.0f), rowQueries, {row, i}, valid); });
  });
}

void Attention::transposeKeys(Value firstKey) {
  Value last = k.sub(keyCount, k.index(1));
  k.forLoop(k.index(0), k.index(kKeys), kLanes, [&](Value group) {
    auto chunk = [&](Value column, int64_t valid) {
      Values found;
      for (int64_t j = 0; j < kLanes; ++j) {
        Value key = k.minIndex(k.add(k.add(firstKey, group), k.index(j)), last);
        found.push_back(loadFloats(keys, key, column, valid));
      }
      transpose16(k, found);
      for (int64_t d = 0; d < valid; ++d)
        k.storeVector(found[d], transposed, {k.add(column, k.index(d)), group});
    };
    k.chunks(headSize, chunk);
  });
}

void Attention::loadValues(Value firstKey, Value count) {
  k.forLoop(k.index(0), count, 1, [&](Value i) {
    k.chunks(valueSize, [&](Value column, int64_t valid) {
      k.storeVector(loadFloats(values, k.add(firstKey, i), column, valid), valueBlock, {i, column});
    });
  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

void Attention::computeScores() {
  Tiling t = tiling(kKeyVectors);
  k.tiles(k.index(0), paddedRows, t.rowSizes, [&](Value row, int64_t count) {
    int64_t span = t.blocks(count);
    k.forLoop(k.index(0), k.index(kKeys), span * kLanes, [&](Value key) {
      auto left = [&](int64_t r, Value d) { return k.load(rowQueries, {k.add(row, k.index(r)), d}); };
      auto right = [&](int64_t b, Value d) { return k.loadVector(transposed, {d, k.add(key, k.index(b * kLanes))}); };
      Values zeros(count * span, k.splat(0.0f));
      Values dots = multiplyTile(k, count, span, k.index(0), k.index(headSize), zeros, left, right);
      for (int64_t r = 0; r < count; ++r)
        for (int64_t b = 0; b < span; ++b)
          k.storeVector(dots[r * span + b], scores, {k.add(row, k.index(r)), k.add(key, k.index(b * kLanes))});
    });
  });
}

/// The mask of one row (or of all, where it does not depend on the row), as float:
/// booleans become 1 and 0.
void Attention::loadMaskRow(Value row, Value firstKey) {
  auto clamp = [&](Value i, int64_t dim) { return k.minIndex(i, k.sub(k.dim(mask, dim), k.index(1))); };
  Values where{clamp(batch, 0), clamp(headOf(row), 1), clamp(queryOf(row), 2), Value()};
  k.forLoop(k.index(0), k.index(kKeys), 1, [&](Value i) {
    where[3] = clamp(k.add(firstKey, i), 3);
    Value value = k.load(mask, where);
    if (value.getType().isInteger(1))
      value = k.select(value, k.f32(1.0f), k.f32(0.0f));
    k.store(value, maskRow, {i});
  });
}

Value Attention::maskedScores(Value row, Value firstKey, int64_t vector) {
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
    s = k.select(beyond(k.add(k.add(queryOf(row), causalOffset), k.index(1))), lowest, s);
  return k.select(beyond(keyCount), k.splat(-INFINITY), s);
}

/// Of 16 rows of `partial` the combined lanes, one row per lane, in the order of
/// Emitter::sumLanes: halves of all rows are combined at once, two rows to a vector, then
/// four.
Value Attention::reducePartial(Value firstRow, function_ref<Value(Value, Value)> combine) {
  Values found;
  for (int64_t r = 0; r < kLanes; ++r)
    found.push_back(k.loadVector(partial, {k.add(firstRow, k.index(r)), k.index(0)}));
  for (int64_t half = kLanes / 2; half; half /= 2) {
    SmallVector<int64_t> low, high; // of the rows in the first vector, then of those in the second
    for (int64_t first = 0; first < 2 * kLanes; first += 2 * half)
      for (int64_t i = 0; i < half; ++i)
        low.push_back(first + i), high.push_back(first + half + i);
    Values next;
    for (size_t i = 0; i < found.size(); i += 2)
      next.push_back(combine(k.shuffle(found[i], found[i + 1], low), k.shuffle(found[i], found[i + 1], high)));
    found = next;
  }
  return found[0];
}

/// Scores become exponentials; maxima, totals and rescalings follow, of 16 rows at a time.
void Attention::softmax(Value firstKey) {
  auto at = [&](Value row, int64_t vector) { return Values{row, k.index(vector * kLanes)}; };
  k.forLoop(k.index(0), rows, 1, [&](Value row) {
    if (mask && !isMaskShared())
      loadMaskRow(row, firstKey);
    Value largest;
    for (int64_t v = 0; v < kKeyVectors; ++v) {
      Value s = maskedScores(row, firstKey, v);
      k.storeVector(s, scores, at(row, v));
      largest = largest ? k.max(largest, s) : s;
    }
    k.storeVector(largest, partial, {row, k.index(0)});
  });
  k.forLoop(k.index(0), rows, kLanes, [&](Value first) {
    Value before = k.loadVector(maxima, {first});
    Value after = k.max(before, reducePartial(first, [&](Value a, Value b) { return k.max(a, b); }));
    k.storeVector(after, maxima, {first});
    k.storeVector(k.exp(k.sub(before, after)), factors, {first});
  });
  k.forLoop(k.index(0), rows, 1, [&](Value row) {
    Value largest = k.broadcast(k.load(maxima, {row})), total;
    for (int64_t v = 0; v < kKeyVectors; ++v) {
      Value p = k.exp(k.sub(k.loadVector(scores, at(row, v)), largest));
      k.storeVector(p, scores, at(row, v));
      total = total ? k.add(total, p) : p;
    }
    k.storeVector(total, partial, {row, k.index(0)});
  });
  k.forLoop(k.index(0), rows, kLanes, [&](Value first) {
    Value sum = reducePartial(first, [&](Value a, Value b) { return k.add(a, b); });
    Value rescaled = k.mul(k.loadVector(totals, {first}), k.loadVector(factors, {first}));
    k.storeVector(k.add(rescaled, sum), totals, {first});
  });
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

/// Of the first `count` keys of the block.
void Attention::addValues(Value count) {
  int64_t vectors = paddedValues() / kLanes;
  Tiling t = tiling(/*blocks=*/4);
  k.tiles(k.index(0), paddedRows, t.rowSizes, [&](Value row, int64_t tileRows) {
    auto group = [&](Value first, int64_t span) {
      auto column = [&](int64_t b) { return k.mul(k.add(first, k.index(b)), k.index(kLanes)); };
      Values initial;
      for (int64_t r = 0; r < tileRows; ++r)
        for (int64_t b = 0; b < span; ++b) {
          Value at = k.add(row, k.index(r));
          initial.push_back(k.mul(k.loadVector(sums, {at, column(b)}), k.broadcast(k.load(factors, {at}))));
        }
      auto left = [&](int64_t r, Value i) { return k.load(scores, {k.add(row, k.index(r)), i}); };
      auto right = [&](int64_t b, Value i) { return k.loadVector(valueBlock, {i, column(b)}); };
      Values result = multiplyTile(k, tileRows, span, k.index(0), count, initial, left, right);
      for (int64_t r = 0; r < tileRows; ++r)
        for (int64_t b = 0; b < span; ++b)
          k.storeVector(result[r * span + b], sums, {k.add(row, k.index(r)), column(b)});
    };
    int64_t span = t.blocks(tileRows), full = vectors / span * span;
    if (full)
      k.forLoop(k.index(0), k.index(full), span, [&](Value first) { group(first, span); });
    if (full < vectors)
      group(k.index(full), vectors - full);
  });
}

void Attention::keyBlock(Value firstKey) {
  Value count = k.minIndex(k.sub(keyCount, firstKey), k.index(kKeys));
  transposeKeys(firstKey);
  computeScores();
  if (mask && isMaskShared())
    loadMaskRow(k.index(0), firstKey);
  softmax(firstKey);
  loadValues(firstKey, count);
  addValues(count);
}

void Attention::finish() {
  k.forLoop(k.index(0), rows, 1, [&](Value row) {
    Value total = k.broadcast(k.load(totals, {row}));
    auto divide = [&](Value i, int64_t valid) {
      Value mean = arith::DivFOp::create(k, k.loadVector(sums, {row, i}), total);
      k.storeVector(mean, y, atRow(row, i), valid);
    };
    k.chunks(valueSize, divide);
  });
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

void Attention::allocateScratch() {
  Type f32 = k.getF32Type();
  int64_t most = taskRows();
  rowQueries = k.scratch({most, headSize}, f32);
  transposed = k.scratch({headSize, kKeys}, f32);
  valueBlock = k.scratch({kKeys, paddedValues()}, f32);
  scores = k.scratch({most, kKeys}, f32);
  partial = k.scratch({most, kLanes}, f32);
  maskRow = k.scratch({kKeys}, f32);
  sums = k.scratch({most, paddedValues()}, f32);
  maxima = k.scratch({most}, f32);
  totals = k.scratch({most}, f32);
  factors = k.scratch({most}, f32);
  k.forLoop(k.index(0), k.index(most), kLanes, [&](Value row) {
    k.storeVector(k.splat(-FLT_MAX), maxima, {row});
    k.storeVector(k.splat(0.0f), totals, {row});
  });
  // Of rows beyond the last, nothing that is read may slow down by what it happens to be.
  k.forLoop(k.index(0), k.index(most), 1, [&](Value row) {
    k.storeVector(k.splat(0.0f), partial, {row, k.index(0)});
    k.forLoop(k.index(0), k.index(paddedValues()), kLanes,
              [&](Value i) { k.storeVector(k.splat(0.0f), sums, {row, i}); });
  });
}

void Attention::task(Value index) {
  Value queryCount = k.dim(q, queryHeadsFirst ? 2 : 1);
  keyCount = k.dim(keys, keyHeadsFirst ? 2 : 1);
  if (past) // what is beyond the capacity was not appended
    keyCount = k.minIndex(k.add(loadPast(), queryCount), keyCount);
  Value blocks = k.ceilDiv(queryCount, taskQueries());
  firstQuery = k.mul(k.rem(index, blocks), k.index(taskQueries()));
  queries = k.minIndex(k.sub(queryCount, firstQuery), k.index(taskQueries()));
  Value outer = k.div(index, blocks), few = k.index(kFewRows);
  keyHead = k.rem(outer, keyHeads);
  batch = k.div(outer, keyHeads);
  rows = k.mul(queries, k.index(groupHeads()));
  paddedRows = k.select(k.less(rows, few), rows, k.mul(k.ceilDiv(rows, kFewRows), few));
  causalOffset = offset ? k.sub(keyCount, queryCount) : k.index(0);
  allocateScratch();
  loadQueries();
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
    // Unused maxima are the lowest, too: look at this block's rows only.
    Value highest = k.forLoop(k.index(0), rows, 1, {k.f32(FLT_MAX)}, [&](Value row, ValueRange lowest) {
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
  Value blocks = k.ceilDiv(k.dim(q, queryHeadsFirst ? 2 : 1), taskQueries());
  k.parallel(k.mul(k.mul(k.dim(q, 0), k.index(keyHeads)), blocks), /*grain=*/1, [&](Value i) { task(i); });
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
