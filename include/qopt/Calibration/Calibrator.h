//===- Calibrator.h - Measure, quantize, go on ----------------------------===//
//
// Runs samples through a function stage by stage (Stages.h). When all samples
// have passed a stage, its observer is finished: `absmax` gets its value, and linears
// whose weights depend on a statistic (Scheme.h) are quantized. The next stage then
// computes with what was decided: quantized weights, and quantized activations behind
// `absmax`.
//
// Before anything runs it is known whether the largest statistics fit into memory; they are
// those of one observer at a time, however many layers there are.
//
// With a checkpoint each finished stage is stored. A run of the same calibration that finds it
// there repeats what was decided and goes on; the result is the same as without interruption.
//
// With a float target two streams of activations run side by side, the quantized
// model's and the float model's; they share what is still equal.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_CALIBRATOR_H
#define QOPT_CALIBRATION_CALIBRATOR_H

#include "qopt/Calibration/Report.h"
#include "qopt/Calibration/StageRunner.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"

namespace qopt {

struct CalibrationOptions {
  int64_t batchSize = 8;
  int threads = 1;
  int64_t maxMemory = 0;         ///< bytes of activations in memory between stages; 0: no limit
  int64_t freeMemory = 0;        ///< bytes that statistics may take; 0: what the system has free
  std::string checkpoint;        ///< where work is kept that a later run goes on with; empty: nowhere
  std::string save;              ///< where what was measured goes; empty: nowhere
  std::vector<std::string> load; ///< files of that, instead of windows
  std::string device = "cpu";    ///< what the runner computes on
  std::function<void(LayerReport)> onLayer;
  std::function<void(int64_t done, int64_t total)> onProgress; ///< batches of all stages
  std::function<void(int64_t done, int64_t total)> onResume;   ///< stages that a checkpoint has, unless it has none
  std::function<void(double seconds)> onEstimate;              ///< after each stage: what calibration will take
  std::function<double()> clock;                               ///< seconds since any moment; empty: the steady clock
};

/// Has `note` told, in words, that a run goes on where another ended, and without a checkpoint, of
/// one that will take more than ten minutes, that it could.
void addNotes(std::function<void(const std::string &)> note, CalibrationOptions &options);

struct CalibrationSummary {
  int64_t stages = 0;   ///< run
  int64_t distinct = 0; ///< compiled
};

/// Finishes all observers of `function`. `windows` are token ids. Emits errors that
/// name the layer; `function` may then be left half done, but not where memory was too little.
mlir::FailureOr<CalibrationSummary> calibrate(mlir::func::FuncOp function,
                                              const std::vector<std::vector<int32_t>> &windows,
                                              const CalibrationOptions &options, const StageRunnerFactory &makeRunner);

} // namespace qopt

#endif // QOPT_CALIBRATION_CALIBRATOR_H
