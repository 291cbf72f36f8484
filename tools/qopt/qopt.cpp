//===- qopt.cpp - The command line of the compiler ------------------------===//
#include "qopt/Driver/Driver.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Options.h"
#include "qopt/Support/Progress.h"
#include "qopt/Support/Utf8.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/CommandLine.h"

#include <cstdio>
#include <filesystem>
#include <thread>

using namespace qopt;

namespace {

struct CommandLine {
  CompileOptions compile;
  bool listLayers = false, quiet = false;
  std::string report, log, eval, until = "end";
  std::vector<std::string> mlirArguments;
};

/// MLIR's own debugging options (--mlir-print-ir-after-all, --mlir-timing, ...) go
/// to LLVM's parser; everything else is ours.
std::vector<const char *> takeMlirArguments(int argc, char **argv, std::vector<std::string> &mlirArguments) {
  std::vector<const char *> rest;
  for (int i = 0; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (i > 0 && (argument.starts_with("--mlir-") || argument.starts_with("-mlir-") || argument.starts_with("--debug-only")))
      mlirArguments.emplace_back(argument);
    else
      rest.push_back(argv[i]);
  }
  return rest;
}

Status splitComma(const std::string &text, std::vector<std::string> &out, const std::vector<std::string> &allowed) {
  size_t begin = 0;
  while (begin <= text.size()) {
    size_t end = std::min(text.find(',', begin), text.size());
    out.push_back(text.substr(begin, end - begin));
    if (std::find(allowed.begin(), allowed.end(), out.back()) == allowed.end()) {
      std::string list;
      for (const std::string &name : allowed)
        list += (list.empty() ? "" : ", ") + name;
      return Error{"expected " + list + " but got \"" + printable(out.back()) + "\""};
    }
    begin = end + 1;
  }
  return Status::success();
}

void addOptions(Options &options, CommandLine &command) {
  CompileOptions &compile = command.compile;
  options.section("Compilation");
  options.text("pass-pipeline", "P", compile.pipeline,
               "int8-weights, int8-static, int8-dynamic, llm-int8, rtn-int4 or gptq-int4,\n"
               "with options: gptq-int4{group-size=32 act-order=false}; or builtin.module(...).\n"
               "Without it the float model is compiled.");
  options.text("output", "FILE", compile.output,
               ".qmod (a module), .mlir or .mlirbc (the IR after the pipeline)\n(default: STEM.qmod in the current directory)");
  options.shortName('o');
  options.list("override", "PATTERN=SPEC", compile.overrides,
               "scheme of single layers: '*.down_proj=int8-weights', 're:layers\\.0\\..*=skip',\n"
               "lm_head=rtn-int4{group-size=32}; the last match wins (repeatable)");
  options.choice("compat", {"gptq", "quanto"}, compile.compat, "repeat that package's choices exactly");
  options.choice("until", {"import", "raise", "quantize", "lower", "end"}, command.until, "stop after a phase");
  options.custom("cpu", "LEVELS",
                 [&](const std::string &text) { return splitComma(text, compile.cpus, {"x86-64-v3", "x86-64-v4"}); },
                 "host code to generate: x86-64-v3,x86-64-v4 (default: both)");

  options.section("Calibration");
  options.text("calibration", "FILE", compile.calibration,
               ".txt, .jsonl (text or input_ids per line), .npy token ids [n, length],\n- for standard input");
  options.integer("calibration-samples", "N", compile.calibrationSamples, 1, 1 << 20, "windows to draw (default 128)");
  options.integer("calibration-length", "N", compile.calibrationLength, 2, 1 << 20,
                  "tokens per window (default: 2048, at most the model's context)");
  options.custom("seed", "N",
                 [&](const std::string &text) -> Status {
                   int64_t value;
                   if (!parseInteger(text, value) || value < 0)
                     return Error{"expected an integer of at least 0"};
                   compile.seed = value;
                   return Status::success();
                 },
                 "of the draw (default 0)");
  options.text("tokenizer", "FILE", compile.tokenizer, "default: tokenizer.json beside the model");

  options.section("Output");
  options.flag("list-layers", command.listLayers, "print every linear layer and do nothing else");
  options.text("eval", "FILE", command.eval, "measure float and quantized model on this text");
  options.text("report", "FILE.json", command.report, "the figures per layer and in total, for programs");
  options.text("log", "FILE.csv", command.log, "the figures per layer as a table");
  options.flag("quiet", command.quiet, "no progress and no summary");

  options.section("Resources");
  options.custom("threads", "N",
                 [&](const std::string &text) -> Status {
                   int64_t value;
                   if (!parseInteger(text, value) || value < 1 || value > 1024)
                     return Error{"expected 1 to 1024"};
                   compile.threads = static_cast<int>(value);
                   return Status::success();
                 },
                 "default: all cores; the result does not depend on it");
  options.integer("max-memory", "BYTES", compile.maxMemory, 1 << 20, int64_t(1) << 50,
                  "of activations kept between calibration stages; the rest goes to a temporary file");
  options.epilog("MLIR's debugging options (--mlir-print-ir-after-all, --mlir-timing, ...) work as in mlir-opt.\n"
                 "Exit status: 0 done, 1 error, 2 wrong command line.");
}

int usageError(const std::string &message) {
  std::fprintf(stderr, "qopt: error: %s (see qopt --help)\n", printable(message).c_str());
  return 2;
}

int failure(const Error &error) {
  std::fprintf(stderr, "qopt: error: %s\n", error.message.c_str());
  return 1;
}

void printLayers(const CompileReport &report) {
  size_t width = 5;
  for (const LayerReport &layer : report.layers)
    width = std::max(width, printable(layer.name).size());
  int columns = static_cast<int>(width);
  std::printf("%-*s  %12s  %-*s  %s\n", columns, "layer", "shape", columns, "group", "scheme");
  for (const LayerReport &layer : report.layers) {
    std::string shape = std::to_string(layer.outFeatures) + "x" + std::to_string(layer.inFeatures);
    std::printf("%-*s  %12s  %-*s  %s\n", columns, printable(layer.name).c_str(), shape.c_str(), columns,
                printable(layer.group).c_str(), layer.scheme.c_str());
  }
}

void printSummary(const CompileReport &report, const std::string &output) {
  size_t quantized = 0, fallbacks = 0;
  for (const LayerReport &layer : report.layers) {
    quantized += layer.scheme != "float";
    fallbacks += layer.fallback;
  }
  std::fprintf(stderr, "%s: %.1f MB, %zu of %zu linear layers quantized, %.3f bits per weight, %.1f s\n",
               printable(output).c_str(), report.moduleBytes / 1e6, quantized, report.layers.size(), report.bitsPerWeight,
               report.seconds);
  if (fallbacks)
    std::fprintf(stderr, "qopt: warning: %zu layers fell back to round to nearest\n", fallbacks);
}

Status writeReports(const CompileReport &report, const CommandLine &command) {
  for (const auto &[path, text] : {std::pair(command.report, toJson(report)), std::pair(command.log, toCsv(report))}) {
    if (path.empty())
      continue;
    if (Status status = writeFileAtomically(path, text); !status)
      return Error{printable(path) + ": " + status.error().message};
  }
  return Status::success();
}

Phase phaseOf(const std::string &name) {
  return name == "import" ? Phase::Import : name == "raise" ? Phase::Raise : name == "quantize" ? Phase::Quantize
         : name == "lower" ? Phase::Lower : Phase::End;
}

int run(CommandLine &command) {
  CompileOptions &compile = command.compile;
  Progress progress("calibrating", command.quiet);
  compile.onProgress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  auto printLine = [&](const std::string &text) {
    if (command.quiet)
      return;
    progress.clear();
    std::fprintf(stderr, "%s\n", text.c_str());
  };
  compile.onWarning = [&](const std::string &text) { printLine("qopt: warning: " + text); };
  compile.onLayer = [&](const LayerReport &layer) {
    char text[256];
    std::snprintf(text, sizeof text, "%s  %lldx%lld  loss %.4g  damping %.2g  %.2f s%s", printable(layer.name).c_str(),
                  static_cast<long long>(layer.outFeatures), static_cast<long long>(layer.inFeatures),
                  layer.loss.value_or(0), layer.damping.value_or(0), layer.seconds,
                  layer.fallback ? "  fell back to round to nearest" : "");
    if (layer.loss)
      printLine(text);
  };

  Result<CompileReport> report = command.listLayers ? listModelLayers(compile) : compileModel(compile);
  progress.clear();
  if (!report)
    return failure(report.error());
  if (!command.eval.empty() && !command.listLayers) {
    Result<Evaluation> evaluation = evaluateModel(compile, command.eval);
    if (!evaluation)
      return failure(evaluation.error());
    report->evaluation = *evaluation;
    std::printf("%s", toText(*evaluation).c_str());
  }
  if (Status status = writeReports(*report, command); !status)
    return failure(status.error());
  if (command.listLayers)
    printLayers(*report);
  else if (!command.quiet)
    printSummary(*report, compile.output);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  removeTemporariesOnSignal();
  CommandLine command;
  command.compile.threads = std::max(1u, std::thread::hardware_concurrency());
  Options options("qopt MODEL [options]", "Compiles an ONNX language model, quantized, into a module that qrun runs.");
  addOptions(options, command);
  std::vector<const char *> arguments = takeMlirArguments(argc, argv, command.mlirArguments);
  if (Status status = options.parse(arguments.size(), arguments.data()); !status)
    return usageError(status.error().message);
  if (options.wantsHelp()) {
    std::fputs(options.help().c_str(), stdout);
    return 0;
  }
  if (options.wantsVersion()) {
    std::puts("qopt " QOPT_VERSION);
    return 0;
  }
  if (options.positional().size() != 1)
    return usageError("expected one model but got " + std::to_string(options.positional().size()));
  if (!command.mlirArguments.empty()) {
    mlir::registerPassManagerCLOptions();
    mlir::registerMLIRContextCLOptions();
    std::vector<const char *> forwarded = {argv[0]};
    for (const std::string &argument : command.mlirArguments)
      forwarded.push_back(argument.c_str());
    if (!llvm::cl::ParseCommandLineOptions(forwarded.size(), forwarded.data(), "", &llvm::errs()))
      return 2;
    command.compile.mlirOptions = true;
  }

  CompileOptions &compile = command.compile;
  compile.model = options.positional()[0];
  compile.until = phaseOf(command.until);
  if (compile.output.empty())
    compile.output = std::filesystem::path(compile.model).stem().string() + (compile.until == Phase::End ? ".qmod" : ".mlir");
  bool known = compile.output.ends_with(".qmod") || compile.output.ends_with(".mlir") || compile.output.ends_with(".mlirbc");
  if (!known || (compile.output.ends_with(".qmod") && compile.until != Phase::End))
    return usageError("cannot write \"" + compile.output + "\": expected " +
                      (compile.until == Phase::End ? ".qmod, .mlir or .mlirbc" : ".mlir or .mlirbc after a phase"));
  return run(command);
}
