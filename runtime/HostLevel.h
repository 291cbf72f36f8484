//===- HostLevel.h - Which host code this machine can run -----------------===//
//
// A module has code for several levels of x86-64; the best that runs here is taken.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_HOSTLEVEL_H
#define QOPT_LIB_RUNTIME_HOSTLEVEL_H

#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/Targets.h"

namespace qrt {

/// Whether this machine can run code for `level`.
bool machineHas(const qopt::HostLevel &level);

/// The best level that `module` has code for and this machine can run; `forced` if it is
/// not empty. An error says what there is and what this machine has.
Result<qopt::HostLevel> chooseLevel(const qopt::Module &module, const std::string &forced);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_HOSTLEVEL_H
