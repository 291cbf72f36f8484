//===- ChooseSchemes.cpp - Bits for each layer under a budget -------------===//
//
// Two runs of the float model. In the first each layer is quantized by each of its schemes, on the inputs that
// it has in the float model. In the second the whole model runs again and again, each time with the
// weights of another layer replaced. The error of a layer's output says how its schemes compare, the
// divergence of the predictions what such an error is worth there.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/ChooseSchemes.h"
#include "Statistics.h"
#include "qopt/Calibration/FloatRun.h"
#include "qopt/Calibration/ValueStore.h"
#include "qopt/Calibration/WeightQuantizer.h"
#include "qopt/Numerics/ActivationAware.h"
#include "qopt/Numerics/Allocation.h"
#include "qopt/Numerics/Divergence.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Windows that layers are quantized on, and what the model runs on for each layer.
constexpr size_t kWindows = 32, kProbes = 8, kProbeLength = 256;
/// Bytes of rounded weights in memory, where the user has set no limit.
constexpr int64_t kRoundedBytes = int64_t(2) << 30;

/// A layer with one of its schemes.
struct Rounded {
  SizedLoss size;             ///< its loss is the error of the output until the probes have run
  ValueStore::Handle weights; ///< [K, N]
};

class Chooser {
public:
  Chooser(func::FuncOp function, std::vector<OpenLayer> layers, const LayerBudget &budget,
          const StageRunnerFactory &makeRunner)
      : function(function), layers(std::move(layers)), budget(budget), makeRunner(makeRunner),
        options(floatRunOptions(*function.getContext())), store(options.maxMemory ? options.maxMemory : kRoundedBytes),
        rounded(this->layers.size()) {}

  FailureOr<std::vector<size_t>> run(const std::vector<std::vector<int32_t>> &windows,
                                     std::vector<LayerChoice> &report) {
    std::vector<std::vector<int32_t>> some(windows.begin(), windows.begin() + std::min(windows.size(), kWindows));
    int64_t most = 0;
    if (failed(roundAll(some)) || failed(readBudget(most)))
      return failure();
    some.resize(std::min(some.size(), kProbes));
    for (std::vector<int32_t> &window : some)
      if (!hasFixedLength() && window.size() > kProbeLength)
        window.resize(kProbeLength);
    std::optional<std::vector<size_t>> choices;
    if (failed(probe(some, most, choices)))
      return failure();
    describe(*choices, report);
    return std::move(*choices);
  }

private:
  /// Whether the model takes texts of one length only.
  bool hasFixedLength() {
    return llvm::any_of(function.getArgumentTypes(), [](Type type) {
      auto tensor = dyn_cast<RankedTensorType>(type);
      return tensor && tensor.getRank() > 1 && !tensor.isDynamicDim(1);
    });
  }

  /// An observer of `value` that nothing reads.
  static ObserveOp observe(Operation *before, Value value, StringAttr name, StatisticSet statistics) {
    OpBuilder builder(before);
    return ObserveOp::create(builder, value.getLoc(), value, name,
                             StatisticSetAttr::get(builder.getContext(), statistics), FloatAttr());
  }

