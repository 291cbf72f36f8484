//===- Calibrator.cpp - Measure, quantize, go on --------------------------===//
//
// Stage by stage: the values alive at a cut are kept for all samples, then the group
// that reads them is quantized, and the next stage computes with its codes.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Calibrator.h"
#include "StageReaders.h"
#include "Statistics.h"
#include "qopt/Calibration/Samples.h"
#include "qopt/Calibration/Stages.h"
#include "qopt/Calibration/ValueStore.h"
#include "qopt/Calibration/WeightQuantizer.h"
#include "qopt/Dialect/Cancellation.h"
#include "qopt/Support/Memory.h"
#include <array>
#include <chrono>
#include <map>

using namespace mlir;
using namespace qopt;

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The two models whose activations are computed.
enum Stream { Quantized, Float };

class Calibrator {
public:
  Calibrator(func::FuncOp function, const CalibrationOptions &options)
      : function(function), options(options), pool(options.threads), parallelFor(makeParallelFor(pool)),
        store(options.maxMemory) {}

  FailureOr<CalibrationSummary> run(const std::vector<std::vector<int32_t>> &windows,
                                    const StageRunnerFactory &makeRunner) {
    Result<std::vector<SampleBatch>> made = makeBatches(function, windows, options.batchSize);
    if (!made)
      return emitError(function.getLoc()) << made.error().message;
    batches = std::move(*made);
    FailureOr<StagePlan> outlined = outlineStages(function);
    if (failed(outlined))
      return failure();
    plan = std::move(*outlined);
    // Which layer's statistics would not fit is said before hours are spent on the others.
    int64_t free = options.freeMemory != 0 ? options.freeMemory : availableMemory();
    for (const Stage &stage : plan.stages)
      if (failed(StageReaders(function, stage).checkMemory(free)))
        return failure();
    FailureOr<std::unique_ptr<StageRunner>> compiled = makeRunner(*plan.module, pool);
    if (failed(compiled))
      return failure();
    runner = std::move(*compiled);
    needsFloat = llvm::any_of(function.getOps<onnx::MatMulOp>(), [](onnx::MatMulOp op) {
      std::optional<Linear> linear = Linear::match(op);
      return linear && op.getA().getDefiningOp<ObserveOp>() && hasFloatTarget(*linear);
    });
    if (failed(start()))
      return failure();
    for (const Stage &stage : plan.stages)
      if (failed(runStage(stage)))
        return failure();
    removeFinished();
    return CalibrationSummary{static_cast<int64_t>(plan.stages.size()), plan.numDistinct};
  }

private:
  /// The values alive of one batch, by stream; equal ones have the same handle.
  using Live = llvm::DenseMap<Value, ValueStore::Handle>;

  InFlightDiagnostic fail(const Stage &stage, const Error &error) {
    ObserveOp observe = stage.observe;
    return emitError(observe.getLoc()) << "calibration of \"" << observe.getName() << "\": " << error.message;
  }

  /// The function's arguments come alive.
  LogicalResult start() {
    live.resize(batches.size());
    for (auto [batch, values] : llvm::zip(batches, live))
      for (auto [argument, input] : llvm::zip(function.getArguments(), batch.inputs)) {
        Result<ValueStore::Handle> handle = store.put(std::move(input));
        if (!handle)
          return emitError(function.getLoc()) << handle.error().message;
        for (Live &stream : values)
          stream[argument] = *handle;
      }
    return success();
  }

  LogicalResult runStage(const Stage &stage) {
    std::vector<qrt::Tensor> weights[2];
    bool weightsDiffer = false;
    if (failed(loadWeights(stage, weights, weightsDiffer)))
      return failure();
    StageReaders readers(function, stage);
    Statistics statistics(stage.observe, readers.rangeRule());
    FailureOr<Matrix<float>> targetWeights = readers.targetWeights();
    if (failed(targetWeights))
      return failure();
    for (size_t i = 0; i < batches.size(); ++i) {
      if (isCancelled(*function.getContext()))
        return failure();
      if (Status status = runBatch(stage, i, weights, weightsDiffer); !status)
        return fail(stage, status.error());
      if (Status status = measure(stage, i, readers.haveFloatTarget(), *targetWeights, statistics); !status)
        return fail(stage, status.error());
      if (options.onProgress)
        options.onProgress(++done, static_cast<int64_t>(batches.size() * plan.stages.size()));
    }
    for (const StageWeights &used : stage.weights)
      if (used.linear)
        quantized.erase(used.linear->op);
    // The solvers need the memory.
    weights[Quantized].clear();
    weights[Float].clear();
    *targetWeights = Matrix<float>();
    return finish(stage, statistics);
  }

