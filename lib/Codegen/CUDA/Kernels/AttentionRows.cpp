//===- AttentionRows.cpp - Attention of few queries ------------------------===//
//
// Generating one token reads every key and value once: a block has the queries of one
// key head (or a part of them, up to 8) and its warps share the keys, 32 at a time.
// All arithmetic is f32. A warp
//   1. gives each key to a few lanes, which read it in pieces of 16 bytes and multiply
//      it with all queries;
//   2. turns to one key per lane for the mask and the softmax, whose state (maximum,
//      sum, weighted values) is the warp's own;
//   3. gives each row of values to as many lanes as it has pieces.
// At the end the states of the warps are put together in shared memory.
//
// With a cache the blocks of a key head are as many times as there are parts; each takes
// an equal share of the keys and leaves its state in memory (AttentionParts.cpp).
//
//===----------------------------------------------------------------------===//
#include "Attention.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kKeys = kWarp; ///< of a step of a warp

/// How the work is cut, and the shared memory.
struct RowsPlan {
  int64_t rows, warps;
  // A key belongs to `keyLanes` lanes, each with `keyPieces` pieces; a row of values alike.
  int64_t keyWidth, keyLanes, keyPieces, keyBatch, valueWidth, valueLanes, valuePieces;

  explicit RowsPlan(const AttentionForm &form);
  int64_t paddedHead() const { return keyLanes * keyPieces * keyWidth; }
  // Floats: queries [rows][padded head], weights [warps][rows][keys], maxima
  // [round][rows][warps + 1]; in the end maxima [warps][rows], sums, and values
  // [warps][rows][value size] instead.
  int64_t weightsOffset() const { return llvm::alignTo(rows * paddedHead(), 4); }
  int64_t maximaOffset() const { return weightsOffset() + warps * rows * kKeys; }
  int64_t outputsOffset() const { return llvm::alignTo(2 * warps * rows, 4); }
  int64_t sharedBytes(int64_t valueSize) const {
    int64_t during = maximaOffset() + 2 * rows * (warps + 1), after = outputsOffset() + warps * rows * valueSize;
    return 4 * std::max(during, after);
  }
};

RowsPlan::RowsPlan(const AttentionForm &form) {
  int64_t group = form.group();
  rows = llvm::divideCeil(group, llvm::divideCeil(group, 8));
  keyWidth = Emitter::lanesOf(form.headSize, 4);
  int64_t pieces = form.headSize / keyWidth;
  keyLanes = std::min<int64_t>(llvm::PowerOf2Ceil(llvm::divideCeil(pieces, 4)), kWarp);
  keyPieces = llvm::divideCeil(pieces, keyLanes);
  valueWidth = Emitter::lanesOf(form.valueSize, 4);
  pieces = form.valueSize / valueWidth;
  valueLanes = std::min<int64_t>(llvm::PowerOf2Ceil(pieces), kWarp);
  valuePieces = llvm::divideCeil(pieces, valueLanes);
  // What fits: registers, and shared memory.
  while (rows > 1 && rows * valuePieces * valueWidth > 64)
    rows = llvm::divideCeil(rows, 2);
  keyBatch = std::min<int64_t>(keyLanes, rows > 4 || keyPieces > 4 ? 2 : 4);
  if (rows * valuePieces > 8) // registers of a lane
    keyBatch = 1;
  // Parts are as small as is worth a block, so that they are many.
  warps = form.isCached() ? 4 : 8;
  while (warps > 1 && sharedBytes(form.valueSize) > kSharedBytes)
    warps /= 2;
}

struct Rows : AttentionThread {
  Rows(Emitter &t, const AttentionForm &form, ValueRange args) : AttentionThread(t, form, args), plan(form) {
    if (form.isCached())
      partCount = args.end()[-3], partValues = args.end()[-2], partStates = args.end()[-1];
  }

