//===- main.cpp - qrun: runs compiled modules -----------------------------===//
#include "Commands.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Progress.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <sys/stat.h>
#include <thread>

using namespace qopt;

//===----------------------------------------------------------------------===//
// The command line
//===----------------------------------------------------------------------===//

static Status setDevice(const std::string &name, Request &request) {
  int64_t number = 0;
  bool isNumbered = name.starts_with("cuda:") && parseInteger(name.substr(5), number) && number >= 0;
  if (name != "auto" && name != "cpu" && name != "cuda" && name != "sim" && name != "sim:sm_90a" && !isNumbered)
    return Error{"expected cpu, cuda, cuda:N, sim or sim:sm_90a"};
  request.device = name;
  return {};
}

static void addOptions(Options &options, Request &request) {
  options.section("What to do (one of these)");
  options.text("perplexity", "FILE", request.perplexityFile,
               "measure how well the model predicts FILE: text (.txt), lines\n"
               "with \"text\" or \"input_ids\" (.jsonl), or windows of token\n"
               "ids [n, length] that are scored as they are (.npy)");
  options.text("prompt", "TEXT", request.prompt, "print TEXT and how the model goes on");
  options.list("input", "NAME=FILE", request.inputs,
               "run the model once on arrays (.npy, or .pb: an ONNX\n"
               "TensorProto); give one for each input");
  options.flag("info", request.wantsInfo, "print what the module is and holds");
  options.text("extract", "SECTION", request.sectionToExtract, "write the bytes of a section (see --info) to -o");
  options.flag("bench", request.wantsBench, "measure tokens per second");

  options.section("Perplexity");
  options.choice("mode", {"windows", "per-text", "seed", "llama.cpp"}, request.mode,
                 "what is averaged (default: windows)\n"
                 "windows: exp of the mean NLL over windows without overlap\n"
                 "per-text: mean over lines of exp of the line's mean NLL\n"
                 "seed: the same in one batch, padded on the left\n"
                 "llama.cpp: windows begin with BOS, second halves count");
  options.choice("documents", {"auto", "whole", "blank-lines"}, request.documents,
                 "where a .txt of mode windows is cut into documents, each with\n"
                 "BOS and end of text around it: at <|endoftext|>, else not at\n"
                 "all (auto, the default), never, or at blank lines");
  options.integer("window", "N", request.window, 2, int64_t(1) << 24,
                  "tokens per window (default: 2048, llama.cpp: 512, or the\n"
                  "context of the model when that is less)");
  options.integer("max-windows", "N", request.maxWindows, 1, int64_t(1) << 40,
                  "score only N of the windows, evenly spaced (default: all)");
  options.text("compare", "OTHER.qmod", request.compareModule,
               "also print the KL divergence from OTHER, normally the float\n"
               "module, and how often the most likely token is the same");
  options.integer("padding-id", "N", request.paddingId, 0, std::numeric_limits<int32_t>::max(),
                  "padding token of --mode=seed (default: end of text)");

  options.section("Arrays");
  options.text("output", "DIR", request.outputFolder, "write each output of --input to DIR/NAME.npy");

  options.section("Text");
  options.integer("max-tokens", "N", request.maxTokens, 1, int64_t(1) << 24, "stop after N new tokens (default: 128)");
  options.number("temperature", "T", request.temperature, 0, 100, "0, the default: always the most likely token");
  options.number("top-p", "P", request.topP, 0, 1,
                 "sample from the most likely tokens with probability P\ntogether (default: 1)");
  options.integer("seed", "S", request.seed, 0, std::numeric_limits<int64_t>::max(), "for sampling (default: 0)");

  options.section("Running");
  options.custom(
      "device", "NAME", [&](const std::string &name) { return setDevice(name, request); },
      "where to run: cpu, cuda, cuda:N (device number N), sim (the\n"
      "simulator of a GPU) or sim:sm_90a (one with wgmma)\n"
      "(default: cuda where there is a driver, a device and code\n"
      "for it in the module, else cpu)");
  options.choice("host-level", {"x86-64-v3", "x86-64-v4"}, request.hostLevel,
                 "which code for the CPU (default: the best that runs here)");
  options.integer("threads", "N", request.threads, 1, 1024, "default: one per core; results do not depend on it");
  options.text("json", "FILE", request.jsonFile,
               "also write the results as JSON; with -, to standard output\nand nothing else there");
  options.flag("quiet", request.isQuiet, "print nothing but results and errors");

  options.section("Files");
  options.text("out", "FILE", request.outputFile, "where --extract writes");
  options.shortName('o');
  options.epilog("Results go to standard output, everything else to standard error. Exit codes: 0,\n"
                 "1 for an error, 2 for a bad command line.");
}

