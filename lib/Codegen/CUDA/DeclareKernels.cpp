//===- DeclareKernels.cpp - Functions of kernels as the generators read them -===//
//
// The generators take declarations (Kernels.h). A function that holds a kernel becomes one;
// one that holds a group calls the functions of its operations, in order.
//
//===----------------------------------------------------------------------===//
#include "DeclareKernels.h"
#include "KernelDeclaration.h"
#include "qopt/Dialect/Kernel/Outline.h"

using namespace mlir;

namespace qopt {

/// The only operation of a private function, if it is of this kind.
template <typename Op>
static Op heldBy(func::FuncOp function) {
  if (function.isExternal() || !function.isPrivate() || !function.getBody().hasOneBlock())
    return nullptr;
  Block &body = function.getBody().front();
  return body.getOperations().size() == 2 ? dyn_cast<Op>(body.front()) : Op();
}

/// What the generators must know of a function that holds a group when it is only calls.
static void markGroup(func::FuncOp function, kernel::GroupOp group) {
  Builder b(function.getContext());
  function->setAttr(kGroupAttr, b.getUnitAttr());
  for (int64_t i : group.getScratch())
    function.setArgAttr(cast<BlockArgument>(group.getInputs()[i]).getArgNumber(), kScratchAttr, b.getUnitAttr());
}

static void declare(func::FuncOp function, kernel::KernelOpInterface kernel) {
  Builder b(function.getContext());
  StringRef name = kernel->getName().stripDialect();
  if (auto product = dyn_cast<kernel::MatmulFloatOp>(kernel.getOperation()))
    name = product.getWeights().getType().getElementType().isF32() ? "matmul_f32" : "matmul_f16";
  SmallVector<NamedAttribute> config;
  for (NamedAttribute attribute : kernel->getAttrs())
    if (attribute.getName() != "operandSegmentSizes")
      config.push_back(attribute);
  function->setAttr(kKernelAttr, b.getStringAttr(name));
  if (!config.empty())
    function->setAttr(kKernelConfigAttr, b.getDictionaryAttr(config));
  function.getBody().getBlocks().clear();
}

LogicalResult declareKernels(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>())
    if (auto group = heldBy<kernel::GroupOp>(function))
      markGroup(function, group);
  if (failed(kernel::inlineGroups(module)))
    return failure();
  for (auto function : module.getOps<func::FuncOp>())
    if (auto kernel = heldBy<kernel::KernelOpInterface>(function))
      declare(function, kernel);
  return success();
}

} // namespace qopt
