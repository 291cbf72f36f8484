//===- RotaryTables.h - Read a rotary embedding's tables off a graph ------===//
//
// What RaiseRotaryEmbedding learns by probing a computation that may be a rotation.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_ROTARYTABLES_H
#define QOPT_PASSES_RAISE_ROTARYTABLES_H

#include "Raising.h"
#include "qopt/Passes/Remarks.h"

namespace qopt::raise {

/// A computation that may be a rotary embedding: `rotated` [batch, heads, length,
/// size] or [batch, length, heads, size] comes from `source` [batch, length,
/// heads * size] or one of these and from `tables`.
struct Rotation {
  mlir::Value source, rotated;
  llvm::ArrayRef<mlir::Value> tables;
  int64_t heads, size;
  bool headsFirst;

  /// The source's type for a call.
  mlir::RankedTensorType sourceType(Sizes sizes) const;
  bool isSourceHeadsFirst() const;
};

/// cos and sin per position, [positions, rotated size / 2].
struct RotaryTables {
  reference::Tensor cos, sin;
  bool interleaved;
  int64_t rotatedSize;
  mlir::Value cosSource, sinSource; ///< where the graph has them
};

/// The rules that reading tables checks have numbers up to this one.
inline constexpr int kLastTableRule = 20;

/// Tables of the graph as they were evaluated, for the layers that share them: by table and number
/// of positions the elements [positions, columns], and how many columns; nothing where that fails.
using EvaluatedTables =
    llvm::DenseMap<std::pair<mlir::Value, int64_t>, std::optional<std::pair<reference::Tensor, int64_t>>>;

/// Finds by probing which channels turn together, and reads the factors for
/// positions 0 to `maxPosition` - 1, or as many as the model has. Fails with a reason when
/// the graph does something else. Whether it does exactly this is for the caller to
/// verify.
mlir::FailureOr<RotaryTables> readRotaryTables(const ModelInputs &inputs, const Rotation &rotation, int64_t maxPosition,
                                               EvaluatedTables &evaluated, Reason &reason);

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_ROTARYTABLES_H
