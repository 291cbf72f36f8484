//===- Smoothing.h - Scales that move magnitude into the weights ----------===//
//
// Activations divided by a scale per column, and the weights of that input times the same,
// give the same products; which scales, SmoothQuant says (Xiao et al., arXiv 2211.10438).
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_SMOOTHING_H
#define QOPT_NUMERICS_SMOOTHING_H

#include <span>
#include <vector>

namespace qopt {

/// max(inputMax^alpha / max(weightMax, 1e-5)^(1 - alpha), 1e-5) per column, in float32 as
/// smoothquant/smooth.py computes it.
std::vector<float> smoothingScales(std::span<const float> inputMax, std::span<const float> weightMax, double alpha);

} // namespace qopt

#endif // QOPT_NUMERICS_SMOOTHING_H
