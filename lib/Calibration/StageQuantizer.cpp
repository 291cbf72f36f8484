//===- StageQuantizer.cpp - The linears that a stage decides --------------===//
//
// Linears of one scheme share what is made of the statistics.
//
//===----------------------------------------------------------------------===//
#include "StageQuantizer.h"
#include "qopt/Calibration/ReplaceWeights.h"
#include "qopt/Calibration/WeightQuantizer.h"
#include "qopt/Numerics/Transpose.h"
#include <chrono>

using namespace mlir;
using namespace qopt;

InFlightDiagnostic qopt::emitStageError(const Stage &stage, const Error &error) {
  ObserveOp observe = stage.observe;
  return emitError(observe.getLoc()) << "calibration of \"" << observe.getName() << "\": " << error.message;
}

LogicalResult StageQuantizer::quantize(const Stage &stage, Statistics &statistics, StageResult &result) {
  StageReaders::ByScheme readers = measuredReaders(stage);
  for (auto &[scheme, linears] : readers)
    if (failed(quantizeGroup(stage, scheme, linears, statistics, scheme == readers.back().first, result)))
      return failure();
  return success();
}

StageReaders::ByScheme StageQuantizer::measuredReaders(const Stage &stage) const {
  StageReaders::ByScheme readers = StageReaders(stage).byScheme();
  readers.remove_if([&](auto &entry) {
    StatisticSet needed = entry.first.getVariant().weightStatistics;
    return needed == StatisticSet::None || !observes(stage.observe, needed);
  });
  return readers;
}

LogicalResult StageQuantizer::quantizeGroup(const Stage &stage, SchemeAttr scheme, ArrayRef<Linear> linears,
                                            Statistics &statistics, bool isLast, StageResult &result) {
  auto start = std::chrono::steady_clock::now();
  if (statistics.hasHessian())
    warnOfFewTokens(linears.front(), statistics.hessian().tokens);
  auto quantizer =
      WeightQuantizer::create(scheme.getValue(), linears.front().inFeatures, &statistics, isLast, parallelFor);
  if (!quantizer)
    return emitStageError(stage, quantizer.error());
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<SmallVector<onnx::MatMulOp>> sharers;
  for (const Linear &linear : linears)
    sharers.push_back(findSharers(linear));
  std::vector<LayerReport> reports;
  FailureOr<std::vector<WeightCodes>> all = quantizeLinears(
      linears, **quantizer, seconds, parallelFor, [&](LayerReport report) { reports.push_back(std::move(report)); });
  if (failed(all))
    return failure();
  const LayerReport *report = reports.data(); // each linear's, then those of its sharers
  for (auto [linear, made, others] : llvm::zip(linears, *all, sharers)) {
    LayerResult layer{*report, std::make_shared<const WeightCodes>(std::move(made))};
    codes.insert_or_assign(linear.op, layer.codes);
    for (onnx::MatMulOp sharer : others)
      codes.insert_or_assign(sharer, layer.codes);
    for (size_t i = 0; i <= others.size(); ++i, ++report)
      if (options.onLayer)
        options.onLayer(*report);
    result.layers.push_back(std::move(layer));
  }
  return success();
}

/// Whether these are codes for the weights of `linear`.
static bool fits(const LayerResult &layer, const Linear &linear) {
  auto [rows, cols] = codesShape(*layer.codes);
  return layer.report.name == linear.name && rows == linear.outFeatures && cols == linear.inFeatures;
}

LogicalResult StageQuantizer::repeat(const Stage &stage, const StageResult &result) {
  forget(stage);
  size_t next = 0;
  for (auto &[scheme, linears] : measuredReaders(stage)) {
    if (observes(stage.observe, StatisticSet::Hessian) && next < result.layers.size())
      warnOfFewTokens(linears.front(), result.layers[next].report.tokens);
    for (const Linear &linear : linears) {
      if (next == result.layers.size() || !fits(result.layers[next], linear))
        return emitStageError(stage, {"the checkpoint has no codes of layer \"" + linear.name.str() + '"'});
      const LayerResult &layer = result.layers[next++];
      SmallVector<onnx::MatMulOp> ops = findSharers(linear);
      ops.insert(ops.begin(), linear.op);
      if (failed(replaceWeights(linear, *layer.codes)))
        return failure();
      for (onnx::MatMulOp op : ops) {
        if (options.onLayer)
          options.onLayer(describeMeasured(op, layer.report));
        codes.insert_or_assign(op, layer.codes);
      }
    }
  }
  return success();
}

/// [N, K] to a tensor [K, N].
static qrt::Tensor transpose(const Matrix<float> &matrix) {
  qrt::Tensor tensor(ElementType::F32, {matrix.cols, matrix.rows});
  StoredMatrix from{reinterpret_cast<const char *>(matrix.values.data()), ElementType::F32, matrix.rows, matrix.cols};
  readColumns(from, 0, {tensor.data<float>(), matrix.cols, matrix.rows});
  return tensor;
}

LogicalResult StageQuantizer::weightsOf(const Linear &linear, std::optional<qrt::Tensor> &result) const {
  if (auto found = codes.find(linear.op); found != codes.end()) {
    result = transpose(dequantize(*found->second));
  } else if (linear.isQuantizedWithoutData()) {
    FailureOr<Matrix<float>> weights = readWeights(linear);
    if (failed(weights))
      return failure();
    auto quantizer = WeightQuantizer::create(linear.scheme.getValue(), linear.inFeatures, /*measured=*/nullptr,
                                             /*isLast=*/true, parallelFor);
    QuantizerFigures figures;
    result = transpose(dequantize(*(*quantizer)->quantize(*weights, figures, parallelFor)));
  }
  return success();
}

void StageQuantizer::forget(const Stage &stage) {
  for (const StageWeights &used : stage.weights)
    if (used.linear)
      codes.erase(used.linear->op);
}

/// A Hessian of fewer tokens than inputs is singular.
void StageQuantizer::warnOfFewTokens(const Linear &linear, int64_t tokens) {
  if (warned || tokens >= linear.inFeatures)
    return;
  warned = true;
  emitWarning(linear.op->getLoc()) << "only " << tokens << " calibration tokens for the " << linear.inFeatures
                                   << " inputs of layer \"" << linear.name << "\": its codes are a guess";
}