  /// Quantizes each layer by each of its schemes.
  LogicalResult roundAll(const std::vector<std::vector<int32_t>> &windows) {
    llvm::MapVector<Value, SmallVector<size_t>> readers;
    for (auto [i, layer] : llvm::enumerate(layers))
      readers[layer.linear.op.getA()].push_back(i);
    llvm::DenseMap<Operation *, ArrayRef<size_t>> ofObserver;
    for (auto &[value, indices] : readers) {
      StatisticSet statistics = StatisticSet::ColumnAbsMax;
      Operation *first = layers[indices.front()].linear.op;
      for (size_t i : indices) {
        for (SchemeAttr scheme : layers[i].schemes)
          statistics = statistics | scheme.getVariant().weightStatistics;
        if (layers[i].linear.op->isBeforeInBlock(first))
          first = layers[i].linear.op;
      }
      auto name = StringAttr::get(function.getContext(), layers[indices.front()].linear.name);
      ofObserver[observe(first, value, name, statistics)] = indices;
    }
    LogicalResult result =
        runFloat(function, windows, options, makeRunner, [&](const ObservedValue &seen, const ParallelFor &threads) {
          ArrayRef<size_t> indices = ofObserver.lookup(seen.observe());
          Statistics statistics(seen.observe(), {});
          for (size_t i = 0; i < seen.numBatches(); ++i) {
            Result<qrt::Tensor> x = seen.load(i);
            if (!x)
              return Status(x.error());
            SampleBatch batch;
            batch.mask.assign(seen.mask(i).begin(), seen.mask(i).end());
            batch.positions = x->numElements() / x->dims().back();
            if (Status status = statistics.add(*x, {}, batch, threads); !status)
              return status;
          }
          for (size_t i : indices)
            if (Status status = round(i, statistics, seen, threads); !status)
              return status;
          return Status();
        });
    for (auto &[observer, indices] : ofObserver)
      observer->erase();
    return result;
  }

  Status round(size_t index, Statistics &statistics, const ObservedValue &seen, const ParallelFor &parallelFor) {
    const Linear &linear = layers[index].linear;
    FailureOr<Matrix<float>> weights = readWeights(linear);
    if (failed(weights))
      return Error{"the weights of layer \"" + linear.name.str() + "\" cannot be read"};
    for (SchemeAttr scheme : layers[index].schemes) {
      auto quantizer =
          WeightQuantizer::create(scheme.getValue(), linear.inFeatures, &statistics, /*isLast=*/false, parallelFor);
      if (!quantizer)
        return quantizer.error();
      QuantizerFigures figures;
      Result<WeightCodes> codes = (*quantizer)->quantize(*weights, figures, parallelFor);
      if (!codes)
        return codes.error();
      Matrix<float> values = dequantize(*codes);
      Rounded result;
      result.size.bytes = storedBytes(*codes);
      Result<double> error = outputError(*weights, values, seen, parallelFor);
      if (!error)
        return error.error();
      result.size.loss = *error;
      qrt::Tensor columns(ElementType::F32, {values.cols, values.rows});
      for (int64_t n = 0; n < values.rows; ++n)
        for (int64_t k = 0; k < values.cols; ++k)
          columns.data<float>()[k * values.rows + n] = values(n, k);
      // Layers without a choice are as they will be in all that is compared.
      Result<ValueStore::Handle> kept = store.put(std::move(columns));
      if (!kept)
        return kept.error();
      result.weights = *kept;
      rounded[index].push_back(std::move(result));
    }
    return {};
  }

  /// Squared error of the layer's output on the first tokens, which is tr((W - Q) H (W - Q)^T) of their H.
  static Result<double> outputError(const Matrix<float> &weights, Matrix<float> &values, const ObservedValue &seen,
                                    const ParallelFor &parallelFor) {
    Matrix<float> difference = values;
    for (auto [value, original] : llvm::zip(difference.values, weights.values))
      value -= original;
    double sum = 0;
    int64_t rows = 0;
    for (size_t i = 0; i < seen.numBatches() && rows < int64_t(kProbes * kProbeLength); ++i) {
      Result<qrt::Tensor> x = seen.load(i);
      if (!x)
        return x.error();
      MatrixRef<const float> inputs(x->data<float>(), x->numElements() / weights.cols, weights.cols);
      sum += squaredProduct(inputs, seen.mask(i), difference, parallelFor);
      rows += inputs.rows;
    }
    return sum;
  }

  int64_t bytesOf(const std::vector<size_t> &choices) const {
    int64_t bytes = 0;
    for (auto [layer, choice] : llvm::zip(rounded, choices))
      bytes += layer[choice].size.bytes;
    return bytes;
  }

