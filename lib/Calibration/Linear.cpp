//===- Linear.cpp - A linear layer of the raised graph --------------------===//
#include "qopt/Calibration/Linear.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Dialect/Constants.h"
#include <cmath>

using namespace mlir;
using namespace qopt;

std::optional<Linear> Linear::match(Operation *op) {
  auto matmul = dyn_cast<onnx::MatMulOp>(op);
  auto name = op->getAttrOfType<StringAttr>(kLayerAttr);
  if (!matmul || !name || name.empty())
    return std::nullopt;
  std::optional<ConstantView> weights = matchWeight(matmul.getB());
  if (!weights || weights->type.getRank() != 2 || weights->numElements() == 0)
    return std::nullopt;
  Linear linear{matmul, name.getValue(), op->getAttrOfType<SchemeAttr>(kSchemeAttr), weights->value};
  linear.inFeatures = weights->type.getDimSize(0);
  linear.outFeatures = weights->type.getDimSize(1);
  return linear;
}

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
// Quantizing
//===----------------------------------------------------------------------===//

GroupOptions qopt::groupOptions(SchemeAttr scheme, int64_t inFeatures, GroupOptions options) {
  int64_t groupSize = scheme.getGroupSize();
  options.groupSize = groupSize < 1 || groupSize >= inFeatures ? -1 : groupSize;
  options.symmetric = scheme.getSymmetric();
  return options;
}

std::optional<GroupOptions> qopt::parseGroupOptions(StringRef grid, bool exactReference) {
  GroupOptions options;
  if (grid == "search")
    options.grid = ScaleGrid::Search;
  else if (grid == "minmax")
    options.grid = ScaleGrid::MinMax;
  else
    return std::nullopt;
  options.referenceMinMax = exactReference;
  options.float16Scales = !exactReference;
  return options;
}

