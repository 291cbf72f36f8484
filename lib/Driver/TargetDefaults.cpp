//===- TargetDefaults.cpp - What follows from the targets -----------------===//
//
// A phase that shows code for GPUs counts as a target.
//
//===----------------------------------------------------------------------===//
#include "TargetDefaults.h"
#include "qopt/Support/Targets.h"
#include "llvm/ADT/STLExtras.h"

using namespace qopt;

static bool isCpu(const std::string &target) { return target == deviceKindName(DeviceKind::Cpu); }

std::string qopt::cacheTypeOf(const CompileOptions &options) {
  if (options.cacheType != "auto")
    return options.cacheType;
  bool isForGpus = !llvm::all_of(options.targets, isCpu) || options.until == Phase::Ptx || options.until == Phase::Sim;
  return isForGpus || !options.compat.empty() ? "f32" : "f16";
}

bool qopt::prefersInt8Activations(const CompileOptions &options) { return llvm::any_of(options.targets, isCpu); }
