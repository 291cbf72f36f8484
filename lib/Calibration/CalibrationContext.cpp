//===- CalibrationContext.cpp - What a driver and the passes hand over ----===//
//
// It hangs on the dialect, which lives as long as the MLIR context and is reached from
// every pass.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/Samples.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;

CalibrationContext &CalibrationContext::attach(MLIRContext &context) {
  Dialect *dialect = context.getOrLoadDialect<QoptDialect>();
  if (CalibrationContext *existing = get(context))
    return *existing;
  return dialect->addInterface<CalibrationContext>();
}

CalibrationContext *CalibrationContext::get(MLIRContext &context) {
  Dialect *dialect = context.getLoadedDialect<QoptDialect>();
  return dialect ? dialect->getRegisteredInterface<CalibrationContext>() : nullptr;
}

Status CalibrationContext::accept(const LayerReport &layer) const {
  if (!layer.sqnrDb || *layer.sqnrDb >= leastSqnrDb)
    return {};
  return Error{
      llvm::formatv("layer \"{0}\" has a signal-to-noise ratio of {1:F2} dB after quantization by {2}; expected "
                    "at least {3:F1} (--override gives a layer another scheme, --strict=no takes it as it is)",
                    layer.name, *layer.sqnrDb, layer.scheme, leastSqnrDb)};
}

void CalibrationContext::report(LayerReport layer) {
  std::lock_guard lock(mutex);
  if (onLayer)
    onLayer(layer);
  std::string name = layer.name;
  layers.insert_or_assign(name, std::move(layer));
}

const LayerReport *CalibrationContext::findReport(StringRef name) {
  std::lock_guard lock(mutex);
  auto found = layers.find(name);
  return found == layers.end() ? nullptr : &found->second;
}

FailureOr<std::vector<std::vector<int32_t>>> qopt::findWindows(Location location, StringRef path) {
  std::vector<std::vector<int32_t>> windows;
  if (!path.empty()) {
    Result<std::vector<std::vector<int32_t>>> read = readTokenWindows(path.str());
    if (!read)
      return emitError(location) << path << ": " << read.error().message;
    windows = std::move(*read);
  } else if (CalibrationContext *driver = CalibrationContext::get(*location.getContext())) {
    windows = driver->samples;
  }
  if (windows.empty())
    return emitError(location) << "requires calibration data: qopt takes it from --calibration, a pipeline alone from "
                                  "its option calibration";
  return windows;
}
