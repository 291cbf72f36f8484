//===- Checkpoint.h - Calibration that goes on where it stopped -----------===//
//
// After each stage its result and the values that are alive are stored (ObjectStore.h), so
// that a run which was killed loses one stage's work at most, and the run that goes on
// computes what the first would have. On the disk are the codes so far and the live values
// of two stages at most.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_CHECKPOINT_H
#define QOPT_LIB_CALIBRATION_CHECKPOINT_H

#include "Fingerprint.h"
#include "LiveValues.h"
#include "StageResult.h"

namespace qopt {

class Checkpoint {
public:
  /// Opens what a run that computes the same left in `directory`, or begins one. `function`
  /// is as it is before its first stage. Errors name the directory and say what to do: it is in
  /// use, it is damaged, it belongs to another calibration.
  static Result<std::unique_ptr<Checkpoint>> open(const std::string &directory, mlir::func::FuncOp function,
                                                  Fingerprint fingerprint);

  /// How many stages are finished.
  size_t numStages() const { return stages.size(); }
  Result<StageResult> readStage(size_t index) const;
  /// Lets live what was alive after the last finished stage, and nothing else.
  Status readValues(LiveValues &values) const;

  /// The next stage is finished: `result` is what it decided, `values` what is alive.
  Status add(const StageResult &result, LiveValues &values);

private:
  Checkpoint(std::string directory, ObjectStore store, mlir::func::FuncOp function, Fingerprint fingerprint);
  Status readState(const std::string &text);
  std::string describeState() const;
  /// All objects of the state.
  std::set<std::string> needed() const;
  Result<std::string> putValue(LiveValues &values, Stream stream, mlir::Value value);
  Error failure(const std::string &what) const;
  Error damaged(const std::string &what) const;

  /// The objects of a value by stream; the float one is empty where the models share the value.
  using ValueObjects = std::array<std::string, 2>;

  std::string directory;
  ObjectStore store;
  Fingerprint fingerprint;
  std::vector<mlir::Value> byNumber; ///< the values of the function, in its order
  llvm::DenseMap<mlir::Value, int64_t> numbers;
  std::vector<std::string> stages;       ///< objects
  std::map<int64_t, ValueObjects> alive; ///< by number; a value never changes, nor does its object
};

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_CHECKPOINT_H
