//===- LongCalls.h - What only long texts show ----------------------------===//
//
// A mask or a position that is recognised by what it is for some tens of tokens may be
// something else for thousands: a window, a chunk, a table, a longest position. Such a number
// is a constant behind it, and constants can be looked at.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_REFERENCE_LONGCALLS_H
#define QOPT_REFERENCE_LONGCALLS_H

#include "qopt/Reference/ModelInputs.h"

namespace qopt::reference {

/// Distances between tokens, and positions, that probes of recognition must have seen.
inline constexpr int64_t kSeenDistance = 32;

/// The numbers behind `value` that change it when they are small, in texts of more than
/// kSeenDistance and at most `context` tokens; nothing where a table behind it may.
std::optional<llvm::SmallVector<mlir::Value>> findLongNumbers(mlir::Value value, const ModelInputs &inputs,
                                                              int64_t context);

/// Whether `value`, which is computed of sizes, positions and masks, may change in texts of
/// more than kSeenDistance and at most `context` tokens in a way that shorter ones do not show:
/// one of the numbers behind it changes it when it is small, or a table behind it is none that
/// goes on as it begins.
bool changesInLongCalls(mlir::Value value, const ModelInputs &inputs, int64_t context);

} // namespace qopt::reference

#endif // QOPT_REFERENCE_LONGCALLS_H
