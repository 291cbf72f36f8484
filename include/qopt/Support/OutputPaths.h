//===- OutputPaths.h - No output is an input or another output ------------===//
//
// A file that a command writes must not be one that it reads, by whatever name: the loss
// would be noticed when it is too late.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_OUTPUTPATHS_H
#define QOPT_SUPPORT_OUTPUTPATHS_H

#include "qopt/Support/Result.h"
#include <string>
#include <vector>

namespace qopt {

/// An error that names both where an output is one of `inputs` or another output: the same
/// path, or the same file by a link. Empty paths, "-", devices and pipes are none.
Status checkOutputPaths(const std::vector<std::string> &outputs, const std::vector<std::string> &inputs);

} // namespace qopt

#endif // QOPT_SUPPORT_OUTPUTPATHS_H
