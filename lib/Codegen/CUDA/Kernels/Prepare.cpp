//===- Prepare.cpp - Norm and quantization of many rows as one launch ------===//
//
// What a fused launch does for its one row (Fused.cpp), a block does here for each of
// many rows: normalized numbers stay in shared memory, and only codes and scales are
// written. In the order of the kernels of their own, so that they are theirs bit by bit.
//
//===----------------------------------------------------------------------===//
#include "Codes.h"
#include "FusedGroup.h"
#include "RmsNorm.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace qopt::cuda {

/// Whether normalized numbers are read by anything but the quantization.
static bool isReadOtherwise(const FusedGroup &group) {
  Value row = group.norm.memory(group.norm.firstResult);
  return llvm::any_of(group.branches, [&](const FusedBranch &branch) {
    return llvm::any_of(branch.products, [&](const FusedProduct &product) { return product.call.uses(row); }) ||
           llvm::any_of(branch.steps, [&](const FusedStep &step) { return step.call.uses(row); });
  });
}

bool launchPreparation(Kernel &k, const FusedGroup &group) {
  const FusedCall &norm = group.norm, &quantization = group.quantization;
  if (!norm || !quantization || isReadOtherwise(group))
    return false;
  bool isDynamic = quantization.kernel() == "dynamic_quantize";
  if (!isDynamic && quantization.kernel() != "quantize")
    return false; // with outliers more than a row matters, and more than codes is written
  int64_t width = group.product().inputs;
  int64_t threads = std::clamp<int64_t>(RowPieces::threadsFor(width), kNormSums, 512);
  int64_t rowOffset = llvm::alignTo(kNormSums * 4, 16), sharedBytes = rowOffset + width * 4;
  if (sharedBytes > kSharedBytes)
    return false;

  KernelDeclaration declaration(norm.callee);
  RowNorm rowNorm{width, threads, epsilonOf(declaration)};
  SmallVector<Argument> arguments{{k.address(group.x), /*readOnly=*/true},
                                  {k.address(norm.memory(1)), /*readOnly=*/true}};
  for (unsigned i = 1; i < quantization.op->getNumOperands(); ++i)
    arguments.push_back({k.address(quantization.memory(i)), /*readOnly=*/i < quantization.firstResult});
  k.launch({.grid = {k.dim(group.x, 0)}, .threads = threads, .sharedBytes = sharedBytes, .suffix = "_prepare"},
           arguments, [&](Emitter &t, ValueRange args) {
             Type f32 = t.f32Type(), i8 = t.getI8Type();
             Value row = t.block(), staged = t.shared(rowOffset);
             rowNorm.copy(t, t.row(args[0], f32, row, width), staged);
             t.barrier();
             rowNorm.run(t, staged, args[1], staged, t.shared());
             t.barrier();
             RowPieces pieces(t, staged, width, threads);
             if (isDynamic)
               DynamicRow{t.row(args[2], i8, row, width), t.at(args[3], f32, row), threads, t.shared()}.run(t, pieces);
             else
               quantizeRow(t, pieces, args[2], t.row(args[3], i8, row, width));
           });
  return true;
}

} // namespace qopt::cuda
