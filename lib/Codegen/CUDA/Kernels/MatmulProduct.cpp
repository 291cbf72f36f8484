//===- MatmulProduct.cpp - What all matrix products share ------------------===//
//
// The host body, which chooses a launch by the number of rows, and what threads of all
// launches do with words of x and registers of weights.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "qopt/Support/Targets.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt::cuda {

int64_t Product::chunks() const {
  if (!paddedGroup)
    return llvm::divideCeil(inputs, chunkElements());
  int64_t groups = llvm::divideCeil(inputs, groupSize);
  return (groups - 1) * (paddedGroup / chunkElements()) +
         llvm::divideCeil(inputs - (groups - 1) * groupSize, chunkElements());
}

int64_t Product::rowUnit() const {
  int64_t unit = std::min(chunksAhead, chunksPerGroup());
  while (chunksPerGroup() % unit)
    --unit;
  return unit;
}

/// Rows from which on the blocks of the launch for sm_90a are filled well enough.
constexpr int64_t kWgmmaRows = 64;

Values loadWords(Emitter &t, Value pointer) {
  Value words = t.load(t.vector(t.getI32Type(), 4), pointer);
  Values result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(t.extract(words, i));
  return result;
}

Value Product::groupOf(Emitter &t, Value chunk) const {
  auto groups = static_cast<int64_t>(llvm::divideCeil(inputs, groupSize));
  return t.min(t.div(chunk, t.i32(chunksPerGroup())), t.i32(groups - 1));
}

Values loadGroupScales(Emitter &t, Value scales, Type element, const WeightPlace &place, int64_t columns,
                       int64_t groups, Value group) {
  Value block = t.min(t.shiftRight(place.sums, 4), t.i32(llvm::divideCeil(columns, int64_t(16)) - 1));
  Type four = t.vector(element, 4);
  scales = t.row(scales, four, t.add(t.mul(block, groups), group), 4);
  scales = t.at(scales, four, t.shiftRight(t.bitAnd(place.sums, 15), 2));
  Values result;
  for (int64_t i = 0; i < place.numSums; ++i) {
    Value scale = t.extract(t.load(four, t.at(scales, four, i / 4)), i % 4);
    result.push_back(element.isF32() ? scale : t.toFloat(scale, t.f32Type()));
  }
  return result;
}

// The weights of a model are finite: cutting the low bits off is a split, too.
void appendSplit(Emitter &t, Value bits, Fragment &tile) {
  Type f32 = t.f32Type();
  Value high = t.bitAnd(bits, ~int64_t(0x1FFF));
  Value low = t.sub(t.bitcast(bits, f32), t.bitcast(high, f32));
  tile.high.push_back(high);
  tile.low.push_back(t.bitAnd(t.bitcast(low, t.getI32Type()), ~int64_t(0x1FFF)));
}

WeightPlace ProductThread::placeOf(Value warpColumns) {
  Value block = t.add(t.mul(warpColumns, 2), t.shiftRight(group, 2));
  int64_t blocks = llvm::divideCeil(p.columns, int64_t(16));
  return {t.min(block, t.i32(blocks - 1)), t.bitAnd(group, 3), inGroup,
          t.add(t.mul(warpColumns, kWarpColumns), t.mul(inGroup, 8))};
}

Value ProductThread::inputAt(Value element) {
  if (!isPadded())
    return element;
  Value inGroup = t.rem(element, t.i32(p.paddedGroup));
  Value input = t.add(t.mul(t.div(element, t.i32(p.paddedGroup)), p.groupSize), inGroup);
  return t.select(t.less(inGroup, p.groupSize), input, t.i32(p.inputs));
}

int64_t ProductThread::pieceBytes() {
  int64_t bytes = Emitter::lanesOf(p.inputs, p.elementBytes) * p.elementBytes;
  return isPadded() ? std::min(bytes, Emitter::lanesOf(p.groupSize, p.elementBytes) * p.elementBytes) : bytes;
}

Value ProductThread::loadWord(Value rowOfX, Value word, Value isValid) {
  Type i32 = t.getI32Type();
  int64_t each = 4 / p.elementBytes;
  auto guarded = [&](Type type, Value index, Value isIn) {
    isIn = isValid ? t.both(isIn, isValid) : isIn;
    Value loaded = t.load(type, t.at(rowOfX, type, t.select(isIn, index, t.i32(0))));
    return t.select(isIn, loaded, t.splat(type, int64_t(0)));
  };
  // Words that lie in one group.
  if (p.inputs % each == 0 && (!isPadded() || p.groupSize % each == 0)) {
    Value index = each == 1 || !isPadded() ? inputAt(word) : t.div(inputAt(t.mul(word, each)), t.i32(each));
    return guarded(i32, index, t.less(index, p.inputs / each));
  }
  Value result = t.i32(0);
  for (int64_t i = 0; i < each; ++i) {
    Value index = inputAt(t.add(t.mul(word, each), i));
    Value byte = guarded(t.getI8Type(), index, t.less(index, p.inputs));
    result = t.bitOr(result, t.shiftLeft(t.bitAnd(t.toInteger(byte, i32), 255), 8 * i));
  }
  return result;
}

