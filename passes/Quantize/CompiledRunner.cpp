//===- CompiledRunner.cpp - Stages as host code of this machine -----------===//
//
// The code generator of modules, in process: calibration computes what the module will.
//
//===----------------------------------------------------------------------===//
#include "CompiledRunner.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Passes/Codegen.h"
#include "qopt/Passes/Lower.h"

using namespace mlir;
using namespace qopt;

namespace {

class CompiledRunner : public StageRunner {
public:
  explicit CompiledRunner(qrt::ThreadPool &threads) : threads(threads) {}

  LogicalResult compile(ModuleOp module) {
    const HostLevel *level = findHostLevel(qrt::hostLevel());
    if (!level)
      return module.emitError("calibration needs a processor with AVX2");
    FailureOr<LoweredModule> result = lowerModule(module);
    if (failed(result))
      return failure();
    lowered = std::move(*result);
    FailureOr<std::vector<char>> object = compileHost(module, *level);
    if (failed(object))
      return failure();
    auto loaded = qrt::HostCode::load(*object);
    if (!loaded)
      return module.emitError() << "cannot load the code of a stage: " << loaded.error().message;
    code = *loaded;
    for (auto [parameter, data] : llvm::zip(lowered.parameters, lowered.weights))
      parameters.push_back(aligned(parameter, data));
    return success();
  }

  Result<std::vector<qrt::Tensor>> run(StringRef name, ArrayRef<qrt::Tensor> inputs) override {
    QrtEntry entry = code->entry(name.str());
    auto found = llvm::find_if(lowered.entryPoints, [&](const EntryPoint &point) { return point.name == name; });
    if (!entry || found == lowered.entryPoints.end())
      return Error{"no stage \"" + name.str() + "\""};
    return qrt::call(entry, threads, parameters, {inputs.data(), inputs.size()}, found->outputs.size());
  }

private:
  /// Entry points want their parameters at multiples of 64 bytes; arrays in a model
  /// file may lie anywhere.
  const void *aligned(const Parameter &parameter, std::span<const char> data) {
    if (reinterpret_cast<uintptr_t>(data.data()) % 64 == 0)
      return data.data();
    copies.emplace_back(parameter.type, parameter.dims);
    std::memcpy(copies.back().data<char>(), data.data(), data.size());
    return copies.back().data<char>();
  }

  qrt::ThreadPool &threads;
  LoweredModule lowered;
  std::shared_ptr<const qrt::HostCode> code;
  std::vector<const void *> parameters;
  std::vector<qrt::Tensor> copies;
};

} // namespace

FailureOr<std::unique_ptr<StageRunner>> qopt::createCompiledRunner(ModuleOp module, qrt::ThreadPool &threads) {
  auto runner = std::make_unique<CompiledRunner>(threads);
  if (failed(runner->compile(module)))
    return failure();
  return std::unique_ptr<StageRunner>(std::move(runner));
}

StageRunnerFactory qopt::chooseRunner(MLIRContext &context) {
  CalibrationContext *driver = CalibrationContext::get(context);
  return driver && driver->makeRunner ? driver->makeRunner : createCompiledRunner;
}
