//===- FoldCalibration.cpp - Measured ranges become scales ----------------===//
//
// An observer that has its magnitude becomes a quantize and a dequantize with that
// scale.
//
//===----------------------------------------------------------------------===//
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_FOLDCALIBRATION
#include "qopt/Passes/Passes.h.inc"

namespace {

struct FoldCalibration : impl::FoldCalibrationBase<FoldCalibration> {
  using Base::Base;

  void runOnOperation() override {
    WalkResult result = getOperation().walk([&](ObserveOp op) {
      if (failed(fold(op)))
        return WalkResult::interrupt();
      ++numFolded;
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

private:
  LogicalResult fold(ObserveOp op) {
    std::optional<APFloat> absmax = op.getAbsmax();
    if (!absmax)
      return op.emitOpError() << "requires a value for \"" << op.getName()
                              << "\": nothing was calibrated (give calibration data)";
    float value = absmax->convertToFloat();
    if (!(value >= 0) || !std::isfinite(value))
      return op.emitOpError() << "expected a finite absmax of at least 0 for \"" << op.getName() << "\" but got "
                              << value;
    auto type = cast<RankedTensorType>(op.getInput().getType());
    if (!type.getElementType().isF32())
      return op.emitOpError() << "expected float32 values at \"" << op.getName() << "\" but got " << type;

    // A value that was always 0 keeps codes 0 under any scale. A scale too small
    // for float32 would be 0 again.
    float scale = value / 127;
    if (!(scale > 0))
      scale = 1;
    OpBuilder builder(op);
    auto scaleType = RankedTensorType::get({}, builder.getF32Type());
    Value parameter = ParameterOp::create(builder, op.getLoc(), (op.getName() + ".input_scale").str(),
                                          DenseElementsAttr::get(scaleType, scale));
    Value codes = QuantizeOp::create(builder, op.getLoc(), op.getInput(), parameter);
    Value folded = DequantizeOp::create(builder, op.getLoc(), codes, parameter);
    op.replaceAllUsesWith(folded);
    op.erase();
    return success();
  }
};

} // namespace
} // namespace qopt