  RowsPlan plan;
  Value partCount, partValues, partStates; ///< as AttentionParts, i32; null without a cache
  // Of the block and the thread.
  Value part, batch, keyHead, firstRow, rowCount, thread, lane, warp;
  Values queries, heads, limits, maskRows; ///< per row
  Value keyBase, valueBase, queryShared, weights, maxima;
  // The state, in the order of loop-carried values: the maxima of the rows, this lane's
  // parts of their sums, and per row and piece a vector of weighted values.
  unsigned maximumAt(int64_t r) const { return r; }
  unsigned sumAt(int64_t r) const { return plan.rows + r; }
  unsigned outputAt(int64_t r, int64_t piece) const { return 2 * plan.rows + r * plan.valuePieces + piece; }

  void run();
  void loadQueries();
  void multiplyKeys(Value firstKey);
  void softmax(Value firstKey, Values &state);
  void addValues(Value firstKey, Values &state);
  Values visit(Value begin, Value end, ValueRange state);
  Value someoneIsBlind(Value round, ValueRange state);
  void finish(Values state);
  void storePart(Value row, Value column, Value sum, Value total, Value maximum);
  Values visitPart(ValueRange state);
  /// Row i of all rows of the key head; beyond the last it is repeated.
  Value clampRow(Value i) { return t.min(i, t.sub(rowCount, 1)); }
  Value headOf(Value i) { return t.add(t.mul(keyHead, form.group()), t.rem(i, form.group())); }
  Value queryOf(Value i) { return t.div(i, form.group()); }
  Value weightAt(int64_t r, Value key) { return t.at(t.at(weights, f32(), r * kKeys), f32(), key); }
};

void Rows::loadQueries() {
  int64_t padded = plan.paddedHead();
  t.forLoop(thread, t.i32(plan.rows * padded), plan.warps * kWarp, [&](Value i) {
    Value row = clampRow(t.add(firstRow, t.div(i, padded))), column = t.rem(i, padded);
    Value isInside = t.less(column, form.headSize);
    Value address = queryRow(q, form.headSize, batch, headOf(row), queryOf(row));
    Value x = t.load(f32(), t.at(address, f32(), t.select(isInside, column, t.i32(0))));
    t.store(t.select(isInside, t.mul(x, t.f32(queryFactor())), t.f32(0)), t.at(queryShared, f32(), i));
  });
}

/// Products of the queries and 32 keys, to where the weights will be.
void Rows::multiplyKeys(Value firstKey) {
  Type piece = t.vector(f32(), plan.keyWidth);
  int64_t pieces = form.headSize / plan.keyWidth, lanes = plan.keyLanes, batchKeys = plan.keyBatch;
  Value slot = t.div(lane, lanes), own = t.rem(lane, lanes), last = t.sub(keyCount, 1);
  t.forLoop(t.i32(0), t.i32(lanes), batchKeys, [&](Value step) {
    Value place = t.add(t.mul(slot, lanes), step);
    Values keyRows;
    for (int64_t u = 0; u < batchKeys; ++u)
      keyRows.push_back(t.row(keyBase, f32(), t.min(t.add(firstKey, t.add(place, u)), last), keyStride(form.headSize)));
    Values sums(plan.rows * batchKeys, t.f32(0));
    for (int64_t j = 0; j < plan.keyPieces; ++j) {
      Value i = t.add(own, j * lanes);
      // Queries are 0 beyond the head.
      Value inside = (j + 1) * lanes > pieces ? t.min(i, t.i32(pieces - 1)) : i;
      Values loaded;
      for (Value row : keyRows)
        loaded.push_back(t.load(piece, t.at(row, piece, inside)));
      for (int64_t r = 0; r < plan.rows; ++r) {
        Value query = t.load(piece, t.at(t.at(queryShared, f32(), r * plan.paddedHead()), piece, i));
        for (int64_t u = 0; u < batchKeys; ++u)
          for (int64_t e = 0; e < plan.keyWidth; ++e) {
            Value &sum = sums[r * batchKeys + u];
            sum = t.fma(t.extract(query, e), t.extract(loaded[u], e), sum);
          }
      }
    }
    for (Value &sum : sums)
      sum = t.warpSum(sum, lanes);
    t.ifThen(t.equal(own, 0), [&] {
      for (int64_t r = 0; r < plan.rows; ++r) {
        ValueRange some = ArrayRef(sums).slice(r * batchKeys, batchKeys);
        t.store(batchKeys == 1 ? some[0] : t.pack(some), weightAt(r, place));
      }
    });
  });
}

