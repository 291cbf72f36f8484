//===- LiveValues.h - What is alive between two stages --------------------===//
//
// The values of all samples, of both models: the quantized one's, and with a float target
// the float one's. Equal ones are kept once.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_LIVEVALUES_H
#define QOPT_LIB_CALIBRATION_LIVEVALUES_H

#include "qopt/Calibration/Samples.h"
#include "qopt/Calibration/ValueStore.h"
#include "qopt/Numerics/Quantizers.h"
#include "llvm/ADT/DenseMap.h"
#include <array>

namespace qopt {

/// The two models whose activations are computed.
enum Stream { Quantized, Float };

class LiveValues {
public:
  /// `maxMemory`: bytes kept in memory; 0: no limit.
  explicit LiveValues(int64_t maxMemory) : store(maxMemory) {}

  /// The arguments of `function` come alive, with the inputs of `batches`, which move here.
  Status start(mlir::func::FuncOp function, std::vector<SampleBatch> &batches);
  size_t numBatches() const { return live.size(); }

  Result<qrt::Tensor> load(size_t batch, Stream stream, mlir::Value value);
  /// By how much the float model is ahead in `value`, in rows; nothing where both are equal, or for null.
  Status loadAhead(size_t batch, mlir::Value value, const ParallelFor &parallelFor, Matrix<float> &ahead);
  Status set(size_t batch, Stream stream, mlir::Value value, qrt::Tensor tensor);
  /// The float model's value is the quantized one's.
  void share(size_t batch, mlir::Value value);
  bool isShared(size_t batch, mlir::Value value) const;
  /// `value` is what `other` is, in both models.
  void alias(size_t batch, mlir::Value value, mlir::Value other);
  void erase(size_t batch, mlir::Value value);

  /// All that are alive, in any order. The models and batches have the same ones.
  llvm::SmallVector<mlir::Value> values() const;
  /// Nothing is alive any more.
  void clear();
  /// Tells equal tensors of all batches without looking at their elements.
  std::vector<const void *> identity(Stream stream, mlir::Value value) const;

private:
  using Handles = llvm::DenseMap<mlir::Value, ValueStore::Handle>;

  ValueStore store;
  std::vector<std::array<Handles, 2>> live; ///< by batch and stream
};

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_LIVEVALUES_H
