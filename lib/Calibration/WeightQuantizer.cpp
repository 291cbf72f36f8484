//===- WeightQuantizer.cpp - The numerics of each scheme ------------------===//
//
// A method either takes the weights alone or wants statistics of the inputs as well;
// the stages of calibration treat both alike.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/WeightQuantizer.h"
#include "Statistics.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/ReplaceWeights.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Numerics/Gptq.h"
#include <chrono>

using namespace mlir;
using namespace qopt;

/// How a scheme with groups chooses their scales.
GroupOptions qopt::groupOptions(const Scheme &scheme, int64_t inFeatures) {
  int64_t groupSize = scheme.get(options::groupSize);
  GroupOptions groups;
  groups.bits = scheme.variant().weightBits;
  groups.groupSize = groupSize < 1 || groupSize >= inFeatures ? -1 : groupSize;
  groups.symmetric = scheme.get(options::symmetric);
  groups.grid = scheme.get(options::grid) == ScaleChoice::Search ? ScaleGrid::Search : ScaleGrid::MinMax;
  groups.referenceMinMax = scheme.get(options::exactReference);
  groups.float16Scales = !scheme.get(options::exactReference);
  return groups;
}

namespace {

/// Inputs of a block of the standards.
constexpr int64_t kMxBlock = 32, kNvBlock = 16;

//===----------------------------------------------------------------------===//
// Weights alone
//===----------------------------------------------------------------------===//

/// A method whose codes follow from the weights.
class PlainQuantizer : public WeightQuantizer {
public:
  using Function = std::function<WeightCodes(const Matrix<float> &, const ParallelFor &)>;
  explicit PlainQuantizer(Function function, int64_t tokens = 0) : function(std::move(function)), tokens(tokens) {}

  Result<WeightCodes> quantize(const Matrix<float> &weights, QuantizerFigures &figures,
                               const ParallelFor &parallelFor) const override {
    figures.tokens = tokens;
    return function(weights, parallelFor);
  }

private:
  Function function;
  int64_t tokens; ///< that something was measured on
};

//===----------------------------------------------------------------------===//
// GPTQ
//===----------------------------------------------------------------------===//

GptqOptions gptqOptions(const Scheme &scheme, int64_t inFeatures) {
  GptqOptions gptq;
  gptq.groups = groupOptions(scheme, inFeatures);
  gptq.dampPercent = scheme.get(options::dampPercent);
  gptq.actOrder = scheme.get(options::actOrder);
  gptq.actGroupAware = scheme.get(options::actGroupAware);
  gptq.staticGroups = scheme.get(options::staticGroups);
  gptq.polishPasses = static_cast<int>(scheme.get(options::polish));
  gptq.refitScales = scheme.get(options::refit);
  gptq.floatTarget = scheme.get(options::floatTarget);
  return gptq;
}

/// The linears of a group share the factor of H.
class GptqQuantizer : public WeightQuantizer {
public:
  GptqQuantizer(std::unique_ptr<GptqSolver> solver, int64_t tokens) : solver(std::move(solver)), tokens(tokens) {}

  static Result<std::unique_ptr<WeightQuantizer>> create(const GptqOptions &options, Hessian hessian,
                                                         const ParallelFor &parallelFor) {
    int64_t tokens = hessian.tokens;
    Result<std::unique_ptr<GptqSolver>> solver = GptqSolver::create(std::move(hessian), options, parallelFor);
    if (!solver)
      return solver.error();
    return {std::make_unique<GptqQuantizer>(std::move(*solver), tokens)};
  }

  Result<WeightCodes> quantize(const Matrix<float> &weights, QuantizerFigures &figures,
                               const ParallelFor &parallelFor) const override {
    Result<std::vector<WeightCodes>> codes = quantizeAll(weights, figures, parallelFor);
    if (!codes)
      return codes.error();
    return std::move(codes->front());
  }

