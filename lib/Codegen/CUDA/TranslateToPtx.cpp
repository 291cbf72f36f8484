//===- TranslateToPtx.cpp - Kernels in the LLVM dialect to PTX --------------===//
//
// Floats keep one rounding per operation (`.rn` in PTX, so that ptxas does not fuse
// them either).
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/Host/EmitCode.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

using namespace mlir;

namespace {

std::unique_ptr<llvm::TargetMachine> createTargetMachine(StringRef chip, std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
  });
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  // LLVM takes an unknown chip for its oldest one and says so on stderr.
  std::unique_ptr<llvm::MCSubtargetInfo> chips(target->createMCSubtargetInfo(triple, "", ""));
  if (!chips || !chips->isCPUStringValid(chip)) {
    error = "unknown chip \"" + chip.str() + "\"";
    return nullptr;
  }
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, chip, "", options, std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

} // namespace

FailureOr<std::string> qopt::translateToPtx(ModuleOp module, StringRef chip) {
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(chip, error);
  if (!machine)
    return module.emitError("cannot generate PTX: ") << error;
  MLIRContext *context = module.getContext();
  registerBuiltinDialectTranslation(*context);
  registerGPUDialectTranslation(*context);
  registerLLVMDialectTranslation(*context);
  registerNVVMDialectTranslation(*context);
  auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kKernelsModule);
  if (!kernels)
    return module.emitError("has no kernels to compile to PTX");
  llvm::LLVMContext llvmContext;
  llvmContext.setDiscardValueNames(true); // which nobody reads
  // Verified below, when it is complete.
  std::unique_ptr<llvm::Module> code =
      translateModuleToLLVMIR(kernels, llvmContext, kKernelsModule, /*disableVerification=*/true);
  if (!code)
    return module.emitError("cannot translate the kernels to LLVM IR");
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  if (llvm::verifyModule(*code))
    return module.emitError("generated kernels are malformed");
  for (const llvm::Function &function : *code)
    if (function.isDeclaration() && !function.isIntrinsic())
      return module.emitError("a kernel calls ") << function.getName() << ", which no GPU has";
  FailureOr<SmallVector<char>> text = emitCode(*code, *machine, llvm::CodeGenFileType::AssemblyFile);
  if (failed(text))
    return module.emitError("cannot write PTX");
  return std::string(text->begin(), text->end());
}
