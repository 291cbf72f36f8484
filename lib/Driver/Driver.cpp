//===- Driver.cpp - One model from file to file ---------------------------===//
#include "qopt/Driver/Driver.h"
#include "Diagnostics.h"
#include "ModelFiles.h"
#include "WriteModule.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Import/Import.h"
#include "qopt/InitAll.h"
#include "qopt/Support/Utf8.h"
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
  Status raise();
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

/// The last dimension of the logits, which have one for each token of the vocabulary; 0
/// where there are none, or it is not known.
static int64_t logitsWidth(func::FuncOp function) {
  for (auto [i, result] : llvm::enumerate(function.getResultTypes())) {
    Role role = getResultRole(function, i);
    auto type = dyn_cast<RankedTensorType>(result);
    if ((role == Role::Logits || role == Role::LastLogits) && type && !type.isDynamicDim(type.getRank() - 1))
      return type.getShape().back();
  }
  return 0;
}

Status Compilation::import() {
  std::string error;
  module = loadModel(options.model, context, ImportOptions(), error);
  if (!module)
    return Error{error};
  contextLength = readContextLength(options.model);
  if (contextLength > 0)
    setAttr<attrs::ContextLength>(*module, Builder(&context).getI64IntegerAttr(contextLength));
  Result<TokenizerFile> file = readTokenizer(options);
  if (!file)
    return file.error();
  tokenizer = std::move(*file);
  return {};
}

Status Compilation::readCalibration() {
  auto &calibration = CalibrationContext::attach(context);
  calibration.threads = options.threads;
  calibration.maxMemory = options.maxMemory;
  calibration.overrides = options.overrides;
  calibration.onLayer = options.onLayer;
  calibration.onProgress = options.onProgress;
  if (options.calibration.empty())
    return {};
  auto samples = readSamples(options, tokenizer.tokenizer.get(), contextLength, vocabularySize);
  if (!samples)
    return samples.error();
  calibration.samples = std::move(*samples);
  for (const std::vector<int32_t> &window : calibration.samples)
    calibrationTokens += window.size();
  return {};
}

/// MLIR says "MLIR Textual PassPipeline Parser:1:1: error: 'x' does not refer to ...".
static std::string describeParseError(StringRef pipeline, const std::string &message) {
  std::string line = firstLine(message);
  StringRef reason = line;
  if (size_t at = reason.find("error: "); at != StringRef::npos)
    reason = reason.substr(at + StringRef("error: ").size());
  reason.consume_front("<Pass-Options-Parser>: ");
  if (reason.contains("does not refer to a registered pass"))
    reason = "there is no such pipeline; there are float, int8-weights, int8-static, int8-dynamic, llm-int8, rtn-int4 "
             "and gptq-int4, and MLIR's and qopt's passes by name";
  return "pipeline \"" + printable(pipeline.str()) + "\": " + printable(reason.str());
}

Status Compilation::runPasses(const std::string &pipeline) {
  DiagnosticCollector diagnostics(context, options.model);
  PassManager manager(&context);
  if (options.mlirOptions && failed(applyPassManagerCLOptions(manager)))
    return diagnostics.error("cannot apply the MLIR options");
  std::string parseError;
  llvm::raw_string_ostream stream(parseError);
  if (failed(parsePassPipeline(pipeline, manager, stream)))
    return Error{describeParseError(pipeline, parseError)};
  if (failed(manager.run(*module)))
    return diagnostics.error("a pass failed");
  diagnostics.forwardWarnings(options.onWarning);
  return {};
}

/// Positions that all rotary tables have; 0 without tables.
static int64_t positionsOfTables(func::FuncOp function) {
  int64_t positions = 0;
  function.walk([&](onnx::RotaryEmbeddingOp op) {
    auto table = dyn_cast<RankedTensorType>(op.getCosCache().getType());
    if (op.getPositionIds() && table && table.getRank() == 2 && !table.isDynamicDim(0))
      positions = positions ? std::min(positions, table.getDimSize(0)) : table.getDimSize(0);
  });
  return positions;
}

Status Compilation::raise() {
  if (Status status = runPasses("qopt-raise"); !status)
    return status;
  if (contextLength == 0)
    contextLength = positionsOfTables(function());
  vocabularySize = logitsWidth(function());
  if (tokenizer.tokenizer && vocabularySize > 0 && tokenizer.tokenizer->vocabularySize() > vocabularySize)
    return Error{tokenizer.path + ": the tokenizer has " + std::to_string(tokenizer.tokenizer->vocabularySize()) +
                 " tokens but the model only " + std::to_string(vocabularySize)};
  return {};
}

/// The pipeline that the user asked for, as text for MLIR's parser. `--compat=X` is
/// the first option, compat=X, of a scheme that can be made to repeat package X.
static Result<std::string> pipelineText(const CompileOptions &options) {
  StringRef text = options.pipeline;
  if (text.consume_front("builtin.module("))
    text = text.drop_back();
  if (options.compat.empty())
    return text.str();
  auto [name, rest] = text.split('{');
  if (options.compat == "quanto" && name == "int8-weights")
    return text.str(); // there is nothing that quanto does differently
  bool known = options.compat == "quanto" ? name == "int8-static" : name == "rtn-int4" || name == "gptq-int4";
  if (!known)
    return Error{"--compat=" + options.compat + " is for " +
                 (options.compat == "quanto" ? "int8-weights and int8-static" : "rtn-int4 and gptq-int4") +
                 ", not for the pipeline \"" + printable(options.pipeline) + "\""};
  return (name + "{compat=" + options.compat + (text.contains('{') ? " " + rest.str() : "}")).str();
}

Status Compilation::quantize() {
  Clock::time_point start = Clock::now();
  Result<std::string> pipeline = pipelineText(options);
  if (!pipeline)
    return pipeline.error();
  Status status = runPasses(*pipeline);
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
  if (options.until >= Phase::Raise)
    if (Status status = raise(); !status)
      return status.error();
  if (Status status = readCalibration(); !status)
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
