//===- QuantizedProducts.cpp - What products say of themselves ------------===//
//
// Passes that verify and report ask a product for its parts, and need not know which
// one it is.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;

#include "qopt/Dialect/Qopt/QoptInterfaces.cpp.inc"

//===----------------------------------------------------------------------===//
// MatmulW8A8Op
//===----------------------------------------------------------------------===//

Value MatmulW8A8Op::getInput() { return getX(); }
Value MatmulW8A8Op::getInputScale() { return getXScale(); }
Value MatmulW8A8Op::getWeightCodes() { return getW(); }
Value MatmulW8A8Op::getWeightScales() { return getWScale(); }
Value MatmulW8A8Op::getKeptWeights() { return getOutlierWeights(); }

std::optional<ActivationMethod> MatmulW8A8Op::getActivationMethod() {
  if (getColumns())
    return ActivationMethod::SplitColumns;
  if (auto split = getX().getDefiningOp<SplitColumnsAtOp>(); split && getOutliers() == split.getOutliers())
    return ActivationMethod::SplitColumnsAt;
  if (getOutliers())
    return std::nullopt;
  if (getXScale().getType().getRank() == 0)
    return ActivationMethod::PerTensor;
  if (getX().getDefiningOp<DynamicQuantizeOp>())
    return ActivationMethod::PerToken;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Products of float activations
//===----------------------------------------------------------------------===//

Value MatmulW8A16Op::getInput() { return getX(); }
Value MatmulW8A16Op::getWeightCodes() { return getW(); }
Value MatmulW8A16Op::getWeightScales() { return getWScale(); }
std::optional<ActivationMethod> MatmulW8A16Op::getActivationMethod() { return ActivationMethod::Float; }

Value MatmulW4A16Op::getInput() { return getX(); }
Value MatmulW4A16Op::getWeightCodes() { return getW(); }
Value MatmulW4A16Op::getWeightScales() { return getScale(); }
Value MatmulW4A16Op::getWeightZeros() { return getZeros(); }
std::optional<ActivationMethod> MatmulW4A16Op::getActivationMethod() { return ActivationMethod::Float; }
