//===- MatmulInt4.cpp - Float activations times weights of four bits -------===//
//
// A 64-byte load brings eight inputs of 16 columns: each int32 lane holds the eight
// nibbles of one column. A shift puts nibble j of every column at the bottom of its
// lane; with AVX-512 one permute then looks the float code - 8 up in a 16-entry
// table (it reads only the low four bits of a lane), with AVX2 mask, convert and
// subtract do the same. The products of a group are summed by themselves, and the
// group's scale multiplies the sum: no weight is ever scaled, stored or seen twice
// per tile. Uneven zero points are subtracted from the unscaled codes.
//
// Codes that are places in a table are looked up in the same way; AVX2's permute reads three
// bits, so there are two and a choice by the fourth.
//
//===----------------------------------------------------------------------===//
#include "Tiles.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

constexpr int64_t kStep = kernel::kInt4Step; ///< inputs per 64-byte load

struct Int4 {
  Kernel &k;
  Value x, w, scales, zeros, y; ///< zeros may be null
  int64_t inputs, groupSize;
  std::optional<ArrayRef<float>> table;

  Value lookUp(ArrayRef<float> table, Value word) const;
  Value decode(Value word, int64_t place, Value zero) const;
  Values step(const Tile &tile, Value index, Value firstInput, int64_t inputs, ValueRange zero, ValueRange sums) const;
  Values group(const Tile &tile, Value index, int64_t size, ValueRange totals) const;
  void tile(const Tile &tile) const;
};

/// The numbers at the places that the low four bits of the lanes hold.
Value Int4::lookUp(ArrayRef<float> table, Value word) const {
  Type f32 = k.getF32Type();
  auto constant = [&](ArrayRef<float> numbers) -> Value {
    return arith::ConstantOp::create(k, DenseElementsAttr::get(k.vector(f32, numbers.size()), numbers));
  };
  if (k.target.vnni512)
    return k.intrinsic("llvm.x86.avx512.permvar.sf.512", k.vector(f32), {constant(table), word});
  constexpr int64_t kHalf = kLanes / 2;
  Value low = constant(table.take_front(kHalf)), high = constant(table.drop_front(kHalf));
  Value isHigh = arith::CmpIOp::create(k, arith::CmpIPredicate::ne, arith::AndIOp::create(k, word, k.splatI32(kHalf)),
                                       k.splatI32(0));
  auto all = llvm::to_vector(llvm::seq<int64_t>(0, kLanes));
  auto permute = [&](Value numbers) -> Value {
    Values halves;
    for (int64_t half = 0; half < 2; ++half) {
      Value places = vector::ShuffleOp::create(k, word, word, ArrayRef(all).slice(half * kHalf, kHalf));
      halves.push_back(k.intrinsic("llvm.x86.avx2.permps", k.vector(f32, kHalf), {numbers, places}));
    }
    return vector::ShuffleOp::create(k, halves[0], halves[1], all);
  };
  return arith::SelectOp::create(k, isHigh, permute(high), permute(low));
}

/// Lane c: what code `place` of column c stands for, less its zero point, as float.
Value Int4::decode(Value word, int64_t place, Value zero) const {
  Type f32 = k.vector(k.getF32Type());
  int64_t shift = place % 4 * 8 + place / 4 * 4;
  if (shift)
    word = arith::ShRUIOp::create(k, word, k.splatI32(shift));
  if (table)
    return lookUp(*table, word);
  Value code;
  if (k.target.vnni512) {
    SmallVector<float> codes;
    for (int64_t i = 0; i < kLanes; ++i)
      codes.push_back(zero ? i : i - 8);
    code = lookUp(codes, word);
  } else {
    word = arith::AndIOp::create(k, word, k.splatI32(15));
    if (!zero)
      word = k.sub(word, k.splatI32(8));
    code = arith::SIToFPOp::create(k, f32, word);
  }
  return zero ? k.sub(code, zero) : code;
}

