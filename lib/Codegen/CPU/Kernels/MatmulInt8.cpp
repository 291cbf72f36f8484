//===- MatmulInt8.cpp - int8 activations times int8 weights, exactly -------===//
//
// Four consecutive inputs are one step. Activations are first rewritten once, four
// to a word, in the form the multiply wants and padded to whole steps; then tiles
// of sums stay in registers:
//
//   v4: vpdpbusd multiplies unsigned by signed bytes, so activations become x + 128
//       and 128 * (sum of the column's weights), known at compile time, is taken off.
//   v3: bytes are widened to 16 bits; vpmaddwd multiplies and adds pairs in 32 bits
//       (vpmaddubsw would saturate). A column's sum is two lanes, joined at the end.
//
// Both are exact: sums wrap only where the true sum does not fit 32 bits.
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

constexpr int64_t kStep = 4;     ///< inputs per word
constexpr int64_t kQuarters = 4; ///< v3: vectors of 16-bit products per block

struct Int8 {
  Kernel &k;
  Value x, xScale, w, correction, wScale, y;
  int64_t inputs;
  Value outliers{};              ///< [R,K] with `columns`, [R,M] with `kept`, or null
  Value columns{}, kept{};       ///< one of them if there are outliers
  Value words{}, outlierCount{}; ///< activations by steps; outlier columns

  int64_t steps() const { return llvm::divideCeil(inputs, kStep); }
  bool vnni() const { return k.target.vnni512; }
  /// Vectors of partial sums per block of 16 columns.
  int64_t parts() const { return vnni() ? 1 : kQuarters; }
  Tiling tiling() const;

  void packActivations();
  void countOutliers();
  Values dotProducts(const Tile &tile) const;
  Value joinParts(ValueRange parts) const;
  Value weightColumn(Value block, Value input) const;
  Value outlierWeights(Value block, Value i, Value input) const;
  void addOutliers(const Tile &tile, Values &sums) const;
  void tile(const Tile &tile) const;
};

Tiling Int8::tiling() const {
  Tiling t = defaultTiling(k.target, inputs * (vnni() ? 1 : 2));
  if (!vnni())
    t.rowSizes = {3, 1}, t.accumulators = 3; // four 8-lane sums per row and block
  return t;
}

/// words [R][steps]: i32 of four bytes x + 128, or i64 of four 16-bit x.
void Int8::packActivations() {
  Value rows = k.dim(x, 0);
  Type word = vnni() ? k.getI32Type() : k.getI64Type();
  words = memref::AllocOp::create(k, MemRefType::get({ShapedType::kDynamic, steps()}, word), ValueRange{rows},
                                  k.getI64IntegerAttr(64));
  int64_t bytes = vnni() ? 4 * kLanes : kLanes;
  k.parallel(rows, grainOfRows(inputs), [&](Value row) {
    auto pack = [&](Value i, int64_t valid) {
      Value v = k.loadVector(x, {row, i}, valid, bytes);
      Value at = k.div(i, kStep);
      if (vnni()) {
        Value packed = k.bitcast(v, k.vector(word));
        packed = arith::XOrIOp::create(k, packed, k.splatI32(static_cast<int32_t>(0x80808080u)));
        k.storeVector(packed, words, {row, at}, llvm::divideCeil(valid, kStep));
      } else {
        v = arith::ExtSIOp::create(k, k.vector(k.getIntegerType(16)), v);
        k.storeVector(k.bitcast(v, k.vector(word, bytes / kStep)), words, {row, at}, llvm::divideCeil(valid, kStep));
      }
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

/// Partial sums [rows][blocks][parts].
Values Int8::dotProducts(const Tile &tile) const {
  Type i32 = k.getI32Type(), i8 = k.getI8Type(), i16 = k.getIntegerType(16);
  int64_t lanes = vnni() ? kLanes : kLanes / 2;
  Values zeros(tile.rows * tile.blocks * parts(), k.splatI32(0, lanes));
  return k.forLoop(k.index(0), k.index(steps()), 1, zeros, [&](Value step, ValueRange sums) {
    Values weights, next;
    for (int64_t b = 0; b < tile.blocks; ++b)
      for (int64_t part = 0; part < parts(); ++part) {
        int64_t bytes = 4 * kLanes / parts();
        Value v = k.loadVector(w, {k.add(tile.block, k.index(b)), step, k.index(part * bytes)}, bytes, bytes);
        weights.push_back(vnni() ? v : Value(arith::ExtSIOp::create(k, k.vector(i16), v)));
      }
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value a = k.broadcast(k.load(words, {k.add(tile.row, k.index(r)), step}), vnni() ? kLanes : kQuarters);
      a = k.bitcast(a, vnni() ? k.vector(i8, 4 * kLanes) : k.vector(i16));
      for (auto [j, weight] : llvm::enumerate(weights)) {
        Value sum = sums[r * weights.size() + j];
        if (vnni())
          next.push_back(k.intrinsic("llvm.x86.avx512.vpdpbusd.512", sum.getType(), {sum, a, weight}));
        else
          next.push_back(k.add(sum, k.intrinsic("llvm.x86.avx2.pmadd.wd", k.vector(i32, lanes), {a, weight})));
      }
    }
    return next;
  });
}

/// v3: neighbouring lanes of the four parts are the 16 columns.
Value Int8::joinParts(ValueRange parts) const {
  SmallVector<int64_t> even, odd, all;
  for (int64_t i = 0; i < kLanes; ++i) {
    (i % 2 ? odd : even).push_back(i);
    all.push_back(i);
  }
  auto pairs = [&](Value a, Value b) { return k.add(k.shuffle(a, b, even), k.shuffle(a, b, odd)); };
  return k.shuffle(pairs(parts[0], parts[1]), pairs(parts[2], parts[3]), all);
}

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

void Int8::tile(const Tile &tile) const {
  Values dots = dotProducts(tile), scales, sums(tile.rows * tile.blocks);
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
      Value sum = vnni() ? k.sub(dots[at], excess) : joinParts(ArrayRef(dots).slice(at * kQuarters, kQuarters));
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
  forEachTile(k, k.dim(m.x, 0), op.columns(), m.tiling(), [&](const Tile &tile) { m.tile(tile); });
  memref::DeallocOp::create(k, m.words);
}

} // namespace qopt::kernels
