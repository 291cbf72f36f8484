//===- Sessions.h - The kinds of sessions ---------------------------------===//
//
// A session is made for the CPU or for a device; callers see the one interface of
// Runtime.h.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_SESSIONS_H
#define QOPT_LIB_RUNTIME_SESSIONS_H

#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/Targets.h"

namespace qrt {

/// With code for the CPU.
Result<std::unique_ptr<Session>> createOnHost(std::shared_ptr<const qopt::Module> module,
                                              const SessionOptions &options);

/// With kernels for `device`, which is not the CPU. The weights are copied to it once.
Result<std::unique_ptr<Session>> createOnDevice(std::shared_ptr<const qopt::Module> module,
                                                const qopt::DeviceName &device, const SessionOptions &options);

/// Whether `module` has the sections that such a device needs.
bool hasCodeFor(const qopt::Module &module, qopt::DeviceKind device);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_SESSIONS_H
