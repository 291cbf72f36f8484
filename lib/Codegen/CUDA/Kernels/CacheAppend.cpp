//===- CacheAppend.cpp - New keys or values to a cache ---------------------===//
//
// A row of blocks per token; a thread moves one piece of at most 16 bytes of a head.
// Tokens that do not fit are reported, and nothing is written then.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

void emit(Kernel &k, kernel::CacheAppendOp op) {
  int64_t heads = op.heads(), size = op.headSize();
  int64_t lanes = Emitter::lanesOf(size, 4), pieces = size / lanes, perToken = heads * pieces;
  Type piece = k.vector(k.getF32Type(), lanes), i64 = k.getI64Type();
  int64_t threads = std::min<int64_t>(256, llvm::alignTo(perToken, kWarp));
  Value tokens = k.dim(op.getX(), 1);
  bool isShared = op.getPast().getType().getDimSize(0) == 1;
  k.launch(
      {.grid = {k.mul(k.dim(op.getX(), 0), tokens), k.i64(llvm::divideCeil(perToken, threads))}, .threads = threads},
      {k.input(op.getX()),
       k.input(op.getPast()),
       k.output(op.getCache()),
       {k.toI32(tokens)},
       {k.dim(op.getCache(), 2)},
       k.errors()},
      [&](Emitter &t, ValueRange args) {
        Value capacity = args[4], batch = t.div(t.block(), args[3]),
              token = t.toInteger(t.rem(t.block(), args[3]), i64);
        Value count = t.toInteger(args[3], i64), past = t.load(i64, isShared ? args[1] : t.at(args[1], i64, batch));
        Value fits = t.both(t.lessEqual(t.i64(0), past), t.lessEqual(past, t.sub(capacity, count)));
        Value item = t.add(t.mul(t.block(1), threads), t.thread());
        t.ifThen(t.both(t.negate(fits), t.equal(item, 0)),
                 [&] { t.fail(args[5], QRT_INDEX_OUT_OF_RANGE, t.sub(t.add(past, count), 1), capacity); });
        t.ifThen(t.both(fits, t.less(item, perToken)), [&] {
          Value head = t.div(item, pieces);
          Value line = t.toInteger(t.add(t.mul(batch, heads), head), i64);
          Value row = t.row(args[2], piece, t.add(t.mul(line, capacity), t.add(past, token)), pieces);
          Value from = t.row(args[0], piece, t.block(), perToken);
          t.store(t.load(piece, t.at(from, piece, item)), t.at(row, piece, t.rem(item, pieces)));
        });
      });
}

} // namespace qopt::cuda
