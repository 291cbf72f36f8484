//===- CalibrationContext.h - What a driver and the passes hand over ------===//
//
// Passes are named in text, so what text cannot hold (samples, callbacks) hangs
// on the qopt dialect of the MLIR context:
//
//   auto &calibration = qopt::CalibrationContext::attach(context);
//   calibration.samples = ...;
//   passManager.run(module);
//   listLayers(function);
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_CALIBRATIONCONTEXT_H
#define QOPT_CALIBRATION_CALIBRATIONCONTEXT_H

#include "mlir/IR/DialectInterface.h"
#include "qopt/Calibration/Report.h"
#include "qopt/Calibration/StageRunner.h"
#include "llvm/ADT/StringMap.h"
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace qopt {

/// Signal-to-noise ratios of weights, in dB: below the first one a layer is hardly what it was,
/// below the second one zeros would do as well.
inline constexpr double kNoisySqnrDb = 3, kLostSqnrDb = .5;

/// What layers choose their schemes under (ChooseSchemes.h).
struct LayerBudget {
  std::string option;                  ///< that asked for it: "--target-bits"
  double bits = 0;                     ///< per weight, over all layers that are quantized; 0: of bytes
  int64_t moduleBytes = 0;             ///< of the module
  int64_t otherBytes = 0;              ///< of what the module has besides the weights of layers
  std::vector<std::string> candidates; ///< schemes as overrides name them; empty: those of the scheme's family
};

class CalibrationContext : public mlir::DialectInterface::Base<CalibrationContext> {
public:
  explicit CalibrationContext(mlir::Dialect *dialect) : Base(dialect) {}

  /// Attaches one to the qopt dialect of `context`, which must not be in use by
  /// another thread; a second call gives the same one.
  static CalibrationContext &attach(mlir::MLIRContext &context);
  /// Null when none was attached.
  static CalibrationContext *get(mlir::MLIRContext &context);

  /// Token ids, one vector per window; lengths may differ. Empty: none given.
  std::vector<std::vector<int32_t>> samples;
  /// `PATTERN=SPEC`, applied after those of qopt-assign-scheme.
  std::vector<std::string> overrides;
  /// Under which layers choose among schemes; nothing: each has that of the pipeline or of its override.
  std::optional<LayerBudget> budget;
  /// What they chose, in the order of the graph.
  std::vector<LayerChoice> choices;
  /// Whether the code that is made runs products of two integers faster than others: what
  /// `activations=auto` becomes.
  bool prefersInt8Activations = true;
  /// Threads to compute with, at least 1. The result does not depend on it.
  int threads = 1;
  /// Bytes of activations kept in memory between stages; what exceeds it goes to
  /// an unlinked temporary file. 0: no limit.
  int64_t maxMemory = 0;
  /// Where calibration computes activations. Empty: on this CPU, by compiled code.
  StageRunnerFactory makeRunner;
  /// What `makeRunner` computes on.
  std::string device = "cpu";
  /// Where calibration keeps its work, for a run that goes on; empty: nowhere.
  std::string checkpoint;

  /// Where what calibration measures goes; empty: nowhere.
  std::string saveCalibration;
  /// Files of that, to be taken together instead of `samples`.
  std::vector<std::string> loadCalibration;

  /// The least signal-to-noise ratio of a layer's weights in dB, below which it is refused.
  double leastSqnrDb = kLostSqnrDb;

  /// Called once per quantized layer, as soon as it is; one call at a time.
  std::function<void(const LayerReport &)> onLayer;
  /// Called during calibration: batches done of all batches of all stages.
  std::function<void(int64_t done, int64_t total)> onProgress;
  /// Called for what is worth a line but no warning.
  std::function<void(const std::string &)> onNote;

  /// An error where so little of a layer's weights is left that the model cannot work.
  Status accept(const LayerReport &layer) const;
  /// Says what the quantizer of a layer measured; several threads may.
  void report(LayerReport layer);
  /// What was reported of the layer of this name, or nothing. The address stays valid.
  const LayerReport *findReport(llvm::StringRef name);

private:
  std::mutex mutex;
  llvm::StringMap<LayerReport> layers;
};

/// The token windows [n, length] of the .npy file `path`, or where it is empty those of the
/// driver. Emits an error where there are none.
mlir::FailureOr<std::vector<std::vector<int32_t>>> findWindows(mlir::Location location, llvm::StringRef path);

} // namespace qopt

#endif // QOPT_CALIBRATION_CALIBRATIONCONTEXT_H
