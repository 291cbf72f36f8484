//===- WeightQuantizer.h - The numerics of each scheme --------------------===//
//
// What a WeightMethod (Scheme.h) computes: from the description of a scheme and what
// calibration measured to codes. A new method is a class or a lambda in WeightQuantizer.cpp
// around its mathematics in lib/Numerics.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_WEIGHTQUANTIZER_H
#define QOPT_CALIBRATION_WEIGHTQUANTIZER_H

#include "qopt/Calibration/Report.h"
#include "qopt/Calibration/Weights.h"
#include <memory>

namespace qopt {

class DeferredData;
class Statistics;

/// Quantizes the weights of linears that read the same value and have the same scheme.
class WeightQuantizer {
public:
  virtual ~WeightQuantizer() = default;
  /// weights [N, K]. `figures` gets what only the quantizer knows.
  virtual Result<WeightCodes> quantize(const Matrix<float> &weights, QuantizerFigures &figures,
                                       const ParallelFor &parallelFor) const = 0;
  /// Of several linears at once, where that is faster; `figures` has one element for each.
  virtual Result<std::vector<WeightCodes>> quantizeAll(llvm::ArrayRef<Matrix<float>> weights,
                                                       llvm::MutableArrayRef<QuantizerFigures> figures,
                                                       const ParallelFor &parallelFor) const;

  /// `measured` is what calibration found out about the value that the linears read; null
  /// where the scheme's weights need no data. `isLast`: nobody else will ask it.
  static Result<std::unique_ptr<WeightQuantizer>> create(const Scheme &scheme, int64_t inFeatures, Statistics *measured,
                                                         bool isLast, const ParallelFor &parallelFor);
};

/// How a scheme with groups chooses their scales.
GroupOptions groupOptions(const Scheme &scheme, int64_t inFeatures);

/// Bytes that the statistics for `linear`, and what its method makes of them, take at their
/// peak; 0 without a Hessian. `hasProduct`: W (C - H) is summed for it instead of C.
int64_t statisticsBytes(const Linear &linear, bool hasProduct);

/// Quantizes `linear`, writes the codes into the IR and calls `onLayer`, unless it is
/// empty, with the report, in which `seconds` are added to what this took.
mlir::FailureOr<WeightCodes> quantizeLinear(const Linear &linear, const WeightQuantizer &quantizer, double seconds,
                                            const ParallelFor &parallelFor,
                                            const std::function<void(LayerReport)> &onLayer);

/// The same of several linears at once, which share the `seconds` by their rows.
mlir::FailureOr<std::vector<WeightCodes>> quantizeLinears(llvm::ArrayRef<Linear> linears,
                                                          const WeightQuantizer &quantizer, double seconds,
                                                          const ParallelFor &parallelFor,
                                                          const std::function<void(LayerReport)> &onLayer);

/// Leaves the codes of `linear` to be made when the module is written, row by row, where its
/// scheme says without the weights which arrays there will be; returns whether it does.
/// `onLayer` is called when they have been made.
mlir::FailureOr<bool> deferLinear(const Linear &linear, DeferredData &deferred,
                                  const std::function<void(LayerReport)> &onLayer);

} // namespace qopt

#endif // QOPT_CALIBRATION_WEIGHTQUANTIZER_H
