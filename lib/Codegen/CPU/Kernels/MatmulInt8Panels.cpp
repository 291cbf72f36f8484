//===- MatmulInt8Panels.cpp - int8 products of many rows on AVX2 -----------===//
//
// vpmaddubsw multiplies unsigned by signed bytes and adds two products in 16 bits; vpmaddwd
// with ones widens the result. Weights are the unsigned operand, as w + 128, whose excess,
// 128 times the sum of a row of x, is taken off in the end. Two products fit 16 bits where
// two codes of x are together within +-128, as 255 * 128 < 2^15. Most pairs are: the step
// of a panel of rows in which some pair is not becomes two, one of its even and one of its
// odd inputs, in which every pair has one code. So what is added is exact, whatever weights
// and activations are, and at worst each step is done twice.
//
// Weights of 16 columns are offset once for all rows of a task, a chunk of inputs at a time.
//
//===----------------------------------------------------------------------===//
#include "MatmulInt8.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace qopt::kernels {

namespace {

constexpr int64_t kUnroll = 2; ///< steps that one iteration multiplies
constexpr int64_t kHalfLanes = kLanes / Int8::kHalves, kHalfBytes = Int8::kStep * kHalfLanes;

/// A vector of equal integers.
Value splat(Kernel &k, int64_t lanes, int64_t bits, uint64_t value) {
  VectorType type = k.vector(k.getIntegerType(bits), lanes);
  return arith::ConstantOp::create(k, DenseElementsAttr::get(type, APInt(bits, value)));
}

/// The sums of two neighbours in `values`, 16 bits each, as 32 bits.
Value addPairs(Kernel &k, Value values) {
  bool isWide = cast<VectorType>(values.getType()).getNumElements() == kLanes;
  return k.intrinsic(isWide ? "llvm.x86.avx2.pmadd.wd" : "llvm.x86.sse2.pmadd.wd",
                     k.vector(k.getI32Type(), isWide ? kHalfLanes : kHalfLanes / 2),
                     {values, splat(k, isWide ? kLanes : kLanes / 2, 16, 1)});
}

Value loadIndex(Kernel &k, Value memref, ValueRange indices) {
  return arith::IndexCastOp::create(k, k.getIndexType(), k.load(memref, indices));
}
void storeIndex(Kernel &k, Value index, Value memref, ValueRange indices) {
  k.store(arith::IndexCastOp::create(k, k.getI32Type(), index), memref, indices);
}

/// The step of four rows, a word of four codes each.
struct RowsStep {
  Kernel &k;
  Value words;

  static constexpr int64_t kShorts = Int8::kPanelRows * Int8::kStep / 2;
  static_assert(kShorts * 2 == kLanes);

  /// Sums of two neighbouring codes times `factor`, at most 255.
  Value pairs(uint64_t factor) const {
    Value codes = k.bitcast(words, k.vector(k.getI8Type()));
    return k.intrinsic("llvm.x86.ssse3.pmadd.ub.sw.128", k.vector(k.getIntegerType(16), kShorts),
                       {splat(k, kLanes, 8, factor), codes});
  }
  /// Whether some pair times 255 does not fit 16 bits: it is then the largest or the smallest
  /// number, which nothing that fits is.
  Value isTooLarge() const {
    Value products = pairs(255);
    Value signs = arith::ShRSIOp::create(k, products, splat(k, kShorts, 16, 15));
    Value isLimit = k.equal(arith::XOrIOp::create(k, products, signs), splat(k, kShorts, 16, 32767));
    return vector::ReductionOp::create(k, vector::CombiningKind::OR, isLimit);
  }
  Value codeSums() const { return addPairs(k, pairs(1)); }
};

} // namespace

int64_t Int8::chunkSteps() const { return std::min<int64_t>(steps(), 256); } // 16 KB of weights
int64_t Int8::chunks() const { return llvm::divideCeil(steps(), chunkSteps()); }

void Int8::allocatePanels(Value count) {
  int64_t most = 2 * chunkSteps() + kUnroll - 1;
  auto allocate = [&](ArrayRef<int64_t> shape, Type element) -> Value {
    SmallVector<int64_t> sizes{ShapedType::kDynamic};
    sizes.append(shape.begin(), shape.end());
    return memref::AllocOp::create(k, MemRefType::get(sizes, element), count, k.getI64IntegerAttr(64));
  };
  panelWords = allocate({chunks(), most, kPanelRows}, k.getI32Type());
  panelPlaces = allocate({chunks(), most}, k.getI32Type());
  panelSteps = allocate({chunks()}, k.getI32Type());
  panelOffsets = allocate({kPanelRows}, k.getI32Type());
}

