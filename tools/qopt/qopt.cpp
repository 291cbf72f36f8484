//===- qopt.cpp - The command line of the compiler ------------------------===//
//
// Options become CompileOptions; what compileModel() gives back is printed: results on
// standard output, everything else on standard error.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Qopt/Scheme.h"
#include "qopt/Driver/Driver.h"
#include "qopt/Driver/ReportText.h"
#include "qopt/InitAll.h"
#include "qopt/Support/Progress.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <thread>

using namespace qopt;

namespace {

/// What the options are parsed into. Words that stand for a value of CompileOptions wait
/// here until all options have been read.
struct CommandLine {
  CompileOptions compile;
  bool listLayers = false, listSchemes = false, quiet = false, remarks = false;
  std::string until = "end", documents = "auto", cpu;
  int64_t threads = 0, seed = 0;
  std::vector<std::string> mlirArguments;
};

/// MLIR's own debugging options (--mlir-print-ir-after-all, --mlir-timing, ...) go
/// to LLVM's parser; everything else is ours.
std::vector<const char *> takeMlirArguments(int argc, char **argv, std::vector<std::string> &mlirArguments) {
  std::vector<const char *> rest;
  for (int i = 0; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (i > 0 &&
        (argument.starts_with("--mlir-") || argument.starts_with("-mlir-") || argument.starts_with("--debug-only")))
      mlirArguments.emplace_back(argument);
    else
      rest.push_back(argv[i]);
  }
  return rest;
}

/// The parts of a list with commas; an error where one is not `isKnown` or comes twice.
Result<std::vector<std::string>> splitList(const std::string &text, bool (*isKnown)(const std::string &),
                                           const char *expected) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin <= text.size(); begin += items.back().size() + 1) {
    items.push_back(text.substr(begin, text.find(',', begin) - begin));
    if (!isKnown(items.back()) || std::count(items.begin(), items.end(), items.back()) > 1)
      return Error{std::string("expected ") + expected + " but got \"" + printable(items.back()) + "\"" +
                   (isKnown(items.back()) ? " twice" : "")};
  }
  return items;
}

/// Names of devices, as they also name what a module is for.
Status setTargets(const std::string &text, CompileOptions &compile) {
  auto isTarget = [](const std::string &name) { return deviceKindByName(name).has_value(); };
  Result<std::vector<std::string>> targets = splitList(text, isTarget, "a list of cpu, cuda and sim");
  if (!targets)
    return targets.error();
  compile.targets = std::move(*targets);
  return {};
}

/// Only the form and the least architecture are checked here; ptxas knows which there are.
Status setCudaArchs(const std::string &text, CompileOptions &compile) {
  auto isArch = [](const std::string &name) {
    std::optional<GpuArch> arch = parseGpuArch(name);
    return arch && arch->number >= kBaselineCapability;
  };
  Result<std::vector<std::string>> archs = splitList(text, isArch, "architectures such as sm_80 or sm_90a");
  if (!archs)
    return archs.error();
  compile.cudaArchs = std::move(*archs);
  return {};
}

/// Only the form is checked here. Whether there is such a device shows when it is opened.
Status setDevice(const std::string &name, CompileOptions &compile) {
  if (!parseDevice(name))
    return Error{"expected " + deviceForms("or")};
  compile.device = name;
  return {};
}

/// The phase that --until names.
Phase phaseOf(const std::string &name) {
  for (const PhaseDescription &phase : describePhases())
    if (phase.name == name)
      return phase.phase;
  llvm_unreachable("--until takes names of phases only");
}

/// Which phases there are, and what each leaves, is known to the driver alone.
void addUntil(Options &options, CommandLine &command) {
  std::vector<std::string> names;
  std::string help = "stop after a phase and write the IR:";
  for (const PhaseDescription &phase : describePhases()) {
    names.emplace_back(phase.name);
    help += "\n" + names.back() + ": " + phase.summary;
  }
  options.choice("until", names, command.until, help);
}

/// Which schemes there are is known to their descriptions alone.
void addPipeline(Options &options, CompileOptions &compile) {
  std::string help = "a quantization scheme, NAME or NAME{option=value ...}, or builtin.module(...):";
  for (const SchemeInfo *info : allSchemes())
    help += "\n" + info->name.str() + ": " + info->summary.str();
  options.text("pass-pipeline", "P", compile.pipeline, help + "\n(--list-schemes lists the options)");
}

