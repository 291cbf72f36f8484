//===- AttentionOrdered.cpp - Attention in the order of the CPU's kernel ---===//
//
// Operation by operation lib/Codegen/CPU/Kernels/Attention.cpp, so that the result is the
// CPU's bit for bit, and int8 codes that are made of it are the CPU's. Tensor cores add in
// an order of their own; this is f32 on the other cores.
//
// Eight lanes share some queries. Of a block of 32 keys, in shared memory, each has every
// eighth: its scores are one tile of registers, the largest one and the sum of
// exponentials are found by shuffles, and the weights go through shared memory of the same
// warp to the second product, where each lane has every eighth piece of four columns.
//
//===----------------------------------------------------------------------===//
#include "Attention.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kThreads = 128, kWarps = kThreads / kWarp;
constexpr int64_t kLanes = 8, kGroups = kThreads / kLanes; ///< lanes that share queries; such groups
constexpr int64_t kKeys = 32, kLaneKeys = kKeys / kLanes;  ///< of a block, as on the CPU; of a lane
constexpr int64_t kPiece = 4;                              ///< floats
constexpr int64_t kWeightPitch = kKeys + kPiece;

/// How the work is cut. In shared memory: flags, queries [rows][pitch], keys or values
/// [keys][pitch], weights [rows][kWeightPitch].
struct OrderedPlan {
  int64_t laneRows, pitch, valuePieces; ///< queries of a lane; its pieces of a row of values

  explicit OrderedPlan(const AttentionForm &form) {
    int64_t size = llvm::alignTo(std::max(form.headSize, form.valueSize), kPiece);
    laneRows = size <= 64 ? 4 : 2; // registers, and shared memory
    pitch = size + kPiece;         // no bank conflicts between lanes
    valuePieces = llvm::divideCeil(llvm::divideCeil(form.valueSize, kPiece), kLanes);
  }
  int64_t rows() const { return kGroups * laneRows; }
  int64_t tileOffset() const { return AttentionThread::kFlagBytes + 4 * rows() * pitch; }
  int64_t weightsOffset() const { return tileOffset() + 4 * kKeys * pitch; }
  int64_t sharedBytes() const { return weightsOffset() + 4 * rows() * kWeightPitch; }
};

struct Ordered : AttentionThread {
  Ordered(Emitter &t, const AttentionForm &form, ValueRange args)
      : AttentionThread(t, form, args), plan(form), piece(t.vector(f32(), kPiece)) {}

  OrderedPlan plan;
  Type piece;
  // Of the block and the thread; `lane` of the eight.
  Value batch, head, firstQuery, thread, lane, keyBase, valueBase;
  Value queryShared, weights; ///< from this thread's first row on
  Value tile;
  Values queries, limits, maskRows; ///< of its rows
  // The state, in the order of loop-carried values: maxima of the rows, their sums, and per
  // row and piece a vector of weighted values.
  unsigned maximumAt(int64_t r) const { return r; }
  unsigned sumAt(int64_t r) const { return plan.laneRows + r; }
  unsigned outputAt(int64_t r, int64_t p) const { return 2 * plan.laneRows + r * plan.valuePieces + p; }

  void run();
  void loadPiece(Value from, int64_t size, Value to, Value i);
  void loadQueries();
  void loadTile(Value base, int64_t size, Value firstKey);
  SmallVector<Values> products();
  Value scoreInOrder(Value product, Value maskRow, Value key);
  void softmax(SmallVector<Values> scores, Value firstKey, Values &state);
  void addValues(Values &state);
  Values visit(Value begin, Value end, ValueRange state);
  void finish(ValueRange state);
};

/// Piece i of a row of `size` floats to shared memory, 0 beyond the row.
void Ordered::loadPiece(Value from, int64_t size, Value to, Value i) {
  if (size % kPiece == 0)
    return t.store(t.load(piece, t.at(from, piece, i)), t.at(to, piece, i));
  Values floats;
  for (int64_t e = 0; e < kPiece; ++e) {
    Value column = t.add(t.mul(i, kPiece), e), isInside = t.less(column, size);
    Value x = t.load(f32(), t.at(from, f32(), t.select(isInside, column, t.i32(0))));
    floats.push_back(t.select(isInside, x, t.f32(0)));
  }
  t.store(t.pack(floats), t.at(to, piece, i));
}

void Ordered::loadQueries() {
  int64_t pieces = llvm::divideCeil(form.headSize, kPiece);
  t.forLoop(thread, t.i32(plan.rows() * pieces), kThreads, [&](Value i) {
    Value row = t.div(i, pieces), query = t.min(t.add(firstQuery, row), t.sub(queryCount, 1));
    Value to = t.at(t.shared(kFlagBytes), f32(), t.mul(row, plan.pitch));
    loadPiece(queryRow(q, form.headSize, batch, head, query), form.headSize, to, t.rem(i, pieces));
  });
}

