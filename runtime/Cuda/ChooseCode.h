//===- ChooseCode.h - Which code of a module suits a GPU ------------------===//
//
// Assembled code for the very device is preferred, then PTX that the driver can compile
// for it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_CUDA_CHOOSECODE_H
#define QOPT_LIB_RUNTIME_CUDA_CHOOSECODE_H

#include "qopt/Module/Module.h"
#include "qopt/Support/Targets.h"
#include <string_view>
#include <vector>

namespace qrt::cuda {

/// A compute capability: sm_90 is {9, 0}, sm_120 {12, 0}.
struct Capability {
  int major = 0, minor = 0;
  static Capability of(const qopt::GpuArch &arch) {
    return {static_cast<int>(arch.number / 10), static_cast<int>(arch.number % 10)};
  }
  std::string text() const { return qopt::GpuArch{major * 10 + minor}.name(); }
  bool operator==(const Capability &) const = default;
};

/// Whether code assembled for `arch` ("sm_80", "sm_90a", "sm_100f") runs on a device:
/// the same major and at least its minor number; with a: exactly this one.
bool cubinRunsOn(std::string_view arch, Capability device);

/// Whether the driver can compile PTX for `device`: its ".target" must not be newer,
/// and with a or f as for a cubin. False where there is no .target.
bool ptxRunsOn(std::string_view ptx, Capability device);

/// The sections to try, best first: a cubin of exactly this device, other cubins
/// that run there, PTX for exactly this device, PTX of the baseline. Error: none suits; it says what there is.
qopt::Result<std::vector<std::string>> chooseCode(const qopt::Module &module, Capability device,
                                                  const std::string &deviceName);

} // namespace qrt::cuda

#endif // QOPT_LIB_RUNTIME_CUDA_CHOOSECODE_H
