//===- HalfRows.cpp - Rows of f32 as rows of f16 for the tensor cores ------===//
//
// A block converts a row: the largest magnitude decides by which power of two the row
// is multiplied, so that f16 neither overflows nor loses small rows; then every thread
// writes words of two numbers, which neighbours read from one line of memory in
// whatever order they are stored. Products of many rows pass over x once per block of
// columns, so one conversion is little beside them.
//
//===----------------------------------------------------------------------===//
#include "MatmulProduct.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

constexpr int64_t kThreads = 256;
enum { kSource, kHalves, kFactors };

struct HalfRowsThread : ProductThread {
  HalfRowsThread(Emitter &t, const Product &p, ValueRange args) : ProductThread(t, p, args) {}

  void run() {
    Value x = t.row(args[kSource], t.f32Type(), t.block(), p.inputs);
    auto [factor, inverse] = halfFactors(x, kThreads, t.shared());
    t.ifThen(t.equal(t.thread(), 0), [&] { t.store(inverse, t.at(args[kFactors], t.f32Type(), t.block())); });
    Type halves = t.vector(t.getF16Type(), 2);
    Value target = t.row(args[kHalves], halves, t.block(), p.halfWidth() / 2);
    t.forLoop(t.thread(), t.i32(p.halfWidth() / 2), kThreads, [&](Value word) {
      t.store(t.toFloat(halfElements(x, word, factor), halves), t.at(target, halves, word));
    });
  }
};

} // namespace

std::pair<Value, Value> ProductThread::halfFactors(Value x, int64_t threads, Value scratch) {
  Type f32 = t.f32Type(), i32 = t.getI32Type();
  int64_t lanes = Emitter::lanesOf(p.inputs, 4);
  Type piece = t.vector(f32, lanes);
  // NaN is never the largest.
  Value largest = t.forLoop(t.thread(), t.i32(p.inputs / lanes), threads, {t.f32(0)}, [&](Value i, ValueRange carried) {
    Value loaded = t.abs(t.load(piece, t.at(x, piece, i))), result = carried[0];
    for (int64_t lane = 0; lane < lanes; ++lane)
      result = t.max(t.extract(loaded, lane), result);
    return Values{result};
  })[0];
  largest = t.blockMax(largest, threads, scratch);
  // By exponents: 2^e <= largest < 2^(e + 1) is multiplied by 2^(14 - e). Both that and
  // its inverse are normal numbers; what infinity is multiplied by does not matter.
  Value exponent = t.max(t.shiftRight(t.bitcast(largest, i32), 23), t.i32(15));
  auto power = [&](Value biased) { return t.bitcast(t.shiftLeft(biased, 23), f32); };
  return {power(t.sub(t.i32(14 + 2 * 127), exponent)), power(t.sub(exponent, 14))};
}

Value ProductThread::halfElements(Value x, Value word, Value factor) {
  auto element = [&](Value index) {
    Value input = inputAt(index), isIn = t.less(input, p.inputs);
    Value loaded = t.load(t.f32Type(), t.at(x, t.f32Type(), t.select(isIn, input, t.i32(0))));
    return t.select(isIn, t.mul(loaded, factor), t.f32(0));
  };
  Value lane = t.bitAnd(word, 3), r = t.bitAnd(t.shiftRight(word, 2), 1), step = t.bitAnd(t.shiftRight(word, 3), 1);
  bool areRuns = p.laneWords == LaneWords::Runs;
  Value inChunk =
      areRuns ? t.add(t.add(t.mul(lane, 8), t.mul(r, 4)), step) : t.add(t.add(t.mul(step, 16), t.mul(r, 8)), lane);
  Value first = t.add(t.mul(t.shiftRight(word, 4), kHalfSteps * kHalfInputs), inChunk);
  return t.pack({element(first), element(t.add(first, areRuns ? 2 : 4))});
}

HalfRows HalfRows::allocate(Kernel &k, const Product &p, Value rows) {
  Value size = k.createOrFold<arith::IndexCastOp>(k.getIndexType(), rows);
  auto memory = [&](ArrayRef<int64_t> shape, Type element) {
    return memref::AllocOp::create(k, MemRefType::get(shape, element), size);
  };
  return {memory({ShapedType::kDynamic, p.halfWidth()}, k.getF16Type()), memory({ShapedType::kDynamic}, k.f32Type())};
}

void HalfRows::convert(Kernel &k, const Product &p, const Argument &x, Value rows) const {
  k.launch({.grid = {rows}, .threads = kThreads, .sharedBytes = kThreads / kWarp * 4, .suffix = "_half"},
           {x, {k.address(halves)}, {k.address(factors)}},
           [&](Emitter &t, ValueRange args) { HalfRowsThread(t, p, args).run(); });
}

void HalfRows::release(Kernel &k) const {
  memref::DeallocOp::create(k, halves);
  memref::DeallocOp::create(k, factors);
}

} // namespace qopt::cuda