/// Keys or values; beyond the last one it is repeated, with weights of 0.
void Ordered::loadTile(Value base, int64_t size, Value firstKey) {
  int64_t pieces = llvm::divideCeil(size, kPiece);
  Value last = t.sub(keyCount, 1);
  t.forLoop(thread, t.i32(kKeys * pieces), kThreads, [&](Value i) {
    Value row = t.div(i, pieces), key = t.min(t.add(firstKey, row), last);
    loadPiece(t.row(base, f32(), key, keyStride(size)), size, t.at(tile, f32(), t.mul(row, plan.pitch)),
              t.rem(i, pieces));
  });
}

/// [row][key] of this lane, each summed from the first column to the last.
SmallVector<Values> Ordered::products() {
  Value keys = t.at(tile, f32(), t.mul(lane, plan.pitch));
  int64_t pieces = llvm::divideCeil(form.headSize, kPiece);
  Values sums = t.forLoop(
      t.i32(0), t.i32(pieces), 1, Values(plan.laneRows * kLaneKeys, t.f32(0)), [&](Value i, ValueRange carried) {
        Values next = llvm::to_vector(carried), left, right;
        for (int64_t r = 0; r < plan.laneRows; ++r)
          left.push_back(t.load(piece, t.at(t.at(queryShared, f32(), r * plan.pitch), piece, i)));
        for (int64_t k = 0; k < kLaneKeys; ++k)
          right.push_back(t.load(piece, t.at(t.at(keys, f32(), k * kLanes * plan.pitch), piece, i)));
        for (int64_t e = 0; e < kPiece; ++e)
          for (int64_t r = 0; r < plan.laneRows; ++r)
            for (int64_t k = 0; k < kLaneKeys; ++k) {
              Value &sum = next[r * kLaneKeys + k];
              sum = t.fma(t.extract(left[r], e), t.extract(right[k], e), sum);
            }
        return next;
      });
  SmallVector<Values> scores;
  for (int64_t r = 0; r < plan.laneRows; ++r)
    scores.push_back(llvm::to_vector(ArrayRef(sums).slice(r * kLaneKeys, kLaneKeys)));
  return scores;
}

Value Ordered::scoreInOrder(Value s, Value row, Value key) {
  s = t.mul(s, t.f32(form.scale));
  if (form.softcap != 0.0f)
    s = t.mul(t.tanh(t.mul(s, t.f32(1.0f / form.softcap))), t.f32(form.softcap));
  if (slopes)
    return t.add(s, sloped(row, key));
  if (!mask)
    return s;
  Value m = loadMask(row, key);
  return form.maskElement.isF32() ? t.max(lowest(), t.add(s, m)) : t.select(t.equal(m, 0), lowest(), s);
}

/// Scores become weights; the state is rescaled.
void Ordered::softmax(SmallVector<Values> scores, Value firstKey, Values &state) {
  for (int64_t r = 0; r < plan.laneRows; ++r) {
    Values &s = scores[r];
    Value &maximum = state[maximumAt(r)], largest;
    for (int64_t k = 0; k < kLaneKeys; ++k) {
      Value key = t.add(t.add(firstKey, lane), k * kLanes);
      s[k] = hide(scoreInOrder(s[k], maskRows[r], key), key, limits[r]);
      largest = k ? t.max(largest, s[k]) : s[k];
    }
    largest = t.max(maximum, t.warpMax(largest, kLanes));
    Value factor = t.exp(t.sub(maximum, largest)), row = t.at(t.at(weights, f32(), r * kWeightPitch), f32(), lane);
    maximum = largest;
    for (int64_t k = 0; k < kLaneKeys; ++k) {
      s[k] = t.exp(t.sub(s[k], largest));
      t.store(s[k], t.at(row, f32(), k * kLanes));
    }
    // The CPU adds vectors of 16 keys, then the second half of the lanes to the first.
    Value here = t.add(t.add(s[0], s[2]), t.add(s[1], s[3])), &sum = state[sumAt(r)];
    for (int64_t distance = kLanes / 2; distance; distance /= 2)
      here = t.add(here, t.shuffleXor(here, distance));
    sum = t.add(t.mul(sum, factor), here);
    for (int64_t p = 0; p < plan.valuePieces; ++p) {
      Value &output = state[outputAt(r, p)];
      output = t.mul(output, t.broadcast(factor, kPiece));
    }
  }
}

/// Each sum goes from the first key of the block to the last.
void Ordered::addValues(Values &state) {
  int64_t pieces = llvm::divideCeil(form.valueSize, kPiece);
  ArrayRef<Value> outputs = ArrayRef(state).drop_front(outputAt(0, 0));
  Values sums = t.forLoop(t.i32(0), t.i32(kKeys), kPiece, outputs, [&](Value firstKey, ValueRange carried) {
    Values next = llvm::to_vector(carried), left;
    for (int64_t r = 0; r < plan.laneRows; ++r)
      left.push_back(t.load(piece, t.at(t.at(weights, f32(), r * kWeightPitch), f32(), firstKey)));
    for (int64_t k = 0; k < kPiece; ++k) {
      Value row = t.at(tile, f32(), t.mul(t.add(firstKey, k), plan.pitch));
      for (int64_t p = 0; p < plan.valuePieces; ++p) {
        Value i = t.min(t.add(lane, p * kLanes), t.i32(pieces - 1)), values = t.load(piece, t.at(row, piece, i));
        for (int64_t r = 0; r < plan.laneRows; ++r) {
          Value &sum = next[r * plan.valuePieces + p];
          sum = t.fma(t.broadcast(t.extract(left[r], k), kPiece), values, sum);
        }
      }
    }
    return next;
  });
  llvm::copy(sums, state.begin() + outputAt(0, 0));
}

