//===- GroupQuantizers.cpp - Group-wise round to nearest ------------------===//
//
// Rows are independent of each other, so they are what threads share out.
//
//===----------------------------------------------------------------------===//
#include "GroupScales.h"
#include "Parallel.h"
#include "qopt/Numerics/ScaleRange.h"
#include <algorithm>

using namespace qopt;

namespace {

QOPT_CPU_CLONES void encode(const float *__restrict values, int64_t count, float scale, float zero, float maxCode,
                            uint8_t *__restrict codes) {
  for (int64_t k = 0; k < count; ++k)
    codes[k] = uint8_t(int(signedCode(values[k], scale, -zero, maxCode - zero) + zero));
}

QOPT_CPU_CLONES void decode(const uint8_t *__restrict codes, int64_t count, float scale, int zero,
                            float *__restrict values) {
  for (int64_t k = 0; k < count; ++k)
    values[k] = scale * float(int(codes[k]) - zero);
}

} // namespace

GroupCodes qopt::quantizeGroups(MatrixRef<const float> weights, const GroupOptions &options,
                                std::span<const double> importance, const ParallelFor &parallelFor) {
  GroupScaler scaler(withFittingScales(weights, options));
  int64_t groupSize = effectiveGroupSize(options.groupSize, weights.cols);
  int64_t groups = (weights.cols + groupSize - 1) / groupSize;
  std::vector<float> scaledImportance = scaleImportance(importance, weights.cols, groupSize);

  GroupCodes result{options.bits, groupSize, Matrix<uint8_t>(weights.rows, weights.cols),
                    Matrix<float>(weights.rows, groups), Matrix<uint8_t>(weights.rows, groups)};
  auto quantize = [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    std::span<const float> values(weights.row(n) + first, count);
    GroupParams params = scaler.choose(values, scaledImportance.data() + first);
    encode(values.data(), count, params.scale, float(params.zero), float(scaler.maxCode()),
           result.codes.row(n) + first);
    result.scales(n, g) = params.scale;
    result.zeros(n, g) = uint8_t(params.zero);
  };
  runParallelByGroups(parallelFor, weights.rows, weights.cols, groupSize, quantize);
  return result;
}

void qopt::dequantizeGroups(const GroupCodes &codes, MatrixRef<float> out) {
  auto dequantize = [&](int64_t n, int64_t g, int64_t first, int64_t count) {
    decode(codes.codes.row(n) + first, count, codes.scales(n, g), codes.zeros(n, g), out.row(n) + first);
  };
  runParallelByGroups({}, codes.codes.rows, codes.codes.cols, codes.groupSize, dequantize);
}
