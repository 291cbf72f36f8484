//===- ChooseSchemes.h - Bits for each layer under a budget ---------------===//
//
// What a layer loses with a scheme is measured: the error of its output on some text, and how far
// the model's predictions move when this layer alone is quantized.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_CHOOSESCHEMES_H
#define QOPT_CALIBRATION_CHOOSESCHEMES_H

#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Linear.h"

namespace qopt {

/// A linear and the schemes that it may get. Of one that has no choice only the size counts.
struct OpenLayer {
  Linear linear;
  std::vector<SchemeAttr> schemes; ///< different ones
  std::vector<size_t> choiceOf;    ///< by candidate of the budget: which of `schemes` it is here
};

/// Which of its schemes each of `layers` gets: those with the least divergence of the model from the float one within
/// `budget`, as far as it is the sum of what the layers cause one by one; but all of one candidate where this is
/// measured to be better. Adds to `report` what was chosen of each layer that had a choice. Emits an error where the
/// budget is too small, or too large to be reached.
mlir::FailureOr<std::vector<size_t>> chooseSchemes(mlir::func::FuncOp function, std::vector<OpenLayer> layers,
                                                   const LayerBudget &budget,
                                                   const std::vector<std::vector<int32_t>> &windows,
                                                   const StageRunnerFactory &makeRunner,
                                                   std::vector<LayerChoice> &report);

} // namespace qopt

#endif // QOPT_CALIBRATION_CHOOSESCHEMES_H