  Result<std::vector<WeightCodes>> quantizeAll(ArrayRef<Matrix<float>> weights,
                                               MutableArrayRef<QuantizerFigures> figures,
                                               const ParallelFor &parallelFor) const override {
    std::vector<MatrixRef<const float>> views(weights.begin(), weights.end());
    std::vector<GptqReport> reports(weights.size());
    Result<std::vector<GroupCodes>> codes = solver->quantizeAll(views, reports, parallelFor);
    if (!codes)
      return codes.error();
    for (auto [report, figure] : llvm::zip(reports, figures)) {
      figure.loss = report.loss / static_cast<double>(std::max<int64_t>(tokens, 1));
      figure.damping = report.damping;
      figure.tokens = tokens;
      figure.deadColumns = report.deadColumns;
      figure.fallback = report.fellBack;
    }
    return std::vector<WeightCodes>(std::make_move_iterator(codes->begin()), std::make_move_iterator(codes->end()));
  }

private:
  std::unique_ptr<GptqSolver> solver;
  int64_t tokens;
};

std::unique_ptr<WeightQuantizer> plain(PlainQuantizer::Function function, int64_t tokens = 0) {
  return std::make_unique<PlainQuantizer>(std::move(function), tokens);
}

/// bitsandbytes' tables.
std::unique_ptr<WeightQuantizer>
quantizeWith(TableCodes (*quantize)(MatrixRef<const float>, int64_t, bool, const ParallelFor &), const Scheme &scheme) {
  return plain([quantize, size = scheme.get(options::groupSize64), isDouble = scheme.get(options::doubleQuant)](
                   const Matrix<float> &weights, const ParallelFor &parallelFor) {
    return quantize(weights, size, isDouble, parallelFor);
  });
}

} // namespace

//===----------------------------------------------------------------------===//
// One case per method
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<WeightQuantizer>> WeightQuantizer::create(const Scheme &scheme, int64_t inFeatures,
                                                                 Statistics *measured, bool isLast,
                                                                 const ParallelFor &parallelFor) {
  const SchemeVariant &variant = scheme.variant();
  if (variant.weightStatistics != StatisticSet::None && !measured)
    return Error{("scheme " + scheme.name() + " requires calibration").str()};
  switch (variant.weights) {
  case WeightMethod::Float:
    break;
  case WeightMethod::Channels: {
    auto steps = scheme.has(options::rowSteps) ? static_cast<ChannelSteps>(scheme.get(options::rowSteps))
                                               : ChannelSteps::Steps127;
    return plain(
        [steps](const Matrix<float> &weights, const ParallelFor &) { return quantizeChannels(weights, steps); });
  }
  case WeightMethod::HalfChannels:
    return plain([](const Matrix<float> &weights, const ParallelFor &) { return quantizeChannelsLlmInt8(weights); });
  case WeightMethod::KeptChannels: {
    auto threshold = static_cast<float>(scheme.get(options::threshold));
    return plain(
        [columns = measured->outliers(threshold)](const Matrix<float> &weights, const ParallelFor &) -> WeightCodes {
          return quantizeChannelsLlmInt8(weights, columns);
        },
        measured->tokens());
  }
  case WeightMethod::RoundedGroups:
    return plain(
        [groups = groupOptions(scheme, inFeatures)](const Matrix<float> &weights, const ParallelFor &parallelFor) {
          return quantizeGroups(weights, groups, {}, parallelFor);
        });
  case WeightMethod::GptqGroups:
    return GptqQuantizer::create(gptqOptions(scheme, inFeatures),
                                 isLast ? measured->takeHessian() : measured->hessian(), parallelFor);
  case WeightMethod::MinMaxGroups:
    return plain([bits = variant.weightBits, size = scheme.get(options::groupSize)](const Matrix<float> &weights,
                                                                                    const ParallelFor &parallelFor) {
      return quantizeMinMax(weights, bits, size, parallelFor);
    });
  case WeightMethod::HqqGroups:
    return plain([bits = variant.weightBits, size = scheme.get(options::groupSize64)](const Matrix<float> &weights,
                                                                                      const ParallelFor &parallelFor) {
      return quantizeHqq(weights, bits, size, parallelFor);
    });
  case WeightMethod::Nf4Blocks:
    return quantizeWith(quantizeNf4, scheme);
  case WeightMethod::Fp4Blocks:
    return quantizeWith(quantizeFp4, scheme);
  case WeightMethod::MxBlocks:
    return plain([rule = static_cast<MxRule>(scheme.get(options::mxScale))](const Matrix<float> &weights,
                                                                            const ParallelFor &parallelFor) {
      return quantizeMxfp4(weights, kMxBlock, rule, parallelFor);
    });
  case WeightMethod::NvBlocks:
    return plain([](const Matrix<float> &weights, const ParallelFor &parallelFor) {
      return quantizeNvfp4(weights, kNvBlock, parallelFor);
    });
  case WeightMethod::Float8Rows:
    return plain([kind = static_cast<Float8Scales>(scheme.get(options::float8Granularity))](
                     const Matrix<float> &weights, const ParallelFor &) { return quantizeFloat8(weights, kind); });
  }
  return Error{("scheme " + scheme.name() + " leaves weights as they are").str()};
}