  /// Both models' weights of a stage. A model whose weights are all equal to the
  /// other's shares them.
  LogicalResult loadWeights(const Stage &stage, std::vector<qrt::Tensor> (&weights)[2], bool &differ) {
    for (const StageWeights &source : stage.weights) {
      std::optional<Matrix<float>> replacement;
      if (source.linear && failed(quantizedWeights(*source.linear, replacement)))
        return failure();
      qrt::Tensor original;
      if (needsFloat || !replacement) {
        Result<qrt::Tensor> tensor = makeTensor(source.value, source.isWidened);
        if (!tensor)
          return fail(stage, tensor.error());
        original = std::move(*tensor);
      }
      differ |= replacement.has_value();
      weights[Quantized].push_back(replacement ? transpose(*replacement) : original);
      weights[Float].push_back(original);
    }
    return success();
  }

  /// What the weights of `linear` are after quantization, [N, K]; nothing while they
  /// are as they were.
  LogicalResult quantizedWeights(const Linear &linear, std::optional<Matrix<float>> &result) {
    if (auto found = quantized.find(linear.op); found != quantized.end()) {
      result = dequantize(found->second);
    } else if (linear.isQuantizedWithoutData()) {
      FailureOr<Matrix<float>> weights = readWeights(linear);
      if (failed(weights))
        return failure();
      auto quantizer = WeightQuantizer::create(linear.scheme.getValue(), linear.inFeatures, /*measured=*/nullptr,
                                               /*isLast=*/true, parallelFor);
      QuantizerFigures figures;
      result = dequantize(*(*quantizer)->quantize(*weights, figures, parallelFor));
    }
    return success();
  }

  /// [N, K] to a tensor [K, N].
  static qrt::Tensor transpose(const Matrix<float> &matrix) {
    qrt::Tensor tensor(ElementType::F32, {matrix.cols, matrix.rows});
    for (int64_t n = 0; n < matrix.rows; ++n)
      for (int64_t k = 0; k < matrix.cols; ++k)
        tensor.data<float>()[k * matrix.rows + n] = matrix(n, k);
    return tensor;
  }

  Status runBatch(const Stage &stage, size_t index, const std::vector<qrt::Tensor> (&weights)[2], bool weightsDiffer) {
    if (stage.function.empty())
      return {};
    bool equal = !weightsDiffer && llvm::all_of(stage.inputs, [&](Value input) {
      return live[index][Quantized].lookup(input) == live[index][Float].lookup(input);
    });
    for (Stream stream : {Quantized, Float}) {
      if (stream == Float && (!needsFloat || equal)) {
        for (Value output : stage.outputs)
          live[index][Float][output] = live[index][Quantized].lookup(output);
        break;
      }
      std::vector<qrt::Tensor> arguments;
      for (Value input : stage.inputs) {
        Result<qrt::Tensor> tensor = load(index, stream, input);
        if (!tensor)
          return tensor.error();
        arguments.push_back(std::move(*tensor));
      }
      arguments.insert(arguments.end(), weights[stream].begin(), weights[stream].end());
      Result<std::vector<qrt::Tensor>> results = runner->run(stage.function, arguments);
      if (!results)
        return results.error();
      if (results->size() != stage.outputs.size())
        return Error{"expected " + std::to_string(stage.outputs.size()) + " results but got " +
                     std::to_string(results->size())};
      for (auto [output, result] : llvm::zip(stage.outputs, *results)) {
        Result<ValueStore::Handle> handle = store.put(std::move(result));
        if (!handle)
          return handle.error();
        live[index][stream][output] = *handle;
      }
    }
    return {};
  }

  Result<qrt::Tensor> load(size_t index, Stream stream, Value value) {
    ValueStore::Handle handle = live[index][stream].lookup(value);
    if (!handle)
      return Error{"a value does not depend on the inputs"};
    return store.get(handle);
  }

  Status measure(const Stage &stage, size_t index, bool hasFloatTarget, const Matrix<float> &targetWeights,
                 Statistics &statistics) {
    ObserveOp observe = stage.observe;
    Value value = observe.getInput();
    Result<qrt::Tensor> x = load(index, Quantized, value);
    if (!x)
      return x.error();
    qrt::Tensor xFloat;
    if (hasFloatTarget && live[index][Float].lookup(value) != live[index][Quantized].lookup(value)) {
      Result<qrt::Tensor> tensor = load(index, Float, value);
      if (!tensor)
        return tensor.error();
      xFloat = *tensor;
    }
    MatrixRef<const float> weights;
    if (targetWeights.rows != 0)
      weights = targetWeights;
    DeviceProducts *device = statistics.hasHessian() ? runner->products() : nullptr;
    return statistics.add(*x, xFloat, batches[index], parallelFor, weights, device);
  }

