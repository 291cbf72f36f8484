//===- KernelProgram.cpp - Kernels compiled in process, for tests ----------===//
//
// The shortest way from a kernel to machine code: upstream conversions, LLVM's O3,
// LLJIT. No runtime: scf.parallel becomes scf.for.
//
//===----------------------------------------------------------------------===//
#include "KernelProgram.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Passes.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/Codegen/Kernels.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;

namespace qopt::test {

std::vector<std::array<int64_t, 3>> failures;

namespace {

void recordFailure(int64_t code, int64_t a, int64_t b) { failures.push_back({code, a, b}); }

[[noreturn]] void stop(const llvm::Twine &what) { llvm::report_fatal_error(what, /*gen_crash_diag=*/false); }

template <typename T>
T check(llvm::Expected<T> value) {
  if (!value)
    stop(llvm::toString(value.takeError()));
  return std::move(*value);
}

/// What the code for a host does through the runtime, a test does with a function.
void lowerFails(ModuleOp module) {
  SmallVector<qopt::FailOp> fails;
  module.walk([&](qopt::FailOp fail) { fails.push_back(fail); });
  if (fails.empty())
    return;
  OpBuilder b = OpBuilder::atBlockBegin(module.getBody());
  Type i64 = b.getI64Type();
  auto callee = func::FuncOp::create(b, module.getLoc(), "qrt_fail", b.getFunctionType({i64, i64, i64}, {}));
  callee.setPrivate();
  for (qopt::FailOp fail : fails) {
    b.setInsertionPoint(fail);
    Value code = arith::ConstantIntOp::create(b, fail.getLoc(), static_cast<int64_t>(fail.getError()), 64);
    func::CallOp::create(b, fail.getLoc(), callee, ValueRange{code, fail.getA(), fail.getB()});
    fail.erase();
  }
}

void lower(ModuleOp module) {
  lowerFails(module);
  PassManager pm(module.getContext());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createParallelForToNestedForsPass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLLVMPass());
  pm.addPass(createConvertVectorToLLVMPass());
  pm.addPass(createFinalizeMemRefToLLVMConversionPass());
  pm.addPass(createArithToLLVMConversionPass());
  pm.addPass(createConvertFuncToLLVMPass());
  pm.addPass(createConvertControlFlowToLLVMPass());
  pm.addPass(createUBToLLVMConversionPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  if (failed(pm.run(module)))
    stop("lowering failed");
}

std::unique_ptr<llvm::TargetMachine> targetMachine(llvm::StringRef level) {
  llvm::Triple triple(llvm::sys::getProcessTriple());
  std::string error;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    stop(error);
  llvm::StringRef features = level == "x86-64-v4" ? "+avx512vnni" : "";
  llvm::TargetOptions options;
  options.MCOptions.AsmVerbose = true; // names spills
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, level, features, options, llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager graphs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(graphs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, graphs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3).run(module, modules);
}

std::string emit(llvm::Module &module, llvm::TargetMachine &machine, llvm::CodeGenFileType kind) {
  std::unique_ptr<llvm::Module> copy = llvm::CloneModule(module);
  llvm::SmallVector<char> bytes;
  llvm::raw_svector_ostream os(bytes);
  llvm::legacy::PassManager pm;
  machine.addPassesToEmitFile(pm, os, nullptr, kind);
  pm.run(*copy);
  return std::string(bytes.begin(), bytes.end());
}

} // namespace

struct KernelProgram::Impl {
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

KernelProgram::KernelProgram(const std::string &functions, llvm::StringRef level, bool keepsAssembly)
    : impl(std::make_unique<Impl>()) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  DialectRegistry registry;
  registry.insert<QoptDialect, kernel::KernelDialect, arith::ArithDialect, func::FuncDialect, LLVM::LLVMDialect,
                  math::MathDialect, memref::MemRefDialect, scf::SCFDialect, vector::VectorDialect>();
  registerAllToLLVMIRTranslations(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects(); // as passes do that declare what they depend on
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(functions, &context);
  if (!module)
    stop("the test's functions do not parse");
  for (auto function : module->getOps<func::FuncOp>())
    function->setAttr("llvm.emit_c_interface", UnitAttr::get(&context));
  if (failed(emitKernels(*module, *findHostLevel(std::string_view(level)))) || failed(module->verify()))
    stop("no kernels");
  for (auto function : module->getOps<func::FuncOp>())
    if (!function.isDeclaration())
      function.setPublic();
  lower(*module);

  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> llvmModule = translateModuleToLLVMIR(*module, *llvmContext);
  if (!llvmModule)
    stop("translation to LLVM IR failed");
  std::unique_ptr<llvm::TargetMachine> machine = targetMachine(level);
  llvmModule->setTargetTriple(machine->getTargetTriple());
  llvmModule->setDataLayout(machine->createDataLayout());
  optimize(*llvmModule, *machine);
  if (keepsAssembly)
    text = emit(*llvmModule, *machine, llvm::CodeGenFileType::AssemblyFile);
  std::string object = emit(*llvmModule, *machine, llvm::CodeGenFileType::ObjectFile);

  impl->jit = check(llvm::orc::LLJITBuilder().create());
  llvm::orc::SymbolMap symbols;
  symbols[impl->jit->mangleAndIntern("qrt_fail")] = {llvm::orc::ExecutorAddr::fromPtr(&recordFailure),
                                                     llvm::JITSymbolFlags::Exported};
  llvm::cantFail(impl->jit->getMainJITDylib().define(llvm::orc::absoluteSymbols(std::move(symbols))));
  llvm::cantFail(impl->jit->addObjectFile(llvm::MemoryBuffer::getMemBufferCopy(object)));
}

KernelProgram::~KernelProgram() = default;

void KernelProgram::run(llvm::StringRef kernel, llvm::ArrayRef<Buffer *> operands) {
  failures.clear();
  std::vector<std::vector<int64_t>> descriptors;
  for (Buffer *buffer : operands) {
    auto address = reinterpret_cast<int64_t>(buffer->bytes.data());
    std::vector<int64_t> descriptor{address, address, 0};
    descriptor.insert(descriptor.end(), buffer->shape.begin(), buffer->shape.end());
    std::vector<int64_t> strides(buffer->shape.size(), 1);
    for (size_t i = strides.size(); i-- > 1;)
      strides[i - 1] = strides[i] * buffer->shape[i];
    descriptor.insert(descriptor.end(), strides.begin(), strides.end());
    descriptors.push_back(std::move(descriptor));
  }
  std::array<int64_t *, 9> p{};
  for (size_t i = 0; i < descriptors.size(); ++i)
    p[i] = descriptors[i].data();
  using P = int64_t *;
  auto address = check(impl->jit->lookup(("_mlir_ciface_" + kernel).str()));
  // Arguments that a kernel does not have stay unread in registers or on the stack.
  address.toPtr<void(P, P, P, P, P, P, P, P, P)>()(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]);
}

std::vector<std::string> runnableLevels() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  std::vector<std::string> levels;
  if (features["avx2"] && features["fma"] && features["f16c"])
    levels.push_back("x86-64-v3");
  if (features["avx512bw"] && features["avx512vl"] && features["avx512dq"] && features["avx512vnni"])
    levels.push_back("x86-64-v4");
  return levels;
}

std::vector<float> randomFloats(size_t count, unsigned seed, float deviation) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(count);
  for (float &v : values)
    v = normal(random);
  return values;
}

std::vector<int8_t> randomBytes(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int8_t> values(count);
  for (int8_t &v : values)
    v = static_cast<int8_t>(random());
  return values;
}

} // namespace qopt::test
