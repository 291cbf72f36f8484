//===- Rotary.cpp - Rotary position embedding ------------------------------===//
//
// A row of blocks per token; one thread turns up to four pairs of one head, or copies
// elements that are not turned. The pairs of a thread are such that one load brings
// them: elements i.. and i + half.. of a head, or neighbours if interleaved. A
// position out of range is reported and reads row 0.
//
//===----------------------------------------------------------------------===//
#include "../Kernel.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

struct Rotary {
  bool headsFirst, interleaved, hasPositions;
  int64_t heads, headSize, rotated;
  Type positionType;

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

/// x, cos, sin (, positions), y.
LogicalResult emitRotary(Kernel &k) {
  bool hasPositions = k.numOperands() == 5;
  if (failed(hasPositions ? k.expectRanks({4, 2, 2, 2, 4}) : k.expectRanks({4, 3, 3, 4})))
    return failure();
  Rotary r{k.flag("heads_first"), k.flag("interleaved"), hasPositions, 0, k.size(0, 3), 0, Type()};
  r.heads = k.size(0, r.headsFirst ? 1 : 2);
  r.rotated = k.integer("rotary_dim", r.headSize);
  if (ShapedType::isDynamic(r.heads) || ShapedType::isDynamic(r.headSize) || r.rotated < 2 || r.rotated % 2 ||
      r.rotated > r.headSize)
    return k.function.emitOpError("requires known heads and an even number of rotated elements within a head");
  SmallVector<int64_t> table(k.type(1).getRank(), ShapedType::kDynamic);
  table.back() = r.half();
  if (failed(k.expectShape(1, table, k.getF32Type())) || failed(k.expectShape(2, table, k.getF32Type())))
    return failure();

  // What a token looks up: [positions or tables] of so many batches and tokens.
  unsigned lookup = hasPositions ? 3 : 1, result = hasPositions ? 4 : 3;
  Value batches = k.dim(0, 0), tokens = k.dim(0, r.headsFirst ? 2 : 1);
  SmallVector<Argument> arguments{k.input(0),
                                  k.input(1),
                                  k.input(2),
                                  k.output(result),
                                  {k.toI32(tokens)},
                                  {k.toI32(k.dim(lookup, 0))},
                                  {k.toI32(k.dim(lookup, 1))}};
  if (hasPositions) {
    r.positionType = k.type(3).getElementType();
    arguments.append({k.input(3), {k.dim(1, 0)}, k.errors()});
  }
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
             if (hasPositions) {
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
  return success();
}

} // namespace qopt::cuda
