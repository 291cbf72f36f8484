//===- VerifyQuantized.cpp - The contract between quantizing and lowering -===//
//
// Shapes are the operators' own business; this pass checks what no operator can
// see: that the scheme was carried out, and that scales are sound.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_VERIFYQUANTIZED
#include "qopt/Passes/Passes.h.inc"

namespace {

/// Whether `op` is the product that `scheme` promises.
bool carriesOut(Operation *op, const SchemeVariant &variant) {
  if (variant.weights == WeightMethod::Float)
    return Linear::match(op).has_value();
  auto product = dyn_cast<QuantizedProductOpInterface>(op);
  if (!product || op->getName().getStringRef() != variant.product)
    return false;
  std::optional<ActivationMethod> found = product.getActivationMethod();
  // Where calibration found no outlier column there is none to multiply apart.
  if (variant.activations == ActivationMethod::SplitColumnsAt && found == ActivationMethod::PerToken)
    return true;
  return found == variant.activations;
}

/// The scales of `op` that are constants.
SmallVector<Value> scales(Operation *op) {
  auto product = dyn_cast<QuantizedProductOpInterface>(op);
  return product ? SmallVector<Value>{product.getInputScale(), product.getWeightScales()} : SmallVector<Value>();
}

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
    if (!carriesOut(op, scheme.getVariant()))
      return op->emitOpError() << "is not what scheme " << scheme.getName() << " makes of layer \"" << layer
                               << "\": expected " << scheme.getVariant().product << " with activations "
                               << scheme.getVariant().activationText;
    for (Value scale : scales(op))
      if (failed(verifyScale(op, layer, scale)))
        return failure();
    return success();
  }

  LogicalResult verifyScale(Operation *op, StringRef layer, Value scale) {
    // Deferred scales are checked when they are made.
    std::optional<ConstantView> view = scale ? matchConstant(scale) : std::nullopt;
    std::optional<std::vector<float>> values = view && !view->deferred ? view->readAs<float>() : std::nullopt;
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
