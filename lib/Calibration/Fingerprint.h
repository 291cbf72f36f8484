//===- Fingerprint.h - What the results of calibration depend on ----------===//
//
// Two runs with the same fingerprint compute the same bytes, with any number of threads
// and any limit of memory.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_FINGERPRINT_H
#define QOPT_LIB_CALIBRATION_FINGERPRINT_H

#include "qopt/Calibration/Calibrator.h"
#include <map>

namespace qopt {

/// By what it is ("the model", "the calibration data"): a version, a name or a hash.
using Fingerprint = std::map<std::string, std::string>;

/// Of the operators and weights alone, whatever schemes they have; reads all weights.
std::string fingerprintOfModel(mlir::func::FuncOp function, const ParallelFor &parallelFor);

/// Of a calibration that is about to begin; reads all weights.
Fingerprint fingerprint(mlir::func::FuncOp function, const std::vector<std::vector<int32_t>> &windows,
                        const CalibrationOptions &options, const ParallelFor &parallelFor);

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_FINGERPRINT_H