/// One key per lane.
void Rows::softmax(Value firstKey, Values &state) {
  Value key = t.add(firstKey, lane);
  for (int64_t r = 0; r < plan.rows; ++r) {
    Value s = hide(score(t.load(f32(), weightAt(r, lane)), maskRows[r], key), key, limits[r]);
    Value &maximum = state[maximumAt(r)], &sum = state[sumAt(r)];
    Value largest = t.warpMax(larger(maximum, s));
    Value factor = t.exp2Approx(t.sub(maximum, largest)), weight = t.exp2Approx(t.sub(s, largest));
    maximum = largest;
    sum = t.fma(sum, factor, weight);
    t.store(weight, weightAt(r, lane));
    for (int64_t p = 0; p < plan.valuePieces; ++p) {
      Value &output = state[outputAt(r, p)];
      output = t.mul(output, t.broadcast(factor, plan.valueWidth));
    }
  }
}

void Rows::addValues(Value firstKey, Values &state) {
  Type piece = t.vector(f32(), plan.valueWidth);
  int64_t pieces = form.valueSize / plan.valueWidth, lanes = plan.valueLanes, together = std::min<int64_t>(lanes, 4);
  Value slot = t.div(lane, lanes), own = t.rem(lane, lanes), last = t.sub(keyCount, 1);
  ArrayRef<Value> outputs = ArrayRef(state).drop_front(outputAt(0, 0));
  Values sums = t.forLoop(t.i32(0), t.i32(lanes), together, outputs, [&](Value step, ValueRange carried) {
    Values sums = llvm::to_vector(carried), rowWeights;
    Value place = t.add(t.mul(slot, lanes), step);
    for (int64_t r = 0; r < plan.rows; ++r)
      rowWeights.push_back(t.load(t.vector(f32(), together), weightAt(r, place)));
    for (int64_t u = 0; u < together; ++u) {
      Value row = t.row(valueBase, f32(), t.min(t.add(firstKey, t.add(place, u)), last), keyStride(form.valueSize));
      for (int64_t p = 0; p < plan.valuePieces; ++p) {
        Value i = t.add(own, p * lanes);
        Value loaded = t.load(piece, t.at(row, piece, (p + 1) * lanes > pieces ? t.min(i, t.i32(pieces - 1)) : i));
        for (int64_t r = 0; r < plan.rows; ++r) {
          Value &sum = sums[r * plan.valuePieces + p];
          sum = t.fma(loaded, t.broadcast(t.extract(rowWeights[r], u), plan.valueWidth), sum);
        }
      }
    }
    return sums;
  });
  llvm::copy(sums, state.begin() + outputAt(0, 0));
}

/// Keys [begin, end) that this warp gets.
Values Rows::visit(Value begin, Value end, ValueRange initial) {
  Value first = t.add(begin, t.mul(warp, kKeys));
  return t.forLoop(first, end, plan.warps * kKeys, initial, [&](Value firstKey, ValueRange carried) {
    Values state = llvm::to_vector(carried);
    multiplyKeys(firstKey);
    t.warpBarrier();
    softmax(firstKey, state);
    t.warpBarrier();
    addValues(firstKey, state);
    t.warpBarrier(); // before the next products take the place of the weights
    return state;
  });
}

/// Whether all warps together have met only hidden keys for some row; the same in all
/// threads.
Value Rows::someoneIsBlind(Value round, ValueRange state) {
  int64_t width = plan.warps + 1;
  Value table = t.at(maxima, f32(), t.mul(round, plan.rows * width));
  t.ifThen(t.equal(lane, 0), [&] {
    for (int64_t r = 0; r < plan.rows; ++r)
      t.store(state[maximumAt(r)], t.at(t.at(table, f32(), r * width), f32(), warp));
  });
  t.barrier();
  Value row = t.at(table, f32(), t.mul(t.min(lane, t.i32(plan.rows - 1)), width)), largest;
  for (int64_t w = 0; w < plan.warps; ++w) {
    Value maximum = t.load(f32(), t.at(row, f32(), w));
    largest = w ? larger(largest, maximum) : maximum;
  }
  return t.negate(t.equal(t.ballot(t.equal(largest, lowest())), 0));
}

