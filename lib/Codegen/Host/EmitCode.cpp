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

using namespace mlir;

/// As hard as the machine's code generator is to try.
static llvm::OptimizationLevel levelOf(const llvm::TargetMachine &machine) {
  return machine.getOptLevel() == llvm::CodeGenOptLevel::Aggressive ? llvm::OptimizationLevel::O3
                                                                    : llvm::OptimizationLevel::O1;
}

static void optimize(llvm::Module &module, llvm::PassBuilder &builder, llvm::OptimizationLevel level) {
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
  builder.buildPerModuleDefaultPipeline(level).run(module, modules);
}

FailureOr<SmallVector<char>> qopt::emitCode(llvm::Module &module, llvm::TargetMachine &machine,
                                            llvm::CodeGenFileType type,
                                            function_ref<void(llvm::PassBuilder &)> prepare) {
  llvm::PassBuilder builder(&machine);
  if (prepare)
    prepare(builder);
  optimize(module, builder, levelOf(machine));
  SmallVector<char> code;
  llvm::raw_svector_ostream stream(code);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, type))
    return failure();
  passes.run(module);
  return code;
}
