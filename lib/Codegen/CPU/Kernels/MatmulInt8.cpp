//===- MatmulInt8.cpp - int8 activations times int8 weights, exactly -------===//
//
// Four consecutive inputs are one step. Activations are first rewritten once in the form
// the multiply wants and padded to whole steps; then tiles of sums stay in registers:
//
//   v4: vpdpbusd multiplies unsigned by signed bytes, so activations become x + 128
//       and 128 * (sum of the column's weights), known at compile time, is taken off.
//   v3: bytes are widened to 16 bits; vpmaddwd multiplies and adds pairs in 32 bits. A pair
//       is inputs 0 and 2, or 1 and 3, of a step: two shifts or one make it of the four
//       bytes of a column. Many rows are done otherwise (MatmulInt8Panels.cpp).
//
// A row by itself passes over one block of columns at a time, so that its weights are one
// stream from memory, and has several sums of each column, which do not wait for each
// other. All are exact: sums wrap only where the true sum does not fit 32 bits.
// LLM.int8's outlier columns are added at the end, in f16 (kOutlierUnit in
// qopt/Dialect/Kernel/Kernel.h): from the same weights, or from weights that were kept for them.
//
//===----------------------------------------------------------------------===//
#include "MatmulInt8.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

/// Words behind each row, so that rows do not compete for the same places of a cache.
constexpr int64_t kPadding = 16;

} // namespace

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

/// words [rows][steps][words of a step]: four bytes x + 128, or pairs of 16-bit x.
void Int8::packRow(Value row) const {
  int64_t bytes = vnni() ? 4 * kLanes : 2 * kLanes;
  SmallVector<int64_t> pairs;
  for (int64_t step = 0; step < bytes; step += kStep)
    pairs.append({step, step + 2, step + 1, step + 3});
  auto pack = [&](Value i, int64_t valid) {
    Value v = k.loadVector(x, {row, i}, valid, bytes);
    if (!vnni()) {
      v = arith::ExtSIOp::create(k, k.vector(k.getIntegerType(16), bytes), v);
      v = k.shuffle(v, v, pairs);
    }
    Value packed = k.bitcast(v, k.vector(k.getI32Type()));
    if (vnni())
      packed = arith::XOrIOp::create(k, packed, k.splatI32(static_cast<int32_t>(0x80808080u)));
    Value at = k.mul(k.div(i, kStep), k.index(wordsPerStep()));
    k.storeVector(packed, words, {k.sub(row, firstRow), at}, llvm::divideCeil(valid, kStep) * wordsPerStep());
  };
  int64_t full = inputs / bytes * bytes;
  if (full)
    k.forLoop(k.index(0), k.index(full), bytes, [&](Value i) { pack(i, bytes); });
  if (full < inputs)
    pack(k.index(full), inputs - full);
}

void Int8::packActivations() {
  Value rows = k.dim(x, 0), panelCount = vnni() ? k.index(0) : k.div(rows, kPanelRows);
  firstRow = k.mul(panelCount, k.index(kPanelRows));
  auto allocate = [&](Value count, int64_t width) -> Value {
    auto type = MemRefType::get({ShapedType::kDynamic, width + kPadding}, k.getI32Type());
    return memref::AllocOp::create(k, type, count, k.getI64IntegerAttr(64));
  };
  words = allocate(k.sub(rows, firstRow), steps() * wordsPerStep());
  if (vnni())
    return k.parallel(rows, grainOfRows(inputs), [&](Value row) { packRow(row); });
  allocatePanels(panelCount);
  Value singles = k.sub(rows, firstRow);
  k.parallel(k.add(panelCount, singles), grainOfRows(inputs), [&](Value i) {
    k.ifThen(k.less(i, panelCount), [&] { packPanel(i); }, [&] { packRow(k.add(firstRow, k.sub(i, panelCount))); });
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
  Value value = k.broadcast(k.load(words, {k.sub(row, firstRow), word}), lanes);
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

/// The sums of one row and one block.
Values Int8::rowDot(const Tile &tile) const {
  int64_t unroll = vnni() ? 4 : 2, lanes = vnni() ? kLanes : kLanes / kHalves;
  int64_t sumsPerStep = vnni() ? 1 : kHalves * kPairs, full = steps() / unroll * unroll;
  auto add = [&](Value step, int64_t count, ValueRange carried) {
    Values next = llvm::to_vector(carried);
    for (int64_t s = 0; s < count; ++s) {
      Value at = k.add(step, k.index(s));
      Value *sums = &next[s * sumsPerStep];
      k.prefetchWeights(w, tile.block, at, 1);
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
          sum =
              k.add(sum, k.intrinsic("llvm.x86.avx2.pmadd.wd", sum.getType(), {weights, xWord(tile.row, word, lanes)}));
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

/// v3: what is too much in the sums of a row of a panel, in all lanes.
Value Int8::panelOffset(Value row) const {
  return k.broadcast(k.load(panelOffsets, {k.div(row, kPanelRows), k.rem(row, kPanelRows)}));
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
    Value columnExcess = vnni() ? k.loadVector(correction, {column}) : Value();
    for (int64_t r = 0; r < tile.rows; ++r) {
      int64_t at = r * tile.blocks + b;
      Value excess = tile.rows == kPanelRows && !vnni() ? panelOffset(k.add(tile.row, k.index(r))) : columnExcess;
      Value sum = excess ? k.sub(dots[at], excess) : dots[at];
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

void emit(Kernel &k, kernel::MatmulW8A8Op op) {
  Int8 m{k,         op.getX(),   op.getXScale(),   op.getWeights(),        op.getCorrection(),    op.getScales(),
         op.getY(), op.inputs(), op.getOutliers(), op.getOutlierColumns(), op.getOutlierWeights()};
  m.packActivations();
  if (m.outliers)
    m.countOutliers();
  forEachTile(
      k, k.dim(m.x, 0), op.columns(), m.tiling(), [&](const Tile &tile) { m.finish(tile, m.dotProducts(tile)); },
      [&](const RowsOfTask &task) { m.panels(task); });
  for (Value packed : {m.words, m.panelSteps, m.panelWords, m.panelPlaces, m.panelOffsets})
    if (packed)
      memref::DeallocOp::create(k, packed);
}

} // namespace qopt::kernels
