//===- CudaSections.h - What a module holds for GPUs ----------------------===//
//
// A module for a GPU has host code of its own, and its kernels in as many forms as
// --target and --cuda-arch ask for.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_CUDASECTIONS_H
#define QOPT_LIB_DRIVER_CUDASECTIONS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/Timing.h"
#include "qopt/Module/Module.h"
#include <string>
#include <vector>

namespace qopt {

struct CudaSections {
  std::vector<std::pair<std::string, std::vector<char>>> sections; ///< by name
  std::vector<KernelInfo> kernels;
};

/// What of a module's GPU code is wanted.
struct CudaTargets {
  bool cuda = false;               ///< PTX for kBaselineArch and each architecture with kernels of its own
  bool sim = false;                ///< code for the simulator
  std::vector<std::string> cubins; ///< architectures to assemble PTX for; needs `cuda` and ptxas
};

/// Compiles a lowered module for GPUs: host code that launches kernels, which is the
/// same for all, and the kernels for `targets`.
/// Leaves `module` as it was. `info`: what the file will declare, for the signature of the
/// code; its kernels are found here. Emits a diagnostic on failure: a kernel or a loop that
/// has no form for GPUs, no ptxas where cubins are wanted.
mlir::FailureOr<CudaSections> compileCudaSections(mlir::ModuleOp module, ModuleInfo info, const CudaTargets &targets,
                                                  mlir::TimingScope &timing);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_CUDASECTIONS_H
