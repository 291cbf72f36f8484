//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One thread moves one piece of at most 16 bytes; a row is a row of blocks, so that
// even a single token's embedding is read by as many threads as it has pieces. The
// element type does not matter: rows are bytes. Indices count from the end where
// negative; one out of range is reported and reads row 0. Rows of a packed table are
// columns of its blocks: there a piece is one element.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

void emit(Kernel &k, kernel::GatherOp op) {
  bool isPacked = op.isPacked();
  int64_t width = op.width();
  Type element = op.getData().getType().getElementType(), indexType = op.getIndices().getType().getElementType();
  int64_t elementBytes = std::max<int64_t>(element.getIntOrFloatBitWidth() / 8, 1);
  int64_t pieceBytes = isPacked ? elementBytes : Emitter::lanesOf(width * elementBytes, 1);
  int64_t pieces = width * elementBytes / pieceBytes;
  Type piece = pieceBytes == 16 ? k.vector(k.getI32Type(), 4) : k.getIntegerType(8 * pieceBytes);
  int64_t threads = std::min<int64_t>(256, llvm::alignTo(pieces, kWarp));
  Value rows = k.dim(op.getIndices(), 0), perRow = k.i64(llvm::divideCeil(pieces, threads));
  k.launch({.grid = {rows, perRow}, .threads = threads},
           {k.input(op.getData()),
            k.input(op.getIndices()),
            k.output(op.getY()),
            {isPacked ? k.i64(*op.getRows()) : k.dim(op.getData(), 0)},
            k.errors()},
           [&](Emitter &t, ValueRange args) {
             Value data = args[0], y = args[2], size = args[3], row = t.block(0);
             Value given = t.toInteger(t.load(indexType, t.at(args[1], indexType, row)), t.getI64Type());
             Value wrapped = t.select(t.less(given, 0), t.add(given, size), given);
             Value isValid = t.below(wrapped, size);
             Value i = t.add(t.mul(t.block(1), threads), t.thread());
             t.ifThen(t.both(t.negate(isValid), t.equal(i, 0)),
                      [&] { t.fail(args[4], QRT_INDEX_OUT_OF_RANGE, given, size); });
             Value read = t.select(isValid, wrapped, t.i64(0)), source;
             if (isPacked)
               source = t.at(t.row(data, piece, t.div(read, kernel::kColumns), width * kernel::kColumns), piece,
                             t.rem(read, kernel::kColumns));
             else
               source = t.row(data, piece, read, pieces);
             Value from = t.at(source, piece, isPacked ? t.mul(i, kernel::kColumns) : i);
             t.ifThen(t.less(i, pieces),
                      [&] { t.store(t.load(piece, from), t.at(t.row(y, piece, row, pieces), piece, i)); });
           });
}

} // namespace qopt::cuda