/// The steps of a chunk of a panel's rows; returns `sums` with those of the codes.
Value Int8::packChunk(Value panel, Value chunk, Value count, int64_t lastInputs, Value sums) const {
  auto store = [&](Value at, Value words, Value place) {
    k.storeVector(words, panelWords, {panel, chunk, at, k.index(0)}, kPanelRows);
    storeIndex(k, place, panelPlaces, {panel, chunk, at});
  };
  auto pack = [&](Value place, int64_t valid, Value at, Value total) {
    Value input = k.mul(k.add(k.mul(chunk, k.index(chunkSteps())), place), k.index(kStep));
    Value words = arith::ConstantOp::create(k, k.getZeroAttr(k.vector(k.getI32Type(), kPanelRows)));
    for (int64_t r = 0; r < kPanelRows; ++r) {
      Value row = k.add(k.mul(panel, k.index(kPanelRows)), k.index(r));
      Value word = k.bitcast(k.loadVector(x, {row, input}, valid, kStep), k.vector(k.getI32Type(), 1));
      words = vector::InsertOp::create(k, vector::ExtractOp::create(k, word, 0), words, r);
    }
    RowsStep step{k, words};
    Value splits = step.isTooLarge(), even = k.select(splits, k.i32(0x00ff00ff), k.i32(-1));
    store(at, arith::AndIOp::create(k, words, k.broadcast(even, kPanelRows)), place);
    // Overwritten by the next step where this one fits.
    Value odd = k.i32(static_cast<int32_t>(0xff00ff00u)), next = k.add(at, k.index(1));
    store(next, arith::AndIOp::create(k, words, k.broadcast(odd, kPanelRows)), place);
    return Values{k.select(splits, k.add(next, k.index(1)), next), k.add(total, step.codeSums())};
  };
  Value whole = lastInputs == kStep ? count : k.sub(count, k.index(1));
  Values state = k.forLoop(k.index(0), whole, 1, {k.index(0), sums},
                           [&](Value i, ValueRange carried) { return pack(i, kStep, carried[0], carried[1]); });
  if (lastInputs != kStep)
    state = pack(whole, lastInputs, state[0], state[1]);
  static_assert(kUnroll == 2, "one step fills up the last iteration");
  Value zero = arith::ConstantOp::create(k, k.getZeroAttr(k.vector(k.getI32Type(), kPanelRows)));
  store(state[0], zero, k.index(0));
  storeIndex(k, k.mul(k.ceilDiv(state[0], kUnroll), k.index(kUnroll)), panelSteps, {panel, chunk});
  return state[1];
}

void Int8::packPanel(Value panel) const {
  Value sums = k.splatI32(0, kPanelRows), last = k.index(chunks() - 1);
  sums = k.forLoop(k.index(0), last, 1, {sums}, [&](Value chunk, ValueRange carried) {
    return Values{packChunk(panel, chunk, k.index(chunkSteps()), kStep, carried[0])};
  })[0];
  int64_t rest = steps() - (chunks() - 1) * chunkSteps();
  sums = packChunk(panel, last, k.index(rest), inputs - (steps() - 1) * kStep, sums);
  k.storeVector(k.mul(sums, k.splatI32(128, kPanelRows)), panelOffsets, {panel, k.index(0)}, kPanelRows);
}

/// Adds the products of a tile's rows with a chunk of weights to its sums.
Values Int8::multiplyPanel(Value row, Value chunk, Value weights, ValueRange sums) const {
  Values initial, result;
  SmallVector<int64_t> low = llvm::to_vector(llvm::seq<int64_t>(0, kHalfLanes)),
                       high = llvm::to_vector(llvm::seq<int64_t>(kHalfLanes, kLanes)),
                       all = llvm::to_vector(llvm::seq<int64_t>(0, kLanes));
  for (Value sum : sums)
    initial.append({k.shuffle(sum, sum, low), k.shuffle(sum, sum, high)});
  VectorType bytes = k.vector(k.getI8Type(), kHalfBytes), shorts = k.vector(k.getIntegerType(16));
  Value panel = k.div(row, kPanelRows);
  auto addStep = [&](Value i, Values &totals) {
    Value place = loadIndex(k, panelPlaces, {panel, chunk, i});
    Values halves;
    for (int64_t half = 0; half < kHalves; ++half)
      halves.push_back(k.loadVector(weights, {place, k.index(half * kHalfBytes)}, kHalfBytes, kHalfBytes));
    for (int64_t r = 0; r < kPanelRows; ++r) {
      Value four = k.load(panelWords, {panel, chunk, i, k.index(r)});
      Value codes = k.bitcast(k.broadcast(four, kHalfLanes), bytes);
      for (int64_t half = 0; half < kHalves; ++half) {
        Value products = k.intrinsic("llvm.x86.avx2.pmadd.ub.sw", shorts, {halves[half], codes});
        Value &total = totals[r * kHalves + half];
        total = k.add(total, addPairs(k, products));
      }
    }
  };
  Value end = loadIndex(k, panelSteps, {panel, chunk});
  Values totals = k.forLoop(k.index(0), end, kUnroll, initial, [&](Value i, ValueRange carried) {
    Values next = llvm::to_vector(carried);
    for (int64_t u = 0; u < kUnroll; ++u)
      addStep(k.add(i, k.index(u)), next);
    return next;
  });
  for (int64_t r = 0; r < kPanelRows; ++r)
    result.push_back(k.shuffle(totals[r * kHalves], totals[r * kHalves + 1], all));
  return result;
}

/// The rows of a task.
void Int8::panels(const RowsOfTask &task) const {
  Value weights = k.scratch({chunkSteps(), kHalves * kHalfBytes}, k.getI8Type());
  auto offset = [&](Value block, Value first, Value count) {
    k.forLoop(k.index(0), count, 1, [&](Value i) {
      for (int64_t half = 0; half < kHalves; ++half) {
        Value at = k.index(half * kHalfBytes);
        Value codes = k.loadVector(w, {block, k.add(first, i), at}, kHalfBytes, kHalfBytes);
        codes = arith::XOrIOp::create(k, codes, splat(k, kHalfBytes, 8, 128));
        k.storeVector(codes, weights, {i, at}, kHalfBytes);
      }
    });
  };
  forEachPanel(
      k, task, {kPanelRows, kPanelTaskRows, steps(), chunkSteps()}, k.getI32Type(), offset,
      [&](Value row, Value first, Value, ValueRange sums) {
        return multiplyPanel(row, k.div(first, chunkSteps()), weights, sums);
      },
      [&](const Tile &tile, ValueRange sums) { finish(tile, sums); });
}

} // namespace qopt::kernels
