//===- LayerNorm.cpp - (x - mean) / deviation * weight + bias --------------===//
//
// One block per row, which all threads bring into shared memory. Sums have the order of
// the CPU's kernel, as those of RmsNorm.cpp.
//
//===----------------------------------------------------------------------===//
#include "RmsNorm.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

struct LayerNorm {
  kernel::LayerNormOp op;
  int64_t threads;

  int64_t lanes() { return Emitter::lanesOf(op.width(), 4); }
  void forEachPiece(Emitter &t, function_ref<void(Value)> body) {
    t.forLoop(t.thread(), t.i32(op.width() / lanes()), threads, body);
  }
  void run(Emitter &t, Value x, ValueRange weights, Value y, Value sums);
};

/// `weights`: the weight, and the bias if there is one.
void LayerNorm::run(Emitter &t, Value x, ValueRange weights, Value y, Value sums) {
  Type f32 = t.f32Type(), piece = t.vector(f32, lanes());
  auto load = [&](Value i) { return t.load(f32, t.at(x, f32, i)); };
  Value mean = meanOfRow(t, op.width(), sums, [&](Value sum, Value i) { return t.add(sum, load(i)); });
  t.barrier(); // the sums are used again
  Value variance = meanOfRow(t, op.width(), sums, [&](Value sum, Value i) {
    Value distance = t.sub(load(i), mean);
    return t.fma(distance, distance, sum);
  });
  Value factor = t.div(t.f32(1), t.sqrt(t.add(variance, t.f32(op.getEpsilon().convertToFloat()))));
  Value means = t.broadcast(mean, lanes()), factors = t.broadcast(factor, lanes());
  forEachPiece(t, [&](Value i) {
    Value v = t.mul(t.sub(t.load(piece, t.at(x, piece, i)), means), factors);
    v = t.mul(v, t.load(piece, t.at(weights[0], piece, i)));
    if (weights.size() > 1)
      v = t.add(v, t.load(piece, t.at(weights[1], piece, i)));
    t.store(v, t.at(y, piece, i));
  });
}

} // namespace

void emit(Kernel &k, kernel::LayerNormOp op) {
  Type f32 = k.f32Type();
  int64_t width = op.width(), pieces = width / Emitter::lanesOf(width, 4);
  LayerNorm norm{op, std::clamp<int64_t>(llvm::alignTo(pieces, kWarp), kNormSums, 512)};
  // Shared memory: the partial sums, and the row if there is room.
  int64_t rowOffset = kNormSums * 4;
  bool isStaged = rowOffset + width * 4 <= kSharedBytes;
  SmallVector<Argument> arguments{k.input(op.getX()), k.output(op.getY()), k.input(op.getWeight())};
  if (op.getBias())
    arguments.push_back(k.input(op.getBias()));
  k.launch(
      {.grid = {k.dim(op.getX(), 0)}, .threads = norm.threads, .sharedBytes = rowOffset + (isStaged ? width * 4 : 0)},
      arguments, [&](Emitter &t, ValueRange args) {
        Value row = t.block();
        Value x = t.row(args[0], f32, row, width), y = t.row(args[1], f32, row, width);
        if (isStaged) {
          Type piece = t.vector(f32, norm.lanes());
          norm.forEachPiece(
              t, [&](Value i) { t.store(t.load(piece, t.at(x, piece, i)), t.at(t.shared(rowOffset), piece, i)); });
          t.barrier();
          x = t.shared(rowOffset);
        }
        norm.run(t, x, args.drop_front(2), y, t.shared());
      });
}

} // namespace qopt::cuda
