//===- VerifyQuantized.cpp - The contract between quantizing and lowering -===//
//
// Shapes are the operators' own business; this pass checks what no operator can
// see: that the scheme was carried out, and that scales are sound.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_VERIFYQUANTIZED
#include "qopt/Passes/Passes.h.inc"

namespace {

/// Whether `op` is the product that `scheme` promises.
bool carriesOut(Operation *op, SchemeAttr scheme) {
  switch (scheme.getKind()) {
  case SchemeKind::Float:
    return Linear::match(op).has_value();
  case SchemeKind::Int8Weights:
    return isa<MatmulW8A16Op>(op);
  case SchemeKind::Int8Static: {
    auto product = dyn_cast<MatmulW8A8Op>(op);
    return product && !product.getOutliers() && product.getXScale().getType().getRank() == 0;
  }
  case SchemeKind::Int8Dynamic: {
    auto product = dyn_cast<MatmulW8A8Op>(op);
    return product && !product.getOutliers() && product.getX().getDefiningOp<DynamicQuantizeOp>();
  }
  case SchemeKind::LlmInt8: {
    auto product = dyn_cast<MatmulW8A8Op>(op);
    if (!product || scheme.getOutliers() == OutlierColumns::Dynamic)
      return product && product.getColumns();
    // Where calibration found no outlier column there is none to multiply apart.
    auto split = product.getX().getDefiningOp<SplitColumnsAtOp>();
    return split ? product.getOutliers() == split.getOutliers()
                 : !product.getOutliers() && product.getX().getDefiningOp<DynamicQuantizeOp>();
  }
  case SchemeKind::RtnInt4:
  case SchemeKind::GptqInt4:
    return isa<MatmulW4A16Op>(op);
  }
  llvm_unreachable("unknown scheme");
}

/// The scales of `op` that are constants.
SmallVector<Value> scales(Operation *op) {
  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([](MatmulW8A8Op product) { return SmallVector<Value>{product.getXScale(), product.getWScale()}; })
      .Case([](MatmulW8A16Op product) { return SmallVector<Value>{product.getWScale()}; })
      .Case([](MatmulW4A16Op product) { return SmallVector<Value>{product.getScale()}; })
      .Default([](Operation *) { return SmallVector<Value>(); });
}

/// The first element that is not positive and finite; nothing when all are.
struct VerifyQuantized : impl::VerifyQuantizedBase<VerifyQuantized> {
  using Base::Base;

  void runOnOperation() override {
    bool good = true;
    getOperation().walk([&](Operation *op) { good &= succeeded(verify(op)); });
    if (!good)
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

private:
  LogicalResult verify(Operation *op) {
    if (auto observe = dyn_cast<ObserveOp>(op))
      return op->emitOpError() << "is left over at \"" << observe.getName() << '"';
    auto name = getAttr<attrs::Layer>(op);
    auto scheme = getAttr<attrs::Scheme>(op);
    if (!scheme) {
      if (Linear::match(op))
        return op->emitOpError() << "requires a scheme for layer \"" << name.getValue() << '"';
      return success();
    }
    StringRef layer = name ? name.getValue() : StringRef("?");
    if (!carriesOut(op, scheme))
      return op->emitOpError() << "is not what scheme " << stringifySchemeKind(scheme.getKind()) << " makes of layer \""
                               << layer << '"';
    for (Value scale : scales(op))
      if (failed(verifyScale(op, layer, scale)))
        return failure();
    return success();
  }

  LogicalResult verifyScale(Operation *op, StringRef layer, Value scale) {
    std::optional<ConstantView> view = matchConstant(scale);
    std::optional<std::vector<float>> values = view ? view->readAs<float>() : std::nullopt;
    if (!values)
      return success();
    for (float value : *values)
      if (!(value > 0) || !std::isfinite(value))
        return op->emitOpError() << "expected positive and finite scales of layer \"" << layer << "\" but got "
                                 << value;
    return success();
  }
};

} // namespace
} // namespace qopt
