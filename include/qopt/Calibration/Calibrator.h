//===- Calibrator.h - Measure, quantize, go on ----------------------------===//
//
// Runs samples through a function stage by stage (Stages.h). When all samples
// have passed a stage, its observer is finished: `absmax` gets its value, for
// `hessian` the linears that read the observer are quantized by GPTQ, for
// `column-absmax` to int8 but for their outlier columns. The next stage then computes with what was decided: quantized
// weights, and quantized activations behind `absmax`.
//
// With a float target two streams of activations run side by side, the quantized
// model's and the float model's; they share what is still equal.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_CALIBRATOR_H
#define QOPT_CALIBRATION_CALIBRATOR_H

#include "qopt/Calibration/Report.h"
#include "qopt/Calibration/StageRunner.h"
#include "qopt/Numerics/Gptq.h"

namespace qopt {

/// How an `absmax` observer comes from what it saw to its one value.
enum class RangeRule {
  LeastSquares,  ///< the clipping point of least squared error (MseObserver)
  Largest,       ///< the largest magnitude
  MovingAverage, ///< over batches, as quanto (EmaScale); depends on the batch size
};

/// "mse", "absmax", "moving-average".
std::optional<RangeRule> parseRangeRule(llvm::StringRef name);

struct CalibrationOptions {
  int64_t batchSize = 8;
  RangeRule range = RangeRule::LeastSquares;
  GptqOptions gptq; ///< group size and symmetry come from each linear's scheme
  int threads = 1;
  int64_t maxMemory = 0; ///< bytes of activations in memory between stages; 0: no limit
  std::function<void(LayerReport)> onLayer;
  std::function<void(int64_t done, int64_t total)> onProgress; ///< batches of all stages
};

struct CalibrationSummary {
  int64_t stages = 0;   ///< run
  int64_t distinct = 0; ///< compiled
};

/// Finishes all observers of `function`. `windows` are token ids. Emits errors that
/// name the layer; `function` may then be left half done.
mlir::FailureOr<CalibrationSummary> calibrate(mlir::func::FuncOp function,
                                              const std::vector<std::vector<int32_t>> &windows,
                                              const CalibrationOptions &options, const StageRunnerFactory &makeRunner);

} // namespace qopt

#endif // QOPT_CALIBRATION_CALIBRATOR_H
