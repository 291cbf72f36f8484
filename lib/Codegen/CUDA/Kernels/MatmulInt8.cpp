//===- MatmulInt8.cpp - int8 activations times int8 weights, exactly -------===//
//
// s8 mma m16n8k32: four consecutive inputs of a column are one word in memory and one
// word of a B register, so packed weights are operands as they are. Sums are exact, and
// scales are applied in the order of the CPU's kernel, (sum * token) * column, so every
// bit of the result is the CPU's. (The correction for x + 128 is not needed: both
// operands are signed here.)
//
// LLM.int8's outlier columns have zeros for codes; the epilogue adds their products in
// float, in the order of the list, reading single codes of the same packed weights.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

/// Own arguments, counted from kFirstOwn.
enum { kTokenScale = kFirstOwn, kColumnScale, kOutliers, kList };

struct Int8Product : Product {
  Int8Product(int64_t inputs, int64_t columns, bool perToken, bool hasOutliers)
      : Product(inputs, columns, 1), perToken(perToken), hasOutliers(hasOutliers),
        words(llvm::divideCeil(inputs, int64_t(4))) {
    wgmmaRows = 128;
  }

  bool perToken, hasOutliers;
  int64_t words; ///< of a column

  Values load(Emitter &t, ValueRange args, const WeightPlace &place, Value chunk) const override {
    Type piece = t.vector(t.getI32Type(), 4);
    Value column = t.at(args[kW], piece, t.add(t.mul(place.block, words * 4), place.quarter));
    Values raw;
    for (int64_t i = 0; i < 2 * kChunkSteps; ++i) {
      Value word = t.add(t.add(t.mul(chunk, kChunkWords), place.inGroup), 4 * i);
      llvm::append_range(raw, loadWords(t, t.at(column, piece, t.mul(t.min(word, t.i32(words - 1)), 4))));
    }
    return raw;
  }

  SmallVector<Fragment> decode(Emitter &, ValueRange raw, int64_t step) const override {
    SmallVector<Fragment> tiles;
    for (int64_t j = 0; j < 4; ++j)
      tiles.push_back({{raw[8 * step + j], raw[8 * step + 4 + j]}, {}});
    return tiles;
  }

  void finish(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, Values &sums) const override {
    Type f32 = t.f32Type();
    Values scales;
    for (Value column : columns)
      scales.push_back(t.load(f32, t.at(args[kColumnScale], f32, column)));
    for (auto [r, row] : llvm::enumerate(rows)) {
      Value token = t.load(f32, perToken ? t.at(args[kTokenScale], f32, row) : args[kTokenScale]);
      for (size_t c = 0; c < columns.size(); ++c) {
        Value &sum = sums[r * columns.size() + c];
        sum = t.mul(t.mul(t.toFloat(sum, f32), token), scales[c]);
      }
    }
    if (hasOutliers)
      addOutliers(t, args, rows, columns, scales, sums);
  }

private:
  /// The list ends at the first negative number.
  Values forEachListed(Emitter &t, Value list, Values initial, OutlierBody body) const {
    Type i32 = t.getI32Type();
    auto entry = [&](Value i) {
      Value isIn = t.less(i, inputs);
      Value input = t.load(i32, t.at(list, i32, t.select(isIn, i, t.i32(0))));
      return t.select(isIn, input, t.i32(-1));
    };
    Values state{t.i32(0), entry(t.i32(0))};
    llvm::append_range(state, initial);
    state = t.whileLoop(
        state, [&](ValueRange carried) { return t.lessEqual(t.i32(0), carried[1]); },
        [&](ValueRange carried) {
          Value i = t.add(carried[0], 1);
          Values next{i, entry(i)};
          llvm::append_range(next, body(carried[1], carried.drop_front(2)));
          return next;
        });
    return Values(llvm::drop_begin(state, 2));
  }

  void addOutliers(Emitter &t, ValueRange args, ValueRange rows, ValueRange columns, ArrayRef<Value> scales,
                   Values &sums) const {
    Type f32 = t.f32Type(), i8 = t.getI8Type();
    Values codes; // where a column's codes begin
    for (Value column : columns) {
      Value block = t.row(args[kW], i8, t.shiftRight(column, 4), words * 64);
      codes.push_back(t.at(block, i8, t.mul(t.bitAnd(column, 15), 4)));
    }
    auto add = [&](Value input, ValueRange carried) {
      Values next, weights;
      Value place = t.add(t.mul(t.shiftRight(input, 2), 64), t.bitAnd(input, 3));
      for (size_t c = 0; c < columns.size(); ++c)
        weights.push_back(t.mul(t.toFloat(t.load(i8, t.at(codes[c], i8, place)), f32), scales[c]));
      for (auto [r, row] : llvm::enumerate(rows)) {
        Value a = t.load(f32, t.at(t.row(args[kOutliers], f32, row, inputs), f32, input));
        for (size_t c = 0; c < columns.size(); ++c)
          next.push_back(t.fma(a, weights[c], carried[r * columns.size() + c]));
      }
      return next;
    };
    sums = outlierLoop ? outlierLoop(t, sums, add) : forEachListed(t, args[kList], sums, add);
  }
};

} // namespace

/// x [R,K], x_scale [R] or [], w [blocks,words,64], correction, w_scale [N] (, outliers, columns), y [R,N].
FailureOr<ProductDeclaration> describeMatmulW8A8(KernelDeclaration &k) {
  bool hasOutliers = k.numOperands() == 8;
  auto scaleType = k.numOperands() > 1 ? dyn_cast<MemRefType>(k.function.getFunctionType().getInput(1)) : MemRefType();
  bool perToken = scaleType && scaleType.getRank() == 1;
  int64_t scaleRank = perToken ? 1 : 0;
  if (failed(hasOutliers ? k.expectRanks({2, scaleRank, 3, 1, 1, 2, 1, 2}) : k.expectRanks({2, scaleRank, 3, 1, 1, 2})))
    return failure();
  unsigned result = hasOutliers ? 7 : 5;
  int64_t inputs = k.size(0, 1), n = k.size(result, 1);
  if (ShapedType::isDynamic(inputs) || ShapedType::isDynamic(n))
    return k.function.emitOpError("requires known inputs and outputs");
  auto product = std::make_unique<Int8Product>(inputs, n, perToken, hasOutliers);
  int64_t blocks = llvm::divideCeil(n, int64_t(16));
  Builder b(k.function.getContext());
  Type f32 = b.getF32Type(), i8 = b.getI8Type(), i32 = b.getI32Type();
  SmallVector<int64_t> scaleShape(scaleRank, ShapedType::kDynamic);
  if (failed(k.expectShape(0, {ShapedType::kDynamic, inputs}, i8)) || failed(k.expectShape(1, scaleShape, f32)) ||
      failed(k.expectShape(2, {blocks, product->words, 64}, i8)) || failed(k.expectShape(3, {blocks * 16}, i32)) ||
      failed(k.expectShape(4, {n}, f32)) ||
      (hasOutliers && (failed(k.expectShape(5, {ShapedType::kDynamic, inputs}, f32)) ||
                       failed(k.expectShape(6, {inputs}, i32)))) ||
      failed(k.expectShape(result, {ShapedType::kDynamic, n}, f32)))
    return failure();
  SmallVector<unsigned> own{1, 4};
  if (hasOutliers)
    own.append({5, 6});
  return ProductDeclaration{std::move(product), 0, 2, result, own};
}

} // namespace qopt::cuda
