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

/// Whether `codes` were made at run time with a scale per row, or per group of a row.
static bool areMeasured(Value codes, bool byGroups) {
  auto quantize = codes.getDefiningOp<DynamicQuantizeOp>();
  return quantize && quantize.getGroupSize().has_value() == byGroups;
}

std::optional<ActivationMethod> MatmulW8A8Op::getActivationMethod() {
  if (getColumns())
    return ActivationMethod::SplitColumns;
  if (auto split = getX().getDefiningOp<SplitColumnsAtOp>(); split && getOutliers() == split.getOutliers())
    return ActivationMethod::SplitColumnsAt;
  if (getOutliers())
    return std::nullopt;
  if (getXScale().getType().getRank() == 0)
    return ActivationMethod::PerTensor;
  if (areMeasured(getX(), /*byGroups=*/false))
    return ActivationMethod::PerToken;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// MatmulW4A8Op
//===----------------------------------------------------------------------===//

/// Packed codes come in steps of so many inputs, and a step has one scale.
static constexpr int64_t kStep = 8;

bool qopt::areActivationGroups(int64_t inputs, int64_t weights) {
  return inputs == weights || (inputs > 0 && weights % inputs == 0 && inputs % kStep == 0);
}

std::string qopt::describeActivationGroups(int64_t weights) {
  std::string size = std::to_string(weights);
  return size + " inputs, or a multiple of " + std::to_string(kStep) + " that divides " + size;
}

Value MatmulW4A8Op::getInput() { return getX(); }
Value MatmulW4A8Op::getInputScale() { return getXScale(); }
Value MatmulW4A8Op::getWeightCodes() { return getW(); }
Value MatmulW4A8Op::getWeightScales() { return getScale(); }
Value MatmulW4A8Op::getWeightZeros() { return getZeros(); }

std::optional<ActivationMethod> MatmulW4A8Op::getActivationMethod() {
  if (areMeasured(getX(), /*byGroups=*/true))
    return ActivationMethod::PerGroup;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Products of float activations
//===----------------------------------------------------------------------===//

Value MatmulW8A16Op::getInput() { return getX(); }
Value MatmulW8A16Op::getWeightCodes() { return getW(); }
Value MatmulW8A16Op::getWeightScales() { return getWScale(); }
Value MatmulW8A16Op::getWeightZeros() { return getZeros(); }
std::optional<ActivationMethod> MatmulW8A16Op::getActivationMethod() { return ActivationMethod::Float; }

Value MatmulW4A16Op::getInput() { return getX(); }
Value MatmulW4A16Op::getWeightCodes() { return getW(); }
Value MatmulW4A16Op::getWeightScales() { return getScale(); }
Value MatmulW4A16Op::getWeightZeros() { return getZeros(); }
std::optional<ActivationMethod> MatmulW4A16Op::getActivationMethod() { return ActivationMethod::Float; }
