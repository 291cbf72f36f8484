//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One thread moves one piece of at most 16 bytes; a row is a row of blocks, so that
// even a single token's embedding is read by as many threads as it has pieces. The
// element type does not matter: rows are bytes. Indices count from the end where
// negative; one out of range is reported and reads row 0.
//
//===----------------------------------------------------------------------===//
#include "../Kernel.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

/// data [V,K], indices [R], y [R,K].
LogicalResult emitGather(Kernel &k) {
  if (failed(k.expectRanks({2, 1, 2})))
    return failure();
  int64_t width = k.size(0, 1);
  Type element = k.type(0).getElementType(), indexType = k.type(1).getElementType();
  if (ShapedType::isDynamic(width) || !isa<IntegerType>(indexType))
    return k.function.emitOpError("requires rows of known size and integer indices");
  if (failed(k.expectShape(2, {ShapedType::kDynamic, width}, element)))
    return failure();

  int64_t rowBytes = width * std::max<int64_t>(element.getIntOrFloatBitWidth() / 8, 1);
  int64_t pieceBytes = Emitter::lanesOf(rowBytes, 1), pieces = rowBytes / pieceBytes;
  Type piece = pieceBytes == 16 ? k.vector(k.getI32Type(), 4) : k.getIntegerType(8 * pieceBytes);
  int64_t threads = std::min<int64_t>(256, llvm::alignTo(pieces, kWarp));
  Value rows = k.dim(1, 0), blocks = k.i64(llvm::divideCeil(pieces, threads));
  k.launch({.grid = {rows, blocks}, .threads = threads},
           {k.input(0), k.input(1), k.output(2), {k.dim(0, 0)}, k.errors()}, [&](Emitter &t, ValueRange args) {
    Value data = args[0], y = args[2], size = args[3], row = t.block(0);
    Value given = t.toInteger(t.load(indexType, t.at(args[1], indexType, row)), t.getI64Type());
    Value wrapped = t.select(t.less(given, 0), t.add(given, size), given);
    Value isValid = t.below(wrapped, size);
    Value i = t.add(t.mul(t.block(1), threads), t.thread());
    t.ifThen(t.both(t.negate(isValid), t.equal(i, 0)),
             [&] { t.fail(args[4], QRT_INDEX_OUT_OF_RANGE, given, size); });
    Value source = t.row(data, piece, t.select(isValid, wrapped, t.i64(0)), pieces);
    t.ifThen(t.less(i, pieces), [&] {
      t.store(t.load(piece, t.at(source, piece, i)), t.at(t.row(y, piece, row, pieces), piece, i));
    });
  });
  return success();
}

} // namespace qopt::cuda
