//===- main.cpp - qrun: runs compiled modules -----------------------------===//
//
// The command line; what each command does is in the file of its name.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Targets.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"
#include <limits>

using namespace qopt;

std::vector<std::string> Request::filesRead() const {
  std::vector<std::string> files{modulePath, compareModule, perplexityFile, promptFile};
  for (const std::string &input : inputs) // NAME=FILE
    files.push_back(input.substr(input.find('=') + 1));
  return files;
}

/// Only the form is checked here. Whether there is such a device shows when it is opened.
static Status setDevice(const std::string &name, Request &request) {
  if (name != "auto" && !parseDevice(name))
    return Error{"expected " + deviceForms("or")};
  request.device = name;
  return {};
}

/// All options with their help, in the order in which it is printed.
static void addOptions(Options &options, Request &request) {
  options.section("What to do (one of these)");
  options.file("perplexity", "FILE", request.perplexityFile,
               "measure how well the model predicts FILE: text (.txt), lines\n"
               "with \"text\" or \"input_ids\" (.jsonl), or windows of token\n"
               "ids [n, length] that are scored as they are (.npy)");
  options.list("prompt", "TEXT", request.prompts,
               "print TEXT and how the model goes on; several are continued\n"
               "together, and printed with an empty line between them");
  options.file("prompt-file", "FILE", request.promptFile,
               "the same for each line of FILE: text (.txt), or \"text\" or\n"
               "\"input_ids\" (.jsonl)");
  options.list("input", "NAME=FILE", request.inputs,
               "run the model once on arrays (.npy, or .pb: an ONNX\n"
               "TensorProto); give one for each input");
  options.flag("info", request.wantsInfo, "print what the module is and holds");
  options.text("extract", "SECTION", request.sectionToExtract, "write the bytes of a section (see --info) to -o");
  options.flag("verify", request.wantsVerification, "compare all of the module with its hashes");
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
  options.file("compare", "OTHER.qmod", request.compareModule,
               "also print the KL divergence from OTHER, normally the float\n"
               "module, and how often the most likely token is the same");
  options.integer("padding-id", "N", request.paddingId, 0, std::numeric_limits<int32_t>::max(),
                  "padding token of --mode=seed (default: end of text)");

  options.section("Arrays");
  options.file("output", "DIR", request.outputFolder, "write each output of --input to DIR/NAME.npy");

  options.section("Text");
  options.integer("max-tokens", "N", request.maxTokens, 1, int64_t(1) << 24, "stop after N new tokens (default: 128)");
  options.number("temperature", "T", request.temperature, 0, 100, "0, the default: always the most likely token");
  options.integer("top-k", "K", request.topK, 0, int64_t(1) << 24,
                  "sample from the K most likely tokens; 0, the default: from all");
  options.number("top-p", "P", request.topP, 0, 1,
                 "of these, sample from the most likely with probability P\ntogether (default: 1)");
  options.integer("seed", "S", request.seed, 0, std::numeric_limits<int64_t>::max(), "for sampling (default: 0)");

  options.section("Speed");
  options.integer("context", "N", request.startTokens, 1, int64_t(1) << 24,
                  "tokens before those whose generation --bench measures\n(default: 16)");

  options.section("Running");
  options.custom(
      "device", "NAME", [&](const std::string &name) { return setDevice(name, request); },
      "where to run: cpu, cuda, cuda:N (device number N), sim (the\n"
      "simulator of a GPU) or sim:sm_90a (one with wgmma)\n"
      "(default: cuda where there is a driver, a device and code\n"
      "for it in the module, else cpu)");
  options.suggest({"auto", "cpu", "cuda", "sim", "sim:sm_90a"});
  options.choice("host-level", hostLevelNames(), request.hostLevel,
                 "which code for the CPU (default: the best that runs here)");
  options.integer("threads", "N", request.threads, 1, 1024, "default: one per core; results do not depend on it");
  options.file("json", "FILE", request.jsonFile,
               "also write the results as JSON; with -, to standard output\nand nothing else there");
  options.flag("quiet", request.isQuiet, "print nothing but results and errors");

  options.section("Files");
  options.file("out", "FILE", request.outputFile, "where --extract writes");
  options.shortName('o');
  options.epilog("Results go to standard output, everything else to standard error. Exit codes: 0,\n"
                 "1 for an error, 2 for a bad command line.");
}

/// Options that mean nothing without another.
static Status checkCombination(const Options &options) {
  constexpr std::pair<const char *, const char *> needs[] = {
      {"mode", "perplexity"},    {"documents", "perplexity"},  {"window", "perplexity"}, {"max-windows", "perplexity"},
      {"compare", "perplexity"}, {"padding-id", "perplexity"}, {"output", "input"},      {"max-tokens", "prompt"},
      {"temperature", "prompt"}, {"top-k", "prompt"},          {"top-p", "prompt"},      {"seed", "prompt"},
      {"out", "extract"},        {"extract", "out"},           {"context", "bench"},
  };
  auto isThere = [&](std::string_view name) {
    return options.wasGiven(std::string(name)) || (name == "prompt" && options.wasGiven("prompt-file"));
  };
  for (auto [option, other] : needs)
    if (options.wasGiven(option) && !isThere(other))
      return usageError(std::string("--") + option + " needs --" + other);
  // What is drawn with temperature 0 is always the same.
  for (const char *option : {"top-k", "top-p", "seed"})
    if (options.wasGiven(option) && !options.wasGiven("temperature"))
      return usageError(std::string("--") + option + " needs --temperature above 0");
  if (options.positional().empty())
    return usageError("no module was given");
  if (options.positional().size() > 1)
    return usageError("unexpected argument '" + printable(options.positional()[1]) + "'");
  return {};
}

namespace {
/// An option that says what to do, and what does it.
struct Command {
  const char *option;
  Status (*run)(const Request &);
};
} // namespace

/// Exactly one command; two could not share standard output.
static Result<Command> chooseCommand(const Options &options) {
  static constexpr Command commands[] = {
      {"perplexity", measure}, {"prompt", continuePrompts}, {"prompt-file", continuePrompts}, {"input", runOnce},
      {"info", showInfo},      {"verify", verifyModule},    {"extract", extractSection},      {"bench", bench}};
  const Command *chosen = nullptr;
  for (const Command &command : commands) {
    if (!options.wasGiven(command.option))
      continue;
    if (chosen)
      return usageError(std::string("--") + chosen->option + " and --" + command.option + " cannot be used together");
    chosen = &command;
  }
  if (!chosen)
    return usageError("nothing to do: give --perplexity, --prompt, --input, --info, --verify, --extract or --bench");
  return *chosen;
}

int main(int argc, char **argv) {
  Request request;
  Options options("qrun MODULE.qmod [options]",
                  "Runs a model that qopt compiled: measures its perplexity, lets it write text, or\n"
                  "runs it on given arrays.");
  addOptions(options, request);
  return runTool("qrun", options, argc, argv, [&]() -> Status {
    if (Status status = checkCombination(options); !status)
      return status;
    Result<Command> command = chooseCommand(options);
    if (!command)
      return command.error();
    request.modulePath = options.positional()[0];
    if (Status status = checkOutputPaths({request.jsonFile, request.outputFile}, request.filesRead()); !status)
      return status;
    return command->run(request);
  });
}
