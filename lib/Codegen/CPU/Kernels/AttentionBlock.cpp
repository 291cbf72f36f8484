//===- AttentionBlock.cpp - Scores and values of a block of keys -----------===//
//
// A block of keys is transposed into scratch memory, so that scores of 16 keys are one
// vector and no lanes are summed; a block of values is copied beside it. There both are
// f32, whatever the cache holds, and all rows read them from the nearest cache.
//
//===----------------------------------------------------------------------===//
#include "Attention.h"
#include <cfloat>
#include <cmath>

using namespace mlir;

namespace qopt::kernels {

/// Rows of 16 become columns: four rounds of interleaving rows i and i + 8. LLVM must take
/// the rounds as they are: looking through all four of them, it spent an eighth of the time
/// of a whole compilation on finding shuffles that were more and not fewer.
static void transpose16(Kernel &k, Values &rows) {
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
  auto inBlock = [&](Value key) { return k.broadcast(arith::IndexCastOp::create(k, i32, k.sub(key, firstKey))); };
  auto beyond = [&](Value limit) {
    return Value(arith::CmpIOp::create(k, arith::CmpIPredicate::sge, position, inBlock(limit)));
  };
  if (slopes) {
    Value distance = arith::SubIOp::create(k, position, inBlock(k.sub(keyCount, k.index(1))));
    distance = arith::SIToFPOp::create(k, k.vector(k.getF32Type()), distance);
    s = k.add(s, k.mul(distance, k.broadcast(k.load(slopes, {headOf(row)}))));
  }
  Value end = causal ? k.add(k.add(queryOf(row), causalOffset), k.index(1)) : Value();
  if (causal)
    s = k.select(beyond(end), lowest, s);
  if (window)
    s = k.select(beyond(k.sub(end, k.index(window))), s, lowest);
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

} // namespace qopt::kernels
