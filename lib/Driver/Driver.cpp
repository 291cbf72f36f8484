//===- Driver.cpp - One model from file to file ---------------------------===//
#include "qopt/Driver/Driver.h"
#include "Diagnostics.h"
#include "ModelFiles.h"
#include "WriteModule.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Import/Import.h"
#include "qopt/InitAll.h"
#include "llvm/ADT/StringRef.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <sys/resource.h>

using namespace mlir;
using namespace qopt;

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// One compilation: the context, the IR and what was read beside the model.
class Compilation {
public:
  explicit Compilation(const CompileOptions &options) : options(options), context(registry()) {
    // Calibration compiles inside a pass, where no dialect may be loaded any more.
    context.loadAllAvailableDialects();
    if (options.threads == 1)
      context.disableMultithreading();
  }

  Result<CompileReport> run();
  Result<CompileReport> list();

private:
  static DialectRegistry registry() {
    DialectRegistry registry;
    registerAllDialects(registry);
    static const bool once = (registerAllPasses(), true);
    (void)once;
    return registry;
  }

  Status import();
  Status readCalibration();
  /// Runs a textual pipeline; an error names the model and the node.
  Status runPasses(const std::string &pipeline);
  Status raise() { return runPasses("qopt-raise"); }
  Status quantize();
  CompileReport summarize();

  func::FuncOp function() { return *module->getOps<func::FuncOp>().begin(); }

  const CompileOptions &options;
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  TokenizerFile tokenizer;
  int64_t contextLength = 0, vocabularySize = 0;
  double quantizeSeconds = 0;
  int64_t calibrationTokens = 0;
};

} // namespace

/// The last dimension of the first result: what logits are counted in.
static int64_t outputWidth(func::FuncOp function) {
  if (function.getNumResults() == 0)
    return 0;
  auto type = dyn_cast<RankedTensorType>(function.getResultTypes()[0]);
  if (!type || type.getRank() == 0 || type.isDynamicDim(type.getRank() - 1))
    return 0;
  return type.getShape().back();
}

Status Compilation::import() {
  std::string error;
  module = loadModel(options.model, context, ImportOptions(), error);
  if (!module)
    return Error{error};
  contextLength = readContextLength(options.model);
  if (contextLength > 0)
    (*module)->setAttr("qopt.context_length", Builder(&context).getI64IntegerAttr(contextLength));
  vocabularySize = outputWidth(function());
  Result<TokenizerFile> file = readTokenizer(options);
  if (!file)
    return file.error();
  tokenizer = std::move(*file);
  if (tokenizer.tokenizer && vocabularySize > 0 && tokenizer.tokenizer->vocabularySize() > vocabularySize)
    return Error{tokenizer.path + ": the tokenizer has " + std::to_string(tokenizer.tokenizer->vocabularySize()) +
                 " tokens but the model only " + std::to_string(vocabularySize)};
  return Status::success();
}

Status Compilation::readCalibration() {
  auto &calibration = CalibrationContext::attach(context);
  calibration.threads = options.threads;
  calibration.maxMemory = options.maxMemory;
  calibration.overrides = options.overrides;
  calibration.onLayer = options.onLayer;
  calibration.onProgress = options.onProgress;
  if (options.calibration.empty())
    return Status::success();
  auto samples = readSamples(options, tokenizer.tokenizer.get(), contextLength, vocabularySize);
  if (!samples)
    return samples.error();
  calibration.samples = std::move(*samples);
  for (const std::vector<int32_t> &window : calibration.samples)
    calibrationTokens += window.size();
  return Status::success();
}

Status Compilation::runPasses(const std::string &pipeline) {
  DiagnosticCollector diagnostics(context, options.model);
  PassManager manager(&context);
  if (options.mlirOptions && failed(applyPassManagerCLOptions(manager)))
    return diagnostics.error("cannot apply the MLIR options");
  std::string parseError;
  llvm::raw_string_ostream stream(parseError);
  if (failed(parsePassPipeline(pipeline, manager, stream)))
    return Error{"pipeline \"" + pipeline + "\": " + firstLine(stream.str())};
  if (failed(manager.run(*module)))
    return diagnostics.error("a pass failed");
  diagnostics.forwardWarnings(options.onWarning);
  return Status::success();
}

