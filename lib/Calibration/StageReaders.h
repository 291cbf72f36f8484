//===- StageReaders.h - The linears that read an observer -----------------===//
//
// What they want decides what is measured, and what that takes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_STAGEREADERS_H
#define QOPT_LIB_CALIBRATION_STAGEREADERS_H

#include "Statistics.h"
#include "qopt/Calibration/Stages.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Numerics/Matrix.h"
#include "llvm/ADT/MapVector.h"

namespace qopt {

/// Whether the float model's activations matter to the codes of `linear`.
bool hasFloatTarget(const Linear &linear);

class StageReaders {
public:
  /// Those of the stage's observer, in their order.
  explicit StageReaders(const Stage &stage);

  using ByScheme = llvm::MapVector<SchemeAttr, std::vector<Linear>>;
  const ByScheme &byScheme() const { return linears; }

  /// How they want the range; qopt-insert-observers gave those of another mind another observer.
  RangeOptions rangeOptions() const;
  bool haveFloatTarget() const;
  /// The weights [N, K] of the only linear, where W (C - H) is what is summed for it and
  /// not C; else none.
  mlir::FailureOr<Matrix<float>> targetWeights() const;
  /// What the output of the only linear is added to, behind a bias, where that is of use to its float target; or null.
  mlir::Value findResidual() const;
  /// Emits an error if the statistics and what is made of them need more than `free` bytes.
  mlir::LogicalResult checkMemory(int64_t free) const;

private:
  /// The only linear, if it has a float target; else null.
  const Linear *targetReader() const;
  bool sumProduct() const;

  ByScheme linears;
  bool hasResidual;
};

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_STAGEREADERS_H
