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

std::optional<Preparation> Preparation::find(kernel::StageOp stage, kernel::StageOp before) {
  kernel::KernelOpInterface quantization = stage.getQuantization();
  // With outliers more than a row matters, and more than codes is written.
  if (!isa_and_present<kernel::QuantizeOp, kernel::DynamicQuantizeOp>(quantization.getOperation()))
    return std::nullopt;
  Operation *maker = stage.getNorm();
  if (!maker && before)
    maker = before.getSteps().back();
  if (!maker)
    return std::nullopt;
  Value rows = quantization->getOperand(0), memory = kernel::getMemory(rows);
  Preparation result{maker, quantization, cast<MemRefType>(rows.getType()).getDimSize(1)};
  auto loop = dyn_cast<linalg::GenericOp>(maker);
  if ((loop && !(isFloatLoop(loop) && isRowLoop(loop, result.width))) || result.sharedBytes() > kMostSharedBytes)
    return std::nullopt;
  auto group = cast<kernel::GroupOp>(stage->getParentOp());
  bool isSeen = !group.isScratch(memory) || llvm::any_of(group.getStages(), [&](kernel::StageOp other) {
    return llvm::any_of(other.getOperationsInOrder(),
                        [&](Operation *op) { return op != maker && op != quantization && uses(op, memory); });
  });
  return isSeen ? std::nullopt : std::optional(result);
}

int64_t Preparation::threads() const { return std::clamp<int64_t>(RowPieces::threadsFor(width), kNormSums, 512); }

int64_t Preparation::sharedBytes() const { return kRowOffset + width * 4; }

/// `args`: what the maker reads.
void Preparation::makeRow(Emitter &t, ValueRange args, Value row, Value staged) const {
  Type f32 = t.f32Type();
  if (auto op = dyn_cast<kernel::RmsNormOp>(maker)) {
    RowNorm norm(op, threads());
    norm.copy(t, t.row(args[0], f32, row, width), staged);
    t.barrier();
    return norm.run(t, staged, args[1], staged, t.shared());
  }
  auto loop = cast<linalg::GenericOp>(maker);
  t.forLoop(t.thread(), t.i32(width), threads(), [&](Value column) {
    Value made = cloneScalars(t, loop, [&](OpOperand &operand) {
      unsigned rank = loop.getMatchingIndexingMap(&operand).getNumResults();
      Value base = args[operand.getOperandNumber()];
      if (rank == loop.getNumLoops())
        base = t.row(base, f32, row, width);
      return t.load(f32, t.at(base, f32, rank ? column : t.i32(0)));
    })[0];
    t.store(made, t.at(staged, f32, column));
  });
}

void Preparation::launch(Kernel &k, const IRMapping &outside, StringRef suffix) const {
  SmallVector<Argument> arguments;
  auto pass = [&](Value operand, bool readOnly) {
    arguments.push_back({k.address(outside.lookup(kernel::getMemory(operand))), readOnly});
  };
  SmallVector<Value> read = cast<DestinationStyleOpInterface>(maker).getDpsInputs();
  for (Value operand : read)
    pass(operand, /*readOnly=*/true);
  auto codes = cast<DestinationStyleOpInterface>(quantization);
  for (Value operand : llvm::drop_begin(codes.getDpsInputs())) // but for the rows
    pass(operand, /*readOnly=*/true);
  for (Value operand : codes.getDpsInits())
    pass(operand, /*readOnly=*/false);
  Value rows = k.dim(outside.lookup(codes->getOperand(0)), 0);
  k.launch({.grid = {rows}, .threads = threads(), .sharedBytes = sharedBytes(), .suffix = suffix}, arguments,
           [&](Emitter &t, ValueRange args) {
             ValueRange own = args.drop_front(read.size());
             Type f32 = t.f32Type(), i8 = t.getI8Type();
             Value row = t.block(), staged = t.shared(kRowOffset);
             makeRow(t, args, row, staged);
             t.barrier();
             auto dynamic = dyn_cast<kernel::DynamicQuantizeOp>(quantization);
             if (dynamic && dynamic.isByGroups()) {
               Value scales = t.row(own[1], f32, row, dynamic.groups());
               GroupedRow{t.row(own[0], i8, row, width), scales, width, dynamic.groupSize(), threads()}.run(t, staged);
               return;
             }
             RowPieces pieces(t, staged, width, threads());
             if (dynamic)
               DynamicRow{t.row(own[0], i8, row, width), t.at(own[1], f32, row), threads(), t.shared()}.run(t, pieces);
             else
               quantizeRow(t, pieces, own[0], t.row(own[1], i8, row, width));
           });
}

} // namespace qopt::cuda
