//===- AttentionMatch.h - The parts of a decomposed attention -------------===//
//
// What RaiseAttention needs to know of the operators around a softmax.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_ATTENTIONMATCH_H
#define QOPT_PASSES_RAISE_ATTENTIONMATCH_H

#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Passes/Remarks.h"
#include "llvm/ADT/DenseSet.h"

namespace qopt::raise {

/// Queries, keys or values as they leave their projection (or rotation).
struct Heads {
  mlir::Value value;   ///< [batch, length, heads * size] or four dimensions
  mlir::Value past;    ///< the cache they are appended to, [batch, heads, length, size]
  mlir::Value present; ///< the appended cache
  int64_t heads = 0, size = 0;

  bool isHeadsFirst() const;
};

/// softmax(mask(q k^T)) v; all that lies in between is up to probing.
struct AttentionMatch {
  Heads q, k, v;
  mlir::Value logits; ///< what the softmax reads
  mlir::Value result; ///< the mixed values, in the last layout before they are used
  std::optional<double> softcap;
  /// A mask that does not depend on activations: added, or kept where true.
  mlir::Value addedMask, keptMask;
  /// All computed values without activations that act on the scores.
  llvm::SmallVector<mlir::Value> masks;
};

/// Rules of AttentionMatch.cpp come before those that the caller checks by computing.
inline constexpr int kFirstComputedRule = 20;

/// Finds the parts around `softmax`. Fails without a reason where it is no attention at
/// all, and with one where it could be.
mlir::FailureOr<AttentionMatch> matchAttention(mlir::Operation *softmax, const llvm::DenseSet<mlir::Value> &activations,
                                               Reason &reason);

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_ATTENTIONMATCH_H
