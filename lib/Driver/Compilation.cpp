//===- Compilation.cpp - What the phases of a compilation do --------------===//
//
// What lies beside the model, passes and files are in the other sources here.
//
//===----------------------------------------------------------------------===//
#include "Compilation.h"
#include "DeviceRunner.h"
#include "Diagnostics.h"
#include "GraphFacts.h"
#include "ReportFiles.h"
#include "Reproducer.h"
#include "Resources.h"
#include "TargetDefaults.h"
#include "WriteModule.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Cancellation.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Import/CheckWeights.h"
#include "qopt/Import/Import.h"
#include "qopt/InitAll.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Random.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include <limits>

using namespace mlir;
using namespace qopt;

static DialectRegistry registry() {
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllPasses();
  return registry;
}

Compilation::Compilation(const CompileOptions &given, bool onlyAssigns)
    : options(given), onlyAssigns(onlyAssigns), context(registry()), passes(options) {
  // Calibration compiles inside a pass, where no dialect may be loaded any more.
  context.loadAllAvailableDialects();
  if (options.threads == 1)
    context.disableMultithreading();
  remarks.listenTo(context);
  if (options.cancelled)
    heedCancellation(context, *options.cancelled);
  // Every warning is remembered for the report, and for --strict.
  options.onWarning = [this, print = given.onWarning](const std::string &text) {
    report.warnings.push_back(text);
    if (print && !options.strict)
      print(text);
  };
}

//===----------------------------------------------------------------------===//
// Import
//===----------------------------------------------------------------------===//

Status Compilation::import() {
  TimingScope scope = passes.timing().nest("import");
  std::string error;
  const std::vector<std::string> before = mappedFiles();
  module = loadModel(
      options.model, context,
      {.bytes = options.modelBytes, .hasFolder = options.hasFolder, .dataDirectory = options.dataDirectory}, error);
  if (!module)
    return Error{error};
  if (func::FuncOp entry = forward(); !entry || !entry.getBody().hasOneBlock())
    return inFile(options.model, {"expected a function @forward with a body of one block, the model's entry point"});
  report.modelWeights = countWeights(forward());
  Result<TokenizerFile> file = readTokenizer(options);
  if (!file)
    return file.error();
  tokenizer = std::move(*file);
  configuration = readConfiguration(options, tokenizer.tokenizer.get());
  if (int64_t length = configuration.contextLength; length > 0)
    setAttr<attrs::ContextLength>(*module, Builder(&context).getI64IntegerAttr(length));
  // Which files have the weights, only the model says.
  return checkOutputs(options, before);
}

//===----------------------------------------------------------------------===//
// Passes
//===----------------------------------------------------------------------===//

Status Compilation::runPipeline(StringRef phase, const std::string &pipeline, const std::string &compat,
                                StringRef only) {
  return passes.run(*module, phase, [&](OpPassManager &manager) -> Status {
    if (only.empty()) {
      Status status = parsePipeline(manager, pipeline, compat);
      return status ? makeReplayable(manager, options, context) : status;
    }
    OpPassManager whole(manager);
    if (Status status = parsePipeline(whole, pipeline, compat); !status)
      return status;
    for (Pass &pass : whole.getPasses())
      if (pass.getArgument() == only) {
        std::string text;
        llvm::raw_string_ostream stream(text);
        pass.printAsTextualPipeline(stream);
        if (Status status = parsePipeline(manager, text, ""); !status)
          return status;
      }
    return {};
  });
}

Status Compilation::raise() {
  if (Status status = runPipeline("raise", options.dequantize ? "qopt-raise{dequantize=true}" : "qopt-raise"); !status)
    return status;
  if (!forward())
    return {};
  // What neither the model's configuration nor its tokenizer says is read off the raised
  // graph, so calibration data can be cut and judged before any long work starts.
  if (int64_t positions = countPositions(forward()), &length = configuration.contextLength;
      positions > 0 && (length == 0 || positions < length)) {
    length = positions;
    configuration.text.contextOrigin = "the model's tables of positions";
  }
  vocabularySize = findVocabularySize(forward());
  if (tokenizer.tokenizer && vocabularySize > 0 && tokenizer.tokenizer->vocabularySize() > vocabularySize)
    return Error{tokenizer.path + ": the tokenizer has " + std::to_string(tokenizer.tokenizer->vocabularySize()) +
                 " tokens but the model only " + std::to_string(vocabularySize)};
  return {};
}

