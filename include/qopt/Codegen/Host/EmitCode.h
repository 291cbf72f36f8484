//===- EmitCode.h - LLVM IR to machine code --------------------------------===//
//
// The one place where LLVM's optimizer and code generator run, for the host and for
// GPUs.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_HOST_EMITCODE_H
#define QOPT_CODEGEN_HOST_EMITCODE_H

#include "mlir/Support/LLVM.h"
#include "llvm/Target/TargetMachine.h"

namespace llvm {
class Module;
class PassBuilder;
} // namespace llvm

namespace qopt {

/// Optimizes `module` for code that calls no library, and writes it as `type`.
/// `prepare` may add passes. Fails when the target cannot write such a file.
mlir::FailureOr<llvm::SmallVector<char>> emitCode(llvm::Module &module, llvm::TargetMachine &machine,
                                                  llvm::CodeGenFileType type,
                                                  llvm::function_ref<void(llvm::PassBuilder &)> prepare = nullptr);

} // namespace qopt

#endif // QOPT_CODEGEN_HOST_EMITCODE_H