  /// The bytes that all layers may have together.
  LogicalResult readBudget(int64_t &most) {
    int64_t weights = 0, smallest = 0, largest = 0;
    for (auto [layer, choices] : llvm::zip(layers, rounded)) {
      weights += layer.linear.outFeatures * layer.linear.inFeatures;
      auto [least, greatest] = std::minmax_element(
          choices.begin(), choices.end(), [](const auto &a, const auto &b) { return a.size.bytes < b.size.bytes; });
      smallest += least->size.bytes;
      largest += greatest->size.bytes;
    }
    bool isBits = budget.bits > 0;
    most = isBits ? static_cast<int64_t>(budget.bits * double(weights) / 8) : budget.moduleBytes - budget.otherBytes;
    if (most < smallest || (isBits && most > largest)) {
      auto bits = [&](int64_t bytes) { return 8.0 * double(bytes) / double(weights); };
      if (isBits)
        return emitError(function.getLoc())
               << llvm::formatv("--target-bits={0}: the layers can have {1} to {2} bits per weight in all, with scales "
                                "(--candidate names the schemes to choose among)",
                                llvm::format("%g", budget.bits), llvm::format("%.4f", bits(smallest)),
                                llvm::format("%.4f", bits(largest)))
                      .str();
      return emitError(function.getLoc())
             << "--max-size=" << budget.moduleBytes << ": the module can have " << smallest + budget.otherBytes
             << " to " << largest + budget.otherBytes << " bytes (--candidate names the schemes to choose among)";
    }
    return success();
  }

  /// Lets the model run with single layers quantized, then with the best choices.
  LogicalResult probe(const std::vector<std::vector<int32_t>> &windows, int64_t most,
                      std::optional<std::vector<size_t>> &choices) {
    Operation *end = function.getBody().front().getTerminator();
    Value logits;
    for (auto [i, result] : llvm::enumerate(end->getOperands()))
      if (getResultRole(function, i) == Role::Logits)
        logits = result;
    if (!logits)
      return emitError(function.getLoc()) << budget.option << " needs a model whose output are logits of all tokens";
    if (auto cast = logits.getDefiningOp<onnx::CastOp>(); cast && !getElementTypeOrSelf(logits).isF32())
      logits = cast.getInput();
    ObserveOp observer =
        observe(end, logits, StringAttr::get(function.getContext(), "logits"), StatisticSet::ColumnAbsMax);
    LogicalResult result = runFloat(function, windows, options, makeRunner,
                                    [&](const ObservedValue &seen, const ParallelFor &parallelFor) -> Status {
                                      if (Status status = weigh(seen, parallelFor); !status)
                                        return status;
                                      return findBest(seen, parallelFor, most, choices);
                                    });
    observer->erase();
    return result;
  }

  /// Mean divergence of the predictions with other weights.
  Result<double> measure(const ObservedValue &seen, const WeightChoice &choice, const ParallelFor &parallelFor) const {
    double sum = 0;
    int64_t count = 0;
    for (size_t i = 0; i < seen.numBatches(); ++i) {
      Result<qrt::Tensor> expected = seen.load(i), computed = seen.compute(i, choice);
      if (!expected || !computed)
        return expected ? computed.error() : expected.error();
      int64_t columns = expected->dims().back(), rows = expected->numElements() / columns;
      sum += sumDivergences({expected->data<float>(), rows, columns}, {computed->data<float>(), rows, columns},
                            seen.mask(i), parallelFor, count);
    }
    return sum / double(std::max<int64_t>(count, 1));
  }

