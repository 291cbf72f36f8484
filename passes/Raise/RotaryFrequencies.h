//===- RotaryFrequencies.h - Angles that grow evenly with the position ----===//
//
// Most rotary embeddings turn pair i at position p by p times a frequency. Then the angles of
// any position can be computed, and a model has no tables and no longest text.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_RAISE_ROTARYFREQUENCIES_H
#define QOPT_PASSES_RAISE_ROTARYFREQUENCIES_H

#include "RotaryTables.h"

namespace qopt::raise {

/// cos(p * values[i]) * scale and sin(p * values[i]) * scale, the product in f32.
struct RotaryFrequencies {
  std::vector<float> values;
  double scale;
};

/// The frequencies of `tables`; nothing where its angles do not grow so, or where the graph that computes
/// them has an operator that could make others for later positions or longer texts.
std::optional<RotaryFrequencies> findFrequencies(const RotaryTables &tables);

/// Tables in the graph, each once for all layers that share it.
class TableValues {
public:
  using Pair = std::pair<mlir::Value, mlir::Value>; ///< cosines and sines

  /// [positions, pairs], as resources.
  Pair stored(const RotaryTables &tables);
  /// [batch, sequence, pairs] of the tokens at `positions` [batch, sequence].
  Pair computed(mlir::Value positions, const RotaryFrequencies &frequencies);

private:
  mlir::Value create(const reference::Tensor &table, llvm::StringRef name, mlir::Block &block);

  std::vector<std::pair<reference::Tensor, mlir::Value>> tables;
  std::vector<std::tuple<mlir::Value, RotaryFrequencies, Pair>> angles;
};

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_ROTARYFREQUENCIES_H
