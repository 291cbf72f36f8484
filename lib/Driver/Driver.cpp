//===- Driver.cpp - One model from file to file ---------------------------===//
//
// The phases of a compilation in a table, and the loop over it. What a phase does is a
// method; what lies beside the model, passes and files are in the other sources here.
//
//===----------------------------------------------------------------------===//
#include "qopt/Driver/Driver.h"
#include "DeviceRunner.h"
#include "Diagnostics.h"
#include "Evaluate.h"
#include "GraphFacts.h"
#include "ModelFiles.h"
#include "PassRunner.h"
#include "RemarkCollector.h"
#include "ReportFiles.h"
#include "Reproducer.h"
#include "Resources.h"
#include "TargetDefaults.h"
#include "WriteModule.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Cancellation.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Import/Import.h"
#include "qopt/InitAll.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Plugins/Plugins.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"
#include "llvm/ADT/StringRef.h"

#include <filesystem>

using namespace mlir;
using namespace qopt;

namespace {

struct PhaseInfo;

/// One compilation: the context, the IR and what was read beside the model.
class Compilation {
public:
  /// `onlyAssigns`: of the pipeline, only that every layer gets its scheme.
  explicit Compilation(const CompileOptions &given, bool onlyAssigns = false)
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

  /// Runs the phases up to `last` and says what came out.
  Result<CompileReport> run(Phase last);

  // The phases.
  Status import();
  Status raise();
  Status quantize();
  Status write();

private:
  static DialectRegistry registry() {
    DialectRegistry registry;
    registerAllDialects(registry);
    registerAllPasses();
    return registry;
  }

  Status run(const PhaseInfo &phase);
  /// Runs the passes that a text names, or of them only those called `only`.
  Status runPipeline(StringRef phase, const std::string &pipeline, const std::string &compat = "", StringRef only = "");
  void forwardRemarks();
  /// The model's entry point; null where passes took it away.
  func::FuncOp forward() { return module->lookupSymbol<func::FuncOp>("forward"); }

  CompileOptions options;
  bool onlyAssigns;
  RemarkCollector remarks;
  MLIRContext context;
  PassRunner passes;
  OwningOpRef<ModuleOp> module;
  TokenizerFile tokenizer;
  int64_t contextLength = 0, vocabularySize = 0;
  CompileReport report;
};

/// Hands to the passes what their options, which are text, cannot hold.
void handOver(const CompileOptions &options, CalibrationContext &calibration) {
  calibration.threads = options.threads;
  calibration.maxMemory = options.maxMemory;
  calibration.overrides = options.overrides;
  calibration.prefersInt8Activations = prefersInt8Activations(options);
  calibration.onLayer = options.onLayer;
  calibration.onProgress = options.onProgress;
  calibration.makeRunner = deviceRunners(options.device);
}

/// A phase: what it is called, what it makes of the model, and the method or passes that do.
struct PhaseInfo {
  PhaseDescription description;
  Status (Compilation::*run)();
  void (*build)(OpPassManager &, const CompileOptions &) = nullptr;
  bool isBranch = false; ///< later phases do without it
};

// Of code for several levels or architectures only the first that was asked for is shown.
void buildLower(OpPassManager &passes, const CompileOptions &options) {
  buildLowerPipeline(passes, {.cacheType = cacheTypeOf(options)});
}
void buildLinalg(OpPassManager &passes, const CompileOptions &) { buildLinalgPipeline(passes); }
void buildHost(OpPassManager &passes, const CompileOptions &options) {
  buildHostPipeline(passes, options.cpus.empty() ? StringRef(kHostV3.name) : StringRef(options.cpus.front()));
}
void buildPtx(OpPassManager &passes, const CompileOptions &options) {
  passes.addPass(createEmitCudaKernels());
  buildPtxPipeline(passes, options.cudaArchs.empty() ? StringRef(kBaselineArch) : StringRef(options.cudaArchs.front()));
}
void buildSim(OpPassManager &passes, const CompileOptions &) {
  passes.addPass(createEmitCudaKernels());
  buildSimPipeline(passes);
}

constexpr PhaseInfo kPhases[] = {
    {{Phase::Import, "import", "the graph as the file has it, in the onnx dialect"}, &Compilation::import},
    {{Phase::Raise, "raise", "exporters' decompositions as standard operators (qopt-raise)"}, &Compilation::raise},
    {{Phase::Quantize, "quantize", "linear layers rewritten by --pass-pipeline"}, &Compilation::quantize},
    {{Phase::Linalg, "linalg", "functions on tensors in MLIR's own dialects (qopt-linalg)", /*isExit=*/true},
     nullptr,
     buildLinalg,
     true},
    {{Phase::Lower, "lower", "functions on memory that call kernels (qopt-lower)"}, nullptr, buildLower},
    {{Phase::Host, "host", "code for the host, in the LLVM dialect (qopt-host)"}, nullptr, buildHost, true},
    {{Phase::Ptx, "ptx", "kernels for GPUs, in the LLVM dialect (qopt-ptx)"}, nullptr, buildPtx, true},
    {{Phase::Sim, "sim", "the same for the simulator (qopt-sim)"}, nullptr, buildSim, true},
    {{Phase::End, "end", "code for all targets, in a module with the weights"}, &Compilation::write},
};

} // namespace

std::vector<PhaseDescription> qopt::describePhases() {
  std::vector<PhaseDescription> descriptions;
  for (const PhaseInfo &phase : kPhases)
    descriptions.push_back(phase.description);
  return descriptions;
}

