//===- MatmulInt8.cpp - int8 activations times int8 weights, exactly -------===//
//
// Four consecutive inputs are one step. Activations are first rewritten once in the form
// the multiply wants and padded to whole steps; then tiles of sums stay in registers:
//
//   v4: vpdpbusd multiplies unsigned by signed bytes, so activations become x + 128
//       and 128 * (sum of the column's weights), known at compile time, is taken off.
//   v3: bytes are widened to 16 bits; vpmaddwd multiplies and adds pairs in 32 bits
//       (vpmaddubsw would saturate). A pair is inputs 0 and 2, or 1 and 3, of a step: two
//       shifts or one make it of the four bytes of a column. With many rows the weights
//       of 16 columns are widened once for all rows of a task, a chunk of inputs at a
//       time; sums wait in memory meanwhile.
//
// A row by itself passes over one block of columns at a time, so that its weights are one
// stream from memory, and has several sums of each column, which do not wait for each
// other. All are exact: sums wrap only where the true sum does not fit 32 bits.
// LLM.int8's outlier columns are added at the end, in f16 (kOutlierUnit in
// qopt/Dialect/Kernel/Kernel.h): from the same weights, or from weights that were kept for them.
//
//===----------------------------------------------------------------------===//
#include "Tiles.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

constexpr int64_t kStep = 4;           ///< inputs of four bytes of a column
constexpr int64_t kHalves = 2;         ///< v3: vectors of sums per block
constexpr int64_t kPairs = 2;          ///< v3: of 16-bit inputs per step
constexpr int64_t kPanelRows = 6;      ///< v3: rows of a tile whose weights are widened
constexpr int64_t kPanelTaskRows = 96; ///< v3: rows of a task
constexpr int64_t kPanelPairs = 256;   ///< v3: pairs of a chunk; its weights are half of the nearest cache
/// Words behind each row, so that rows do not compete for the same places of a cache.
constexpr int64_t kPadding = 16;

struct Int8 {
  Kernel &k;
  Value x, xScale, w, correction, wScale, y;
  int64_t inputs;
  Value outliers{};              ///< [R,K] with `columns`, [R,M] with `kept`, or null
  Value columns{}, kept{};       ///< one of them if there are outliers
  Value words{}, outlierCount{}; ///< activations by steps; outlier columns

  bool vnni() const { return k.target.vnni512; }
  int64_t steps() const { return llvm::divideCeil(inputs, kStep); }
  int64_t wordsPerStep() const { return vnni() ? 1 : kPairs; }
  Tiling tiling() const;

  void packActivations();
  void countOutliers();
  Value xWord(Value row, Value word, int64_t lanes) const;
  Values weightPairs(Value block, Value step, int64_t half) const;
  Value multiplyPairs(Value sum, Value weights, Value x) const;
  Values rowDot(const Tile &tile) const;
  Values dotProducts(const Tile &tile) const;
  void widenPanel(Value block, Value firstPair, Value pairs, Value panel) const;
  Values multiplyPanel(Value row, Value firstPair, Value pairs, Value panel, ValueRange sums) const;
  void panels(const RowsOfTask &task) const;
  Value weightColumn(Value block, Value input) const;
  Value outlierWeights(Value block, Value i, Value input) const;
  void addOutliers(const Tile &tile, Values &sums) const;
  void finish(const Tile &tile, ValueRange dots) const;
};

Tiling Int8::tiling() const {
  Tiling t = defaultTiling(k.target, inputs);
  t.rowBlocks = 1;
  if (!vnni())
    t.rowSizes = {1}, t.panelRows = kPanelRows, t.taskRows = kPanelTaskRows;
  return t;
}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