void Rows::finish(Values state) {
  int64_t warpRows = plan.warps * plan.rows, size = form.valueSize, pieces = size / plan.valueWidth;
  // Lanes that had different keys of the same pieces.
  for (int64_t r = 0; r < plan.rows; ++r) {
    state[sumAt(r)] = t.warpSum(state[sumAt(r)]);
    for (int64_t p = 0; p < plan.valuePieces; ++p) {
      Value &output = state[outputAt(r, p)];
      for (int64_t mask = plan.valueLanes; mask < kWarp; mask *= 2) {
        Values other;
        for (int64_t e = 0; e < plan.valueWidth; ++e)
          other.push_back(t.shuffleXor(t.extract(output, e), mask));
        output = t.add(output, plan.valueWidth == 1 ? other[0] : t.pack(other));
      }
    }
  }
  Value sums = t.shared(4 * warpRows), outputs = t.shared(4 * plan.outputsOffset()), ofWarp = t.mul(warp, plan.rows);
  Type piece = t.vector(f32(), plan.valueWidth);
  t.barrier(); // weights and queries are used
  for (int64_t r = 0; r < plan.rows; ++r) {
    Value row = t.add(ofWarp, r);
    t.ifThen(t.equal(lane, 0), [&] {
      t.store(state[maximumAt(r)], t.at(t.shared(), f32(), row));
      t.store(state[sumAt(r)], t.at(sums, f32(), row));
    });
    for (int64_t p = 0; p < plan.valuePieces; ++p) {
      Value i = t.add(lane, p * plan.valueLanes);
      t.ifThen(t.both(t.less(lane, plan.valueLanes), t.less(i, pieces)),
               [&] { t.store(state[outputAt(r, p)], t.at(t.at(outputs, f32(), t.mul(row, size)), piece, i)); });
    }
  }
  t.barrier();
  t.forLoop(thread, t.i32(plan.rows * size), plan.warps * kWarp, [&](Value i) {
    Value r = t.div(i, size), row = t.add(firstRow, r), largest;
    auto of = [&](Value base, int64_t w) { return t.load(f32(), t.at(t.at(base, f32(), w * plan.rows), f32(), r)); };
    for (int64_t w = 0; w < plan.warps; ++w)
      largest = w ? larger(largest, of(t.shared(), w)) : of(t.shared(), w);
    Value total = t.f32(0), sum = t.f32(0);
    for (int64_t w = 0; w < plan.warps; ++w) {
      Value factor = t.exp2Approx(t.sub(of(t.shared(), w), largest));
      total = t.fma(of(sums, w), factor, total);
      sum = t.fma(t.load(f32(), t.at(t.at(outputs, f32(), w * plan.rows * size), f32(), i)), factor, sum);
    }
    Value column = t.rem(i, size);
    t.ifThen(t.less(row, rowCount), [&] {
      if (form.isCached())
        return storePart(row, column, sum, total, largest);
      t.store(t.div(sum, total), t.at(queryRow(y, size, batch, headOf(row), queryOf(row)), f32(), column));
    });
  });
}

void Rows::storePart(Value row, Value column, Value sum, Value total, Value maximum) {
  auto wide = [&](Value v) { return t.toInteger(v, t.getI64Type()); };
  Value headRow = t.add(t.mul(t.add(t.mul(wide(batch), form.keyHeads), wide(keyHead)), wide(rowCount)), wide(row));
  Value place = t.add(t.mul(headRow, wide(partCount)), wide(part));
  t.store(sum, t.at(t.row(partValues, f32(), place, form.valueSize), f32(), column));
  t.ifThen(t.equal(column, 0), [&] {
    Value state = t.row(partStates, f32(), place, 2);
    t.store(maximum, state);
    t.store(total, t.at(state, f32(), 1));
  });
}

