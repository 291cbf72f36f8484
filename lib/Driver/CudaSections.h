//===- CudaSections.h - What a module holds for GPUs ----------------------===//
#ifndef QOPT_LIB_DRIVER_CUDASECTIONS_H
#define QOPT_LIB_DRIVER_CUDASECTIONS_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Module/Module.h"
#include <string>
#include <vector>

namespace qopt {

struct CudaSections {
  std::vector<std::pair<std::string, std::vector<char>>> sections; ///< by name
  std::vector<KernelInfo> kernels;
};

/// Compiles a lowered module for GPUs: host code that launches kernels, the kernels
/// as PTX for kBaselineChip and each architecture that has kernels of its own, as a
/// cubin for each of `archs`, and for the simulator.
/// Leaves `module` as it was. Emits a diagnostic on failure: a kernel or a loop that
/// has no form for GPUs, no ptxas where cubins are wanted.
mlir::FailureOr<CudaSections> compileCudaSections(mlir::ModuleOp module, llvm::ArrayRef<std::string> archs);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_CUDASECTIONS_H