/// f32 to what tf32 keeps, to nearest (Veltkamp; NaN stays), and what it does not.
static Values split(Emitter &t, ValueRange words, bool isSplit, Values &low) {
  Values high;
  for (Value word : words) {
    Value x = t.bitcast(word, t.f32Type());
    Value big = t.mul(x, t.f32(8193.0f));
    Value rounded = t.sub(big, t.sub(big, x));
    high.push_back(t.bitcast(rounded, t.getI32Type()));
    if (isSplit)
      low.push_back(t.bitAnd(t.bitcast(t.sub(x, rounded), t.getI32Type()), ~int64_t(0x1FFF)));
  }
  return high;
}

Fragment ProductThread::activations(ValueRange words, bool isSplit) {
  Fragment a;
  if (p.isInteger())
    a.high = llvm::to_vector(words);
  else
    a.high = split(t, words, isSplit, a.low);
  return a;
}

void ProductThread::multiply(const Fragment &a, const Fragment &b, Values &sums, int64_t first) {
  Values c(ArrayRef(sums).slice(first, 4));
  auto product = [&](ValueRange x, ValueRange y) { return p.isInteger() ? t.mmaS8(x, y, c) : t.mmaTf32(x, y, c); };
  if (!b.low.empty())
    c = product(a.high, b.low);
  if (!a.low.empty())
    c = product(a.low, b.high);
  c = product(a.high, b.high);
  for (int64_t i = 0; i < 4; ++i)
    sums[first + i] = c[i];
}

void ProductThread::multiplyHalf(ValueRange a, ValueRange b, Values &sums, int64_t first) {
  auto halves = [&](ValueRange words) {
    return llvm::map_to_vector(words, [&](Value word) { return t.bitcast(word, t.vector(t.getF16Type(), 2)); });
  };
  llvm::copy(t.mmaF16(halves(a), halves(b), ArrayRef(sums).slice(first, 4)), sums.begin() + first);
}

Value ProductThread::laneWord(int64_t step, int64_t half) {
  switch (p.laneWords) {
  case LaneWords::Apart:
    return t.add(inGroup, step * kStepWords + 4 * half);
  case LaneWords::Pairs:
    return t.add(t.mul(inGroup, 2), step * kStepWords + half);
  case LaneWords::Runs:
    return t.add(t.mul(inGroup, kStepWords), 2 * step + half);
  }
  llvm_unreachable("an order");
}

Values ProductThread::groupSums(int64_t count) {
  return fitMantissa() ? Values(count, t.bitcast(t.f32(sumOrigin()), t.i32Type())) : zeroSums(count);
}

Value ProductThread::exactFloat(Value sum) {
  if (fitMantissa())
    return t.sub(t.bitcast(sum, t.f32Type()), t.f32(sumOrigin()));
  Value number = t.toFloat(sum, t.f32Type());
  return p.sumUnit() == 1 ? number : t.mul(number, t.f32(p.sumUnit()));
}

Values ProductThread::fold(ValueRange scales, ValueRange sums, ValueRange totals, ArrayRef<int64_t> columnOfSum) {
  Values next;
  for (auto [i, sum] : llvm::enumerate(sums))
    next.push_back(t.fma(sum, scales[columnOfSum[i % columnOfSum.size()]], totals[i]));
  return next;
}

ProductForm describeProduct(kernel::ProductOpInterface op, const OutlierLoop &outliers) {
  return llvm::TypeSwitch<Operation *, ProductForm>(op)
      .Case([&](kernel::MatmulW8A8Op matmul) { return describe(matmul, outliers); })
      .Case<kernel::MatmulW4A16Op, kernel::MatmulW4A8Op, kernel::MatmulW8A16Op, kernel::MatmulFloatOp>(
          [](auto matmul) { return describe(matmul); })
      .Default([](Operation *) { return ProductForm(); });
}

void emit(Kernel &k, kernel::ProductOpInterface op) {
  ProductForm form = describeProduct(op);
  const Product &p = *form.product;
  SmallVector<Argument> own;
  for (Value operand : form.own)
    own.push_back(k.input(operand));
  Value x = op.getX(), rows = k.dim(x, 0);
  SmallVector<Argument> arguments{k.input(x), k.input(op.getWeights()), k.output(op.getY()), {k.toI32(rows)}};
  llvm::append_range(arguments, own);
  Value areFew = k.lessEqual(rows, k.i64(kFewRows));
  HalfRows half;
  if (p.halfTiles)
    half = HalfRows::allocate(k, p, k.select(areFew, k.i64(0), rows));
  k.ifThen(
      areFew, [&] { launchProductRows(k, p, rows, arguments); },
      [&] {
        Value source = k.address(x);
        if (p.halfTiles) {
          half.convert(k, p, arguments[kX], rows);
          source = k.address(half.halves);
          arguments[kX] = {source, /*readOnly=*/true};
          arguments.push_back({k.address(half.factors), /*readOnly=*/true});
        }
        auto launchTiles = [&] { launchProductTiles(k, p, rows, arguments); };
        if (!canUseWgmma(p))
          return launchTiles();
        Value pays = k.both(k.less(k.i64(kWgmmaRows), rows), k.lessEqual(k.i64(kHopperCapability), k.capability()));
        k.ifThen(pays, [&] { launchProductWgmma(k, p, source, rows, arguments); }, launchTiles);
      });
  if (p.halfTiles)
    half.release(k);
}

} // namespace qopt::cuda
