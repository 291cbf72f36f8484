//===- Calibrator.cpp - Measure, quantize, go on --------------------------===//
//
// Stage by stage: the values alive at a cut are kept for all samples, then the group
// that reads them is quantized, and the next stage computes with its codes.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Calibrator.h"
#include "Checkpoint.h"
#include "SavedStatistics.h"
#include "StageClock.h"
#include "StageQuantizer.h"
#include "Statistics.h"
#include "qopt/Calibration/Stages.h"
#include "qopt/Dialect/Cancellation.h"
#include "qopt/Support/Memory.h"
#include <chrono>
#include <cmath>

using namespace mlir;
using namespace qopt;

static double steadySeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void qopt::addNotes(std::function<void(const std::string &)> note, CalibrationOptions &options) {
  constexpr double kLong = 600; // seconds that nobody likes to lose
  options.onResume = [note](int64_t done, int64_t total) {
    note("calibration goes on: " + std::to_string(done) + " of " + std::to_string(total) +
         " groups are in the checkpoint");
  };
  if (options.checkpoint.empty())
    options.onEstimate = [note = std::move(note), told = false](double seconds) mutable {
      if (!told && seconds > kLong)
        note("calibration will take about " + std::to_string(std::lround(seconds / 60)) +
             " minutes; with --checkpoint=DIR a run that is ended goes on where it stopped");
      told |= seconds > kLong;
    };
}

namespace {

class Calibrator {
public:
  Calibrator(func::FuncOp function, const CalibrationOptions &options)
      : function(function), options(options), pool(options.threads), parallelFor(makeParallelFor(pool)),
        live(options.maxMemory), codes(function, options, parallelFor) {}

  FailureOr<CalibrationSummary> run(const std::vector<std::vector<int32_t>> &windows,
                                    const StageRunnerFactory &makeRunner) {
    if (options.load.empty()) {
      Result<std::vector<SampleBatch>> made = makeBatches(function, windows, options.batchSize);
      if (!made)
        return emitError(function.getLoc()) << made.error().message;
      batches = std::move(*made);
      llvm::for_each(batches, [&](const SampleBatch &batch) { numTokens += batch.tokens; });
    }
    FailureOr<StagePlan> outlined = outlineStages(function);
    if (failed(outlined))
      return failure();
    plan = std::move(*outlined);
    // Which layer's statistics would not fit is said before hours are spent on the others.
    int64_t free = options.freeMemory != 0 ? options.freeMemory : availableMemory();
    for (const Stage &stage : plan.stages)
      if (failed(StageReaders(stage).checkMemory(free)))
        return failure();
    needsFloat = llvm::any_of(function.getOps<onnx::MatMulOp>(), [](onnx::MatMulOp op) {
      std::optional<Linear> linear = Linear::match(op);
      return linear && op.getA().getDefiningOp<ObserveOp>() && hasFloatTarget(*linear);
    });
    if (Status status = live.start(function, batches); !status)
      return emitError(function.getLoc()) << status.error().message;
    size_t first = 0;
    if (failed(resume(windows, first)))
      return failure();
    if (failed(openStatistics()))
      return failure();
    if (first < plan.stages.size() && options.load.empty()) {
      FailureOr<std::unique_ptr<StageRunner>> compiled = makeRunner(*plan.module, pool);
      if (failed(compiled))
        return failure();
      runner = std::move(*compiled);
    }
    StageClock clock(plan, first, options.clock ? options.clock : steadySeconds);
    for (size_t i = first; i < plan.stages.size(); ++i) {
      if (failed(runStage(plan.stages[i])))
        return failure();
      if (options.onEstimate)
        options.onEstimate(clock.finish());
    }
    if (Status status = saving ? saving->finish() : Status(); !status)
      return emitError(function.getLoc()) << status.error().message;
    removeFinished();
    return CalibrationSummary{static_cast<int64_t>(plan.stages.size()), plan.numDistinct};
  }

private:
  /// Repeats what earlier runs decided; `first` is the stage to go on with.
  LogicalResult resume(const std::vector<std::vector<int32_t>> &windows, size_t &first) {
    if (options.checkpoint.empty())
      return success();
    auto failWith = [&](const Error &error) { return emitError(function.getLoc()) << error.message; };
    Result<std::unique_ptr<Checkpoint>> opened =
        Checkpoint::open(options.checkpoint, function, fingerprint(function, windows, options, parallelFor));
    if (!opened)
      return failWith(opened.error());
    checkpoint = std::move(*opened);
    first = checkpoint->numStages();
    if (first > plan.stages.size())
      return failWith({"the checkpoint has more groups of layers than the model"});
    if (first == 0)
      return success();
    if (Status status = checkpoint->readValues(live); !status)
      return failWith(status.error());
    if (options.onResume)
      options.onResume(static_cast<int64_t>(first), static_cast<int64_t>(plan.stages.size()));
    for (size_t i = 0; i < first; ++i) {
      Result<StageResult> result = checkpoint->readStage(i);
      if (!result)
        return failWith(result.error());
      if (result->absMax)
        setAbsMax(plan.stages[i].observe, *result->absMax);
      if (failed(codes.repeat(plan.stages[i], *result)))
        return failure();
    }
    done = static_cast<int64_t>(batches.size() * first);
    if (options.onProgress)
      options.onProgress(done, static_cast<int64_t>(batches.size() * plan.stages.size()));
    return success();
  }

