//===- RoleUses.h - What a graph does with an input -----------------------===//
//
// Values are followed forward until it shows what they are for: into a table, an angle,
// the scores of attention. Sizes of a value say nothing about it and are not followed.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_ROLEUSES_H
#define QOPT_PASSES_RAISE_ROLEUSES_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/SetVector.h"
#include <optional>

namespace qopt::raise {

struct Uses {
  llvm::SetVector<mlir::Value> tables;    ///< constant matrices of which it chooses rows
  bool rotates = false;                   ///< becomes the angle of a sine, or a row of such tables
  bool masks = false;                     ///< meets the scores of attention without a product
  bool biases = false;                    ///< as such is added to the scores, or shows a key where it is true
  bool isBound = false;                   ///< says where rows of a sequence begin, and nothing else
  bool isKey = false;                     ///< makes scores by a product with another value
  bool isValue = false;                   ///< is multiplied by the softmax of scores
  bool isProjected = false;               ///< is multiplied by a constant weight
  llvm::SmallVector<unsigned, 1> results; ///< of the function, which hold it unchanged or appended to
};

/// What happens to `value` behind its definition.
Uses findUses(mlir::Value value);

/// N of the product that `value` comes out of (findProduct), where its weights are a constant [K, N].
std::optional<int64_t> findProductWidth(mlir::Value value);

/// Whether, on the same way back, something is [_, 1, _]: one token's row.
bool hasOneRow(mlir::Value value);

/// The value that `value` is a cast of.
mlir::Value skipCasts(mlir::Value value);

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_ROLEUSES_H
