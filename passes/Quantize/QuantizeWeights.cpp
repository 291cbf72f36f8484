//===- QuantizeWeights.cpp - Weights whose scheme needs no data -----------===//
//
// One layer after the other; the rows of each are shared out to threads.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/ReplaceWeights.h"
#include "qopt/Calibration/StageRunner.h"
#include "qopt/Passes/Passes.h"
#include <chrono>

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct QuantizeWeights : impl::QuantizeWeightsBase<QuantizeWeights> {
  using Base::Base;

  void runOnOperation() override {
    std::optional<GroupOptions> groups = parseGroupOptions(grid, exactReference);
    if (!groups) {
      emitError(getOperation().getLoc()) << "expected grid \"search\" or \"minmax\" but got \"" << grid << '"';
      return signalPassFailure();
    }
    SmallVector<Linear> linears;
    getOperation().walk([&](Operation *op) {
      std::optional<Linear> linear = Linear::match(op);
      if (linear && linear->needsNoData())
        linears.push_back(*linear);
    });
    CalibrationContext *driver = CalibrationContext::get(getContext());
    qrt::ThreadPool threads(driver ? driver->threads : 1);
    ParallelFor parallelFor = makeParallelFor(threads);
    for (const Linear &linear : linears) {
      if (failed(quantize(linear, *groups, parallelFor)))
        return signalPassFailure();
      ++numLinears;
    }
  }

private:
  LogicalResult quantize(const Linear &linear, const GroupOptions &groups, const ParallelFor &parallelFor) {
    auto start = std::chrono::steady_clock::now();
    FailureOr<Matrix<float>> weights = readWeights(linear);
    if (failed(weights))
      return failure();
    WeightCodes codes = quantizeWithoutData(linear, *weights, groups, parallelFor);
    if (failed(replaceWeights(linear, codes)))
      return failure();
    if (CalibrationContext *driver = CalibrationContext::get(getContext())) {
      LayerReport report = *describeLayer(linear.op);
      report.sqnrDb = sqnrDb(*weights, dequantize(codes));
      report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      driver->report(std::move(report));
    }
    return success();
  }
};

} // namespace
} // namespace qopt