  /// Opens the files of statistics that are read or written.
  LogicalResult openStatistics() {
    bool areUsed = !options.save.empty() || !options.load.empty();
    std::string model = areUsed ? fingerprintOfModel(function, parallelFor) : "";
    if (!options.load.empty()) {
      Result<SavedStatistics> opened = SavedStatistics::open(options.load, model);
      if (!opened)
        return emitError(function.getLoc()) << opened.error().message;
      loaded.emplace(std::move(*opened));
    }
    if (!options.save.empty()) {
      Result<StatisticsFile> created = StatisticsFile::create(options.save, model);
      if (!created)
        return emitError(function.getLoc()) << created.error().message;
      saving.emplace(std::move(*created));
    }
    return success();
  }

  /// What a stage would have measured, from files.
  LogicalResult loadStage(const Stage &stage) {
    ObserveOp observe = stage.observe;
    Statistics statistics(observe, StageReaders(stage).rangeOptions());
    if (Status status = loaded->addTo(observe.getName(), statistics); !status)
      return emitError(observe.getLoc()) << status.error().message;
    return finish(stage, statistics);
  }

  LogicalResult runStage(const Stage &stage) {
    if (loaded)
      return loadStage(stage);
    std::vector<qrt::Tensor> weights[2];
    bool weightsDiffer = false;
    if (failed(loadWeights(stage, weights, weightsDiffer)))
      return failure();
    StageReaders readers(stage);
    RangeOptions range = readers.rangeOptions();
    range.isSaved = saving.has_value();
    Statistics statistics(stage.observe, range);
    FailureOr<Matrix<float>> targetWeights = readers.targetWeights();
    if (failed(targetWeights))
      return failure();
    for (size_t i = 0; i < batches.size(); ++i) {
      if (isCancelled(*function.getContext()))
        return failure();
      if (Status status = runBatch(stage, i, weights, weightsDiffer); !status)
        return emitStageError(stage, status.error());
      if (Status status = measure(stage, i, readers.haveFloatTarget(), *targetWeights, statistics); !status)
        return emitStageError(stage, status.error());
      if (options.onProgress)
        options.onProgress(++done, static_cast<int64_t>(batches.size() * plan.stages.size()));
    }
    codes.forget(stage);
    // The solvers need the memory.
    weights[Quantized].clear();
    weights[Float].clear();
    *targetWeights = Matrix<float>();
    if (saving)
      if (Status status = saving->add(ObserveOp(stage.observe).getName(), statistics); !status)
        return emitStageError(stage, status.error());
    return finish(stage, statistics);
  }

  /// Both models' weights of a stage. A model whose weights are all equal to the
  /// other's shares them.
  LogicalResult loadWeights(const Stage &stage, std::vector<qrt::Tensor> (&weights)[2], bool &differ) {
    for (const StageWeights &source : stage.weights) {
      std::optional<qrt::Tensor> replacement;
      if (source.linear && failed(codes.weightsOf(*source.linear, replacement)))
        return failure();
      qrt::Tensor original;
      if (needsFloat || !replacement) {
        Result<qrt::Tensor> tensor = makeTensor(source.value, source.isWidened);
        if (!tensor)
          return emitStageError(stage, tensor.error());
        original = std::move(*tensor);
      }
      differ |= replacement.has_value();
      weights[Quantized].push_back(replacement.value_or(original));
      weights[Float].push_back(original);
    }
    return success();
  }

