//===- CacheInputs.h - What a cache stands for ----------------------------===//
//
// Positions, masks and earlier keys of a decoder that brings its own cache, or none: which of
// them an entry point with a cache can do without. Found by computing them for a few sizes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_CACHEINPUTS_H
#define QOPT_PASSES_LOWER_CACHEINPUTS_H

#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Reference/ModelInputs.h"

namespace qopt::lowering {

/// Whether these are the numbers of the tokens where none is padding.
bool areCounted(mlir::Value value, const reference::ModelInputs &inputs);
/// Whether a mask is [batch, 1, 1, keys] of the attention mask's own values, or computed from
/// the lengths of texts: without padding it shows everything, to all tokens alike.
bool isPaddingMask(mlir::Value mask, const reference::ModelInputs &inputs);
/// What all of `condition` is where no token is padding; nothing where that depends on the token.
std::optional<bool> withoutPadding(mlir::Value condition, const reference::ModelInputs &inputs);
/// Whether a mask, null for none, is an input that is added to the scores.
bool isGivenBias(mlir::Value mask, const reference::ModelInputs &inputs);
/// Whether earlier keys or values, null for none, are an input or its first rows: a buffer may
/// have room for more tokens than there are.
bool isPastInput(mlir::Value past);
/// Slices of tokens that begin at a computed 0 and have no end are what they slice.
void dropWholeSlices(mlir::func::FuncOp function);

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_CACHEINPUTS_H
