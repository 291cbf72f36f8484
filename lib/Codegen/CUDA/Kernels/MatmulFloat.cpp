//===- MatmulFloat.cpp - Float activations times float or int8 weights -----===//
//
// tf32 mma m16n8k8: floats with 11 bits of precision and the range of f32, so that no
// activation overflows as it would in f16. An int8, f16 or bf16 weight is exact in
// them. A float is split in two of them, x = high + low up to 2^-22, and a product of
// two floats takes three: low * high + high * low + high * high ("3xTF32"), as exact as
// f32 itself. Weights that are exact in one part need two.
//
// Activations are split for few rows, where weights are what takes time, and wherever
// weights are f32. Tiles multiply int8 and f16 weights in f16 with 11 bits of every
// activation, and decode two at a time: int8 codes as bytes above 2^10 are
// 2^10 + 128 + code if their sign is turned.
//
// All layouts are [blocks][K][16 columns]: for an input a lane reads its four columns,
// 16 bytes of f32, 8 of f16 or bf16, 4 of int8.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

struct FloatProduct : Product {
  FloatProduct(int64_t inputs, int64_t columns, Type weightType)
      : Product(inputs, columns, 4), weightType(weightType), isInt8(weightType.isInteger(8)) {
    splitFewRows = true, splitTiles = weightType.isF32(), halfTiles = isInt8 || weightType.isF16();
    wgmmaRows = halfTiles ? 128 : 0;
    chunksAhead = isInt8 ? 2 : 1;
  }

  Type weightType;
  bool isInt8;

  /// Words of an input's four columns.
  int64_t words() const { return weightType.getIntOrFloatBitWidth() / 8; }

  /// [8 inputs][words of four columns].
  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = t.vector(t.getI32Type(), words());
    Value column = t.at(t.row(args[kW], piece, place.block, inputs * 4), piece, place.quarter);
    Values raw;
    for (int64_t i = 0; i < 2 * kChunkSteps; ++i) {
      Value input = t.add(t.add(t.mul(chunk, kChunkWords), place.inGroup), 4 * i);
      Value loaded = t.load(piece, t.at(column, piece, t.mul(t.min(input, t.i32(inputs - 1)), 4)));
      for (int64_t word = 0; word < words(); ++word)
        raw.push_back(t.extract(loaded, word));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &t, ValueRange raw, int64_t step) const override {
    SmallVector<Fragment> tiles(4);
    for (int64_t i = 2 * step; i < 2 * step + 2; ++i)
      for (int64_t j = 0; j < 4; ++j)
        decodeFloat(t, raw.slice(i * words(), words()), j, tiles[j]);
    return tiles;
  }

  SmallVector<Values> decodeHalf(Emitter &t, ValueRange raw, int64_t step) const override {
    Type halves = t.vector(t.getF16Type(), 2);
    SmallVector<Values> tiles(4);
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t r = 0; r < 2; ++r) {
        // The inputs 4 first + t and 4 (first + 1) + t.
        int64_t first = 4 * step + 2 * r;
        if (!isInt8) {
          Value two = t.permuteBytes(raw[2 * first + j / 2], raw[2 * first + 2 + j / 2], j % 2 ? 0x7632 : 0x5410);
          tiles[j].push_back(two);
          continue;
        }
        Value codes = t.permuteBytes(raw[first], raw[first + 1], 0x4400 + 0x1111 * j);
        Value biased = t.bitXor(t.bitAnd(codes, 0x00FF00FF), 0x64806480);
        Value weights = t.sub(t.bitcast(biased, halves), t.splat(halves, 1024.0 + 128.0));
        tiles[j].push_back(t.bitcast(weights, t.getI32Type()));
      }
    return tiles;
  }

  void finish(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums) const override {
    if (!isInt8)
      return;
    for (auto [c, column] : llvm::enumerate(columns)) {
      Value scale = t.load(t.f32Type(), t.at(args[kFirstOwn], t.f32Type(), column));
      for (size_t r = 0; r < rows.size(); ++r)
        sums[r * columns.size() + c] = t.mul(sums[r * columns.size() + c], scale);
    }
  }

private:
  /// Appends the weight of column j, of which `raw` has all four.
  void decodeFloat(Emitter &t, ValueRange raw, int64_t j, Fragment &tile) const {
    Type i32 = t.getI32Type(), f32 = t.f32Type();
    if (isInt8) {
      Value code = arith::ShRSIOp::create(t, t.shiftLeft(raw[0], 24 - 8 * j), t.i32(24));
      tile.high.push_back(t.bitcast(t.toFloat(code, f32), i32));
    } else if (weightType.isBF16()) {
      tile.high.push_back(j % 2 ? t.bitAnd(raw[j / 2], ~int64_t(0xFFFF)) : t.shiftLeft(raw[j / 2], 16));
    } else if (weightType.isF16()) {
      Value half = t.extract(t.bitcast(raw[j / 2], t.vector(weightType, 2)), j % 2);
      tile.high.push_back(t.bitcast(t.toFloat(half, f32), i32));
    } else {
      // The weights of a model are finite: cutting the low bits off is a split, too.
      Value bits = raw[j], high = t.bitAnd(bits, ~int64_t(0x1FFF));
      Value low = t.sub(t.bitcast(bits, f32), t.bitcast(high, f32));
      tile.high.push_back(high);
      tile.low.push_back(t.bitAnd(t.bitcast(low, i32), ~int64_t(0x1FFF)));
    }
  }
};

} // namespace

static std::unique_ptr<Product> makeProduct(kernel::ProductOpInterface op) {
  Type weights = cast<MemRefType>(op.getWeights().getType()).getElementType();
  return std::make_unique<FloatProduct>(op.inputs(), op.columns(), weights);
}

ProductForm describe(kernel::MatmulFloatOp op) { return {makeProduct(op), {}}; }
ProductForm describe(kernel::MatmulW8A16Op op) { return {makeProduct(op), {op.getScales()}}; }

} // namespace qopt::cuda
