//===- EmitObject.cpp - LLVM dialect to an object file --------------------===//
//
// One target machine per level; the ELF file is written in memory.
//
//===----------------------------------------------------------------------===//
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "qopt/Codegen/Host/EmitCode.h"
#include "qopt/Codegen/Host/Steps.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Instrumentation/ThreadSanitizer.h"
#include <mutex>

using namespace mlir;
using qopt::HostLevel;

static std::unique_ptr<llvm::TargetMachine> createTargetMachine(const HostLevel &level, llvm::CodeGenOptLevel effort,
                                                                std::string &error) {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
  });
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  llvm::TargetOptions options;
  options.FunctionSections = true;
  options.DataSections = true;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(triple, level.name, level.features, options,
                                                                          llvm::Reloc::PIC_, std::nullopt, effort));
}

/// LLVM may call memcpy, memmove and memset for large copies. They are hidden
/// functions of the object, made of string instructions so that they do not become
/// calls of themselves.
static void defineMemoryFunctions(llvm::Module &module) {
  llvm::LLVMContext &context = module.getContext();
  auto *pointer = llvm::PointerType::getUnqual(context);
  auto *i64 = llvm::Type::getInt64Ty(context), *i32 = llvm::Type::getInt32Ty(context);
  auto *voidType = llvm::Type::getVoidTy(context);
  auto define = [&](StringRef name, llvm::Type *second) {
    auto *type = llvm::FunctionType::get(pointer, {pointer, second, i64}, false);
    auto *function = llvm::cast<llvm::Function>(module.getOrInsertFunction(name, type).getCallee());
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    function->addFnAttr("no-builtins");
    function->addFnAttr(llvm::Attribute::NoInline);
    return function;
  };
  auto emit = [&](llvm::IRBuilder<> &builder, StringRef text, StringRef constraints, ArrayRef<llvm::Value *> in) {
    SmallVector<llvm::Type *> types;
    for (llvm::Value *value : in)
      types.push_back(value->getType());
    auto *results = llvm::StructType::get(context, {pointer, pointer, i64});
    auto *type = llvm::FunctionType::get(constraints.starts_with("=") ? (llvm::Type *)results : voidType, types, false);
    builder.CreateCall(llvm::InlineAsm::get(type, text, constraints, /*hasSideEffects=*/true), in);
  };
  StringRef copyConstraints = "={rdi},={rsi},={rcx},0,1,2,~{memory},~{dirflag}";

  llvm::Function *copy = define("memcpy", pointer);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", copy));
  emit(builder, "rep movsb", copyConstraints, {copy->getArg(0), copy->getArg(1), copy->getArg(2)});
  builder.CreateRet(copy->getArg(0));

  // Backwards where the destination starts inside the source.
  llvm::Function *move = define("memmove", pointer);
  auto *entry = llvm::BasicBlock::Create(context, "", move), *up = llvm::BasicBlock::Create(context, "up", move),
       *down = llvm::BasicBlock::Create(context, "down", move);
  builder.SetInsertPoint(entry);
  llvm::Value *distance =
      builder.CreateSub(builder.CreatePtrToInt(move->getArg(0), i64), builder.CreatePtrToInt(move->getArg(1), i64));
  builder.CreateCondBr(builder.CreateICmpULT(distance, move->getArg(2)), down, up);
  builder.SetInsertPoint(up);
  emit(builder, "rep movsb", copyConstraints, {move->getArg(0), move->getArg(1), move->getArg(2)});
  builder.CreateRet(move->getArg(0));
  builder.SetInsertPoint(down);
  llvm::Value *last = builder.CreateSub(move->getArg(2), llvm::ConstantInt::get(i64, 1));
  auto *i8 = llvm::Type::getInt8Ty(context);
  emit(builder, "std; rep movsb; cld", copyConstraints,
       {builder.CreateGEP(i8, move->getArg(0), last), builder.CreateGEP(i8, move->getArg(1), last), move->getArg(2)});
  builder.CreateRet(move->getArg(0));

  llvm::Function *set = define("memset", i32);
  builder.SetInsertPoint(llvm::BasicBlock::Create(context, "", set));
  auto *results = llvm::StructType::get(context, {pointer, i64});
  auto *type = llvm::FunctionType::get(results, {builder.getInt8Ty(), pointer, i64}, false);
  llvm::Value *byte = builder.CreateTrunc(set->getArg(1), builder.getInt8Ty());
  builder.CreateCall(llvm::InlineAsm::get(type, "rep stosb", "={rdi},={rcx},{al},0,1,~{memory},~{dirflag}", true),
                     {byte, set->getArg(0), set->getArg(2)});
  builder.CreateRet(set->getArg(0));
}

FailureOr<std::vector<char>> qopt::host::emitObject(ModuleOp module, const HostLevel &level,
                                                    const ObjectOptions &options) {
  std::string error;
  std::unique_ptr<llvm::TargetMachine> machine = createTargetMachine(level, options.effort, error);
  if (!machine)
    return module.emitError("cannot generate code for x86-64: ") << error;
  registerBuiltinDialectTranslation(*module.getContext());
  registerLLVMDialectTranslation(*module.getContext());
  llvm::LLVMContext context;
  context.setDiscardValueNames(true); // which nobody reads
  // Verified below, when it is complete.
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context, "host", /*disableVerification=*/true);
  if (!code)
    return module.emitError("cannot translate the module to LLVM IR");
  code->setTargetTriple(machine->getTargetTriple());
  code->setDataLayout(machine->createDataLayout());
  defineMemoryFunctions(*code);
  for (llvm::Function &function : *code)
    if (!function.isDeclaration()) {
      function.addFnAttr("target-cpu", machine->getTargetCPU());
      function.addFnAttr("target-features", machine->getTargetFeatureString());
      function.addFnAttr(llvm::Attribute::NoUnwind);
      if (options.detectRaces && !function.hasHiddenVisibility())
        function.addFnAttr(llvm::Attribute::SanitizeThread);
    }
  if (llvm::verifyModule(*code))
    return module.emitError("generated code is malformed");
  FailureOr<SmallVector<char>> object =
      emitCode(*code, *machine, llvm::CodeGenFileType::ObjectFile, [&](llvm::PassBuilder &builder) {
        if (options.detectRaces)
          builder.registerOptimizerLastEPCallback([](llvm::ModulePassManager &passes, auto...) {
            passes.addPass(llvm::ModuleThreadSanitizerPass());
            passes.addPass(llvm::createModuleToFunctionPassAdaptor(llvm::ThreadSanitizerPass()));
          });
      });
  if (failed(object))
    return module.emitError("cannot write an object file for x86-64");
  return std::vector<char>(object->begin(), object->end());
}