WeightCodes qopt::quantizeWithoutData(const Linear &linear, const Matrix<float> &weights, const GroupOptions &groups,
                                      const ParallelFor &parallelFor) {
  switch (linear.kind()) {
  case SchemeKind::Int8Weights:
  case SchemeKind::Int8Static:
    return quantizeChannels(weights);
  case SchemeKind::Int8Dynamic:
  case SchemeKind::LlmInt8:
    return quantizeChannelsLlmInt8(weights);
  case SchemeKind::RtnInt4:
    return quantizeGroups(weights, groupOptions(linear.scheme, linear.inFeatures, groups), {}, parallelFor);
  case SchemeKind::Float:
  case SchemeKind::GptqInt4:
    break;
  }
  llvm_unreachable("a scheme whose weights need data or stay as they are");
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

//===----------------------------------------------------------------------===//
// Writing codes into the IR
//===----------------------------------------------------------------------===//

namespace {

/// Creates the operations that stand for the quantized weights of one layer.
class WeightBuilder {
public:
  WeightBuilder(const Linear &linear) : linear(linear), op(linear.op), builder(op) {}

  /// A parameter "<layer>.weight.<suffix>" that owns a copy of `values`.
  template <typename T>
  Value parameter(StringRef suffix, ArrayRef<int64_t> shape, Type element, ArrayRef<T> values) {
    std::string name = (linear.name + ".weight." + suffix).str();
    auto type = RankedTensorType::get(shape, element);
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
        ArrayRef<char>(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)), /*align=*/64,
        /*dataIsMutable=*/false);
    auto value = DenseResourceElementsAttr::get(type, name, std::move(blob));
    return ParameterOp::create(builder, op.getLoc(), name, value);
  }

  /// In float16 if that changes nothing.
  Value floats(StringRef suffix, ArrayRef<int64_t> shape, ArrayRef<float> values) {
    std::vector<_Float16> half(values.begin(), values.end());
    bool exact = std::equal(half.begin(), half.end(), values.begin(),
                            [](_Float16 a, float b) { return static_cast<float>(a) == b; });
    return exact ? parameter<_Float16>(suffix, shape, builder.getF16Type(), half)
                 : parameter<float>(suffix, shape, builder.getF32Type(), values);
  }

  Value build(const ChannelCodes &channels) {
    int64_t n = linear.outFeatures, k = linear.inFeatures;
    Value codes = parameter<int8_t>("codes", {n, k}, builder.getI8Type(), channels.codes.values);
    Value scale = parameter<float>("scale", {n}, builder.getF32Type(), channels.scales);
    return DequantizeOp::create(builder, op.getLoc(), weightType(), codes, scale, Value(), IntegerAttr());
  }

  Value build(const SplitCodes &split) {
    Value rest = build(split.rest);
    if (split.columns.empty())
      return rest;
    Value kept = floats("outliers", {linear.outFeatures, split.kept.cols}, split.kept.values);
    SmallVector<int32_t> columns(split.columns.begin(), split.columns.end());
    return ReplaceColumnsOp::create(builder, op.getLoc(), weightType(), rest, kept, columns);
  }

  Value build(const GroupCodes &groups) {
    int64_t n = linear.outFeatures, numGroups = groups.scales.cols;
    Matrix<uint8_t> packed = packInt4(groups.codes);
    Value codes = parameter<uint8_t>("codes", {n, packed.cols}, builder.getI8Type(), packed.values);
    Value scale = floats("scale", {n, numGroups}, groups.scales.values);
    Value zeros;
    if (llvm::any_of(groups.zeros.values, [](uint8_t zero) { return zero != 8; }))
      zeros = parameter<uint8_t>("zeros", {n, numGroups}, builder.getI8Type(), groups.zeros.values);
    return DequantizeOp::create(builder, op.getLoc(), weightType(), codes, scale, zeros,
                                builder.getI64IntegerAttr(groups.groupSize));
  }

  void finish(Value weights) {
    auto type = RankedTensorType::get({linear.inFeatures, linear.outFeatures}, builder.getF32Type());
    Value transposed = onnx::TransposeOp::create(builder, op.getLoc(), type, weights, ArrayRef<int64_t>{1, 0});
    Operation *old = op.getB().getDefiningOp();
    op.getBMutable().assign(transposed);
    while (old && old->use_empty()) { // a constant, or a cast of one
      Operation *source = old->getNumOperands() ? old->getOperand(0).getDefiningOp() : nullptr;
      old->erase();
      old = source;
    }
  }

private:
  RankedTensorType weightType() {
    return RankedTensorType::get({linear.outFeatures, linear.inFeatures}, builder.getF32Type());
  }

  const Linear &linear;
  onnx::MatMulOp op;
  OpBuilder builder;
};

} // namespace

static ArrayRef<float> scalesOf(const ChannelCodes &codes) { return codes.scales; }
static ArrayRef<float> scalesOf(const SplitCodes &codes) { return codes.rest.scales; }
static ArrayRef<float> scalesOf(const GroupCodes &codes) { return codes.scales.values; }

LogicalResult qopt::replaceWeights(const Linear &linear, const WeightCodes &codes) {
  for (float scale : std::visit([](const auto &c) { return scalesOf(c); }, codes))
    if (!(scale > 0) || !std::isfinite(scale)) {
      onnx::MatMulOp op = linear.op;
      return op.emitOpError() << "expected positive and finite weight scales of layer \"" << linear.name
                              << "\" but got " << scale;
    }
  WeightBuilder builder(linear);
  builder.finish(std::visit([&](const auto &c) { return builder.build(c); }, codes));
  return success();
}

/// W [N, K], whose transpose `op` multiplies with; null when there is no transpose.
static Value getTransposedWeights(onnx::MatMulOp op) {
  auto transpose = op.getB().getDefiningOp<onnx::TransposeOp>();
  return transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0} ? transpose.getData() : Value();
}

DequantizeOp qopt::getQuantizedWeights(onnx::MatMulOp op) {
  if (ReplaceColumnsOp kept = getKeptColumns(op))
    return kept.getInput().getDefiningOp<DequantizeOp>();
  Value weights = getTransposedWeights(op);
  return weights ? weights.getDefiningOp<DequantizeOp>() : DequantizeOp();
}

ReplaceColumnsOp qopt::getKeptColumns(onnx::MatMulOp op) {
  Value weights = getTransposedWeights(op);
  return weights ? weights.getDefiningOp<ReplaceColumnsOp>() : ReplaceColumnsOp();
}
