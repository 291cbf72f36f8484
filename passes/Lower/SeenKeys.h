//===- SeenKeys.h - Which keys a mask shows to a query ---------------------===//
//
// Exporters compute masks of all kinds; where no text is padded, most say of a key no more than
// how far it is from the query.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_SEENKEYS_H
#define QOPT_PASSES_LOWER_SEENKEYS_H

#include "qopt/Reference/ModelInputs.h"

namespace qopt::lowering {

/// The keys up to the query itself that it sees, and what is added to their scores.
struct SeenKeys {
  int64_t window = 0;               ///< the last so many; 0: all
  llvm::SmallVector<double> slopes; ///< of heads, times the distance, taken from the score; or none
};

/// What `mask` shows where no token is padding; nothing where it is of another kind. `isCausal`: keys
/// behind the query are hidden anyway.
std::optional<SeenKeys> measureSeenKeys(mlir::Value mask, bool isCausal, const reference::ModelInputs &inputs);

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_SEENKEYS_H