  Status runBatch(const Stage &stage, size_t index, const std::vector<qrt::Tensor> (&weights)[2], bool weightsDiffer) {
    if (stage.function.empty())
      return {};
    bool equal = !weightsDiffer && llvm::all_of(stage.inputs, [&](Value input) { return live.isShared(index, input); });
    for (Stream stream : {Quantized, Float}) {
      if (stream == Float && (!needsFloat || equal)) {
        for (Value output : stage.outputs)
          live.share(index, output);
        break;
      }
      std::vector<qrt::Tensor> arguments;
      for (Value input : stage.inputs) {
        Result<qrt::Tensor> tensor = live.load(index, stream, input);
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
      for (auto [output, result] : llvm::zip(stage.outputs, *results))
        if (Status status = live.set(index, stream, output, std::move(result)); !status)
          return status;
    }
    return {};
  }

  Status measure(const Stage &stage, size_t index, bool hasFloatTarget, const Matrix<float> &targetWeights,
                 Statistics &statistics) {
    ObserveOp observe = stage.observe;
    Value value = observe.getInput();
    Result<qrt::Tensor> x = live.load(index, Quantized, value);
    if (!x)
      return x.error();
    qrt::Tensor xFloat;
    if (hasFloatTarget && !live.isShared(index, value)) {
      Result<qrt::Tensor> tensor = live.load(index, Float, value);
      if (!tensor)
        return tensor.error();
      xFloat = *tensor;
    }
    LinearTarget linear;
    Matrix<float> residual;
    if (targetWeights.rows != 0 && xFloat.data<float>()) {
      linear.weights = targetWeights;
      Value ahead = numTokens >= kResidualTokensPerInput * targetWeights.cols ? stage.residual : Value();
      if (Status status = live.loadAhead(index, ahead, parallelFor, residual); !status)
        return status;
      if (residual.rows * x->dims().back() == x->numElements() && residual.cols == targetWeights.rows)
        linear.residual = residual;
    }
    DeviceProducts *device = statistics.hasHessian() ? runner->products() : nullptr;
    return statistics.add(*x, xFloat, batches[index], parallelFor, linear, device);
  }

  static void setAbsMax(ObserveOp observe, float value) {
    observe.setAbsmaxAttr(Builder(observe).getF32FloatAttr(value));
  }

  /// Ends the observer, then lets the next stages see what it decided.
  LogicalResult finish(const Stage &stage, Statistics &statistics) {
    ObserveOp observe = stage.observe;
    StageResult result;
    if (statistics.hasRange()) {
      result.absMax = statistics.absMax();
      setAbsMax(observe, *result.absMax);
    }
    if (failed(codes.quantize(stage, statistics, result)))
      return failure();
    for (size_t i = 0; i < batches.size(); ++i) {
      live.alias(i, observe.getResult(), observe.getInput());
      if (statistics.hasRange())
        if (Status status = quantizeActivations(i, observe, statistics.scale(i)); !status)
          return emitStageError(stage, status.error());
      for (Value value : stage.lastUses)
        live.erase(i, value);
    }
    if (&stage == &plan.stages.back()) // nothing is computed any more
      live.clear();
    releaseFreedMemory();
    if (checkpoint)
      if (Status status = checkpoint->add(result, live); !status)
        return emitStageError(stage, status.error());
    return success();
  }

  Status quantizeActivations(size_t index, ObserveOp observe, float scale) {
    Result<qrt::Tensor> x = live.load(index, Quantized, observe.getInput());
    if (!x)
      return x.error();
    if (Status status = live.set(index, Quantized, observe.getResult(), roundTo(*x, scale, parallelFor)); !status)
      return status;
    if (!needsFloat) // the streams are one
      live.share(index, observe.getResult());
    return {};
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
  LiveValues live;
  StageQuantizer codes;
  std::vector<SampleBatch> batches;
  int64_t numTokens = 0; ///< of all batches
  StagePlan plan;
  std::unique_ptr<StageRunner> runner;
  bool needsFloat = false;
  std::optional<SavedStatistics> loaded;  ///< instead of samples
  std::optional<StatisticsFile> saving;   ///< where one was asked for
  std::unique_ptr<Checkpoint> checkpoint; ///< null where none was asked for
  int64_t done = 0;                       ///< batches of all stages
};

} // namespace

FailureOr<CalibrationSummary> qopt::calibrate(func::FuncOp function, const std::vector<std::vector<int32_t>> &windows,
                                              const CalibrationOptions &options, const StageRunnerFactory &makeRunner) {
  return Calibrator(function, options).run(windows, makeRunner);
}