/// words [R][steps][words of a step]: four bytes x + 128, or pairs of 16-bit x.
void Int8::packActivations() {
  Value rows = k.dim(x, 0);
  Type i32 = k.getI32Type();
  int64_t width = steps() * wordsPerStep();
  words = memref::AllocOp::create(k, MemRefType::get({ShapedType::kDynamic, width + kPadding}, i32), ValueRange{rows},
                                  k.getI64IntegerAttr(64));
  int64_t bytes = vnni() ? 4 * kLanes : 2 * kLanes;
  SmallVector<int64_t> pairs;
  for (int64_t step = 0; step < bytes; step += kStep)
    pairs.append({step, step + 2, step + 1, step + 3});
  k.parallel(rows, grainOfRows(inputs), [&](Value row) {
    auto pack = [&](Value i, int64_t valid) {
      Value v = k.loadVector(x, {row, i}, valid, bytes);
      if (!vnni()) {
        v = arith::ExtSIOp::create(k, k.vector(k.getIntegerType(16), bytes), v);
        v = k.shuffle(v, v, pairs);
      }
      Value packed = k.bitcast(v, k.vector(i32));
      if (vnni())
        packed = arith::XOrIOp::create(k, packed, k.splatI32(static_cast<int32_t>(0x80808080u)));
      Value at = k.mul(k.div(i, kStep), k.index(wordsPerStep()));
      k.storeVector(packed, words, {row, at}, llvm::divideCeil(valid, kStep) * wordsPerStep());
    };
    int64_t full = inputs / bytes * bytes;
    if (full)
      k.forLoop(k.index(0), k.index(full), bytes, [&](Value i) { pack(i, bytes); });
    if (full < inputs)
      pack(k.index(full), inputs - full);
  });
}

/// The list ends at the first negative number.
void Int8::countOutliers() {
  if (kept) {
    outlierCount = k.dim(outliers, 1);
    return;
  }
  Value one = arith::ConstantOp::create(k, k.getBoolAttr(true));
  outlierCount = k.forLoop(k.index(0), k.index(inputs), 1, {k.index(0), one}, [&](Value i, ValueRange carried) {
    Value valid = arith::CmpIOp::create(k, arith::CmpIPredicate::sge, k.load(columns, {i}), k.i32(0));
    valid = arith::AndIOp::create(k, valid, carried[1]);
    return Values{k.select(valid, k.add(carried[0], k.index(1)), carried[0]), valid};
  })[0];
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// One word of x in each of so many 32-bit lanes, as what the multiply takes.
Value Int8::xWord(Value row, Value word, int64_t lanes) const {
  Value value = k.broadcast(k.load(words, {row, word}), lanes);
  return k.bitcast(value, vnni() ? k.vector(k.getI8Type(), 4 * lanes) : k.vector(k.getIntegerType(16), 2 * lanes));
}

/// v3: the two pairs of eight columns.
Values Int8::weightPairs(Value block, Value step, int64_t half) const {
  Value bytes = k.loadVector(w, {block, step, k.index(half * 2 * kLanes)}, 2 * kLanes, 2 * kLanes);
  VectorType type = k.vector(k.getIntegerType(16));
  Value words = k.bitcast(bytes, type);
  Value shift = arith::ConstantOp::create(k, DenseElementsAttr::get(type, k.getI16IntegerAttr(8).getValue()));
  Value low = arith::ShRSIOp::create(k, arith::ShLIOp::create(k, words, shift), shift);
  return {low, arith::ShRSIOp::create(k, words, shift)};
}

/// v3: of eight columns.
Value Int8::multiplyPairs(Value sum, Value weights, Value x) const {
  return k.add(sum, k.intrinsic("llvm.x86.avx2.pmadd.wd", sum.getType(), {weights, x}));
}

/// The sums of one row and one block.
Values Int8::rowDot(const Tile &tile) const {
  int64_t unroll = vnni() ? 4 : 2, lanes = vnni() ? kLanes : kLanes / kHalves;
  int64_t sumsPerStep = vnni() ? 1 : kHalves * kPairs, full = steps() / unroll * unroll;
  auto add = [&](Value step, int64_t count, ValueRange carried) {
    Values next = llvm::to_vector(carried);
    for (int64_t s = 0; s < count; ++s) {
      Value at = k.add(step, k.index(s));
      Value *sums = &next[s * sumsPerStep];
      if (vnni()) {
        Value weights = k.loadVector(w, {tile.block, at, k.index(0)}, 4 * kLanes, 4 * kLanes);
        sums[0] = k.intrinsic("llvm.x86.avx512.vpdpbusd.512", sums[0].getType(),
                              {sums[0], xWord(tile.row, at, lanes), weights});
        continue;
      }
      for (int64_t half = 0; half < kHalves; ++half)
        for (auto [i, weights] : llvm::enumerate(weightPairs(tile.block, at, half))) {
          Value word = k.add(k.mul(at, k.index(kPairs)), k.index(i));
          Value &sum = sums[half * kPairs + i];
          sum = multiplyPairs(sum, weights, xWord(tile.row, word, lanes));
        }
    }
    return next;
  };
  Values sums(unroll * sumsPerStep, k.splatI32(0, lanes));
  if (full)
    sums = k.forLoop(k.index(0), k.index(full), unroll, sums,
                     [&](Value step, ValueRange carried) { return add(step, unroll, carried); });
  sums = add(k.index(full), steps() - full, sums);
  // Those of one column: a step's, and then a pair's.
  for (int64_t half = unroll * sumsPerStep / 2; half >= sumsPerStep; half /= 2)
    for (int64_t i = 0; i < half; ++i)
      sums[i] = k.add(sums[i], sums[i + half]);
  if (vnni())
    return {sums[0]};
  SmallVector<int64_t> all = llvm::to_vector(llvm::seq<int64_t>(0, kLanes));
  return {k.shuffle(k.add(sums[0], sums[1]), k.add(sums[2], sums[3]), all)};
}

/// The sums of a tile, [rows][blocks].
Values Int8::dotProducts(const Tile &tile) const {
  if (tile.rows == 1 && tile.blocks == 1)
    return rowDot(tile);
  Values zeros(tile.rows * tile.blocks, k.splatI32(0));
  return k.forLoop(k.index(0), k.index(steps()), 1, zeros, [&](Value step, ValueRange sums) {
    Values weights, next;
    for (int64_t b = 0; b < tile.blocks; ++b)
      weights.push_back(k.loadVector(w, {k.add(tile.block, k.index(b)), step, k.index(0)}, 4 * kLanes, 4 * kLanes));
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value a = xWord(k.add(tile.row, k.index(r)), step, kLanes);
      for (auto [j, weight] : llvm::enumerate(weights)) {
        Value sum = sums[r * weights.size() + j];
        next.push_back(k.intrinsic("llvm.x86.avx512.vpdpbusd.512", sum.getType(), {sum, a, weight}));
      }
    }
    return next;
  });
}