/// The keys of this block's part, of those that its first row begins with.
Values Rows::visitPart(ValueRange state) {
  Value first = t.mul(t.div(firstSeen(limits.front()), kKeys), kKeys);
  Value blocks = t.div(t.add(t.sub(keyCount, first), kKeys - 1), kKeys);
  Value share = t.mul(t.div(t.add(blocks, t.sub(partCount, 1)), partCount), kKeys);
  first = t.add(first, t.mul(part, share));
  return visit(first, t.min(t.add(first, share), visible(limits.back())), state);
}

void Rows::run() {
  part = form.isCached() ? t.rem(t.block(0), partCount) : t.i32(0);
  firstRow = t.mul(form.isCached() ? t.div(t.block(0), partCount) : t.block(0), plan.rows);
  keyHead = t.block(1);
  batch = t.block(2);
  thread = t.thread();
  lane = t.lane();
  warp = t.warp();
  rowCount = t.mul(queryCount, form.group());
  for (int64_t r = 0; r < plan.rows; ++r) {
    Value row = clampRow(t.add(firstRow, r));
    queries.push_back(queryOf(row));
    heads.push_back(headOf(row));
    limits.push_back(limit(queries[r]));
    maskRows.push_back(maskRow(batch, heads[r], queries[r]));
  }
  keyBase = keyRows(keys, form.headSize, batch, keyHead);
  valueBase = keyRows(values, form.valueSize, batch, keyHead);
  queryShared = t.shared();
  weights = t.at(t.shared(4 * plan.weightsOffset()), f32(), t.mul(warp, plan.rows * kKeys));
  maxima = t.shared(4 * plan.maximaOffset());
  loadQueries();
  t.barrier();

  Values state(plan.rows, lowest());
  state.append(plan.rows, t.f32(0));
  state.append(plan.rows * plan.valuePieces, t.splat(t.vector(f32(), plan.valueWidth), 0.0));
  if (form.isCached())
    return finish(visitPart(state));
  if (!form.causal)
    return finish(visit(t.i32(0), keyCount, state));
  // The last row sees most. Round 1: the other keys, where a row has seen nothing.
  Value end = t.mul(t.div(t.add(visible(limits.back()), kKeys - 1), kKeys), kKeys);
  finish(visitInRounds(
      end, state, [&](Value begin, Value last, ValueRange carried) { return visit(begin, last, carried); },
      [&](Value round, ValueRange carried) { return someoneIsBlind(round, carried); }));
}

} // namespace

Value countAttentionBlocks(Kernel &k, const AttentionForm &form) {
  Value rows = k.mul(k.dim(form.q, form.queryDim()), form.group());
  return k.mul(k.ceilDiv(rows, RowsPlan(form).rows), k.mul(k.dim(form.q, 0), form.keyHeads));
}

static void launchRows(Kernel &k, const AttentionForm &form, Value parts, ArrayRef<Argument> arguments,
                       StringRef suffix) {
  RowsPlan plan(form);
  Value rows = k.mul(k.dim(form.q, form.queryDim()), form.group());
  k.launch({.grid = {k.mul(k.ceilDiv(rows, plan.rows), parts), k.i64(form.keyHeads), k.dim(form.q, 0)},
            .threads = plan.warps * kWarp,
            .sharedBytes = plan.sharedBytes(form.valueSize),
            .suffix = suffix},
           arguments, [&](Emitter &t, ValueRange args) { Rows(t, form, args).run(); });
}

void launchAttentionRows(Kernel &k, const AttentionForm &form) {
  launchRows(k, form, k.i64(1), attentionArguments(k, form), "_rows");
}

void launchAttentionParts(Kernel &k, const AttentionForm &form, const AttentionParts &parts) {
  SmallVector<Argument> arguments = attentionArguments(k, form);
  arguments.append({{k.toI32(parts.count)}, {parts.values}, {parts.states}});
  launchRows(k, form, parts.count, arguments, "_parts");
}

} // namespace qopt::cuda
