//===- Smoothing.cpp - Scales that move magnitude into the weights --------===//
//
// The exponents are rounded to float32 before they are used, as tensors of float32 take them.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Smoothing.h"
#include <algorithm>
#include <cmath>

using namespace qopt;

std::vector<float> qopt::smoothingScales(std::span<const float> inputMax, std::span<const float> weightMax,
                                         double alpha) {
  constexpr float kSmallest = 1e-5f;
  std::vector<float> scales(inputMax.size());
  for (size_t k = 0; k < scales.size(); ++k)
    scales[k] = std::max(kSmallest, std::pow(inputMax[k], static_cast<float>(alpha)) /
                                        std::pow(std::max(kSmallest, weightMax[k]), static_cast<float>(1 - alpha)));
  return scales;
}
