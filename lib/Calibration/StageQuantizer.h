//===- StageQuantizer.h - The linears that a stage decides ----------------===//
//
// Quantizes what reads an observer, by itself or as a checkpoint says, and keeps the codes
// until a stage has computed with them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_STAGEQUANTIZER_H
#define QOPT_LIB_CALIBRATION_STAGEQUANTIZER_H

#include "StageReaders.h"
#include "StageResult.h"
#include "Statistics.h"
#include <map>

namespace qopt {

/// "calibration of NAME: error", at the observer of `stage`.
mlir::InFlightDiagnostic emitStageError(const Stage &stage, const Error &error);

class StageQuantizer {
public:
  StageQuantizer(mlir::func::FuncOp function, const CalibrationOptions &options, const ParallelFor &parallelFor)
      : function(function), options(options), parallelFor(parallelFor) {}

  /// Quantizes the linears that read the observer of `stage` and whose weights depend on
  /// what it measured, and adds them to `result`.
  mlir::LogicalResult quantize(const Stage &stage, Statistics &statistics, StageResult &result);
  /// The same with the codes of `result`. Emits an error if they are not those of the stage.
  mlir::LogicalResult repeat(const Stage &stage, const StageResult &result);

  /// What the weights of `linear` are after quantization, [K, N]; nothing while they
  /// are as they were.
  mlir::LogicalResult weightsOf(const Linear &linear, std::optional<qrt::Tensor> &result) const;
  /// `stage` has run: no other computes with the same weights.
  void forget(const Stage &stage);

private:
  StageReaders::ByScheme measuredReaders(const Stage &stage) const;
  mlir::LogicalResult quantizeGroup(const Stage &stage, SchemeAttr scheme, llvm::ArrayRef<Linear> linears,
                                    Statistics &statistics, bool isLast, StageResult &result);
  void warnOfFewTokens(const Linear &linear, int64_t tokens);

  mlir::func::FuncOp function;
  const CalibrationOptions &options;
  const ParallelFor &parallelFor;
  bool warned = false; ///< of too few tokens, once
  std::map<mlir::Operation *, std::shared_ptr<const WeightCodes>> codes;
};

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_STAGEQUANTIZER_H