/// Adds the products of up to eight inputs.
Values Int4::step(const Tile &tile, Value index, Value firstInput, int64_t inputs, ValueRange zero,
                  ValueRange sums) const {
  Values next = llvm::to_vector(sums), words;
  for (int64_t b = 0; b < tile.blocks; ++b) {
    if (tile.rows == 1)
      k.prefetchWeights(w, k.add(tile.block, k.index(b)), index, tile.blocks);
    Value bytes = k.loadVector(w, {k.add(tile.block, k.index(b)), index, k.index(0)}, 4 * kLanes, 4 * kLanes);
    words.push_back(k.bitcast(bytes, k.vector(k.getI32Type())));
  }
  for (int64_t j = 0; j < inputs; ++j) {
    Values weights;
    for (int64_t b = 0; b < tile.blocks; ++b)
      weights.push_back(decode(words[b], j, zero.empty() ? Value() : zero[b]));
    for (int64_t r = 0; r < tile.rows; ++r) {
      Value a = k.broadcast(k.load(x, {k.add(tile.row, k.index(r)), k.add(firstInput, k.index(j))}));
      for (int64_t b = 0; b < tile.blocks; ++b)
        next[r * tile.blocks + b] = k.fma(a, weights[b], next[r * tile.blocks + b]);
    }
  }
  return next;
}

/// totals += scale * (sum of the products of group `index`, which has `size` inputs).
Values Int4::group(const Tile &tile, Value index, int64_t size, ValueRange totals) const {
  Type f32 = k.vector(k.getF32Type());
  Value firstInput = k.mul(index, k.index(groupSize));
  Value firstStep = k.mul(index, k.index(llvm::divideCeil(groupSize, kStep)));
  auto ofGroup = [&](Value memref, int64_t b) {
    return k.loadVector(memref, {k.add(tile.block, k.index(b)), index, k.index(0)});
  };
  Values zero;
  for (int64_t b = 0; zeros && b < tile.blocks; ++b) {
    Value loaded = ofGroup(zeros, b);
    zero.push_back(loaded.getType() == f32 ? loaded : arith::SIToFPOp::create(k, f32, loaded).getResult());
  }

  Values sums(tile.rows * tile.blocks, k.splat(0.0f));
  int64_t full = size / kStep;
  if (full)
    sums = k.forLoop(k.index(0), k.index(full), 1, sums, [&](Value i, ValueRange carried) {
      return step(tile, k.add(firstStep, i), k.add(firstInput, k.mul(i, k.index(kStep))), kStep, zero, carried);
    });
  if (size % kStep)
    sums =
        step(tile, k.add(firstStep, k.index(full)), k.add(firstInput, k.index(full * kStep)), size % kStep, zero, sums);

  return addScaled(k, tile, sums, totals, [&](int64_t b) -> Value {
    Value scale = ofGroup(scales, b);
    return scale.getType() == f32 ? scale : arith::ExtFOp::create(k, f32, scale).getResult();
  });
}

void Int4::tile(const Tile &tile) const {
  Values totals = addGroups(k, tile, inputs, groupSize, [&](Value index, int64_t size, ValueRange carried) {
    return group(tile, index, size, carried);
  });
  storeTile(k, tile, totals, y);
}

} // namespace

void emit(Kernel &k, kernel::MatmulW4A16Op op) {
  Int4 matmul{k,         op.getX(),   op.getWeights(), op.getScales(), op.getZeros(),
              op.getY(), op.inputs(), op.groupSize(),  op.getTable()};
  Tiling tiling = defaultTiling(k.target, matmul.inputs * 4);
  if (!k.target.vnni512)
    tiling.accumulators = 2; // the words being unpacked need the other registers
  forEachTile(k, k.dim(matmul.x, 0), op.columns(), tiling, [&](const Tile &tile) { matmul.tile(tile); });
}

} // namespace qopt::kernels
