//===- QuantizeWeights.cpp - Weights whose scheme needs no data -----------===//
//
// Where the result is a module, codes are left to be made when it is written. Else one layer
// comes after the other, and the rows of each are shared out to threads.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/StageRunner.h"
#include "qopt/Calibration/WeightQuantizer.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct QuantizeWeights : impl::QuantizeWeightsBase<QuantizeWeights> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<Linear> linears;
    WalkResult result = getOperation().walk([&](Operation *op) {
      std::optional<Linear> linear = Linear::match(op);
      if (linear && !linear->scheme) {
        op->emitOpError() << "requires a scheme for layer \"" << linear->name << "\" (qopt-assign-scheme)";
        return WalkResult::interrupt();
      }
      if (linear && linear->isQuantizedWithoutData())
        linears.push_back(*linear);
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    CalibrationContext *driver = CalibrationContext::get(getContext());
    qrt::ThreadPool threads(driver ? driver->threads : 1);
    ParallelFor parallelFor = makeParallelFor(threads);
    std::function<void(LayerReport)> onLayer;
    if (driver)
      onLayer = [driver](LayerReport layer) { driver->report(std::move(layer)); };
    DeferredData *deferred = DeferredData::get(getContext());
    for (const Linear &linear : linears) {
      ++numLinears;
      // One that shares the weights of an earlier one has its codes.
      if (!Linear::match(linear.op))
        continue;
      FailureOr<bool> isDeferred = deferred ? deferLinear(linear, *deferred, onLayer) : false;
      if (failed(isDeferred))
        return signalPassFailure();
      if (*isDeferred)
        continue;
      Result<std::unique_ptr<WeightQuantizer>> quantizer = WeightQuantizer::create(
          linear.scheme.getValue(), linear.inFeatures, /*measured=*/nullptr, /*isLast=*/true, parallelFor);
      if (!quantizer) {
        emitError(linear.op->getLoc()) << quantizer.error().message;
        return signalPassFailure();
      }
      if (failed(quantizeLinear(linear, **quantizer, /*seconds=*/0, parallelFor, onLayer)))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace qopt
