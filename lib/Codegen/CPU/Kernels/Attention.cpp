//===- Attention.cpp - softmax(q k^T * scale + mask) v ---------------------===//
//
// One iteration is a block of queries of all heads that share keys and values: each pair
// of a query and a head is a row. It passes over the keys in blocks and keeps, per row,
// the largest score so far, the sum of exponentials and the weighted sum of values,
// rescaling them when the largest score grows (online softmax: Milakov & Gimelshein,
// arXiv 1805.02867; Dao et al., arXiv 2205.14135). No matrix of scores exists.
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
#include "Attention.h"
#include <cfloat>

using namespace mlir;

namespace qopt::kernels {

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
  if (sinks)
    k.forLoop(k.index(0), rows, 1, [&](Value row) {
      k.store(k.load(sinks, {headOf(row)}), maxima, {row});
      k.store(k.f32(1.0f), totals, {row});
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
  Value blocks = k.ceilDiv(queryCount, taskQueries());
  firstQuery = k.mul(k.rem(index, blocks), k.index(taskQueries()));
  queries = k.minIndex(k.sub(queryCount, firstQuery), k.index(taskQueries()));
  Value outer = k.div(index, blocks), few = k.index(kFewRows);
  keyHead = k.rem(outer, keyHeads);
  batch = k.div(outer, keyHeads);
  keyCount = k.dim(keys, keyHeadsFirst ? 2 : 1);
  if (past) // what is beyond the capacity was not appended
    keyCount = k.minIndex(k.add(loadPast(), queryCount), keyCount);
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
  Value start = k.index(0);
  if (window) {
    Value first = k.sub(k.add(firstQuery, causalOffset), k.index(window - 1));
    start = k.mul(k.div(arith::MaxSIOp::create(k, first, k.index(0)), kKeys), k.index(kKeys));
  }
  k.forLoop(k.index(0), k.index(2), 1, [&](Value round) {
    Value isFirst = k.equal(round, k.index(0));
    // Unused maxima are the lowest, too: look at this block's rows only.
    Value highest = k.forLoop(k.index(0), rows, 1, {k.f32(FLT_MAX)}, [&](Value row, ValueRange lowest) {
      return Values{k.min(lowest[0], k.load(maxima, {row}))};
    })[0];
    Value blind = k.equal(highest, k.f32(-FLT_MAX));
    Value begin = k.select(isFirst, start, visible);
    Value end = k.select(isFirst, visible, k.select(blind, keyCount, k.index(0)));
    k.forLoop(begin, end, kKeys, [&](Value firstKey) { keyBlock(firstKey); });
  });
  finish();
}

Value Attention::loadPast() {
  Value given = arith::IndexCastOp::create(k, k.getIndexType(), k.load(past, {placeOfPast(k, past, batch)}));
  return arith::MaxSIOp::create(k, arith::MinSIOp::create(k, given, k.dim(keys, 2)), k.index(0));
}

void Attention::emit() {
  Value blocks = k.ceilDiv(k.dim(q, queryHeadsFirst ? 2 : 1), taskQueries());
  k.parallel(k.mul(k.mul(k.dim(q, 0), k.index(keyHeads)), blocks), /*grain=*/1, [&](Value i) { task(i); });
}

/// What both operations say: attention to all keys, heads behind tokens.
template <typename Op>
static Attention describe(Kernel &k, Op op) {
  return {.k = k,
          .q = op.getQ(),
          .keys = op.getKeys(),
          .values = op.getValues(),
          .mask = {},
          .past = {},
          .y = op.getY(),
          .slopes = {},
          .sinks = {},
          .window = 0,
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
  attention.slopes = op.getSlopes();
  attention.sinks = op.getSinks();
  attention.window = op.getWindow().value_or(0);
  attention.keyHeadsFirst = attention.causal = attention.offset = true;
  attention.emit();
}

} // namespace qopt::kernels