/// v3: panel [pairs][halves][16 of 16 bits], of a block's weights.
void Int8::widenPanel(Value block, Value firstPair, Value pairs, Value panel) const {
  k.forLoop(k.index(0), pairs, kPairs, [&](Value pair) {
    Value step = k.div(k.add(firstPair, pair), kPairs);
    for (int64_t half = 0; half < kHalves; ++half)
      for (auto [i, weights] : llvm::enumerate(weightPairs(block, step, half)))
        k.storeVector(weights, panel, {k.add(pair, k.index(i)), k.index(half), k.index(0)});
  });
}

/// v3: the sums of a tile's rows with a panel's products.
Values Int8::multiplyPanel(Value row, Value firstPair, Value pairs, Value panel, ValueRange sums) const {
  Values initial, result;
  SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(0, kLanes / 2)),
                       high = llvm::to_vector(llvm::seq<int64_t>(kLanes / 2, kLanes)),
                       all = llvm::to_vector(llvm::seq<int64_t>(0, kLanes));
  for (Value sum : sums)
    initial.append({k.shuffle(sum, sum, low), k.shuffle(sum, sum, high)});
  Values halves = k.forLoop(k.index(0), pairs, 1, initial, [&](Value pair, ValueRange carried) {
    Values weights, next;
    for (int64_t half = 0; half < kHalves; ++half)
      weights.push_back(k.loadVector(panel, {pair, k.index(half), k.index(0)}));
    for (int64_t r = 0; r < kPanelRows; ++r) {
      Value a = xWord(k.add(row, k.index(r)), k.add(firstPair, pair), kLanes / kHalves);
      for (int64_t half = 0; half < kHalves; ++half)
        next.push_back(multiplyPairs(carried[r * kHalves + half], weights[half], a));
    }
    return next;
  });
  for (int64_t r = 0; r < kPanelRows; ++r)
    result.push_back(k.shuffle(halves[r * kHalves], halves[r * kHalves + 1], all));
  return result;
}

/// v3: whole tiles of rows of a task.
void Int8::panels(const RowsOfTask &task) const {
  Value panel = k.scratch({kPanelPairs, kHalves, kLanes}, k.getIntegerType(16));
  PanelShape shape{kPanelRows, kPanelTaskRows, steps() * kPairs, kPanelPairs};
  forEachPanel(
      k, task, shape, k.getI32Type(),
      [&](Value block, Value first, Value count) { widenPanel(block, first, count, panel); },
      [&](Value row, Value first, Value count, ValueRange sums) {
        return multiplyPanel(row, first, count, panel, sums);
      },
      [&](const Tile &tile, ValueRange sums) { finish(tile, sums); });
}

//===----------------------------------------------------------------------===//
// Outliers and scales
//===----------------------------------------------------------------------===//

