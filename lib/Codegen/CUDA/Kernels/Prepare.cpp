//===- Prepare.cpp - Rows and their quantization as one launch -------------===//
//
// What a fused launch does for its one row (Fused.cpp), a block does here for each of
// many rows: normalized numbers, or what an elementwise loop makes (SiLU of the gate
// times up), stay in shared memory, and only codes and scales are written. In the order
// of the kernels of their own, so that they are theirs bit by bit.
//
//===----------------------------------------------------------------------===//
#include "Codes.h"
#include "FusedGroup.h"
#include "RmsNorm.h"
#include "qopt/Codegen/Kernels.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

/// In shared memory before the row: sums of the norm, maxima of warps.
static constexpr int64_t kRowOffset = kNormSums * 4;

/// Whether element [r,c] of the rows, `width` wide, is one of the loop for element [r,c],
/// column c or the only number of each operand.
static bool isRowLoop(linalg::GenericOp loop, int64_t width) {
  if (loop.getNumDpsInits() != 1 || loop.payloadUsesValueFromOperand(loop.getDpsInitOperand(0)))
    return false;
  return llvm::all_of(loop.getDpsInputOperands(), [&](OpOperand *operand) {
    unsigned rank = loop.getMatchingIndexingMap(operand).getNumResults();
    return rank == 0 || rank == loop.getNumLoops() ||
           cast<MemRefType>(operand->get().getType()).getShape() == ArrayRef(width);
  });
}

std::optional<Preparation> Preparation::find(const Calls &calls, size_t maker) {
  if (maker + 1 == calls.size())
    return std::nullopt;
  const FusedCall &made = calls[maker], &codes = calls[maker + 1];
  // With outliers more than a row matters, and more than codes is written.
  if (codes.kernel() != "dynamic_quantize" && codes.kernel() != "quantize")
    return std::nullopt;
  Preparation result{made, codes, loopOf(made.callee), KernelDeclaration(codes.callee).size(0, 1)};
  auto rows = dyn_cast<BlockArgument>(codes.memory(0));
  bool isMade = rows && (result.loop || made.kernel() == "rms_norm") && made.memory(made.firstResult) == rows;
  if (!isMade || ShapedType::isDynamic(result.width) || (result.loop && !isRowLoop(result.loop, result.width)) ||
      result.sharedBytes() > kMostSharedBytes)
    return std::nullopt;
  auto function = cast<func::FuncOp>(rows.getOwner()->getParentOp());
  bool isReadOtherwise =
      !function.getArgAttr(rows.getArgNumber(), kScratchAttr) ||
      llvm::any_of(calls, [&](const FusedCall &call) { return &call != &made && &call != &codes && call.uses(rows); });
  return isReadOtherwise ? std::nullopt : std::optional(result);
}

int64_t Preparation::threads() const { return std::clamp<int64_t>(RowPieces::threadsFor(width), kNormSums, 512); }

int64_t Preparation::sharedBytes() const { return kRowOffset + width * 4; }

/// `args`: what the maker reads.
void Preparation::makeRow(Emitter &t, ValueRange args, Value row, Value staged) const {
  Type f32 = t.f32Type();
  if (!loop) {
    KernelDeclaration declaration(maker.callee);
    RowNorm norm{width, threads(), epsilonOf(declaration)};
    norm.copy(t, t.row(args[0], f32, row, width), staged);
    t.barrier();
    return norm.run(t, staged, args[1], staged, t.shared());
  }
  linalg::GenericOp scalars = loop;
  t.forLoop(t.thread(), t.i32(width), threads(), [&](Value column) {
    Value made = cloneScalars(t, scalars, [&](OpOperand &operand) {
      unsigned rank = scalars.getMatchingIndexingMap(&operand).getNumResults();
      Value base = args[operand.getOperandNumber()];
      if (rank == scalars.getNumLoops())
        base = t.row(base, f32, row, width);
      return t.load(f32, t.at(base, f32, rank ? column : t.i32(0)));
    })[0];
    t.store(made, t.at(staged, f32, column));
  });
}

void Preparation::launch(Kernel &k, StringRef suffix) const {
  SmallVector<Argument> arguments;
  for (unsigned i = 0; i < maker.firstResult; ++i)
    arguments.push_back({k.address(maker.memory(i)), /*readOnly=*/true});
  for (unsigned i = 1; i < quantization.op->getNumOperands(); ++i)
    arguments.push_back({k.address(quantization.memory(i)), /*readOnly=*/i < quantization.firstResult});
  Value rows = k.dim(quantization.op->getOperand(0), 0);
  k.launch({.grid = {rows}, .threads = threads(), .sharedBytes = sharedBytes(), .suffix = suffix}, arguments,
           [&](Emitter &t, ValueRange args) {
             ValueRange own = args.drop_front(maker.firstResult);
             Type f32 = t.f32Type(), i8 = t.getI8Type();
             Value row = t.block(), staged = t.shared(kRowOffset);
             makeRow(t, args, row, staged);
             t.barrier();
             RowPieces pieces(t, staged, width, threads());
             if (quantization.kernel() == "dynamic_quantize")
               DynamicRow{t.row(own[0], i8, row, width), t.at(own[1], f32, row), threads(), t.shared()}.run(t, pieces);
             else
               quantizeRow(t, pieces, own[0], t.row(own[1], i8, row, width));
           });
}

} // namespace qopt::cuda
