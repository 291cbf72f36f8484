//===- ScaleRange.h - Which weights have scales that float16 holds --------===//
//
// Scales of groups are stored in float16. Its range is 2^-24 to 65504, and it has few bits
// below 2^-14, so a layer of very small or large weights keeps float32 scales.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_SCALERANGE_H
#define QOPT_NUMERICS_SCALERANGE_H

#include "qopt/Numerics/Quantizers.h"
#include "qopt/Numerics/Transpose.h"

namespace qopt {

/// Whether float16 holds the scales of all groups of `weights`, [K, N], closely enough not to be
/// noticed beside the rounding of codes. Reads all weights once, as integers.
bool fitFloat16Scales(const StoredMatrix &weights, const GroupOptions &options);

/// `options` with float16 scales only where these fit the weights [N, K].
GroupOptions withFittingScales(MatrixRef<const float> weights, GroupOptions options);

} // namespace qopt

#endif // QOPT_NUMERICS_SCALERANGE_H
