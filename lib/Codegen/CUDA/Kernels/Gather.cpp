//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One thread moves one piece of at most 16 bytes; a row is a row of blocks, so that
// even a single token's embedding is read by as many threads as it has pieces. The
// element type does not matter: rows are bytes. Indices count from the end where
// negative; one out of range is reported and reads row 0. Rows of a packed table are
// columns of its blocks: there a piece is one element.
//
//===----------------------------------------------------------------------===//
#include "../Kernel.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

/// data [V,K] or, packed, [blocks,K,16], indices [R], y [R,K].
LogicalResult emitGather(Kernel &k) {
  int64_t packedRows = k.integer("rows", 0);
  bool isPacked = packedRows > 0;
  if (failed(k.expectRanks({isPacked ? 3 : 2, 1, 2})))
    return failure();
  int64_t width = k.size(0, 1);
  Type element = k.type(0).getElementType(), indexType = k.type(1).getElementType();
  if (ShapedType::isDynamic(width) || !isa<IntegerType>(indexType))
    return k.function.emitOpError("requires rows of known size and integer indices");
  int64_t blocks = llvm::divideCeil(packedRows, kColumns);
  if (failed(k.expectShape(2, {ShapedType::kDynamic, width}, element)) ||
      (isPacked && failed(k.expectShape(0, {blocks, width, kColumns}, element))))
    return failure();

  int64_t elementBytes = std::max<int64_t>(element.getIntOrFloatBitWidth() / 8, 1);
  int64_t pieceBytes = isPacked ? elementBytes : Emitter::lanesOf(width * elementBytes, 1);
  int64_t pieces = width * elementBytes / pieceBytes;
  Type piece = pieceBytes == 16 ? k.vector(k.getI32Type(), 4) : k.getIntegerType(8 * pieceBytes);
  int64_t threads = std::min<int64_t>(256, llvm::alignTo(pieces, kWarp));
  Value rows = k.dim(1, 0), perRow = k.i64(llvm::divideCeil(pieces, threads));
  k.launch({.grid = {rows, perRow}, .threads = threads},
           {k.input(0), k.input(1), k.output(2), {isPacked ? k.i64(packedRows) : k.dim(0, 0)}, k.errors()},
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
               source = t.at(t.row(data, piece, t.div(read, kColumns), width * kColumns), piece, t.rem(read, kColumns));
             else
               source = t.row(data, piece, read, pieces);
             Value from = t.at(source, piece, isPacked ? t.mul(i, kColumns) : i);
             t.ifThen(t.less(i, pieces),
                      [&] { t.store(t.load(piece, from), t.at(t.row(y, piece, row, pieces), piece, i)); });
           });
  return success();
}

} // namespace qopt::cuda
