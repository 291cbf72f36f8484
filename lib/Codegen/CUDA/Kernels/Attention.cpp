//===- Attention.cpp - softmax(q k^T * scale + mask) v ---------------------===//
//
// Three kernels: AttentionTiles.cpp for many queries, AttentionRows.cpp for few ones
// and for large heads. The host body chooses by the number of queries. Where keys and
// values are in a cache, blocks of the latter share the keys of a head, as one block
// for each would leave most of the GPU idle, and AttentionParts.cpp joins what they
// found.
//
// A result that becomes int8 codes should have the CPU's bits: one code that rounds the
// other way changes many others some layers on. AttentionOrdered.cpp sees to that where
// it does not take much longer than a launch.
//
//===----------------------------------------------------------------------===//
#include "Attention.h"
#include <cmath>

using namespace mlir;

namespace qopt::cuda {

namespace {

/// Up to here a tile of queries would be mostly empty, and one block per head too
/// little to read the keys with.
constexpr int64_t kFewQueries = 8;
/// Multiplications that take about ten microseconds without tensor cores. Queries count in
/// blocks, as they are computed.
constexpr int64_t kOrderedWork = int64_t(1) << 28, kOrderedQueries = 64;

/// Chooses by the number of queries, where it is not known before.
void chooseByQueries(Kernel &k, const AttentionForm &form, function_ref<void(Value)> prepare, function_ref<void()> few,
                     function_ref<void()> many) {
  int64_t queries = cast<MemRefType>(form.q.getType()).getDimSize(form.queryDim());
  bool isKnown = !ShapedType::isDynamic(queries);
  if (std::max(form.headSize, form.valueSize) > kTiledHeadSize || (isKnown && queries <= kFewQueries)) {
    prepare(k.boolean(true));
    few();
  } else if (isKnown) {
    many();
  } else {
    Value areFew = k.lessEqual(k.dim(form.q, form.queryDim()), k.i64(kFewQueries));
    prepare(areFew);
    k.ifThen(areFew, few, many);
  }
}

/// In order where there is little to do.
void chooseByWork(Kernel &k, const AttentionForm &form, function_ref<void()> otherwise) {
  if (!form.inOrder)
    return otherwise();
  Value blocks = k.ceilDiv(k.dim(form.q, form.queryDim()), kOrderedQueries);
  Value keys = k.dim(form.keys, form.keyDim()); // or what there is memory for
  Value pairs = k.mul(k.mul(k.dim(form.q, 0), blocks), keys);
  int64_t most = kOrderedWork / (kOrderedQueries * form.heads * (form.headSize + form.valueSize));
  k.ifThen(k.lessEqual(pairs, k.i64(most)), [&] { launchAttentionOrdered(k, form); }, otherwise);
}

} // namespace

template <typename Op>
void AttentionForm::read(Op op) {
  q = op.getQ(), keys = op.getKeys(), values = op.getValues(), y = op.getY();
  heads = op.heads(), keyHeads = op.keyHeads(), headSize = op.headSize(), valueSize = op.valueSize();
  scale = op.scaleFactor(), softcap = op.softcapLimit();
  inOrder = op.getInOrder() && std::max(headSize, valueSize) <= kTiledHeadSize;
}

AttentionForm::AttentionForm(kernel::AttentionOp op)
    : mask(op.getMask()), queryHeadsFirst(op.getQHeadsFirst()), keyHeadsFirst(op.getKvHeadsFirst()),
      causal(op.getCausal()), offset(op.getOffset()) {
  read(op);
  if (!mask)
    return;
  maskElement = op.getMask().getType().getElementType();
  maskShape = op.getMask().getType().getShape();
}

AttentionForm::AttentionForm(kernel::CachedAttentionOp op)
    : past(op.getPast()), slopes(op.getSlopes()), sinks(op.getSinks()), queryHeadsFirst(false), keyHeadsFirst(true),
      causal(true), offset(true), window(op.getWindow().value_or(0)) {
  read(op);
}

SmallVector<Argument> attentionArguments(Kernel &k, const AttentionForm &form) {
  SmallVector<Argument> arguments{k.input(form.q),
                                  k.input(form.keys),
                                  k.input(form.values),
                                  k.output(form.y),
                                  {k.toI32(k.dim(form.q, form.queryDim()))},
                                  {k.toI32(k.dim(form.keys, form.keyDim()))}};
  for (Value memory : {form.past, form.slopes, form.sinks})
    if (memory)
      arguments.push_back(k.input(memory));
  if (form.mask) {
    arguments.push_back(k.input(form.mask));
    for (unsigned i = 0; i < 4; ++i)
      arguments.push_back({k.toI32(k.dim(form.mask, i))});
  }
  return arguments;
}

AttentionThread::AttentionThread(Emitter &t, const AttentionForm &form, ValueRange args)
    : t(t), form(form), q(args[0]), keys(args[1]), values(args[2]), y(args[3]), queryCount(args[4]), keyCount(args[5]),
      keyRoom(args[5]) {
  if (form.isCached()) {
    // What does not fit was not appended; that error is known.
    bool isShared = cast<MemRefType>(form.past.getType()).getDimSize(0) == 1;
    Value place = isShared ? args[6] : t.at(args[6], t.getI64Type(), t.block(2));
    Value past = t.max(t.load(t.getI64Type(), place), t.i64(0));
    past = t.toInteger(t.min(past, t.toInteger(keyRoom, t.getI64Type())), t.i32Type());
    keyCount = t.min(t.add(past, queryCount), keyRoom);
    unsigned next = 7;
    slopes = form.slopes ? args[next++] : Value();
    sinks = form.sinks ? args[next] : Value();
  }
  if (form.maskElement) {
    mask = args[6];
    for (unsigned i = 0; i < 4; ++i)
      maskSizes[i] = ShapedType::isDynamic(form.maskShape[i]) ? args[7 + i] : t.i32(form.maskShape[i]);
  }
  causalOffset = form.offset ? t.sub(keyCount, queryCount) : t.i32(0);
}

Value AttentionThread::queryRow(Value base, int64_t size, Value batch, Value head, Value query) {
  auto wide = [&](Value v) { return t.toInteger(v, t.getI64Type()); };
  Value count = wide(queryCount), row;
  if (form.queryHeadsFirst)
    row = t.add(t.mul(t.add(t.mul(wide(batch), form.heads), wide(head)), count), wide(query));
  else
    row = t.add(t.mul(t.add(t.mul(wide(batch), count), wide(query)), form.heads), wide(head));
  return t.row(base, f32(), row, size);
}

Value AttentionThread::keyRows(Value base, int64_t size, Value batch, Value keyHead) {
  auto wide = [&](Value v) { return t.toInteger(v, t.getI64Type()); };
  Value count = wide(keyRoom), row;
  if (form.keyHeadsFirst)
    row = t.mul(t.add(t.mul(wide(batch), form.keyHeads), wide(keyHead)), count);
  else
    row = t.add(t.mul(t.mul(wide(batch), count), form.keyHeads), wide(keyHead));
  return t.row(base, f32(), row, size);
}

/// Sizes of 1 stand for all places.
Value AttentionThread::maskRow(Value batch, Value head, Value query) {
  if (slopes)
    return t.at(slopes, f32(), head);
  if (!mask)
    return Value();
  Value row = t.i64(0), places[3] = {batch, head, query};
  for (unsigned i = 0; i < 3; ++i) {
    Value place = form.maskShape[i] == 1 ? t.i32(0) : t.min(places[i], t.sub(maskSizes[i], 1));
    row = t.add(t.mul(row, t.toInteger(maskSizes[i], t.getI64Type())), t.toInteger(place, t.getI64Type()));
  }
  Type element = form.maskElement.isF32() ? f32() : t.getI8Type();
  return t.at(mask, element, t.mul(row, t.toInteger(maskSizes[3], t.getI64Type())));
}

float AttentionThread::queryFactor() const { return form.softcap != 0.0f ? form.scale : form.scale * kLog2E; }

Value AttentionThread::score(Value s, Value row, Value key) {
  if (form.softcap != 0.0f) {
    // tanh(x) = 1 - 2 / (1 + e^2x)
    Value power = t.exp2Approx(t.mul(s, t.f32(2 * kLog2E / form.softcap)));
    Value inverse = t.reciprocalApprox(t.add(power, t.f32(1)));
    s = t.mul(t.fma(inverse, t.f32(-2), t.f32(1)), t.f32(form.softcap * kLog2E));
  }
  if (slopes)
    return t.fma(sloped(row, key), t.f32(kLog2E), s);
  if (!mask)
    return s;
  Value m = loadMask(row, key);
  if (form.maskElement.isF32())
    return larger(lowest(), t.fma(m, t.f32(kLog2E), s));
  return t.select(t.equal(m, 0), lowest(), s);
}

Value AttentionThread::sloped(Value row, Value key) {
  Value distance = t.toFloat(t.sub(key, t.sub(keyCount, 1)), f32());
  return t.mul(distance, t.load(f32(), row));
}

Value AttentionThread::sink(Value head, float unit) {
  return t.mul(t.load(f32(), t.at(sinks, f32(), head)), t.f32(unit));
}

Value AttentionThread::loadMask(Value row, Value key) {
  Value place = form.maskShape[3] == 1 ? t.i32(0) : t.min(key, t.sub(maskSizes[3], 1));
  Type element = form.maskElement.isF32() ? f32() : t.getI8Type();
  return t.load(element, t.at(row, element, place));
}

Value AttentionThread::hide(Value s, Value key, Value limit) {
  if (form.causal)
    s = t.select(t.less(key, limit), s, lowest());
  if (form.window)
    s = t.select(t.less(key, t.sub(limit, form.window)), lowest(), s);
  return t.select(t.less(key, keyCount), s, t.f32(-INFINITY));
}

Value AttentionThread::larger(Value a, Value b) { return arith::MaxNumFOp::create(t, a, b); }

Values AttentionThread::visitInRounds(Value end, Values state, function_ref<Values(Value, Value, ValueRange)> visit,
                                      function_ref<Value(Value, ValueRange)> someoneIsBlind) {
  return t.forLoop(t.i32(0), t.i32(2), 1, state, [&](Value round, ValueRange carried) {
    Value isFirst = t.equal(round, 0), isBlind = someoneIsBlind(round, carried);
    Value last = t.select(isFirst, end, t.select(isBlind, keyCount, t.i32(0)));
    return visit(t.select(isFirst, t.i32(0), end), last, carried);
  });
}

Value AttentionThread::someoneIsBlind(Value round, ValueRange queries, ValueRange maxima, int64_t warps) {
  Value isBlind = t.boolean(false);
  for (auto [query, maximum] : llvm::zip(queries, maxima))
    isBlind = t.either(isBlind, t.both(t.less(query, queryCount), t.equal(maximum, lowest())));
  Type i32 = t.i32Type();
  Value flags = t.at(t.shared(), i32, t.mul(round, warps)), lanes = t.ballot(isBlind), any = t.i32(0);
  t.ifThen(t.equal(t.lane(), 0), [&] { t.store(lanes, t.at(flags, i32, t.warp())); });
  t.barrier();
  for (int64_t i = 0; i < warps; ++i)
    any = t.bitOr(any, t.load(i32, t.at(flags, i32, i)));
  return t.negate(t.equal(any, 0));
}

void emit(Kernel &k, kernel::AttentionOp op) {
  AttentionForm form(op);
  chooseByWork(k, form, [&] {
    chooseByQueries(
        k, form, [](Value) {}, [&] { launchAttentionRows(k, form); }, [&] { launchAttentionTiles(k, form); });
  });
}

void emit(Kernel &k, kernel::CachedAttentionOp op) {
  AttentionForm form(op);
  AttentionParts parts;
  auto few = [&] {
    launchAttentionParts(k, form, parts);
    launchAttentionCombine(k, form, parts);
  };
  auto many = [&] { chooseByWork(k, form, [&] { launchAttentionTiles(k, form); }); };
  chooseByQueries(k, form, [&](Value areFew) { parts = allocateAttentionParts(k, form, areFew); }, few, many);
}

} // namespace qopt::cuda
