//===- CudaProgram.h - CUDA kernels compiled in process, for tests ---------===//
#ifndef QOPT_TEST_UNIT_CUDA_CUDAPROGRAM_H
#define QOPT_TEST_UNIT_CUDA_CUDAPROGRAM_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <memory>
#include <string>

namespace qopt::test {

/// Kernels and loop functions with host bodies and gpu.funcs.
struct CudaProgram {
  /// `text`: functions that hold kernels (KernelText.h), groups and loops. Exits on any error.
  explicit CudaProgram(const std::string &text);

  std::string ptx(const std::string &chip = "sm_80");

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;

private:
  mlir::OwningOpRef<mlir::ModuleOp> lowered; ///< what the PTX of every chip is written from
};

/// Loads what tests write programs with.
void loadDialects(mlir::MLIRContext &context);
/// Exits when `text` is malformed.
mlir::OwningOpRef<mlir::ModuleOp> parse(mlir::MLIRContext &context, const std::string &text);

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CUDA_CUDAPROGRAM_H
