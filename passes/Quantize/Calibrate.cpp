//===- Calibrate.cpp - Run calibration text through the function ----------===//
//
// The work is lib/Calibration's; here options and samples come together.
//
//===----------------------------------------------------------------------===//
#include "CompiledRunner.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/Calibrator.h"
#include "qopt/Calibration/Samples.h"
#include "qopt/Calibration/Weights.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_CALIBRATE
#include "qopt/Passes/Passes.h.inc"

namespace {

struct Calibrate : impl::CalibrateBase<Calibrate> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<func::FuncOp> observed;
    for (func::FuncOp function : getOperation().getOps<func::FuncOp>())
      if (function.walk([](ObserveOp) { return WalkResult::interrupt(); }).wasInterrupted())
        observed.push_back(function);
    if (observed.empty())
      return markAllAnalysesPreserved();
    CalibrationOptions options;
    std::vector<std::vector<int32_t>> windows;
    if (failed(readOptions(options)) || failed(readWindows(windows)))
      return signalPassFailure();
    for (func::FuncOp function : observed) {
      FailureOr<CalibrationSummary> summary =
          calibrate(function, windows, options, reference ? createReferenceRunner : createCompiledRunner);
      if (failed(summary))
        return signalPassFailure();
      numStages += summary->stages;
      numDistinct += summary->distinct;
    }
  }

private:
  LogicalResult readOptions(CalibrationOptions &options) {
    Location location = getOperation().getLoc();
    std::optional<GroupOptions> groups = parseGroupOptions(grid, exactReference);
    if (!groups)
      return emitError(location) << "expected grid \"search\" or \"minmax\" but got \"" << grid << '"';
    if (batchSize < 1)
      return emitError(location) << "expected a batch size of at least 1 but got " << int64_t(batchSize);
    std::optional<RangeRule> range = parseRangeRule(observer);
    if (!range)
      return emitError(location) << "expected observer \"mse\", \"absmax\" or \"moving-average\" but got \"" << observer
                                 << '"';
    if (polish < 0 || polish > 1000)
      return emitError(location) << "expected 0 to 1000 polishing passes but got " << int64_t(polish);
    options.batchSize = batchSize;
    options.range = *range;
    options.gptq.groups = *groups;
    options.gptq.dampPercent = dampPercent;
    options.gptq.actOrder = actOrder;
    options.gptq.staticGroups = staticGroups;
    options.gptq.polishPasses = polish;
    options.gptq.refitScales = refit;
    options.gptq.floatTarget = floatTarget;
    if (CalibrationContext *driver = CalibrationContext::get(getContext())) {
      options.threads = driver->threads;
      options.maxMemory = driver->maxMemory;
      options.onLayer = [driver](LayerReport layer) { driver->report(std::move(layer)); };
      options.onProgress = driver->onProgress;
    }
    return success();
  }

  LogicalResult readWindows(std::vector<std::vector<int32_t>> &windows) {
    Location location = getOperation().getLoc();
    if (!calibration.empty()) {
      Result<std::vector<std::vector<int32_t>>> read = readTokenWindows(calibration);
      if (!read)
        return emitError(location) << calibration << ": " << read.error().message;
      windows = std::move(*read);
    } else if (CalibrationContext *driver = CalibrationContext::get(getContext())) {
      windows = driver->samples;
    }
    if (windows.empty())
      return emitError(location)
             << "requires calibration data: qopt takes it from --calibration, a pipeline alone from "
                "its option calibration";
    return success();
  }
};

} // namespace
} // namespace qopt
