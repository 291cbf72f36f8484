//===- RmsNorm.cpp - x / sqrt(mean(x^2) + epsilon) * weight ----------------===//
//
// One block per row. The squares are summed in the order of the CPU's kernel, so that
// what is quantized afterwards gets the same codes: 64 partial sums, the p-th over
// the elements p, p + 64, ..., then those in halves. A chain of K / 64 dependent
// steps is short, but only if none of them waits for memory: all threads first bring
// the row into shared memory, two warps then run the 64 chains from there. Rows that
// do not fit are read from memory twice.
//
//===----------------------------------------------------------------------===//
#include "RmsNorm.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

/// The sum of kNormSums numbers in shared memory as the CPU's vectors add them: the four
/// vectors of 16 first, then halves. Called by one warp; every lane gets it.
static Value sumInHalves(Emitter &t, Value sums) {
  Type f32 = t.f32Type();
  Value lane = t.bitAnd(t.lane(), 15);
  auto part = [&](int64_t i) { return t.load(f32, t.at(t.at(sums, f32, lane), f32, 16 * i)); };
  return t.warpSum(t.add(t.add(part(0), part(2)), t.add(part(1), part(3))), /*lanes=*/16);
}

Value meanOfRow(Emitter &t, int64_t width, Value sums, function_ref<Value(Value, Value)> add) {
  Value thread = t.thread();
  t.ifThen(t.less(thread, kNormSums), [&] {
    Values sum = t.forLoop(thread, t.i32(width), kNormSums, {t.f32(0)},
                           [&](Value i, ValueRange carried) { return Values{add(carried[0], i)}; });
    t.store(sum[0], t.at(sums, t.f32Type(), thread));
  });
  t.barrier();
  return t.div(sumInHalves(t, sums), t.f32(static_cast<float>(width)));
}

void RowNorm::forEachPiece(Emitter &t, function_ref<void(Value)> body) const {
  t.forLoop(t.thread(), t.i32(width / lanes()), threads, body);
}

void RowNorm::copy(Emitter &t, Value from, Value to) const {
  Type piece = t.vector(t.f32Type(), lanes());
  forEachPiece(t, [&](Value i) { t.store(t.load(piece, t.at(from, piece, i)), t.at(to, piece, i)); });
}

void RowNorm::run(Emitter &t, Value x, Value weight, Value y, Value sums) const {
  Type f32 = t.f32Type(), piece = t.vector(f32, lanes());
  Value mean = meanOfRow(t, width, sums, [&](Value sum, Value i) {
    Value v = t.load(f32, t.at(x, f32, i));
    return t.fma(v, v, sum);
  });
  Value factor = t.div(t.f32(1), t.sqrt(t.add(mean, t.f32(epsilon))));
  Value factors = t.broadcast(factor, lanes());
  forEachPiece(t, [&](Value i) {
    Value v = t.mul(t.load(piece, t.at(x, piece, i)), factors);
    t.store(t.mul(v, t.load(piece, t.at(weight, piece, i))), t.at(y, piece, i));
  });
}

void emit(Kernel &k, kernel::RmsNormOp op) {
  Type f32 = k.f32Type();
  int64_t width = op.width(), pieces = width / Emitter::lanesOf(width, 4);
  RowNorm norm(op, std::clamp<int64_t>(llvm::alignTo(pieces, kWarp), kNormSums, 512));
  // Shared memory: the partial sums, and the row if there is room.
  int64_t rowOffset = kNormSums * 4;
  bool isStaged = rowOffset + width * 4 <= kSharedBytes;
  int64_t sharedBytes = rowOffset + (isStaged ? width * 4 : 0);
  k.launch({.grid = {k.dim(op.getX(), 0)}, .threads = norm.threads, .sharedBytes = sharedBytes},
           {k.input(op.getX()), k.input(op.getWeight()), k.output(op.getY())}, [&](Emitter &t, ValueRange args) {
             Value row = t.block();
             Value x = t.row(args[0], f32, row, width), y = t.row(args[2], f32, row, width);
             if (isStaged) {
               norm.copy(t, x, t.shared(rowOffset));
               t.barrier();
               x = t.shared(rowOffset);
             }
             norm.run(t, x, args[1], y, t.shared());
           });
}

} // namespace qopt::cuda
