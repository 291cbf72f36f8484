//===- CudaProgram.cpp - CUDA kernels compiled in process, for tests -------===//
#include "CudaProgram.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Codegen.h"

using namespace mlir;

namespace qopt::test {

void loadDialects(MLIRContext &context) {
  context.disableMultithreading();
  context.loadDialect<kernel::KernelDialect, QoptDialect, arith::ArithDialect, func::FuncDialect, linalg::LinalgDialect,
                      math::MathDialect, memref::MemRefDialect, scf::SCFDialect>();
}

[[noreturn]] static void stop(const char *what) { llvm::report_fatal_error(what, /*gen_crash_diag=*/false); }

OwningOpRef<ModuleOp> parse(MLIRContext &context, const std::string &text) {
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    stop("the test's text does not parse");
  return module;
}

CudaProgram::CudaProgram(const std::string &text) {
  loadDialects(context);
  module = parse(context, text);
  if (failed(emitKernelsForCuda(*module)) || failed(verify(*module)))
    stop("no kernels");
}

std::string CudaProgram::ptx(const std::string &chip) {
  if (!lowered) {
    FailureOr<OwningOpRef<ModuleOp>> kernels = lowerKernels(*module);
    if (failed(kernels))
      stop("kernels that are not lowered");
    lowered = std::move(*kernels);
  }
  FailureOr<std::string> text = emitPtx(*lowered, chip);
  if (failed(text))
    stop("no PTX");
  return *text;
}

} // namespace qopt::test
