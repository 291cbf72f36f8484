//===- AttentionParts.cpp - Attention to a cache, cut along the keys -------===//
//
// Split-KV (Dao et al., "Flash-Decoding", 2023): with one new token there are only as
// many blocks as key heads, so the keys are cut into parts that fill the GPU. A part
// leaves its largest score, its sum of exponentials and its weighted values; a block
// per query and head puts them together here.
//
// The number of parts follows from the other sizes and the capacity of the cache, never
// from the number of keys: a recorded launch is right for any.
//
//===----------------------------------------------------------------------===//
#include "Attention.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

/// Blocks that keep a large GPU busy, parts that are still quickly put together, and keys
/// that are worth a block.
static constexpr int64_t kBusyBlocks = 264, kMostParts = 64, kLeastKeys = 128;

/// Queries of all heads.
static Value countRows(Kernel &k, const AttentionForm &form) {
  return k.mul(k.mul(k.dim(form.q, 0), k.dim(form.q, 1)), form.heads);
}

AttentionParts allocateAttentionParts(Kernel &k, const AttentionForm &form, Value areUsed) {
  Value one = k.i64(1), blocks = k.max(countAttentionBlocks(k, form), one);
  Value busy = k.div(k.add(blocks, kBusyBlocks - 1), blocks), most = k.ceilDiv(k.dim(form.keys, 2), kLeastKeys);
  Value count = k.max(k.min(k.min(busy, most), k.i64(kMostParts)), one);
  Value parts = k.select(areUsed, k.mul(countRows(k, form), count), k.i64(0));
  auto allocate = [&](int64_t floats) {
    Value size = arith::IndexCastOp::create(k, k.getIndexType(), k.mul(parts, floats));
    auto type = MemRefType::get({ShapedType::kDynamic}, k.getF32Type());
    return k.address(memref::AllocOp::create(k, type, size));
  };
  Value values = allocate(form.valueSize), states = allocate(2);
  return {count, values, states};
}

void launchAttentionCombine(Kernel &k, const AttentionForm &form, const AttentionParts &parts) {
  int64_t size = form.valueSize, threads = std::min<int64_t>(256, llvm::alignTo(size, kWarp));
  SmallVector<Argument> arguments{{parts.values, /*readOnly=*/true},
                                  {parts.states, /*readOnly=*/true},
                                  k.output(form.y),
                                  {k.toI32(k.dim(form.q, 1))},
                                  {k.toI32(parts.count)}};
  if (form.sinks)
    arguments.push_back(k.input(form.sinks));
  k.launch({.grid = {countRows(k, form)}, .threads = threads, .suffix = "_combine"}, arguments,
           [&](Emitter &t, ValueRange args) {
             Type f32 = t.f32Type(), i64 = t.getI64Type();
             Value queries = args[3], count = args[4], row = t.block();
             // Rows are [batch][key head][query][head of the group], results [batch][query][head].
             Value inGroup = t.rem(row, form.group()), outer = t.div(row, form.group());
             Value query = t.rem(outer, queries), headAndBatch = t.div(outer, queries);
             Value keyHead = t.rem(headAndBatch, form.keyHeads), batch = t.div(headAndBatch, form.keyHeads);
             Value head = t.add(t.mul(keyHead, form.group()), inGroup);
             Value line = t.add(t.mul(t.add(t.mul(batch, queries), query), form.heads), head);
             Value first = t.mul(t.toInteger(row, i64), t.toInteger(count, i64));
             Value values = t.row(args[0], f32, first, size), states = t.row(args[1], f32, first, 2);
             auto maximumOf = [&](Value part) { return t.load(f32, t.row(states, f32, part, 2)); };
             Value sink = t.f32(-FLT_MAX);
             if (form.sinks)
               sink = t.mul(t.load(f32, t.at(args[5], f32, head)), t.f32(kLog2E));
             Value largest = t.forLoop(t.i32(0), count, 1, {sink}, [&](Value part, ValueRange carried) {
               return Values{t.max(carried[0], maximumOf(part))};
             })[0];
             Value ofSink = form.sinks ? t.exp2Approx(t.sub(sink, largest)) : t.f32(0);
             Value y = t.row(args[2], f32, line, size);
             t.forLoop(t.thread(), t.i32(size), threads, [&](Value column) {
               Values sums = t.forLoop(t.i32(0), count, 1, {t.f32(0), ofSink}, [&](Value part, ValueRange carried) {
                 Value factor = t.exp2Approx(t.sub(maximumOf(part), largest));
                 Value total = t.load(f32, t.at(t.row(states, f32, part, 2), f32, 1));
                 Value sum = t.load(f32, t.at(t.row(values, f32, part, size), f32, column));
                 return Values{t.fma(sum, factor, carried[0]), t.fma(total, factor, carried[1])};
               });
               t.store(t.div(sums[0], sums[1]), t.at(y, f32, column));
             });
           });
}

} // namespace qopt::cuda