/// All options with their help, in the order in which it is printed.
void addOptions(Options &options, CommandLine &command) {
  CompileOptions &compile = command.compile;
  options.section("Compilation");
  addPipeline(options, compile);
  options.text(
      "output", "FILE", compile.output,
      ".qmod (a module), .mlir or .mlirbc (the IR after the pipeline)\n(default: STEM.qmod in the current directory)");
  options.shortName('o');
  options.list("override", "PATTERN=SPEC", compile.overrides,
               "scheme of single layers: '*.down_proj=NAME{option=value ...}',\n"
               "'re:layers\\.0\\..*=skip'; the last match wins (repeatable)");
  options.choice("compat", allPresets(), compile.compat,
                 "repeat that package's choices where no option says otherwise");
  addUntil(options, command);
  options.custom(
      "target", "LIST", [&](const std::string &text) { return setTargets(text, compile); },
      "what the module has code for, cpu,cuda,sim or some of them:\n"
      "cpu (the default; sections host:x86-64-v3 and host:x86-64-v4),\n"
      "cuda (NVIDIA GPUs; host:cuda, ptx and where needed ptx:ARCH),\n"
      "sim (the simulator of a GPU; host:cuda, sim)");
  options.custom(
      "cuda-arch", "LIST", [&](const std::string &text) { return setCudaArchs(text, compile); },
      "GPUs to assemble code for: sm_80,sm_90a,...; needs ptxas. The PTX\nthat is always there runs on sm_80 and "
      "later");
  options.choice("cpu", hostLevelNames(), command.cpu, "host code for this level only (default: for both)");
  options.choice("cache-type", {"auto", "f16", "f32"}, compile.cacheType,
                 "of keys and values that a text keeps while it is written (default: auto, f16\nfor CPUs, f32 with "
                 "cuda or sim among --target, or --compat)");

  options.section("Calibration");
  options.text("calibration", "FILE", compile.calibration,
               ".txt, .jsonl (text or input_ids per line), .npy token ids [n, length],\n- for standard input");
  options.integer("calibration-samples", "N", compile.calibrationSamples, 1, 1 << 20, "windows to draw (default 128)");
  options.integer("calibration-length", "N", compile.calibrationLength, 2, 1 << 20,
                  "tokens per window (default: 2048, at most the model's context)");
  options.integer("seed", "N", command.seed, 0, std::numeric_limits<int64_t>::max(), "of the draw (default 0)");
  options.choice("documents", {"auto", "whole", "blank-lines"}, command.documents,
                 "where a .txt (here and in --eval) is cut into documents, each with\n"
                 "BOS and end of text around it: at <|endoftext|>, else not at all\n"
                 "(auto, the default), never, or at blank lines");
  options.custom(
      "device", "NAME", [&](const std::string &name) { return setDevice(name, compile); },
      "where activations are computed: cpu (the default), cuda, cuda:N, sim (a GPU's\n"
      "simulator, slow), sim:sm_90a; cuda also multiplies for Hessians, by cuBLAS");
  options.text("tokenizer", "FILE", compile.tokenizer, "default: tokenizer.json beside the model");

  options.section("Output");
  options.flag("list-layers", command.listLayers, "print every linear layer and do nothing else");
  options.flag("list-schemes", command.listSchemes, "print the schemes with their options and do nothing else");
  options.text("eval", "FILE", compile.evaluation, "measure float and quantized model on this text");
  options.text("report", "FILE.json", compile.report, "the figures per layer and in total, for programs");
  options.text("log", "FILE.csv", compile.log, "the figures per layer as a table");
  options.flag("quiet", command.quiet, "no progress, no warnings and no summary");
  options.flag("remarks", command.remarks, "say what of the model was left as the exporter wrote it, and why");
  options.flag("strict", compile.strict, "warnings are errors");

  options.section("Resources");
  options.integer("threads", "N", command.threads, 1, 1024, "default: all cores; the result does not depend on it");
  options.integer("max-memory", "BYTES", compile.maxMemory, 1 << 20, int64_t(1) << 50,
                  "of activations kept between calibration stages; the rest goes to a temporary file");
  options.epilog("MLIR's debugging options (--mlir-print-ir-after-all, --mlir-timing, ...) work as in mlir-opt.\n"
                 "Exit status: 0 done, 1 error, 2 wrong command line.");
}

/// Options that mean nothing without another, and what no single option can see.
Status checkCombination(const Options &options, const CommandLine &command) {
  constexpr std::pair<const char *, const char *> needs[] = {
      {"override", "pass-pipeline"},
      {"compat", "pass-pipeline"},
      {"calibration", "pass-pipeline"},
      {"calibration-samples", "calibration"},
      {"calibration-length", "calibration"},
      {"seed", "calibration"},
      {"device", "calibration"},
  };
  if (options.positional().size() != 1)
    return usageError("expected one model but got " + std::to_string(options.positional().size()));
  for (auto [option, other] : needs)
    if (options.wasGiven(option) && !options.wasGiven(other))
      return usageError(std::string("--") + option + " needs --" + other);
  const std::vector<std::string> &targets = command.compile.targets;
  auto leavesOut = [&](const char *target) {
    return std::find(targets.begin(), targets.end(), target) == targets.end();
  };
  if (options.wasGiven("cuda-arch") && leavesOut("cuda"))
    return usageError("--cuda-arch needs cuda among --target");
  if (command.compile.cacheType == "f16" && !(leavesOut("cuda") && leavesOut("sim")))
    return usageError("--cache-type=f16 is for CPUs only, but --target has cuda or sim");
  for (const char *option : {"cpu", "eval"})
    if (options.wasGiven(option) && leavesOut("cpu"))
      return usageError(std::string("--") + option + " needs cpu among --target");
  if (command.compile.calibration == "-" && command.compile.evaluation == "-")
    return usageError("standard input cannot be both --calibration and --eval");
  return {};
}