int64_t qopt::statisticsBytes(const Linear &linear, bool hasProduct) {
  if (linear.variant().weights != WeightMethod::GptqGroups)
    return 0;
  return gptqBytes(linear.inFeatures, hasProduct ? linear.outFeatures : 0,
                   gptqOptions(linear.scheme.getValue(), linear.inFeatures));
}

Result<std::vector<WeightCodes>> WeightQuantizer::quantizeAll(ArrayRef<Matrix<float>> weights,
                                                              MutableArrayRef<QuantizerFigures> figures,
                                                              const ParallelFor &parallelFor) const {
  std::vector<WeightCodes> all;
  for (auto [matrix, figure] : llvm::zip(weights, figures)) {
    Result<WeightCodes> codes = quantize(matrix, figure, parallelFor);
    if (!codes)
      return codes.error();
    all.push_back(std::move(*codes));
  }
  return all;
}

FailureOr<std::vector<WeightCodes>> qopt::quantizeLinears(ArrayRef<Linear> linears, const WeightQuantizer &quantizer,
                                                          double seconds, const ParallelFor &parallelFor,
                                                          const std::function<void(LayerReport)> &onLayer) {
  auto start = std::chrono::steady_clock::now();
  std::vector<Matrix<float>> weights;
  int64_t rows = 0;
  for (const Linear &linear : linears) {
    FailureOr<Matrix<float>> read = readWeights(linear);
    if (failed(read))
      return failure();
    rows += read->rows;
    weights.push_back(std::move(*read));
  }
  std::vector<QuantizerFigures> figures(linears.size());
  Result<std::vector<WeightCodes>> codes = quantizer.quantizeAll(weights, figures, parallelFor);
  if (!codes) {
    onnx::MatMulOp op = linears.front().op;
    return op.emitOpError() << "cannot be quantized as layer \"" << linears.front().name
                            << "\": " << codes.error().message;
  }
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (size_t i = 0; i < linears.size(); ++i) {
    start = std::chrono::steady_clock::now();
    SmallVector<onnx::MatMulOp> sharers = findSharers(linears[i]);
    if (failed(replaceWeights(linears[i], (*codes)[i])))
      return failure();
    if (!onLayer)
      continue;
    LayerReport report = *describeLayer(linears[i].op);
    static_cast<QuantizerFigures &>(report) = figures[i];
    report.sqnrDb = sqnrDb(quantizationError(weights[i], dequantize((*codes)[i])));
    report.seconds = seconds * static_cast<double>(weights[i].rows) / static_cast<double>(rows) +
                     std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (auto *driver = CalibrationContext::get(*linears[i].op->getContext()))
      if (Status status = driver->accept(report); !status)
        return emitError(linears[i].op->getLoc()) << status.error().message;
    onLayer(report);
    for (onnx::MatMulOp sharer : sharers)
      onLayer(describeMeasured(sharer, report));
  }
  return std::move(*codes);
}

FailureOr<WeightCodes> qopt::quantizeLinear(const Linear &linear, const WeightQuantizer &quantizer, double seconds,
                                            const ParallelFor &parallelFor,
                                            const std::function<void(LayerReport)> &onLayer) {
  FailureOr<std::vector<WeightCodes>> codes = quantizeLinears(linear, quantizer, seconds, parallelFor, onLayer);
  if (failed(codes))
    return failure();
  return std::move(codes->front());
}
