//===- Rotary.cpp - Rotary position embedding ------------------------------===//
//
// A row of blocks per token; one thread turns up to four pairs of one head, or copies
// elements that are not turned. The pairs of a thread are such that one load brings
// them: elements i.. and i + half.. of a head, or neighbours if interleaved. A
// position out of range is reported and reads row 0.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

struct Rotary {
  explicit Rotary(kernel::RotaryOp op)
      : headsFirst(op.getHeadsFirst()), interleaved(op.getInterleaved()), heads(op.heads()), headSize(op.headSize()),
        rotated(op.rotated()), positionType(op.getPositions() ? op.getPositions().getType().getElementType() : Type()) {
  }

  bool headsFirst, interleaved;
  int64_t heads, headSize, rotated;
  Type positionType; ///< null: there are no positions

  int64_t half() const { return rotated / 2; }
  /// Pairs per thread, which is also what one load of the tables brings.
  int64_t pairs() const {
    if (!interleaved)
      return Emitter::lanesOf(std::gcd(headSize, half()), 4);
    return std::max<int64_t>(Emitter::lanesOf(std::gcd(headSize, rotated), 4) / 2, 1);
  }
  int64_t tailLanes() const { return Emitter::lanesOf(std::gcd(headSize, rotated), 4); }
  int64_t turningThreads() const { return half() / pairs(); }
  int64_t threadsPerHead() const { return turningThreads() + (headSize - rotated) / tailLanes(); }

  void turn(Emitter &t, Value x, Value y, Value cos, Value sin, Value i) const;
  void copy(Emitter &t, Value x, Value y, Value i) const;
};

/// The pairs pairs() * i .. of one head.
void Rotary::turn(Emitter &t, Value x, Value y, Value cos, Value sin, Value i) const {
  Type f32 = t.f32Type(), table = t.vector(f32, pairs());
  Value c = t.load(table, t.at(cos, table, i)), s = t.load(table, t.at(sin, table, i));
  auto turned = [&](Value a, Value b) {
    return std::pair(t.sub(t.mul(a, c), t.mul(b, s)), t.add(t.mul(b, c), t.mul(a, s)));
  };
  if (!interleaved) {
    Value first = t.mul(i, pairs()), second = t.add(first, half());
    auto [a, b] = turned(t.load(table, t.at(x, f32, first)), t.load(table, t.at(x, f32, second)));
    t.store(a, t.at(y, f32, first));
    t.store(b, t.at(y, f32, second));
    return;
  }
  Type both = t.vector(f32, 2 * pairs());
  int64_t alignment = headSize % 2 ? 4 : 8 * pairs();
  Value v = t.load(both, t.at(x, both, i), alignment);
  Values even, odd;
  for (int64_t j = 0; j < pairs(); ++j) {
    even.push_back(t.extract(v, 2 * j));
    odd.push_back(t.extract(v, 2 * j + 1));
  }
  auto [a, b] = pairs() == 1 ? turned(even[0], odd[0]) : turned(t.pack(even), t.pack(odd));
  Values woven;
  for (int64_t j = 0; j < pairs(); ++j)
    woven.append({t.extract(a, j), t.extract(b, j)});
  t.store(t.pack(woven), t.at(y, both, i), alignment);
}

void Rotary::copy(Emitter &t, Value x, Value y, Value i) const {
  Type piece = t.vector(t.f32Type(), tailLanes());
  Value at = t.add(t.mul(i, tailLanes()), rotated);
  t.store(t.load(piece, t.at(x, t.f32Type(), at)), t.at(y, t.f32Type(), at));
}

} // namespace

void emit(Kernel &k, kernel::RotaryOp op) {
  Rotary r(op);
  // What a token looks up: [positions or tables] of so many batches and tokens.
  Value x = op.getX(), positions = op.getPositions(), lookup = positions ? positions : Value(op.getCos());
  Value batches = k.dim(x, 0), tokens = k.dim(x, op.tokenDim());
  SmallVector<Argument> arguments{
      k.input(x),        k.input(op.getCos()),        k.input(op.getSin()),       k.output(op.getY()),
      {k.toI32(tokens)}, {k.toI32(k.dim(lookup, 0))}, {k.toI32(k.dim(lookup, 1))}};
  if (positions)
    arguments.append({k.input(positions), {k.dim(op.getCos(), 0)}, k.errors()});
  int64_t perToken = r.heads * r.threadsPerHead();
  int64_t threads = std::min<int64_t>(256, llvm::alignTo(perToken, kWarp));
  k.launch({.grid = {k.mul(batches, tokens), k.i64(llvm::divideCeil(perToken, threads))}, .threads = threads},
           arguments, [&](Emitter &t, ValueRange args) {
             Type f32 = t.f32Type();
             Value tokens = args[4], batch = t.div(t.block(), tokens), token = t.rem(t.block(), tokens);
             Value item = t.add(t.mul(t.block(1), threads), t.thread());
             // The row of the tables: [max] by position, or [batches, tokens].
             Value lookupBatch = t.min(batch, t.sub(args[5], 1)), lookupToken = t.min(token, t.sub(args[6], 1));
             Value row = t.add(t.mul(lookupBatch, args[6]), lookupToken);
             if (r.positionType) {
               Value given = t.toInteger(t.load(r.positionType, t.at(args[7], r.positionType, row)), t.getI64Type());
               Value isValid = t.below(given, args[8]);
               t.ifThen(t.both(t.negate(isValid), t.equal(item, 0)),
                        [&] { t.fail(args[9], QRT_INDEX_OUT_OF_RANGE, given, args[8]); });
               row = t.select(isValid, given, t.i64(0));
             }
             Value cos = t.row(args[1], f32, row, r.half()), sin = t.row(args[2], f32, row, r.half());
             Value head = t.div(item, r.threadsPerHead()), i = t.rem(item, r.threadsPerHead());
             Value line = r.headsFirst ? t.add(t.mul(t.add(t.mul(batch, r.heads), head), tokens), token)
                                       : t.add(t.mul(t.block(), r.heads), head);
             Value x = t.row(args[0], f32, line, r.headSize), y = t.row(args[3], f32, line, r.headSize);
             t.ifThen(t.less(item, perToken), [&] {
               if (r.rotated == r.headSize)
                 return r.turn(t, x, y, cos, sin, i);
               t.ifThen(
                   t.less(i, r.turningThreads()), [&] { r.turn(t, x, y, cos, sin, i); },
                   [&] { r.copy(t, x, y, t.sub(i, r.turningThreads())); });
             });
           });
}

} // namespace qopt::cuda
