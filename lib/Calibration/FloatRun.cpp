//===- FloatRun.cpp - The float model's activations on calibration text ---===//
//
// The values that a stage starts from live until its observer has been visited, so that the
// stage can run again with other weights.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/FloatRun.h"
#include "LiveValues.h"
#include "StageQuantizer.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Cancellation.h"

using namespace mlir;
using namespace qopt;

namespace {

class FloatRun {
public:
  FloatRun(func::FuncOp function, const FloatRunOptions &options)
      : function(function), options(options), pool(options.threads), parallelFor(makeParallelFor(pool)),
        live(options.maxMemory) {}

  LogicalResult run(const std::vector<std::vector<int32_t>> &windows, const StageRunnerFactory &makeRunner,
                    function_ref<Status(const ObservedValue &, const ParallelFor &)> visit) {
    Result<std::vector<SampleBatch>> made = makeBatches(function, windows, options.batchSize);
    if (!made)
      return emitError(function.getLoc()) << made.error().message;
    batches = std::move(*made);
    FailureOr<StagePlan> plan = outlineStages(function);
    if (failed(plan))
      return failure();
    if (Status status = live.start(function, batches); !status)
      return emitError(function.getLoc()) << status.error().message;
    FailureOr<std::unique_ptr<StageRunner>> compiled = makeRunner(*plan->module, pool);
    if (failed(compiled))
      return failure();
    runner = std::move(*compiled);
    total = static_cast<int64_t>(batches.size() * plan->stages.size());
    for (const Stage &stage : plan->stages) {
      if (Status status = runStage(stage, visit); !status)
        return isCancelled(*function.getContext()) ? failure() : LogicalResult(emitStageError(stage, status.error()));
      ObserveOp observe = stage.observe;
      for (size_t i = 0; i < batches.size(); ++i) {
        live.alias(i, observe.getResult(), observe.getInput());
        for (Value value : stage.lastUses)
          live.erase(i, value);
      }
    }
    return success();
  }

private:
  /// What is visited: one stage, its weights, and the run that has the rest.
  class Visited : public ObservedValue {
  public:
    Visited(FloatRun &run, const Stage &stage, std::vector<qrt::Tensor> weights)
        : run(run), stage(stage), weights(std::move(weights)) {}

    ObserveOp observe() const override { return stage.observe; }
    size_t numBatches() const override { return run.batches.size(); }
    std::span<const uint8_t> mask(size_t batch) const override { return run.batches[batch].mask; }
    Result<qrt::Tensor> load(size_t batch) const override {
      ObserveOp op = stage.observe;
      return run.live.load(batch, Float, op.getInput());
    }
    Result<qrt::Tensor> compute(size_t batch, const WeightChoice &choice) const override {
      Result<std::vector<qrt::Tensor>> results = runStageFor(batch, choice);
      if (!results)
        return results.error();
      ObserveOp op = stage.observe;
      return std::move((*results)[llvm::find(stage.outputs, op.getInput()) - stage.outputs.begin()]);
    }

    /// All outputs of the stage.
    Result<std::vector<qrt::Tensor>> runStageFor(size_t batch, const WeightChoice &choice) const {
      std::vector<qrt::Tensor> arguments;
      for (Value input : stage.inputs) {
        Result<qrt::Tensor> tensor = run.live.load(batch, Float, input);
        if (!tensor)
          return tensor.error();
        arguments.push_back(std::move(*tensor));
      }
      for (auto [source, tensor] : llvm::zip(stage.weights, weights)) {
        auto chosen = source.linear ? choice.find(source.linear->op) : choice.end();
        arguments.push_back(chosen == choice.end() ? tensor : chosen->second);
      }
      return run.runner->run(stage.function, arguments);
    }

  private:
    FloatRun &run;
    const Stage &stage;
    std::vector<qrt::Tensor> weights;
  };

  Status runStage(const Stage &stage, function_ref<Status(const ObservedValue &, const ParallelFor &)> visit) {
    std::vector<qrt::Tensor> weights;
    for (const StageWeights &source : stage.weights) {
      Result<qrt::Tensor> tensor = makeTensor(source.value, source.isWidened);
      if (!tensor)
        return tensor.error();
      weights.push_back(std::move(*tensor));
    }
    Visited visited(*this, stage, std::move(weights));
    for (size_t i = 0; i < batches.size(); ++i) {
      if (isCancelled(*function.getContext()))
        return Error{"cancelled"};
      if (!stage.function.empty()) {
        Result<std::vector<qrt::Tensor>> results = visited.runStageFor(i, WeightChoice());
        if (!results)
          return results.error();
        for (auto [output, result] : llvm::zip(stage.outputs, *results))
          if (Status status = live.set(i, Float, output, std::move(result)); !status)
            return status;
      }
      if (Status status = check(visited, i); !status)
        return status;
      if (options.onProgress)
        options.onProgress(++done, total);
    }
    return visit(visited, parallelFor);
  }

  Status check(const Visited &visited, size_t batch) const {
    Result<qrt::Tensor> value = visited.load(batch);
    if (!value)
      return value.error();
    return checkActivations(*value, batches[batch]);
  }

  func::FuncOp function;
  const FloatRunOptions &options;
  qrt::ThreadPool pool;
  ParallelFor parallelFor;
  LiveValues live;
  std::vector<SampleBatch> batches;
  std::unique_ptr<StageRunner> runner;
  int64_t done = 0, total = 0; ///< batches of all stages
};

} // namespace

FloatRunOptions qopt::floatRunOptions(MLIRContext &context) {
  FloatRunOptions options;
  if (CalibrationContext *driver = CalibrationContext::get(context)) {
    options.threads = driver->threads;
    options.maxMemory = driver->maxMemory;
    options.onProgress = driver->onProgress;
  }
  return options;
}

LogicalResult qopt::runFloat(func::FuncOp function, const std::vector<std::vector<int32_t>> &windows,
                             const FloatRunOptions &options, const StageRunnerFactory &makeRunner,
                             function_ref<Status(const ObservedValue &, const ParallelFor &)> visit) {
  return FloatRun(function, options).run(windows, makeRunner, visit);
}
