//===- Shapes.h - Tensors against what a module declares ------------------===//
#ifndef QOPT_LIB_RUNTIME_SHAPES_H
#define QOPT_LIB_RUNTIME_SHAPES_H

#include "qopt/Runtime/Runtime.h"
#include <map>

namespace qrt {

/// Sizes seen so far by symbol, and in which tensor.
using SymbolSizes = std::map<std::string, std::pair<int64_t, std::string>>;

/// Whether `tensors` are as `infos`, of the same number, declare them: types, ranks,
/// constant dimensions, and equal sizes for equal symbols. `kind`: "input".
Status checkTensors(const char *kind, std::span<const qopt::TensorInfo> infos, std::span<const Tensor> tensors,
                    SymbolSizes &symbols);

/// The entry point `name` of `module`, when `inputs` are as it declares them and it has
/// no caches.
Result<const qopt::EntryPoint *> findEntry(const qopt::Module &module, const std::string &name,
                                           std::span<const Tensor> inputs, SymbolSizes &symbols);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_SHAPES_H
