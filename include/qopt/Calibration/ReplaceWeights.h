//===- ReplaceWeights.h - Codes instead of weights in the IR --------------===//
//
// What both rewrite with: calibration, between two stages, and the pass for schemes that
// need no data.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_REPLACEWEIGHTS_H
#define QOPT_CALIBRATION_REPLACEWEIGHTS_H

#include "qopt/Calibration/Weights.h"

namespace qopt {

/// Replaces the weight operand by Transpose(dequantize(parameters...)), parameters
/// named "<layer>.weight.codes", ".scale" and ".zeros" (int4 with another zero
/// point than 8). int4 scales are stored in float16 where that changes none. Between
/// the two stands replace_columns with "<layer>.weight.outliers" where columns were kept,
/// in float16 where that changes none.
/// Emits an error when a scale is not positive and finite.
mlir::LogicalResult replaceWeights(const Linear &linear, const WeightCodes &codes);

} // namespace qopt

#endif // QOPT_CALIBRATION_REPLACEWEIGHTS_H