/// Where the module or the IR goes, by default and by what its ending may be.
Status chooseOutput(CommandLine &command) {
  CompileOptions &compile = command.compile;
  bool isWhole = compile.until == Phase::End;
  if (compile.output.empty())
    compile.output = std::filesystem::path(compile.model).stem().string() + (isWhole ? ".qmod" : ".mlir");
  bool isModule = compile.output.ends_with(".qmod");
  bool isIr = compile.output.ends_with(".mlir") || compile.output.ends_with(".mlirbc");
  if (isWhole ? !isModule && !isIr : !isIr)
    return usageError("cannot write \"" + printable(compile.output) + "\": expected " +
                      (isWhole ? ".qmod, .mlir or .mlirbc" : ".mlir or .mlirbc after a phase"));
  if (!compile.evaluation.empty() && !isModule)
    return usageError("--eval needs a .qmod as output");
  return {};
}

/// Hands MLIR's arguments to LLVM's parser, which keeps them in global variables. The
/// options exist only once they are registered, so they are, and only where some are given.
Status applyMlirArguments(CommandLine &command) {
  if (command.mlirArguments.empty())
    return {};
  registerAllPasses(); // whose names are values of options
  mlir::registerPassManagerCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  std::vector<const char *> forwarded = {"qopt"};
  for (const std::string &argument : command.mlirArguments)
    forwarded.push_back(argument.c_str());
  std::string message;
  llvm::raw_string_ostream stream(message);
  llvm::SmallVector<llvm::cl::Option *> forgotten;
  if (!llvm::cl::ParseCommandLineOptions(forwarded.size(), forwarded.data(), "", &stream))
    return usageError(printable(message.substr(0, message.find('\n'))));
  // lld resets all options that the parser knows, at every link; those it does not know keep
  // their values.
  for (auto &[name, option] : llvm::cl::getRegisteredOptions())
    if (name.starts_with("mlir-"))
      forgotten.push_back(option);
  for (llvm::cl::Option *option : forgotten)
    option->removeArgument();
  command.compile.mlirOptions = true;
  return {};
}

/// Lets warnings go to `print` and, where they were asked for, remarks to standard error.
void listenTo(CommandLine &command, const std::function<void(const std::string &)> &print) {
  command.compile.onWarning = [print](const std::string &text) { print("qopt: warning: " + text); };
  if (command.remarks)
    command.compile.onRemark = [](const std::string &text) {
      std::fprintf(stderr, "qopt: remark: %s\n", text.c_str());
    };
}

/// Prints the layers and does nothing else.
Status list(CommandLine &command) {
  listenTo(command, [&](const std::string &text) {
    if (!command.quiet)
      std::fprintf(stderr, "%s\n", text.c_str());
  });
  Result<CompileReport> report = listModelLayers(command.compile);
  if (!report)
    return report.error();
  std::fputs(layerTable(*report).c_str(), stdout);
  return {};
}

/// Compiles. Lines of their own push the progress bar away, which comes back by itself.
Status compile(CommandLine &command) {
  Progress progress("calibrating", command.quiet);
  auto printLine = [&](const std::string &text) {
    if (command.quiet)
      return;
    progress.clear();
    std::fprintf(stderr, "%s\n", text.c_str());
  };
  CompileOptions &options = command.compile;
  options.onProgress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  listenTo(command, printLine);
  options.onLayer = [&](const LayerReport &layer) {
    if (layer.loss)
      printLine(progressLine(layer));
  };
  Result<CompileReport> report = compileModel(options);
  progress.clear();
  if (!report)
    return report.error();
  if (report->evaluation)
    std::fputs(toText(*report->evaluation).c_str(), stdout);
  printLine(summaryLine(*report, options.output));
  return {};
}

} // namespace

int main(int argc, char **argv) {
  CommandLine command;
  Options options("qopt MODEL [options]", "Compiles an ONNX language model, quantized, into a module that qrun runs.");
  addOptions(options, command);
  std::vector<const char *> arguments = takeMlirArguments(argc, argv, command.mlirArguments);
  return runTool("qopt", options, static_cast<int>(arguments.size()), arguments.data(), [&]() -> Status {
    if (command.listSchemes) {
      std::fputs(schemeTable().c_str(), stdout);
      return {};
    }
    if (Status status = checkCombination(options, command); !status)
      return status;
    if (Status status = applyMlirArguments(command); !status)
      return status;
    CompileOptions &compileOptions = command.compile;
    compileOptions.model = options.positional()[0];
    compileOptions.until = phaseOf(command.until);
    compileOptions.documents = *documentRuleByName(command.documents);
    compileOptions.seed = static_cast<uint64_t>(command.seed);
    compileOptions.threads =
        static_cast<int>(command.threads > 0 ? command.threads : std::max(1u, std::thread::hardware_concurrency()));
    if (!command.cpu.empty())
      compileOptions.cpus = {command.cpu};
    if (command.listLayers)
      return list(command);
    if (Status status = chooseOutput(command); !status)
      return status;
    return compile(command);
  });
}
