//===- FloatRun.h - The float model's activations on calibration text -----===//
//
// For transformations, which want to know what values are like before anything is
// quantized. Samples run through a function stage by stage (Stages.h); nothing in it changes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_FLOATRUN_H
#define QOPT_CALIBRATION_FLOATRUN_H

#include "qopt/Calibration/Samples.h"
#include "qopt/Calibration/StageRunner.h"
#include "qopt/Calibration/Stages.h"

namespace qopt {

/// Weights [K, N] that a linear has for once, by its product.
using WeightChoice = llvm::DenseMap<mlir::Operation *, qrt::Tensor>;

/// An observer that all batches have come to.
class ObservedValue {
public:
  virtual ~ObservedValue() = default;
  virtual ObserveOp observe() const = 0;
  virtual size_t numBatches() const = 0;
  /// The value in a batch.
  virtual Result<qrt::Tensor> load(size_t batch) const = 0;
  /// What it would be if linears between the observer before and this one had these weights.
  virtual Result<qrt::Tensor> compute(size_t batch, const WeightChoice &choice) const = 0;
  /// Which rows of the value count; empty: all do.
  virtual std::span<const uint8_t> mask(size_t batch) const = 0;
};

struct FloatRunOptions {
  int64_t batchSize = 8;
  int threads = 1;
  int64_t maxMemory = 0; ///< bytes of activations in memory between stages; 0: no limit
  std::function<void(int64_t done, int64_t total)> onProgress; ///< batches of all stages
};

/// What the driver wants; the defaults where there is none.
FloatRunOptions floatRunOptions(mlir::MLIRContext &context);

/// Calls `visit` for the observers of `function` in order. Emits errors that name the observer, among
/// them those of `visit`, and one for values that are not finite.
mlir::LogicalResult runFloat(mlir::func::FuncOp function, const std::vector<std::vector<int32_t>> &windows,
                             const FloatRunOptions &options, const StageRunnerFactory &makeRunner,
                             llvm::function_ref<Status(const ObservedValue &, const ParallelFor &)> visit);

} // namespace qopt

#endif // QOPT_CALIBRATION_FLOATRUN_H