/// The pipeline that the user asked for, as text for MLIR's parser. `--compat=X`
/// is the option compat=X of every scheme that can be made to repeat package X.
static std::string pipelineText(const CompileOptions &options) {
  std::string text = options.pipeline;
  if (StringRef(text).starts_with("builtin.module("))
    text = text.substr(15, text.size() - 16);
  static const std::multimap<std::string, std::string> schemes = {
      {"gptq", "rtn-int4"}, {"gptq", "gptq-int4"}, {"quanto", "int8-static"}};
  auto [first, last] = schemes.equal_range(options.compat);
  for (const auto &[package, scheme] : llvm::make_range(first, last)) {
    size_t end = text.find(scheme);
    if (end == std::string::npos)
      continue;
    end += scheme.size();
    if (end < text.size() && text[end] == '{')
      text.insert(end + 1, "compat=" + package + " ");
    else
      text.insert(end, "{compat=" + package + "}");
  }
  return text;
}

Status Compilation::quantize() {
  Clock::time_point start = Clock::now();
  Status status = runPasses(pipelineText(options));
  quantizeSeconds = secondsSince(start);
  return status;
}

CompileReport Compilation::summarize() {
  CompileReport report;
  report.model = std::filesystem::path(options.model).filename().string();
  report.pipeline = options.pipeline;
  report.layers = listLayers(function());
  report.calibrationTokens = calibrationTokens;
  report.quantizeSeconds = quantizeSeconds;
  // What only the quantizers know joins what the graph shows.
  std::map<std::string, LayerReport> measured;
  for (LayerReport &layer : CalibrationContext::attach(context).takeLayers())
    measured[layer.name] = std::move(layer);
  double bits = 0;
  for (LayerReport &layer : report.layers) {
    if (auto found = measured.find(layer.name); found != measured.end()) {
      std::string group = layer.group;
      layer = found->second;
      layer.group = group;
    }
    int64_t weights = layer.outFeatures * layer.inFeatures;
    if (layer.scheme == "float" && !options.pipeline.empty())
      continue;
    report.linearWeights += weights;
    bits += layer.bitsPerWeight * weights;
  }
  report.bitsPerWeight = report.linearWeights ? bits / report.linearWeights : 0;
  report.linearBytes = static_cast<int64_t>(bits / 8);
  return report;
}

static int64_t peakMemory() {
  rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss * int64_t(1024) : 0;
}

Result<CompileReport> Compilation::run() {
  Clock::time_point start = Clock::now();
  bool writesModule = StringRef(options.output).ends_with(".qmod") && options.until == Phase::End;
  if (Status status = import(); !status)
    return status.error();
  if (Status status = readCalibration(); !status)
    return status.error();
  if (options.until >= Phase::Raise)
    if (Status status = raise(); !status)
      return status.error();
  if (options.until >= Phase::Quantize && !options.pipeline.empty())
    if (Status status = quantize(); !status)
      return status.error();
  CompileReport report = summarize();

  if (writesModule) {
    ModuleContents contents;
    contents.model = report.model;
    contents.pipeline = options.pipeline;
    contents.contextLength = contextLength;
    contents.vocabularySize = vocabularySize;
    contents.layers = report.layers;
    if (tokenizer.file)
      contents.tokenizer = tokenizer.file->text();
    Result<int64_t> bytes = writeModule(*module, contents, options);
    if (!bytes)
      return bytes.error();
    report.moduleBytes = *bytes;
  } else {
    if (options.until == Phase::Lower)
      if (Status status = runPasses("qopt-lower"); !status)
        return status.error();
    if (!options.output.empty())
      if (Status status = writeIr(*module, options.output); !status)
        return status.error();
  }
  report.seconds = secondsSince(start);
  report.peakMemoryBytes = peakMemory();
  return report;
}

Result<CompileReport> Compilation::list() {
  if (Status status = import(); !status)
    return status.error();
  if (Status status = raise(); !status)
    return status.error();
  return summarize();
}

Result<CompileReport> qopt::compileModel(const CompileOptions &options) { return Compilation(options).run(); }

Result<CompileReport> qopt::listModelLayers(const CompileOptions &options) { return Compilation(options).list(); }
