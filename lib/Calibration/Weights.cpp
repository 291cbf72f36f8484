//===- Weights.cpp - The weights of a linear layer as numbers -------------===//
//
// Models keep W transposed, [K, N]; quantizers want rows of outputs.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Weights.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Numerics/Transpose.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Reading weights
//===----------------------------------------------------------------------===//

/// The elements of the constant: where they lie, or a splat written out to `storage`.
static FailureOr<StoredMatrix> getStored(const Linear &linear, std::vector<char> &storage) {
  onnx::MatMulOp op = linear.op;
  if (Type read = getElementTypeOrSelf(op.getB()); !read.isF32())
    return op.emitOpError() << "expected float32 weights of layer \"" << linear.name << "\" but got " << read;
  ConstantView view = viewConstant(linear.weights);
  if (isa<DenseResourceElementsAttr>(view.value) && !view.isComplete())
    return op.emitOpError() << "expected " << view.expandedBytes() << " bytes of weights of layer \"" << linear.name
                            << "\" but got " << view.bytes.size();
  std::optional<ElementType> type = toElementType(view.type.getElementType());
  if (!view.isComplete() || !type || !isFloatType(*type))
    return op.emitOpError() << "expected dense weights of layer \"" << linear.name << '"';
  if (view.isSplat)
    storage = view.expanded();
  return StoredMatrix{view.isSplat ? storage.data() : view.bytes.data(), *type, linear.inFeatures, linear.outFeatures};
}

FailureOr<Matrix<float>> qopt::readWeights(const Linear &linear) {
  std::vector<char> storage;
  FailureOr<StoredMatrix> stored = getStored(linear, storage);
  if (failed(stored))
    return failure();
  int64_t k = linear.inFeatures;
  Matrix<float> weights(linear.outFeatures, k);
  readColumns(*stored, 0, weights);
  if (std::optional<int64_t> bad = findNonFinite(weights.values.data(), static_cast<int64_t>(weights.values.size()))) {
    onnx::MatMulOp op = linear.op;
    return op.emitOpError() << "expected finite weights of layer \"" << linear.name << "\" but got "
                            << weights.values[*bad] << " for output " << *bad / k << ", input " << *bad % k;
  }
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

std::optional<double> qopt::sqnrDb(const ErrorSums &sums) {
  if (sums.noise == 0)
    return std::nullopt;
  return 10 * std::log10(sums.signal / sums.noise);
}