/// Hands to the passes what their options, which are text, cannot hold.
static void handOver(const CompileOptions &options, CalibrationContext &calibration) {
  calibration.threads = options.threads;
  calibration.maxMemory = options.maxMemory;
  calibration.overrides = options.overrides;
  calibration.prefersInt8Activations = prefersInt8Activations(options);
  calibration.leastSqnrDb = options.strict            ? kNoisySqnrDb
                            : options.keepsLostLayers ? -std::numeric_limits<double>::infinity()
                                                      : kLostSqnrDb;
  calibration.onLayer = options.onLayer;
  calibration.onProgress = options.onProgress;
  calibration.onNote = options.onNote;
  calibration.checkpoint = options.checkpoint;
  calibration.saveCalibration = options.saveCalibration;
  calibration.loadCalibration = options.loadCalibration;
  calibration.device = options.device;
  calibration.makeRunner = deviceRunners(options.device);
}

/// Random tokens, for a model that nothing else is known of; empty where the vocabulary is not.
static std::vector<std::vector<int32_t>> randomWindows(int64_t vocabularySize, int64_t contextLength) {
  constexpr int64_t kCount = 8, kLength = 256;
  std::vector<std::vector<int32_t>> windows(vocabularySize > 0 ? kCount : 0);
  uint64_t state = 0;
  for (std::vector<int32_t> &window : windows)
    for (int64_t i = 0; i < (contextLength > 0 ? std::min(contextLength, kLength) : kLength); ++i)
      window.push_back(static_cast<int32_t>(splitmix64(state) % static_cast<uint64_t>(vocabularySize)));
  return windows;
}

Status Compilation::quantize() {
  if (!onlyAssigns && forward()) {
    TimingScope scope = passes.timing().nest("check weights");
    if (Status status = checkWeights(forward()); !status)
      return inFile(options.model, status.error());
  }
  if (options.pipeline.empty())
    return {};
  auto &calibration = CalibrationContext::attach(context);
  handOver(options, calibration);
  if (!options.calibration.empty() && !onlyAssigns) {
    auto samples = readSamples(options, tokenizer.tokenizer.get(), configuration.contextLength, vocabularySize);
    if (!samples)
      return samples.error();
    calibration.samples = std::move(*samples);
    for (const std::vector<int32_t> &window : calibration.samples)
      report.calibrationTokens += window.size();
  }
  if ((options.targetBits > 0 || options.maxSize > 0) && !onlyAssigns) {
    calibration.budget = LayerBudget{options.targetBits > 0 ? "--target-bits" : "--max-size", options.targetBits,
                                     options.maxSize, options.otherBytes, options.candidates};
    if (calibration.samples.empty())
      calibration.samples = randomWindows(vocabularySize, configuration.contextLength);
  }
  Stopwatch watch;
  Status status = runPipeline("quantize", options.pipeline, options.compat, onlyAssigns ? "qopt-assign-scheme" : "");
  report.quantizeSeconds = watch.seconds();
  report.choices = calibration.choices;
  return status ? removeReplayed(options) : status;
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

/// What the phase that just ended left as it was, and why.
void Compilation::forwardRemarks() {
  std::string file = printable(options.model) + ": ";
  RemarkCollector::News news = remarks.takeNews();
  for (const ReportedRemark &remark : news.remarks) {
    if (options.onRemark)
      options.onRemark(file + (remark.where.empty() ? "" : printable(remark.where) + ": ") + printable(remark.text));
    report.remarks.push_back(remark);
  }
  for (const std::string &warning : news.warnings)
    options.onWarning(file + warning);
}

Status Compilation::write() {
  ModuleContents contents;
  contents.model = report.model;
  contents.pipeline = options.pipeline;
  contents.contextLength = configuration.contextLength;
  contents.text = configuration.text;
  contents.vocabularySize = vocabularySize;
  contents.layers = report.layers;
  if (tokenizer.file)
    contents.tokenizer = tokenizer.file->text();
  Result<WrittenBytes> bytes = writeModule(*module, contents, options, passes.timing());
  if (!bytes)
    return bytes.error();
  report.moduleBytes = bytes->file;
  report.weightBytes = bytes->weights;
  // Of codes that were made just now; to the figure of the phase their time is added.
  addFigures(context, report.layers);
  for (const LayerReport &layer : report.layers)
    report.quantizeSeconds += layer.seconds;
  return {};
}
