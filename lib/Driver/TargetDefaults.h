//===- TargetDefaults.h - What follows from the targets -------------------===//
//
// Options whose default depends on what the code is for.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_TARGETDEFAULTS_H
#define QOPT_LIB_DRIVER_TARGETDEFAULTS_H

#include "qopt/Driver/CompileOptions.h"

namespace qopt {

/// Type of keys and values in caches: "f16" or "f32". Code for GPUs reads f32 only, and
/// another package's results are repeated without a rounding of our own.
std::string cacheTypeOf(const CompileOptions &options);

/// Whether integers are the faster activations of int4 weights: on CPUs they are, by a factor
/// of 2 to 4. On GPUs nothing was measured; a module for both computes the same on both.
bool prefersInt8Activations(const CompileOptions &options);

} // namespace qopt

#endif // QOPT_LIB_DRIVER_TARGETDEFAULTS_H
