//===- Calibrate.cpp - Run calibration text through the function ----------===//
#include "qopt/Calibration/CalibrationContext.h"
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
    WalkResult observed = getOperation().walk([](ObserveOp) { return WalkResult::interrupt(); });
    if (!observed.wasInterrupted())
      return markAllAnalysesPreserved();
    emitError(getOperation().getLoc()) << "requires calibration data";
    signalPassFailure();
  }
};

} // namespace
} // namespace qopt
