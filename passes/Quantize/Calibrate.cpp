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
#include "qopt/Dialect/Linear.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
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
    if (failed(readOptions(observed, options)))
      return signalPassFailure();
    FailureOr<std::vector<std::vector<int32_t>>> windows = std::vector<std::vector<int32_t>>();
    if (options.load.empty())
      windows = findWindows(getOperation().getLoc(), calibration);
    if (failed(windows))
      return signalPassFailure();
    if (!options.checkpoint.empty() && observed.size() > 1) {
      emitError(observed[1].getLoc()) << "a checkpoint is of one function, but " << observed.size()
                                      << " have observers";
      return signalPassFailure();
    }
    StageRunnerFactory runner = reference ? StageRunnerFactory(createReferenceRunner) : chooseRunner(getContext());
    for (func::FuncOp function : observed) {
      FailureOr<CalibrationSummary> summary = calibrate(function, *windows, options, runner);
      if (failed(summary))
        return signalPassFailure();
      numStages += summary->stages;
      numDistinct += summary->distinct;
    }
  }

private:
  LogicalResult readOptions(ArrayRef<func::FuncOp> functions, CalibrationOptions &options) {
    if (batchSize < 0)
      return emitError(getOperation().getLoc()) << "expected a batch size of at least 0 but got " << int64_t(batchSize);
    FailureOr<int64_t> asked = findBatchSize(functions);
    if (failed(asked))
      return failure();
    options.batchSize = batchSize > 0 ? int64_t(batchSize) : *asked;
    if (CalibrationContext *driver = CalibrationContext::get(getContext())) {
      options.threads = driver->threads;
      options.maxMemory = driver->maxMemory;
      options.onLayer = [driver](LayerReport layer) { driver->report(std::move(layer)); };
      options.onProgress = driver->onProgress;
      options.checkpoint = driver->checkpoint;
      options.save = driver->saveCalibration;
      options.load = driver->loadCalibration;
      options.device = driver->device;
      if (driver->onNote)
        addNotes(driver->onNote, options);
    }
    return success();
  }

  /// The batch size that the schemes ask for; there is one for all layers.
  FailureOr<int64_t> findBatchSize(ArrayRef<func::FuncOp> functions) {
    int64_t found = 0;
    for (func::FuncOp function : functions) {
      WalkResult result = function.walk([&](Operation *op) {
        std::optional<Linear> linear = Linear::match(op);
        if (!linear || !linear->scheme || !linear->scheme.getValue().has(options::batchSize))
          return WalkResult::advance();
        int64_t size = linear->scheme.get(options::batchSize);
        if (size != 0 && found != 0 && size != found) {
          op->emitOpError() << "expected one batch size for all layers, but layer \"" << linear->name << "\" asks for "
                            << size << " and others for " << found;
          return WalkResult::interrupt();
        }
        found = size != 0 ? size : found;
        return WalkResult::advance();
      });
      if (result.wasInterrupted())
        return failure();
    }
    return found != 0 ? found : 8;
  }
};

} // namespace
} // namespace qopt
