//===- CacheAppend.cpp - New keys or values to a cache ---------------------===//
//
// One token of one sequence per iteration: its heads are rows of the cache that lie
// apart. A cache of f16 gets the nearest numbers, at most its largest. Tokens that do not
// fit are reported, and nothing is written then.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "qopt/Runtime/Abi.h"

using namespace mlir;

namespace qopt::kernels {

/// x [B,S,heads,size], past [B] or [1], cache [B,heads,capacity,size].
void emit(Kernel &k, kernel::CacheAppendOp op) {
  int64_t heads = op.heads(), size = op.headSize();
  Value x = op.getX(), cache = op.getCache(), tokens = k.dim(x, 1), capacity = k.dim(cache, 2);
  bool isWide = op.getCache().getType().getElementType().isF32();
  k.parallel(k.mul(k.dim(x, 0), tokens), grainOfRows(heads * size * 4), [&](Value row) {
    Value batch = k.div(row, tokens), token = k.rem(row, tokens);
    Value past =
        arith::IndexCastOp::create(k, k.getIndexType(), k.load(op.getPast(), {placeOfPast(k, op.getPast(), batch)}));
    Value room = k.sub(capacity, tokens); // negative where nothing can fit
    Value isWithin = arith::CmpIOp::create(k, arith::CmpIPredicate::sle, past, room);
    Value isPositive = arith::CmpIOp::create(k, arith::CmpIPredicate::sge, past, k.index(0));
    Value last = k.sub(k.add(past, tokens), k.index(1));
    k.ifThen(
        arith::AndIOp::create(k, isWithin, isPositive),
        [&] {
          k.forLoop(k.index(0), k.index(heads), 1, [&](Value head) {
            k.chunks(size, [&](Value i, int64_t valid) {
              Value values = k.loadVector(x, {batch, token, head, i}, valid);
              if (!isWide)
                values = k.toHalf(values);
              k.storeVector(values, cache, {batch, head, k.add(past, token), i}, valid);
            });
          });
        },
        [&] { k.failIndex(last, capacity); });
  });
}

} // namespace qopt::kernels
