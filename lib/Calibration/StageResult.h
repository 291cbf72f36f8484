//===- StageResult.h - What one stage of calibration decided --------------===//
//
// All that a run which goes on must know of a stage instead of running it, and its form in
// a file.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CALIBRATION_STAGERESULT_H
#define QOPT_LIB_CALIBRATION_STAGERESULT_H

#include "qopt/Calibration/Report.h"
#include "qopt/Calibration/Weights.h"
#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/ObjectStore.h"

namespace qopt {

/// A linear that was quantized. Of the report only what was measured matters.
struct LayerResult {
  LayerReport report;
  std::shared_ptr<const WeightCodes> codes;
};

struct StageResult {
  std::optional<float> absMax; ///< of the observer, where it has a range
  std::vector<LayerResult> layers;
};

Status writeStage(const StageResult &result, const ObjectStore::Sink &sink);
/// Errors: the bytes are not a stage's, arrays that do not fit each other.
Result<StageResult> readStage(std::span<const std::byte> bytes);

Status writeTensor(const qrt::Tensor &tensor, const ObjectStore::Sink &sink);
/// Takes a tensor from the beginning of `bytes`. Errors: there is none.
Result<qrt::Tensor> readTensor(std::span<const std::byte> &bytes);

} // namespace qopt

#endif // QOPT_LIB_CALIBRATION_STAGERESULT_H
