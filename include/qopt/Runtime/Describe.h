//===- Describe.h - A module in words -------------------------------------===//
//
// What `qrun info` prints, for people and for programs.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_DESCRIBE_H
#define QOPT_RUNTIME_DESCRIBE_H

#include "qopt/Module/Module.h"
#include <string>

namespace qrt {

/// Several lines: model, pipeline, entry points, layers, sections.
std::string describeModule(const qopt::Module &module);
/// The same for programs.
std::string describeModuleAsJson(const qopt::Module &module);

/// "f32 [batch, seq, 2048]".
std::string describeType(const qopt::TensorInfo &info);

} // namespace qrt

#endif // QOPT_RUNTIME_DESCRIBE_H
