//===- Gather.cpp - Rows of a table by index (token embeddings) ------------===//
//
// One thread moves one piece of at most 16 bytes; a row is a row of blocks, so that
// even a single token's embedding is read by as many threads as it has pieces. The
// element type does not matter: rows are bytes. Indices count from the end where
// negative; one out of range is reported and reads row 0. Rows of a packed table are
// columns of its blocks: there, and where rows are codes, a piece is one element.
//
//===----------------------------------------------------------------------===//
#include "Kernel.h"
#include "qopt/Runtime/Abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

namespace {

/// Where the pieces of a row lie.
struct Table {
  kernel::GatherOp op;
  Type piece;
  int64_t pieces;

  /// The address of piece `i` of row `row`.
  Value at(Emitter &t, Value data, Value row, Value i) {
    if (!op.isPacked())
      return t.at(t.row(data, piece, row, pieces), piece, i);
    int64_t inputs = op.packedInputs(), steps = llvm::divideCeil(op.width(), inputs);
    Value block = t.row(data, piece, t.div(row, kernel::kColumns), steps * inputs * kernel::kColumns);
    Value lane = t.at(block, piece, t.mul(t.rem(row, kernel::kColumns), inputs));
    if (inputs == 1)
      return t.at(lane, piece, t.mul(i, kernel::kColumns));
    Value step = t.at(lane, piece, t.mul(t.div(i, inputs), inputs * kernel::kColumns));
    return t.at(step, piece, t.rem(i, inputs));
  }
};

} // namespace

void emit(Kernel &k, kernel::GatherOp op) {
  bool isPacked = op.isPacked();
  Value scales = op.getScales();
  int64_t width = op.width();
  Type element = op.getData().getType().getElementType(), indexType = op.getIndices().getType().getElementType();
  int64_t elementBytes = std::max<int64_t>(element.getIntOrFloatBitWidth() / 8, 1);
  int64_t pieceBytes = isPacked || scales ? elementBytes : Emitter::lanesOf(width * elementBytes, 1);
  int64_t pieces = width * elementBytes / pieceBytes;
  Type piece = pieceBytes == 16 ? k.vector(k.getI32Type(), 4) : k.getIntegerType(8 * pieceBytes);
  Type result = scales ? k.f32Type() : piece;
  int64_t threads = std::min<int64_t>(256, llvm::alignTo(pieces, kWarp));
  Value rows = k.dim(op.getIndices(), 0), perRow = k.i64(llvm::divideCeil(pieces, threads));
  SmallVector<Argument> arguments{k.input(op.getData()),
                                  k.input(op.getIndices()),
                                  k.output(op.getY()),
                                  {isPacked ? k.i64(*op.getRows()) : k.dim(op.getData(), 0)},
                                  k.errors()};
  if (scales)
    arguments.push_back(k.input(scales));
  k.launch({.grid = {rows, perRow}, .threads = threads}, arguments, [&](Emitter &t, ValueRange args) {
    Value y = args[2], size = args[3], row = t.block(0);
    Value given = t.toInteger(t.load(indexType, t.at(args[1], indexType, row)), t.getI64Type());
    Value wrapped = t.select(t.less(given, 0), t.add(given, size), given);
    Value isValid = t.below(wrapped, size);
    Value i = t.add(t.mul(t.block(1), threads), t.thread());
    t.ifThen(t.both(t.negate(isValid), t.equal(i, 0)), [&] { t.fail(args[4], QRT_INDEX_OUT_OF_RANGE, given, size); });
    Value read = t.select(isValid, wrapped, t.i64(0));
    Value from = Table{op, piece, pieces}.at(t, args[0], read, i);
    t.ifThen(t.less(i, pieces), [&] {
      Value loaded = t.load(piece, from);
      if (scales)
        loaded = t.mul(t.toFloat(loaded, result), t.load(result, t.at(args[5], result, read)));
      t.store(loaded, t.at(t.row(y, result, row, pieces), result, i));
    });
  });
}

} // namespace qopt::cuda
