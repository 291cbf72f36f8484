//===- DeclareKernels.cpp - Functions of kernels as the generators read them -===//
//
// The generators take declarations (Kernels.h). A function that holds a kernel becomes one;
// one that holds a group calls the functions of its operations, in order.
//
//===----------------------------------------------------------------------===//
#include "DeclareKernels.h"
#include "qopt/Codegen/Kernels.h"
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

/// The group's operations take its place, kernels and loops in functions of their own.
static void callEach(func::FuncOp function, kernel::GroupOp group, SymbolTable &symbols) {
  OpBuilder b(group);
  function->setAttr(kGroupAttr, b.getUnitAttr());
  for (int64_t i : group.getScratch())
    function.setArgAttr(cast<BlockArgument>(group.getInputs()[i]).getArgNumber(), kScratchAttr, b.getUnitAttr());
  IRMapping mapping;
  mapping.map(group.getArguments(), group.getInputs());
  unsigned loops = 0;
  auto call = [&](Operation &op) {
    Operation *own = b.clone(op, mapping);
    if (auto kernel = dyn_cast<kernel::KernelOpInterface>(own))
      kernel::outline(kernel, symbols);
    else
      kernel::outlineLoop(own, function.getName() + "_loop_" + Twine(loops++), symbols);
  };
  for (Operation &op : group.getBody().front()) {
    auto stage = dyn_cast<kernel::StageOp>(op);
    if (!stage) {
      b.clone(op, mapping);
      continue;
    }
    for (Operation *part : stage.getOperationsInOrder())
      call(*part);
  }
  group.erase();
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

void declareKernels(ModuleOp module) {
  SymbolTable symbols(module);
  for (func::FuncOp function : llvm::to_vector(module.getOps<func::FuncOp>()))
    if (auto group = heldBy<kernel::GroupOp>(function))
      callEach(function, group, symbols);
  for (func::FuncOp function : llvm::to_vector(module.getOps<func::FuncOp>()))
    if (auto kernel = heldBy<kernel::KernelOpInterface>(function))
      declare(function, kernel);
}

} // namespace qopt