  /// Turns errors of outputs into what they are worth at the end of the model, by what the largest of a
  /// layer is. Those without a choice do not compete.
  Status weigh(const ObservedValue &seen, const ParallelFor &parallelFor) {
    for (auto [layer, choices] : llvm::zip(layers, rounded)) {
      if (choices.size() == 1) {
        choices.front().size.loss = 0;
        continue;
      }
      auto worst = std::max_element(choices.begin(), choices.end(),
                                    [](const Rounded &a, const Rounded &b) { return a.size.loss < b.size.loss; });
      double error = worst->size.loss;
      if (!(error > 0))
        continue;
      Result<qrt::Tensor> weights = store.get(worst->weights);
      if (!weights)
        return weights.error();
      WeightChoice choice;
      choice[layer.linear.op] = std::move(*weights);
      Result<double> kl = measure(seen, choice, parallelFor);
      if (!kl)
        return kl.error();
      for (Rounded &one : choices)
        one.size.loss *= std::max(*kl, 0.0) / error;
    }
    return {};
  }

  Result<double> measureAll(const ObservedValue &seen, const std::vector<size_t> &choices,
                            const ParallelFor &parallelFor) {
    WeightChoice choice;
    for (auto [layer, all, chosen] : llvm::zip(layers, rounded, choices)) {
      Result<qrt::Tensor> weights = store.get(all[chosen].weights);
      if (!weights)
        return weights.error();
      choice[layer.linear.op] = std::move(*weights);
    }
    return measure(seen, choice, parallelFor);
  }

  /// The choices of least loss, unless all layers of one candidate are better.
  Status findBest(const ObservedValue &seen, const ParallelFor &parallelFor, int64_t most,
                  std::optional<std::vector<size_t>> &best) {
    std::vector<std::vector<SizedLoss>> sizes(rounded.size());
    for (auto [size, choices] : llvm::zip(sizes, rounded))
      for (const Rounded &one : choices)
        size.push_back(one.size);
    std::vector<std::vector<size_t>> tried = {*allocate(sizes, most)};
    for (size_t candidate = 0; candidate < budget.candidates.size(); ++candidate) {
      std::vector<size_t> uniform;
      for (const OpenLayer &layer : layers)
        uniform.push_back(layer.choiceOf[candidate]);
      if (bytesOf(uniform) <= most && !llvm::is_contained(tried, uniform))
        tried.push_back(std::move(uniform));
    }
    double least = 0;
    for (std::vector<size_t> &choices : tried) {
      Result<double> kl = tried.size() == 1 ? Result<double>(0.0) : measureAll(seen, choices, parallelFor);
      if (!kl)
        return kl.error();
      if (best && !(*kl < least))
        continue;
      least = *kl;
      best = std::move(choices);
    }
    return {};
  }

  /// How an override names a scheme of a layer.
  std::string nameOf(const OpenLayer &layer, size_t choice) const {
    for (auto [candidate, its] : llvm::zip(budget.candidates, layer.choiceOf))
      if (Result<SchemeSpec> spec = SchemeSpec::parse(candidate);
          its == choice && spec && spec->info == &layer.schemes[choice].getValue().info())
        return candidate;
    llvm_unreachable("a scheme that is no candidate");
  }

  void describe(const std::vector<size_t> &choices, std::vector<LayerChoice> &report) const {
    for (auto [layer, all, choice] : llvm::zip(layers, rounded, choices))
      if (layer.schemes.size() > 1)
        report.push_back(
            {layer.linear.name.str(), nameOf(layer, choice),
             8.0 * double(all[choice].size.bytes) / double(layer.linear.outFeatures * layer.linear.inFeatures),
             all[choice].size.loss});
  }

  func::FuncOp function;
  std::vector<OpenLayer> layers;
  const LayerBudget &budget;
  const StageRunnerFactory &makeRunner;
  FloatRunOptions options;
  ValueStore store;
  std::vector<std::vector<Rounded>> rounded; ///< by layer and scheme
};

} // namespace

FailureOr<std::vector<size_t>> qopt::chooseSchemes(func::FuncOp function, std::vector<OpenLayer> layers,
                                                   const LayerBudget &budget,
                                                   const std::vector<std::vector<int32_t>> &windows,
                                                   const StageRunnerFactory &makeRunner,
                                                   std::vector<LayerChoice> &report) {
  return Chooser(function, std::move(layers), budget, makeRunner).run(windows, report);
}
