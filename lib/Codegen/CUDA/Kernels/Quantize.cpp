//===- Quantize.cpp - Activations to int8 ----------------------------------===//
//
// quantize: four elements per thread. dynamic_quantize: one block per row, whose
// largest magnitude all threads find together; the row stays in registers between
// the search and the division. Maxima have no order, so that codes and scales are
// those of the CPU's kernels.
//
//===----------------------------------------------------------------------===//
#include "Codes.h"

using namespace mlir;

namespace qopt::cuda {

/// x [R,K], scale [], codes [R,K].
LogicalResult emitQuantize(Kernel &k) {
  if (failed(k.expectRanks({2, 0, 2})) || failed(k.expectShape(1, {}, k.getF32Type())))
    return failure();
  FailureOr<int64_t> width = checkCodes(k, 2);
  if (failed(width))
    return failure();
  int64_t lanes = Emitter::lanesOf(*width, 4);
  k.launchOver(k.mul(k.dim(0, 0), *width / lanes), {k.input(0), k.input(1), k.output(2)},
               [&](Emitter &t, ValueRange args, Value i) {
                 Type piece = t.vector(t.f32Type(), lanes), codes = t.vector(t.getI8Type(), lanes);
                 Value scale = t.broadcast(t.load(t.f32Type(), args[1]), lanes);
                 t.store(toCodes(t, t.div(t.load(piece, t.at(args[0], piece, i)), scale)), t.at(args[2], codes, i));
               });
  return success();
}

/// x [R,K], codes [R,K], scale [R].
LogicalResult emitDynamicQuantize(Kernel &k) {
  if (failed(k.expectRanks({2, 2, 1})) || failed(k.expectShape(2, {ShapedType::kDynamic}, k.getF32Type())))
    return failure();
  FailureOr<int64_t> width = checkCodes(k, 1);
  if (failed(width))
    return failure();
  int64_t threads = RowPieces::threadsFor(*width);
  k.launch({.grid = {k.dim(0, 0)}, .threads = threads, .sharedBytes = threads / kWarp * 4},
           {k.input(0), k.output(1), k.output(2)}, [&](Emitter &t, ValueRange args) {
             Value row = t.block();
             RowPieces pieces(t, t.row(args[0], t.f32Type(), row, *width), *width, threads);
             Value codes = t.row(args[1], t.getI8Type(), row, *width), scale = t.at(args[2], t.f32Type(), row);
             DynamicRow{codes, scale, threads, t.shared()}.run(t, pieces);
           });
  return success();
}

} // namespace qopt::cuda
