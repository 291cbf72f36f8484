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

void emit(Kernel &k, kernel::QuantizeOp op) {
  int64_t width = op.width(), lanes = Emitter::lanesOf(width, 4);
  k.launchOver(k.mul(k.dim(op.getX(), 0), width / lanes),
               {k.input(op.getX()), k.input(op.getScale()), k.output(op.getCodes())},
               [&](Emitter &t, ValueRange args, Value i) {
                 Type piece = t.vector(t.f32Type(), lanes), codes = t.vector(t.getI8Type(), lanes);
                 Value scale = t.broadcast(t.load(t.f32Type(), args[1]), lanes);
                 t.store(toCodes(t, t.div(t.load(piece, t.at(args[0], piece, i)), scale)), t.at(args[2], codes, i));
               });
}

/// A block for each row, a warp for each group.
static void emitGroups(Kernel &k, kernel::DynamicQuantizeOp op) {
  int64_t width = op.width(), groups = op.groups(), threads = std::min<int64_t>(groups, 16) * kWarp;
  k.launch({.grid = {k.dim(op.getX(), 0)}, .threads = threads},
           {k.input(op.getX()), k.output(op.getCodes()), k.output(op.getScale())}, [&](Emitter &t, ValueRange args) {
             Value row = t.block(), codes = t.row(args[1], t.getI8Type(), row, width);
             GroupedRow grouped{codes, t.row(args[2], t.f32Type(), row, groups), width, op.groupSize(), threads};
             grouped.run(t, t.row(args[0], t.f32Type(), row, width));
           });
}

void emit(Kernel &k, kernel::DynamicQuantizeOp op) {
  if (op.isByGroups())
    return emitGroups(k, op);
  int64_t width = op.width(), threads = RowPieces::threadsFor(width);
  k.launch({.grid = {k.dim(op.getX(), 0)}, .threads = threads, .sharedBytes = threads / kWarp * 4},
           {k.input(op.getX()), k.output(op.getCodes()), k.output(op.getScale())}, [&](Emitter &t, ValueRange args) {
             Value row = t.block();
             RowPieces pieces(t, t.row(args[0], t.f32Type(), row, width), width, threads);
             Value codes = t.row(args[1], t.getI8Type(), row, width), scale = t.at(args[2], t.f32Type(), row);
             DynamicRow{codes, scale, threads, t.shared()}.run(t, pieces);
           });
}

} // namespace qopt::cuda