/// Keys [begin, end); all threads of the block.
Values Ordered::visit(Value begin, Value end, ValueRange initial) {
  return t.forLoop(begin, end, kKeys, initial, [&](Value firstKey, ValueRange carried) {
    Values state = llvm::to_vector(carried);
    t.barrier(); // the values before are used
    loadTile(keyBase, form.headSize, firstKey);
    t.barrier();
    SmallVector<Values> scores = products();
    softmax(scores, firstKey, state);
    t.barrier(); // the keys are used, and weights are there
    loadTile(valueBase, form.valueSize, firstKey);
    t.barrier();
    addValues(state);
    return state;
  });
}

void Ordered::finish(ValueRange state) {
  for (int64_t r = 0; r < plan.laneRows; ++r) {
    Value total = t.broadcast(state[sumAt(r)], kPiece);
    t.ifThen(t.less(queries[r], queryCount), [&] {
      Value row = queryRow(y, form.valueSize, batch, head, queries[r]);
      for (int64_t p = 0; p < plan.valuePieces; ++p) {
        Value i = t.add(lane, p * kLanes), values = t.div(state[outputAt(r, p)], total);
        if (form.valueSize % kPiece == 0) {
          t.ifThen(t.less(i, form.valueSize / kPiece), [&] { t.store(values, t.at(row, piece, i)); });
          continue;
        }
        for (int64_t e = 0; e < kPiece; ++e) {
          Value column = t.add(t.mul(i, kPiece), e);
          t.ifThen(t.less(column, form.valueSize), [&] { t.store(t.extract(values, e), t.at(row, f32(), column)); });
        }
      }
    });
  }
}

void Ordered::run() {
  Value block = t.block(0);
  if (form.causal) // the longest ones first
    block = t.sub(t.div(t.sub(queryCount, 1), plan.rows()), block);
  head = t.block(1);
  batch = t.block(2);
  thread = t.thread();
  lane = t.bitAnd(thread, kLanes - 1);
  firstQuery = t.mul(block, plan.rows());
  Value ownRow = t.mul(t.div(thread, kLanes), plan.laneRows);
  for (int64_t r = 0; r < plan.laneRows; ++r) {
    queries.push_back(t.add(t.add(firstQuery, ownRow), r));
    limits.push_back(limit(queries[r]));
    maskRows.push_back(maskRow(batch, head, t.min(queries[r], t.sub(queryCount, 1))));
  }
  Value keyHead = t.div(head, form.group());
  keyBase = keyRows(keys, form.headSize, batch, keyHead);
  valueBase = keyRows(values, form.valueSize, batch, keyHead);
  queryShared = t.at(t.shared(kFlagBytes), f32(), t.mul(ownRow, plan.pitch));
  tile = t.shared(plan.tileOffset());
  weights = t.at(t.shared(plan.weightsOffset()), f32(), t.mul(ownRow, kWeightPitch));
  loadQueries();

  Values state(plan.laneRows, sinks ? sink(head, /*unit=*/1) : lowest());
  state.append(plan.laneRows, t.f32(sinks ? 1 : 0));
  state.append(plan.laneRows * plan.valuePieces, t.splat(piece, 0.0));
  if (!form.causal)
    return finish(visit(t.i32(0), keyCount, state));
  Value seen = visible(limit(t.min(t.add(firstQuery, plan.rows() - 1), t.sub(queryCount, 1))));
  Value end = t.mul(t.div(t.add(seen, kKeys - 1), kKeys), kKeys);
  finish(visitInRounds(
      end, state, [&](Value begin, Value last, ValueRange carried) { return visit(begin, last, carried); },
      [&](Value round, ValueRange carried) {
        return someoneIsBlind(round, queries, carried.take_front(plan.laneRows), kWarps);
      }));
}

} // namespace

void launchAttentionOrdered(Kernel &k, const AttentionForm &form) {
  OrderedPlan plan(form);
  Value blocks = k.ceilDiv(k.dim(form.q, form.queryDim()), plan.rows());
  k.launch({.grid = {blocks, k.i64(form.heads), k.dim(form.q, 0)},
            .threads = kThreads,
            .sharedBytes = plan.sharedBytes(),
            .suffix = "_ordered"},
           attentionArguments(k, form), [&](Emitter &t, ValueRange args) { Ordered(t, form, args).run(); });
}

} // namespace qopt::cuda
