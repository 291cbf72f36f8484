//===- EmitCode.cpp - LLVM IR to machine code -----------------------------===//
//
// Optimized without a library: generated code calls nothing that it was not given.
//
//===----------------------------------------------------------------------===//
#include "qopt/Codegen/Host/EmitCode.h"
#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/InstSimplifyPass.h"
#include "llvm/Transforms/Scalar/SROA.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"

using namespace mlir;

/// As hard as the machine's code generator is to try.
static llvm::ModulePassManager makePipeline(llvm::PassBuilder &builder, const llvm::TargetMachine &machine) {
  if (machine.getOptLevel() == llvm::CodeGenOptLevel::Aggressive)
    return builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3);
  // What runs a few times: variables to registers, and away with what is then seen twice or not needed. O1
  // takes five times as long, and its code runs no faster.
  llvm::FunctionPassManager functions;
  functions.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  functions.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  functions.addPass(llvm::SimplifyCFGPass());
  functions.addPass(llvm::InstSimplifyPass());
  functions.addPass(llvm::SimplifyCFGPass());
  llvm::ModulePassManager passes;
  passes.addPass(llvm::createModuleToFunctionPassAdaptor(std::move(functions)));
  builder.invokeOptimizerLastEPCallbacks(passes, llvm::OptimizationLevel::O1, llvm::ThinOrFullLTOPhase::None);
  return passes;
}

static void optimize(llvm::Module &module, llvm::PassBuilder &builder, const llvm::TargetMachine &machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  // No library: loops are not turned into calls of one.
  llvm::TargetLibraryInfoImpl library(module.getTargetTriple());
  library.disableAllFunctions();
  functions.registerPass([&] { return llvm::TargetLibraryAnalysis(library); });
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  makePipeline(builder, machine).run(module, modules);
}

FailureOr<SmallVector<char>> qopt::emitCode(llvm::Module &module, llvm::TargetMachine &machine,
                                            llvm::CodeGenFileType type,
                                            function_ref<void(llvm::PassBuilder &)> prepare) {
  llvm::PassBuilder builder(&machine);
  if (prepare)
    prepare(builder);
  optimize(module, builder, machine);
  SmallVector<char> code;
  llvm::raw_svector_ostream stream(code);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return failure();
  passes.run(module);
  return code;
}
