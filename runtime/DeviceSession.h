//===- DeviceSession.h - A module whose kernels run on a device -----------===//
#ifndef QOPT_LIB_RUNTIME_DEVICESESSION_H
#define QOPT_LIB_RUNTIME_DEVICESESSION_H

#include "qopt/Runtime/Runtime.h"

namespace qrt {

/// Whether `module` has the sections that `device` ("cuda" or "sim") needs.
bool hasCodeFor(const qopt::Module &module, const std::string &device);

/// `device`: "cuda", "cuda:N", "sim" or "sim:sm_90a". The weights are copied to the device once.
Result<std::unique_ptr<Session>> createOnDevice(std::shared_ptr<const qopt::Module> module, const std::string &device,
                                                const SessionOptions &options);

/// Whether this machine can run code for `level`, "x86-64-v3" or "x86-64-v4".
bool machineHas(const std::string &level);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_DEVICESESSION_H
