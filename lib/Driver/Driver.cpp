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
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Plugins/Plugins.h"
#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"
#include "llvm/ADT/StringRef.h"

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
