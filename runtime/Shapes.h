//===- Shapes.h - Tensors against what a module declares ------------------===//
//
// Generated code trusts its inputs, so they are checked before it is called.
//
//===----------------------------------------------------------------------===//
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

/// Whether all `ids`, rows of `length` tokens, are in [0, vocabulary). An error names the
/// position of the first that is not; the positions of a row count from `firstPosition`.
Status checkTokens(std::span<const int32_t> ids, int64_t length, int64_t firstPosition, int64_t vocabulary);

/// The same where only the code of a module has seen the id.
qopt::Error beyondVocabulary(int64_t id, int64_t vocabulary);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_SHAPES_H
