//===- Weights.cpp - The weights of a linear layer as numbers -------------===//
//
// Models keep W transposed, [K, N]; quantizers want rows of outputs.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Weights.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/DeferredData.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Reading weights
//===----------------------------------------------------------------------===//

FailureOr<StoredMatrix> qopt::viewWeights(const Linear &linear, std::vector<char> &storage) {
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
  StoredMatrix stored{nullptr, *type, linear.inFeatures, linear.outFeatures};
  if (view.deferred && view.deferred->transposeOf) {
    stored.data = viewConstant(view.deferred->transposeOf).bytes.data();
    stored.isTransposed = true;
    return stored;
  }
  bool isCopied = view.isSplat || view.deferred;
  if (isCopied)
    storage = view.expanded();
  stored.data = isCopied ? storage.data() : view.bytes.data();
  return stored;
}

Status qopt::checkFinite(StringRef layer, const Matrix<float> &rows, int64_t first) {
  std::optional<int64_t> bad = findNonFinite(rows.values.data(), static_cast<int64_t>(rows.values.size()));
  if (!bad)
    return {};
  return Error{"expected finite weights of layer \"" + layer.str() + "\" but got " + std::to_string(rows.values[*bad]) +
               " for output " + std::to_string(first + *bad / rows.cols) + ", input " +
               std::to_string(*bad % rows.cols)};
}

FailureOr<Matrix<float>> qopt::readWeights(const Linear &linear) {
  std::vector<char> storage;
  FailureOr<StoredMatrix> stored = viewWeights(linear, storage);
  if (failed(stored))
    return failure();
  Matrix<float> weights(linear.outFeatures, linear.inFeatures);
  readColumns(*stored, 0, weights);
  if (Status status = checkFinite(linear.name, weights, 0); !status) {
    onnx::MatMulOp op = linear.op;
    return op.emitOpError() << status.error().message;
  }
  return weights;
}

//===----------------------------------------------------------------------===//
// What quantizers make of them
//===----------------------------------------------------------------------===//

static ArrayRef<float> scalesOf(const ChannelCodes &codes) { return codes.scales; }
static ArrayRef<float> scalesOf(const SplitCodes &codes) { return codes.rest.scales; }
static ArrayRef<float> scalesOf(const GroupCodes &codes) { return codes.scales.values; }

Status qopt::checkScales(StringRef layer, const WeightCodes &codes) {
  for (float scale : std::visit([](const auto &c) { return scalesOf(c); }, codes))
    if (!(scale > 0) || !std::isfinite(scale))
      return Error{"expected positive and finite weight scales of layer \"" + layer.str() + "\" but got " +
                   std::to_string(scale)};
  return {};
}

static std::pair<int64_t, int64_t> shapeOf(const ChannelCodes &codes) { return {codes.codes.rows, codes.codes.cols}; }
static std::pair<int64_t, int64_t> shapeOf(const SplitCodes &codes) { return shapeOf(codes.rest); }
static std::pair<int64_t, int64_t> shapeOf(const GroupCodes &codes) { return {codes.codes.rows, codes.codes.cols}; }

std::pair<int64_t, int64_t> qopt::codesShape(const WeightCodes &codes) {
  return std::visit([](const auto &c) { return shapeOf(c); }, codes);
}

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