/// Options that mean nothing without another.
static void checkCombination(const Options &options) {
  constexpr std::pair<const char *, const char *> needs[] = {
      {"mode", "perplexity"},    {"documents", "perplexity"},  {"window", "perplexity"}, {"max-windows", "perplexity"},
      {"compare", "perplexity"}, {"padding-id", "perplexity"}, {"output", "input"},      {"max-tokens", "prompt"},
      {"temperature", "prompt"}, {"top-p", "prompt"},          {"seed", "prompt"},       {"out", "extract"},
      {"extract", "out"},
  };
  for (auto [option, other] : needs)
    if (options.wasGiven(option) && !options.wasGiven(other))
      throw UsageError{std::string("--") + option + " needs --" + other};
  if (options.positional().empty())
    throw UsageError{"no module was given"};
  if (options.positional().size() > 1)
    throw UsageError{"unexpected argument '" + printable(options.positional()[1]) + "'"};
}

namespace {
struct Command {
  const char *option;
  Status (*run)(const Request &);
};
} // namespace

static const Command &chooseCommand(const Options &options) {
  static constexpr Command commands[] = {{"perplexity", measure}, {"prompt", continuePrompt},  {"input", runOnce},
                                         {"info", showInfo},      {"extract", extractSection}, {"bench", bench}};
  const Command *chosen = nullptr;
  for (const Command &command : commands) {
    if (!options.wasGiven(command.option))
      continue;
    if (chosen)
      throw UsageError{std::string("--") + chosen->option + " and --" + command.option + " cannot be used together"};
    chosen = &command;
  }
  if (!chosen)
    throw UsageError{"nothing to do: give --perplexity, --prompt, --input, --info, --extract or --bench"};
  return *chosen;
}

//===----------------------------------------------------------------------===//
// What the commands share
//===----------------------------------------------------------------------===//

static void warnIfOthersCanWrite(const std::string &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IWOTH))
    std::fprintf(stderr, "qrun: warning: %s: everybody may write to this file, and its code is run\n",
                 printable(path).c_str());
}

Result<std::unique_ptr<qrt::Session>> openSession(const Request &request, const std::string &path) {
  auto module = Module::open(path);
  if (!module)
    return inFile(path, module.error());
  warnIfOthersCanWrite(path);
  int64_t cores = std::max<int64_t>(std::thread::hardware_concurrency(), 1);
  Progress progress("weights", request.isQuiet);
  qrt::SessionOptions options;
  options.threads = static_cast<int>(request.threads > 0 ? request.threads : cores);
  options.device = request.device;
  options.hostLevel = request.hostLevel;
  options.onUpload = [&](int64_t done, int64_t total) { progress.update(done, total); };
  options.onWarning = [&](const std::string &text) {
    progress.clear();
    std::fprintf(stderr, "qrun: warning: %s: %s\n", printable(path).c_str(), text.c_str());
  };
  auto session = qrt::Session::create(*module, options);
  progress.clear();
  if (!session)
    return inFile(path, session.error());
  if (!request.isQuiet)
    std::fprintf(stderr, "qrun: %s runs on %s\n", printable(path).c_str(), (*session)->description().c_str());
  return session;
}

Status writeJson(const Request &request, const std::string &json) {
  if (request.jsonFile.empty())
    return {};
  if (request.jsonToStdout()) {
    std::fputs(json.c_str(), stdout);
    return {};
  }
  Status status = writeFileAtomically(request.jsonFile, json);
  return status ? status : Status(inFile(request.jsonFile, status.error()));
}

int main(int argc, char **argv) {
  Request request;
  Options options("qrun MODULE.qmod [options]",
                  "Runs a model that qopt compiled: measures its perplexity, lets it write text, or\n"
                  "runs it on given arrays.");
  addOptions(options, request);
  return runTool("qrun", options, argc, argv, [&]() -> Status {
    checkCombination(options);
    const Command &command = chooseCommand(options);
    request.modulePath = options.positional()[0];
    return command.run(request);
  });
}
