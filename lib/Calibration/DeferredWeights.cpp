//===- DeferredWeights.cpp - Codes that are made when they are written ----===//
//
// A scheme that needs no data quantizes each output by itself. So nothing of a layer needs
// to be in memory but the rows in work: from the mapped weights to codes in one pass over
// the processor's caches.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/ReplaceWeights.h"
#include "qopt/Calibration/WeightQuantizer.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Numerics/ScaleRange.h"
#include <atomic>
#include <chrono>

using namespace mlir;
using namespace qopt;

namespace {

template <typename T>
std::vector<char> bytesOf(const std::vector<T> &values) {
  const char *data = reinterpret_cast<const char *>(values.data());
  return std::vector<char>(data, data + values.size() * sizeof(T));
}

/// The codes of one layer, and the figures of its report.
class LayerRows : public RowSource {
public:
  LayerRows(std::string name, StoredMatrix weights, std::vector<char> storage, const WeightArrays &arrays,
            std::unique_ptr<WeightQuantizer> quantizer)
      : name(std::move(name)), weights(weights), storage(std::move(storage)), arrays(arrays),
        quantizer(std::move(quantizer)), errors((weights.cols + kDeferredRows - 1) / kDeferredRows),
        isMade(errors.size()), left(errors.size()) {}

  Result<std::vector<std::vector<char>>> make(int64_t begin, int64_t end) const override {
    auto start = std::chrono::steady_clock::now();
    Matrix<float> rows(end - begin, weights.rows);
    readColumns(weights, begin, rows);
    if (Status status = checkFinite(name, rows, begin); !status)
      return status.error();
    QuantizerFigures figures;
    Result<WeightCodes> codes = quantizer->quantize(rows, figures, {});
    if (!codes)
      return codes.error();
    if (Status status = checkScales(name, *codes); !status)
      return status.error();
    if (onLayer)
      if (Status status = addErrors(begin / kDeferredRows, quantizationError(rows, dequantize(*codes))); !status)
        return status.error();
    std::vector<std::vector<char>> made = store(*codes);
    nanoseconds += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
    return made;
  }

  void finish() override {
    if (!onLayer)
      return;
    report.sqnrDb = sqnrOfAll();
    report.seconds = static_cast<double>(nanoseconds) * 1e-9;
    onLayer(std::move(report));
  }

  LayerReport report; ///< but for what is known at the end
  std::function<void(LayerReport)> onLayer;
  const CalibrationContext *driver = nullptr; ///< where there is `onLayer`

private:
  /// Who comes last judges the layer: the module is not there yet.
  Status addErrors(int64_t part, const ErrorSums &sums) const {
    errors[part] = sums;
    if (isMade[part].exchange(true) || --left > 0)
      return {};
    LayerReport layer = report;
    layer.sqnrDb = sqnrOfAll();
    return driver->accept(layer);
  }

  std::optional<double> sqnrOfAll() const {
    ErrorSums sums; // in the order of the rows, whoever made them
    for (const ErrorSums &part : errors) {
      sums.signal += part.signal;
      sums.noise += part.noise;
    }
    return sqnrDb(sums);
  }

  std::vector<std::vector<char>> store(const WeightCodes &codes) const {
    if (const auto *channels = std::get_if<ChannelCodes>(&codes))
      return {bytesOf(channels->codes.values), bytesOf(channels->scales)};
    const auto &groups = std::get<GroupCodes>(codes);
    StoredGroups stored(groups);
    std::vector<_Float16> scales(groups.scales.values.begin(), groups.scales.values.end());
    return {bytesOf(stored.codes.values), bytesOf(scales), bytesOf(stored.zeros)};
  }

  std::string name;
  StoredMatrix weights;      ///< [K, N]
  std::vector<char> storage; ///< of `weights`, where the constant does not have them
  WeightArrays arrays;
  std::unique_ptr<WeightQuantizer> quantizer;
  mutable std::vector<ErrorSums> errors; ///< one for every kDeferredRows rows
  mutable std::vector<std::atomic<bool>> isMade;
  mutable std::atomic<size_t> left; ///< parts that are not made yet
  mutable std::atomic<int64_t> nanoseconds = 0;
};

/// The arrays that a scheme makes; nothing where that depends on what the weights become.
std::optional<WeightArrays> planArrays(const Linear &linear, const StoredMatrix &weights) {
  const Scheme &scheme = linear.scheme.getValue();
  switch (scheme.variant().weights) {
  case WeightMethod::Channels:
  case WeightMethod::HalfChannels:
    return WeightArrays();
  case WeightMethod::RoundedGroups: {
    GroupOptions groups = groupOptions(scheme, linear.inFeatures);
    if (!groups.float16Scales || !fitFloat16Scales(weights, groups))
      return std::nullopt; // scales that all fit float16 would be stored as such
    WeightArrays arrays;
    arrays.groupSize = groups.groupSize < 1 ? linear.inFeatures : groups.groupSize;
    bool isCentered = groups.symmetric && groups.grid == ScaleGrid::MinMax;
    int middle = 1 << (groups.bits - 1), offset = StoredGroups::offset(groups.bits);
    arrays.areBytes = StoredGroups::areBytes(groups.bits);
    arrays.smallestZero = (isCentered ? middle : groups.symmetric ? middle - 1 : 0) + offset;
    arrays.largestZero = (groups.symmetric ? middle : 2 * middle - 1) + offset;
    return arrays;
  }
  case WeightMethod::Float:
  case WeightMethod::KeptChannels:
  case WeightMethod::GptqGroups:
  case WeightMethod::MinMaxGroups:
  case WeightMethod::HqqGroups:
  case WeightMethod::Nf4Blocks:
  case WeightMethod::Fp4Blocks:
  case WeightMethod::MxBlocks:
  case WeightMethod::NvBlocks:
  case WeightMethod::Float8Rows:
    return std::nullopt;
  }
  llvm_unreachable("a method without a case");
}

} // namespace

FailureOr<bool> qopt::deferLinear(const Linear &linear, DeferredData &deferred,
                                  const std::function<void(LayerReport)> &onLayer) {
  onnx::MatMulOp op = linear.op;
  std::vector<char> storage;
  FailureOr<StoredMatrix> weights = viewWeights(linear, storage);
  if (failed(weights))
    return failure();
  std::optional<WeightArrays> arrays = planArrays(linear, *weights);
  if (!arrays)
    return false;
  Result<std::unique_ptr<WeightQuantizer>> quantizer = WeightQuantizer::create(
      linear.scheme.getValue(), linear.inFeatures, /*measured=*/nullptr, /*isLast=*/true, /*parallelFor=*/{});
  if (!quantizer)
    return op.emitOpError() << quantizer.error().message;
  auto rows =
      std::make_shared<LayerRows>(linear.name.str(), *weights, std::move(storage), *arrays, std::move(*quantizer));
  SmallVector<onnx::MatMulOp> sharers = findSharers(linear);
  replaceWeights(linear, *arrays, rows, deferred);
  if (onLayer) {
    rows->driver = CalibrationContext::get(*op->getContext());
    rows->report = *describeLayer(op);
    std::vector<LayerReport> others;
    for (onnx::MatMulOp sharer : sharers)
      others.push_back(*describeLayer(sharer));
    rows->onLayer = [onLayer, others](const LayerReport &report) {
      onLayer(report);
      for (LayerReport other : others) {
        addMeasured(other, report);
        onLayer(std::move(other));
      }
    };
  }
  return true;
}
