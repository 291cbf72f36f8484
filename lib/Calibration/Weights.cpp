//===- Weights.cpp - The weights of a linear layer as numbers -------------===//
//
// Models keep W transposed, [K, N]; quantizers want rows of outputs. The copy is made
// tile by tile.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Weights.h"
#include "qopt/Dialect/Constants.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Reading weights
//===----------------------------------------------------------------------===//

/// The elements of the constant: where they lie if they are there in f32, else in `storage`.
static FailureOr<ArrayRef<float>> getFloats(const Linear &linear, std::vector<float> &storage) {
  onnx::MatMulOp op = linear.op;
  if (Type read = getElementTypeOrSelf(op.getB()); !read.isF32())
    return op.emitOpError() << "expected float32 weights of layer \"" << linear.name << "\" but got " << read;
  ConstantView view = viewConstant(linear.weights);
  if (isa<DenseResourceElementsAttr>(view.value) && !view.isComplete())
    return op.emitOpError() << "expected " << view.expandedBytes() << " bytes of weights of layer \"" << linear.name
                            << "\" but got " << view.bytes.size();
  if (view.type.getElementType().isF32())
    if (std::optional<ArrayRef<float>> floats = view.viewAs<float>())
      return *floats;
  std::optional<std::vector<float>> floats = view.readAs<float>();
  if (!floats)
    return op.emitOpError() << "expected dense weights of layer \"" << linear.name << '"';
  storage = std::move(*floats);
  return ArrayRef<float>(storage);
}

FailureOr<Matrix<float>> qopt::readWeights(const Linear &linear) {
  onnx::MatMulOp op = linear.op;
  std::vector<float> storage;
  FailureOr<ArrayRef<float>> values = getFloats(linear, storage);
  if (failed(values))
    return failure();
  int64_t n = linear.outFeatures, k = linear.inFeatures;
  Matrix<float> weights(n, k);
  // Tiles, so that neither side strides through memory by whole rows.
  constexpr int64_t kTile = 32;
  for (int64_t k0 = 0; k0 < k; k0 += kTile)
    for (int64_t n0 = 0; n0 < n; n0 += kTile)
      for (int64_t i = k0; i < std::min(k, k0 + kTile); ++i)
        for (int64_t j = n0; j < std::min(n, n0 + kTile); ++j)
          weights(j, i) = (*values)[i * n + j];
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i < k; ++i)
      if (!std::isfinite(weights(j, i)))
        return op.emitOpError() << "expected finite weights of layer \"" << linear.name << "\" but got "
                                << weights(j, i) << " for output " << j << ", input " << i;
  return weights;
}

//===----------------------------------------------------------------------===//
// What quantizers make of them
//===----------------------------------------------------------------------===//

Matrix<float> qopt::dequantize(const WeightCodes &codes) {
  if (const auto *channels = std::get_if<ChannelCodes>(&codes)) {
    Matrix<float> weights(channels->codes.rows, channels->codes.cols);
    dequantizeChannels(*channels, weights);
    return weights;
  }
  if (const auto *split = std::get_if<SplitCodes>(&codes)) {
    Matrix<float> weights(split->rest.codes.rows, split->rest.codes.cols);
    dequantizeSplit(*split, weights);
    return weights;
  }
  const auto &groups = std::get<GroupCodes>(codes);
  Matrix<float> weights(groups.codes.rows, groups.codes.cols);
  dequantizeGroups(groups, weights);
  return weights;
}

std::optional<double> qopt::sqnrDb(const Matrix<float> &weights, const Matrix<float> &quantized) {
  double signal = 0, noise = 0;
  for (size_t i = 0; i < weights.values.size(); ++i) {
    double w = weights.values[i], error = w - quantized.values[i];
    signal += w * w;
    noise += error * error;
  }
  if (noise == 0)
    return std::nullopt;
  return 10 * std::log10(signal / noise);
}