  /// Ends the observer, then lets the next stages see what it decided.
  LogicalResult finish(const Stage &stage, Statistics &statistics) {
    ObserveOp observe = stage.observe;
    if (statistics.hasRange())
      observe.setAbsmaxAttr(Builder(observe).getF32FloatAttr(statistics.absMax()));
    if (failed(quantizeReaders(stage, statistics)))
      return failure();
    for (size_t i = 0; i < batches.size(); ++i) {
      for (Live &stream : live[i])
        stream[observe.getResult()] = stream.lookup(observe.getInput());
      if (statistics.hasRange())
        if (Status status = quantizeActivations(i, observe, statistics.scale(i)); !status)
          return fail(stage, status.error());
      for (Value value : stage.lastUses)
        for (Live &stream : live[i])
          stream.erase(value);
    }
    releaseFreedMemory();
    return success();
  }

  Status quantizeActivations(size_t index, ObserveOp observe, float scale) {
    Result<qrt::Tensor> x = load(index, Quantized, observe.getInput());
    if (!x)
      return x.error();
    Result<ValueStore::Handle> handle = store.put(roundTo(*x, scale, parallelFor));
    if (!handle)
      return handle.error();
    live[index][Quantized][observe.getResult()] = *handle;
    if (!needsFloat) // the streams are one
      live[index][Float][observe.getResult()] = *handle;
    return {};
  }

  /// Quantizes the linears that read the observer of `stage` and whose weights depend on
  /// what it measured.
  LogicalResult quantizeReaders(const Stage &stage, Statistics &statistics) {
    StageReaders::ByScheme readers = StageReaders(function, stage).byScheme();
    readers.remove_if([&](auto &entry) {
      StatisticSet needed = entry.first.getVariant().weightStatistics;
      return needed == StatisticSet::None || !observes(stage.observe, needed);
    });
    for (auto &[scheme, linears] : readers)
      if (failed(quantizeGroup(stage, scheme, linears, statistics, scheme == readers.back().first)))
        return failure();
    return success();
  }

  LogicalResult quantizeGroup(const Stage &stage, SchemeAttr scheme, ArrayRef<Linear> linears, Statistics &statistics,
                              bool isLast) {
    Clock::time_point begin = Clock::now();
    warnOfFewTokens(linears.front(), statistics);
    auto quantizer =
        WeightQuantizer::create(scheme.getValue(), linears.front().inFeatures, &statistics, isLast, parallelFor);
    if (!quantizer)
      return fail(stage, quantizer.error());
    FailureOr<std::vector<WeightCodes>> all =
        quantizeLinears(linears, **quantizer, secondsSince(begin), parallelFor, options.onLayer);
    if (failed(all))
      return failure();
    for (auto [linear, codes] : llvm::zip(linears, *all))
      quantized.insert_or_assign(linear.op, std::move(codes));
    return success();
  }

  /// A Hessian of fewer tokens than inputs is singular.
  void warnOfFewTokens(const Linear &linear, const Statistics &statistics) {
    if (warned || !statistics.hasHessian() || statistics.hessian().tokens >= linear.inFeatures)
      return;
    warned = true;
    emitWarning(linear.op->getLoc()) << "only " << statistics.hessian().tokens << " calibration tokens for the "
                                     << linear.inFeatures << " inputs of layer \"" << linear.name
                                     << "\": its codes are a guess";
  }

  /// An observer whose linears have been quantized has nothing left to say.
  void removeFinished() {
    for (const Stage &stage : plan.stages) {
      ObserveOp observe = stage.observe;
      if (observes(observe, StatisticSet::AbsMax))
        continue;
      observe.replaceAllUsesWith(observe.getInput());
      observe.erase();
    }
  }

  func::FuncOp function;
  const CalibrationOptions &options;
  qrt::ThreadPool pool;
  ParallelFor parallelFor;
  ValueStore store;
  std::vector<SampleBatch> batches;
  StagePlan plan;
  std::unique_ptr<StageRunner> runner;
  bool needsFloat = false;
  bool warned = false;                          ///< of too few tokens, once
  std::vector<std::array<Live, 2>> live;        ///< by batch and stream
  std::map<Operation *, WeightCodes> quantized; ///< by what was measured, until the stage that computes with them
  int64_t done = 0;                             ///< batches of all stages
};

} // namespace

FailureOr<CalibrationSummary> qopt::calibrate(func::FuncOp function, const std::vector<std::vector<int32_t>> &windows,
                                              const CalibrationOptions &options, const StageRunnerFactory &makeRunner) {
  return Calibrator(function, options).run(windows, makeRunner);
}