/// Codes of one input of 16 columns, as float.
Value Int8::weightColumn(Value block, Value input) const {
  Type i32 = k.getI32Type();
  Value bytes = k.loadVector(w, {block, k.div(input, kStep), k.index(0)}, 4 * kLanes, 4 * kLanes);
  Value place = arith::IndexCastOp::create(k, i32, k.rem(input, kStep));
  Value shift = k.sub(k.i32(24), k.mul(place, k.i32(8)));
  Value code = arith::ShLIOp::create(k, k.bitcast(bytes, k.vector(i32)), k.broadcast(shift));
  code = arith::ShRSIOp::create(k, code, k.splatI32(24));
  return arith::SIToFPOp::create(k, k.vector(k.getF32Type()), code);
}

/// Of 16 columns and outlier i, which is input `input` of x.
Value Int8::outlierWeights(Value block, Value i, Value input) const {
  if (!kept)
    return weightColumn(block, input);
  Value weights = k.loadVector(kept, {block, i, k.index(0)});
  Type f32 = k.vector(k.getF32Type());
  return weights.getType() == f32 ? weights : Value(arith::ExtFOp::create(k, f32, weights));
}

/// To sums in the unit of the weights.
void Int8::addOutliers(const Tile &tile, Values &sums) const {
  Value unit = k.splat(kernel::kOutlierUnit), inverse = k.splat(1 / kernel::kOutlierUnit);
  for (Value &sum : sums)
    sum = k.mul(sum, inverse);
  sums = k.forLoop(k.index(0), outlierCount, 1, sums, [&](Value i, ValueRange carried) {
    Value input = kept ? i : arith::IndexCastOp::create(k, k.getIndexType(), k.load(columns, {i}));
    Values weights, next;
    for (int64_t b = 0; b < tile.blocks; ++b)
      weights.push_back(outlierWeights(k.add(tile.block, k.index(b)), i, input));
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value a = k.roundToHalf(k.mul(k.broadcast(k.load(outliers, {k.add(tile.row, k.index(r)), input})), inverse));
      for (int64_t b = 0; b < tile.blocks; ++b)
        next.push_back(k.fma(a, weights[b], carried[r * tile.blocks + b]));
    }
    return next;
  });
  for (Value &sum : sums)
    sum = k.mul(sum, unit);
}

/// Stores y of the sums of a tile.
void Int8::finish(const Tile &tile, ValueRange dots) const {
  Values scales, sums(tile.rows * tile.blocks);
  bool perToken = cast<MemRefType>(xScale.getType()).getRank() == 1, isScaledLast = columns != nullptr;
  auto applyScales = [&] {
    for (auto [i, sum] : llvm::enumerate(sums))
      sum = k.mul(sum, scales[i % tile.blocks]);
  };
  for (int64_t b = 0; b < tile.blocks; ++b) {
    Value column = k.mul(k.add(tile.block, k.index(b)), k.index(kColumns));
    scales.push_back(k.loadVector(wScale, {column}, tile.columns(b)));
    Value excess = vnni() ? k.loadVector(correction, {column}) : Value();
    for (int64_t r = 0; r < tile.rows; ++r) {
      int64_t at = r * tile.blocks + b;
      Value sum = vnni() ? k.sub(dots[at], excess) : dots[at];
      sum = arith::SIToFPOp::create(k, k.vector(k.getF32Type()), sum);
      Values token = perToken ? Values{k.add(tile.row, k.index(r))} : Values{};
      sums[at] = k.mul(sum, k.broadcast(k.load(xScale, token)));
    }
  }
  if (!isScaledLast)
    applyScales();
  if (outliers)
    addOutliers(tile, sums);
  if (isScaledLast)
    applyScales();
  storeTile(k, tile, sums, y);
}

} // namespace

void emit(Kernel &k, kernel::MatmulW8A8Op op) {
  Int8 m{k,         op.getX(),   op.getXScale(),   op.getWeights(),        op.getCorrection(),    op.getScales(),
         op.getY(), op.inputs(), op.getOutliers(), op.getOutlierColumns(), op.getOutlierWeights()};
  m.packActivations();
  if (m.outliers)
    m.countOutliers();
  forEachTile(
      k, k.dim(m.x, 0), op.columns(), m.tiling(), [&](const Tile &tile) { m.finish(tile, m.dotProducts(tile)); },
      [&](const RowsOfTask &task) { m.panels(task); });
  memref::DeallocOp::create(k, m.words);
}

} // namespace qopt::kernels
