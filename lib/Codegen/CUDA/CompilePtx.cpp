//===- CompilePtx.cpp - gpu.funcs to PTX -----------------------------------===//
//
// One conversion to the LLVM dialect instead of upstream's pass, which makes calls
// of libdevice from math operations and refuses LLVM's own intrinsics. Floats keep
// one rounding per operation (`.rn` in PTX, so that ptxas does not fuse them either).
//
//===----------------------------------------------------------------------===//
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/GPUToNVVM/GPUToNVVMPass.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/GPU/GPUToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/Codegen/Cuda.h"
#include "qopt/Codegen/Host/EmitCode.h"
#include "qopt/Codegen/HostAbi.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

using namespace mlir;

namespace {

LogicalResult convertToLlvm(gpu::GPUModuleOp kernels) {
  MLIRContext *context = kernels.getContext();
  LLVMTypeConverter types(context);
  configureGpuToNVVMTypeConverter(types);
  RewritePatternSet patterns(context);
  populateGpuToNVVMConversionPatterns(types, patterns, /*benefit=*/10);
  arith::populateArithToLLVMConversionPatterns(types, patterns);
  cf::populateControlFlowToLLVMConversionPatterns(types, patterns);
  // Before what the GPU's patterns make of math operations.
  populateMathToLLVMConversionPatterns(types, patterns, /*approximateLog1p=*/true, /*benefit=*/20);
  populateFinalizeMemRefToLLVMConversionPatterns(types, patterns);
  populateVectorToLLVMConversionPatterns(types, patterns);
  ub::populateUBToLLVMConversionPatterns(types, patterns);
  LLVMConversionTarget target(*context);
  target.addIllegalDialect<arith::ArithDialect, gpu::GPUDialect, math::MathDialect, memref::MemRefDialect,
                           ub::UBDialect, vector::VectorDialect>();
  target.addLegalDialect<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  target.addLegalOp<gpu::GPUModuleOp>();
  return applyPartialConversion(kernels, target, std::move(patterns));
}

/// Tensor maps lie in the parameters themselves, where the copies read them. The
/// conversion keeps no attributes of ours, so what they are is asked before it.
using TensorMaps = std::vector<std::pair<std::string, unsigned>>; // kernels and arguments

TensorMaps findTensorMaps(gpu::GPUModuleOp kernels) {
  TensorMaps maps;
  for (auto kernel : kernels.getOps<gpu::GPUFuncOp>())
    for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
      if (kernel.getArgAttr(i, qopt::kTensorMapAttr))
        maps.emplace_back(kernel.getName().str(), i);
  return maps;
}

void passByValue(gpu::GPUModuleOp kernels, const TensorMaps &maps) {
  Builder b(kernels.getContext());
  auto type = LLVM::LLVMArrayType::get(b.getI8Type(), QRT_TENSOR_MAP_BYTES);
  for (const auto &[name, i] : maps) {
    auto kernel = kernels.lookupSymbol<LLVM::LLVMFuncOp>(name);
    kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(type));
    kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(QRT_TENSOR_MAP_BYTES / 2));
    kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(), b.getUnitAttr());
  }
}

/// A kernel whose warps share out registers between them begins with as many as a block
/// alone on its multiprocessor has; otherwise ptxas does not know from how many it starts.
void fixRegistersAtEntry(gpu::GPUModuleOp kernels) {
  for (auto kernel : kernels.getOps<LLVM::LLVMFuncOp>()) {
    bool sharesOut = kernel.walk([](NVVM::SetMaxRegisterOp) { return WalkResult::interrupt(); }).wasInterrupted();
    if (sharesOut)
      kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), Builder(kernel).getI32IntegerAttr(1));
  }
}

struct ConvertKernelsToLlvm : PassWrapper<ConvertKernelsToLlvm, OperationPass<gpu::GPUModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ConvertKernelsToLlvm)
  StringRef getArgument() const override { return "convert-kernels-to-llvm"; }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<LLVM::LLVMDialect, NVVM::NVVMDialect>();
  }
  void runOnOperation() override {
    TensorMaps maps = findTensorMaps(getOperation());
    if (failed(convertToLlvm(getOperation())))
      return signalPassFailure();
    passByValue(getOperation(), maps);
    fixRegistersAtEntry(getOperation());
  }
};

LogicalResult lower(ModuleOp module) {
  PassManager passes(module.getContext());
  OpPassManager &nested = passes.nest<gpu::GPUModuleOp>();
  nested.addPass(memref::createExpandStridedMetadataPass());
  nested.addPass(createLowerAffinePass());
  nested.addPass(createConvertVectorToSCFPass());
  nested.addPass(createSCFToControlFlowPass());
  nested.addPass(createCanonicalizerPass());
  nested.addPass(createCSEPass());
  arith::ArithExpandOpsPassOptions expand;
  nested.addPass(arith::createArithExpandOpsPass(expand));
  nested.addPass(std::make_unique<ConvertKernelsToLlvm>());
  nested.addPass(createConvertNVVMToLLVMPass());
  nested.addPass(createReconcileUnrealizedCastsPass());
  nested.addPass(createCanonicalizerPass());
  nested.addPass(createCSEPass());
  return passes.run(module);
}

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

/// A module with nothing but a copy of the kernels that `chip` can run.
OwningOpRef<ModuleOp> copyKernels(ModuleOp module, StringRef chip) {
  OwningOpRef<ModuleOp> copy(ModuleOp::create(module.getLoc()));
  OpBuilder b = OpBuilder::atBlockEnd(copy->getBody());
  for (auto kernels : module.getOps<gpu::GPUModuleOp>())
    b.clone(*kernels);
  for (auto kernels : copy->getOps<gpu::GPUModuleOp>())
    for (auto kernel : llvm::make_early_inc_range(kernels.getOps<gpu::GPUFuncOp>()))
      if (auto arch = kernel->getAttrOfType<StringAttr>(qopt::kArchAttr); arch && arch.getValue() != chip)
        kernel.erase();
  return copy;
}

} // namespace

FailureOr<std::string> qopt::compilePtx(ModuleOp module, StringRef chip) {
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(chip, error);
  if (!machine)
    return module.emitError("cannot generate PTX: ") << error;
  MLIRContext *context = module.getContext();
  registerBuiltinDialectTranslation(*context);
  registerGPUDialectTranslation(*context);
  registerLLVMDialectTranslation(*context);
  registerNVVMDialectTranslation(*context);
  OwningOpRef<ModuleOp> copy = copyKernels(module, chip);
  auto kernels = copy->lookupSymbol<gpu::GPUModuleOp>(kKernelsModule);
  if (!kernels)
    return module.emitError("has no kernels to compile to PTX");
  if (failed(lower(*copy)))
    return failure();
  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(kernels, llvmContext, kKernelsModule);
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
