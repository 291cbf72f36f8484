//===- Driver.cpp - One model from file to file ---------------------------===//
//
// The phases of a compilation in a table, and the loop over it.
//
//===----------------------------------------------------------------------===//
#include "qopt/Driver/Driver.h"
#include "Compilation.h"
#include "Diagnostics.h"
#include "Evaluate.h"
#include "ReportFiles.h"
#include "Resources.h"
#include "TargetDefaults.h"
#include "WriteModule.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Plugins/Plugins.h"
#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/TemporaryDirectory.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/FormatVariadic.h"

#include <filesystem>

using namespace mlir;
using namespace qopt;

/// A phase: what it is called, what it makes of the model, and the method or passes that do.
struct qopt::PhaseInfo {
  PhaseDescription description;
  Status (Compilation::*run)();
  void (*build)(OpPassManager &, const CompileOptions &) = nullptr;
  bool isBranch = false; ///< later phases do without it
};

namespace {

// Of code for several levels or architectures only the first that was asked for is shown.
void buildLower(OpPassManager &passes, const CompileOptions &options) {
  buildLowerPipeline(passes, {.cacheType = cacheTypeOf(options)});
}
void buildLinalg(OpPassManager &passes, const CompileOptions &) { buildLinalgPipeline(passes); }
void buildQuant(OpPassManager &passes, const CompileOptions &) { buildLinalgPipeline(passes, /*quantTypes=*/true); }
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
    {{Phase::Quant, "linalg-quant", "the same, weights as types of the quant dialect where it has them",
      /*isExit=*/true},
     nullptr,
     buildQuant,
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

Status Compilation::run(const PhaseInfo &phase) {
  if (phase.run)
    return (this->*phase.run)();
  return passes.run(*module, phase.description.name, [&](OpPassManager &manager) -> Status {
    phase.build(manager, options);
    return {};
  });
}

/// One warning for the layers of which quantization left little; of those it left nothing the
/// quantizer has said so.
static void warnOfNoise(const CompileReport &report, const CompileOptions &options) {
  constexpr size_t shown = 8;
  std::vector<std::string> noisy;
  for (const LayerReport &layer : report.layers)
    if (layer.sqnrDb && *layer.sqnrDb < kNoisySqnrDb)
      noisy.push_back(llvm::formatv("{0} ({1:F2} dB)", printable(layer.name), *layer.sqnrDb));
  if (noisy.empty())
    return;
  std::string text =
      llvm::formatv("{0}: {1} {2} a signal-to-noise ratio below {3:F0} dB after quantization: {4}",
                    printable(options.model), noisy.size(), noisy.size() == 1 ? "layer has" : "layers have",
                    kNoisySqnrDb, llvm::join(llvm::ArrayRef(noisy).take_front(shown), ", "));
  if (noisy.size() > shown)
    text += " and " + std::to_string(noisy.size() - shown) + " more";
  options.onWarning(text + " (--override gives a layer another scheme)");
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
  // What is printed must have its data, and a reproducer may be; nobody asks for those of a list.
  if ((last == Phase::End || onlyAssigns) && options.reproducer.empty())
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
  warnOfNoise(report, options);
  addTotals(report);
  if (last < Phase::End && !options.output.empty())
    if (Status status = writeIr(*module, options.output); !status)
      return status.error();
  report.seconds = watch.seconds();
  report.peakMemoryBytes = peakMemory();
  return std::move(report);
}

namespace {

/// Where a module lies until it has been judged: in a directory beside its place, which vanishes.
class HeldModule {
public:
  /// Lets `options` write there.
  static Result<HeldModule> create(CompileOptions &options) {
    std::error_code code;
    // Links are followed; what is not there yet stays relative unless it is made absolute.
    std::filesystem::path place =
        std::filesystem::weakly_canonical(std::filesystem::absolute(options.output, code), code);
    Result<TemporaryDirectory> directory =
        code ? Result<TemporaryDirectory>(Error{code.message()})
             : TemporaryDirectory::create("." + place.filename().string(), place.parent_path().string());
    if (!directory)
      return inFile(options.output, directory.error());
    HeldModule result(std::move(*directory), options.output, place.string());
    options.output = result.directory.file(place.filename().string());
    return result;
  }

  /// Puts it in place.
  Status release() const { return directory.moveOut(std::filesystem::path(place).filename().string(), place); }
  /// An error as if the module had been written to its place.
  Error inPlace(const Error &error, const std::string &held) const {
    StringRef rest = error.message;
    return rest.consume_front(printable(held) + ": ") ? inFile(given, {rest.str()}) : error;
  }

private:
  HeldModule(TemporaryDirectory directory, std::string given, std::string place)
      : directory(std::move(directory)), given(std::move(given)), place(std::move(place)) {}

  TemporaryDirectory directory;
  std::string given, place;
};

} // namespace

/// Evaluates the module that `options` wrote and puts it in place unless that refuses it.
static Result<CompileReport> judge(CompileReport report, const CompileOptions &options, const HeldModule &held) {
  Result<Evaluation> evaluation = evaluateModel(options);
  if (Status status = unlessCancelled(options, evaluation ? Status() : evaluation.error()); !status)
    return status.error();
  report.refusal = whyRefused(*evaluation, options);
  report.evaluation = *evaluation;
  if (report.refusal.empty())
    if (Status status = held.release(); !status)
      return inFile(options.output, status.error());
  return report;
}

/// Bytes that a module has besides the weights of layers, about: code depends on their schemes.
static Result<int64_t> measureOtherBytes(const CompileOptions &options) {
  Result<TemporaryDirectory> directory = TemporaryDirectory::create("qopt-size");
  if (!directory)
    return directory.error();
  CompileOptions plain = options;
  plain.pipeline = options.compat.empty() ? "rtn-int4{grid=minmax}" : "rtn-int4{grid=minmax head=float}";
  plain.maxSize = 0;
  for (std::string *unused : {&plain.compat, &plain.calibration, &plain.checkpoint, &plain.reproducer})
    unused->clear();
  plain.overrides.clear();
  plain.candidates.clear();
  plain.strict = false;
  plain.onWarning = plain.onNote = plain.onRemark = nullptr;
  plain.onLayer = nullptr;
  plain.output = directory->path() + "/plain.qmod";
  Result<CompileReport> report = Compilation(plain).run(Phase::End);
  if (!report)
    return report.error();
  return report->moduleBytes - report->linearBytes;
}

/// A compilation whose module has at most options.maxSize bytes.
static Result<CompileReport> compileWithin(CompileOptions options, Phase last) {
  if (options.maxSize == 0)
    return Compilation(options).run(last);
  Result<int64_t> other = measureOtherBytes(options);
  if (!other)
    return other.error();
  options.otherBytes = *other;
  constexpr int kTries = 3;
  for (int i = 0;; ++i) {
    Result<CompileReport> report = Compilation(options).run(last);
    if (!report || report->moduleBytes <= options.maxSize)
      return report;
    if (i + 1 == kTries)
      return inFile(options.model, {"--max-size=" + std::to_string(options.maxSize) + ": the module has " +
                                    std::to_string(report->moduleBytes) + " bytes"});
    options.otherBytes = std::max(options.otherBytes + 1, report->moduleBytes - report->linearBytes);
  }
}

Result<CompileReport> qopt::compileModel(const CompileOptions &given) {
  if (Status status = checkFiles(given); !status)
    return status.error();
  if (Status status = qrt::checkDevice(given.device); !status)
    return status.error();
  CompileOptions options = given;
  std::optional<HeldModule> held;
  if (!options.evaluation.empty()) {
    Result<HeldModule> made = HeldModule::create(options);
    if (!made)
      return made.error();
    held.emplace(std::move(*made));
  }
  // Only a module needs code: a file of IR shows what the pipeline made of the model.
  bool isModule = StringRef(options.output).ends_with(".qmod");
  Phase last = !isModule && options.until == Phase::End ? Phase::Quantize : options.until;
  Result<CompileReport> report = compileWithin(options, last);
  if (report && held)
    report = judge(std::move(*report), options, *held);
  if (!report)
    return held ? held->inPlace(report.error(), options.output) : report.error();
  if (report->refusal.empty())
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
