//===- ReplaceWeights.h - Codes instead of weights in the IR --------------===//
//
// What both rewrite with: calibration, between two stages, and the pass for schemes that
// need no data.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_REPLACEWEIGHTS_H
#define QOPT_CALIBRATION_REPLACEWEIGHTS_H

#include "qopt/Calibration/Weights.h"
#include "qopt/Dialect/DeferredData.h"

namespace qopt {

/// The other products that multiply with the weights of `linear` by the same scheme. They are to be one
/// array after quantization, too: replaceWeights() gives all of them the codes of the one.
llvm::SmallVector<onnx::MatMulOp> findSharers(const Linear &linear);

/// Replaces the weight operand by Transpose(dequantize(parameters...)), parameters
/// named "<layer>.weight.codes", ".scale" and ".zeros" (int4 with another zero
/// point than 8). int4 scales are stored in float16 where that changes none. Between
/// the two stands replace_columns with "<layer>.weight.outliers" where columns were kept,
/// in float16 where that changes none.
/// Emits an error when a scale is not positive and finite.
mlir::LogicalResult replaceWeights(const Linear &linear, const WeightCodes &codes);

/// What is known of codes before they are made.
struct WeightArrays {
  int64_t groupSize = 0;                 ///< inputs of a group of codes with float16 scales; 0: int8 per channel
  bool areBytes = false;                 ///< codes of groups are of eight bits
  int smallestZero = 8, largestZero = 8; ///< as stored (StoredGroups)
};

/// The same before there are codes: the parameters are the arrays that `rows` makes (codes,
/// scales, and zero points unless all are in the middle). With zero points that may be 7 or 8 the
/// parameter ".zeros" is there even if all turn out to be 8; no kernel reads it.
void replaceWeights(const Linear &linear, const WeightArrays &arrays, std::shared_ptr<RowSource> rows,
                    DeferredData &deferred);

} // namespace qopt

#endif // QOPT_CALIBRATION_REPLACEWEIGHTS_H