//===----------------------------------------------------------------------===//
// Import
//===----------------------------------------------------------------------===//

Status Compilation::import() {
  TimingScope scope = passes.timing().nest("import");
  std::string error;
  module = loadModel(options.model, context, {.bytes = options.modelBytes, .hasFolder = options.hasFolder}, error);
  if (!module)
    return Error{error};
  if (func::FuncOp entry = forward(); !entry || !entry.getBody().hasOneBlock())
    return inFile(options.model, {"expected a function @forward with a body of one block, the model's entry point"});
  report.modelWeights = countWeights(forward());
  contextLength = options.hasFolder ? readContextLength(options.model) : 0;
  if (contextLength > 0)
    setAttr<attrs::ContextLength>(*module, Builder(&context).getI64IntegerAttr(contextLength));
  Result<TokenizerFile> file = readTokenizer(options);
  if (!file)
    return file.error();
  tokenizer = std::move(*file);
  return {};
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
  if (Status status = runPipeline("raise", "qopt-raise"); !status)
    return status;
  if (!forward())
    return {};
  // What neither the model's configuration nor its tokenizer says is read off the raised
  // graph, so calibration data can be cut and judged before any long work starts.
  if (contextLength == 0)
    contextLength = countPositions(forward());
  vocabularySize = findVocabularySize(forward());
  if (tokenizer.tokenizer && vocabularySize > 0 && tokenizer.tokenizer->vocabularySize() > vocabularySize)
    return Error{tokenizer.path + ": the tokenizer has " + std::to_string(tokenizer.tokenizer->vocabularySize()) +
                 " tokens but the model only " + std::to_string(vocabularySize)};
  return {};
}

Status Compilation::quantize() {
  if (options.pipeline.empty())
    return {};
  auto &calibration = CalibrationContext::attach(context);
  handOver(options, calibration);
  if (!options.calibration.empty() && !onlyAssigns) {
    auto samples = readSamples(options, tokenizer.tokenizer.get(), contextLength, vocabularySize);
    if (!samples)
      return samples.error();
    calibration.samples = std::move(*samples);
    for (const std::vector<int32_t> &window : calibration.samples)
      report.calibrationTokens += window.size();
  }
  Stopwatch watch;
  Status status = runPipeline("quantize", options.pipeline, options.compat, onlyAssigns ? "qopt-assign-scheme" : "");
  report.quantizeSeconds = watch.seconds();
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
  contents.contextLength = contextLength;
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

Status Compilation::run(const PhaseInfo &phase) {
  if (phase.run)
    return (this->*phase.run)();
  return passes.run(*module, phase.description.name, [&](OpPassManager &manager) -> Status {
    phase.build(manager, options);
    return {};
  });
}

/// What else is wrong once the compilation was cancelled is nothing to mend.
static Status unlessCancelled(const CompileOptions &options, const Status &status) {
  return options.isCancelled() ? inFile(options.model, {"cancelled"}) : status;
}

Result<CompileReport> Compilation::run(Phase last) {
  Stopwatch watch;
  report.model = std::filesystem::path(options.model).filename().string();
  report.pipeline = options.pipeline;
  if (Status status = loadPlugins(options.passPlugins, options.dialectPlugins, context); !status)
    return status.error();
  // What is printed must have its data, and a reproducer may be.
  if (last == Phase::End && options.reproducer.empty())
    DeferredData::attach(context);
  for (const PhaseInfo &phase : kPhases) {
    if (phase.description.phase > last)
      break;
    if (phase.isBranch && phase.description.phase != last)
      continue;
    if (Status status = unlessCancelled(options, run(phase)); !status)
      return status.error();
    forwardRemarks();
    if (options.strict && !report.warnings.empty())
      return Error{report.warnings.front() + " (an error because of --strict)"};
    // The layers are what the graph shows before lowering takes them away.
    if (phase.description.phase == std::min(last, Phase::Quantize) && forward())
      report.layers = listLayers(forward());
  }
  addTotals(report);
  if (last < Phase::End && !options.output.empty())
    if (Status status = writeIr(*module, options.output); !status)
      return status.error();
  report.seconds = watch.seconds();
  report.peakMemoryBytes = peakMemory();
  return std::move(report);
}

Result<CompileReport> qopt::compileModel(const CompileOptions &options) {
  if (Status status = checkFiles(options); !status)
    return status.error();
  if (Status status = qrt::checkDevice(options.device); !status)
    return status.error();
  // Only a module needs code: a file of IR shows what the pipeline made of the model.
  bool isModule = StringRef(options.output).ends_with(".qmod");
  Phase last = !isModule && options.until == Phase::End ? Phase::Quantize : options.until;
  Result<CompileReport> report = Compilation(options).run(last);
  if (!report)
    return report;
  if (!options.evaluation.empty()) {
    Result<Evaluation> evaluation = evaluateModel(options);
    if (Status status = unlessCancelled(options, evaluation ? Status() : evaluation.error()); !status)
      return status.error();
    report->evaluation = *evaluation;
  }
  if (Status status = writeReports(*report, options); !status)
    return status.error();
  return report;
}

Result<CompileReport> qopt::listModelLayers(const CompileOptions &options) {
  CompileOptions onlyList = options;
  onlyList.output.clear();
  Result<CompileReport> report = Compilation(onlyList, /*onlyAssigns=*/true).run(Phase::Quantize);
  if (!report)
    return report;
  if (Status status = writeReports(*report, options); !status)
    return status.error();
  return report;
}
