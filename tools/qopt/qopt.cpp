//===- qopt.cpp - The command of the compiler -----------------------------===//
//
// The command line is lib/Driver's; what it asks for is done there. Results go to standard
// output, everything else to standard error.
//
//===----------------------------------------------------------------------===//
#include "MlirArguments.h"
#include "qopt/Driver/CommandLine.h"
#include "qopt/Driver/Driver.h"
#include "qopt/Driver/PipelineList.h"
#include "qopt/Driver/ReportText.h"
#include "qopt/Import/FatalErrors.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Progress.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include <cstdio>

using namespace qopt;

namespace {

/// The exit code where all went well, but the limits of an evaluation allow no output.
constexpr int kExitRefused = 3;

/// Prints what people read, unless standard output is for programs.
void print(const CommandLine &command, const std::string &text) {
  if (command.report() != "-")
    std::fputs(text.c_str(), stdout);
}

/// Prints a list and writes it as JSON where --report says.
Status list(const CommandLine &command, const std::string &text, const std::string &json) {
  print(command, text);
  if (command.report() == "-")
    std::fputs(json.c_str(), stdout);
  else if (!command.report().empty())
    if (Status status = writeFileAtomically(command.report(), json); !status)
      return inFile(command.report(), status.error());
  return {};
}

/// Lets warnings go to `print` and, where they were asked for, remarks to standard error.
void listenTo(const CommandLine &command, CompileOptions &options,
              const std::function<void(const std::string &)> &print) {
  options.onWarning = [print](const std::string &text) { print("qopt: warning: " + text); };
  if (command.wantsRemarks())
    options.onRemark = [](const std::string &text) { std::fprintf(stderr, "qopt: remark: %s\n", text.c_str()); };
}

/// Prints the layers and does nothing else.
Status listLayers(const CommandLine &command, CompileOptions &options) {
  listenTo(command, options, [&](const std::string &text) {
    if (!command.isQuiet())
      std::fprintf(stderr, "%s\n", text.c_str());
  });
  Result<CompileReport> report = listModelLayers(options);
  if (!report)
    return report.error();
  print(command, layerTable(*report));
  if (command.report() == "-")
    std::fputs(toJson(*report).c_str(), stdout);
  return {};
}

/// Compiles. Lines of their own push the progress bar away, which comes back by itself. `refusal` says why nothing
/// was written.
Status compile(const CommandLine &command, CompileOptions &options, std::string &refusal) {
  Progress progress("calibrating", command.isQuiet());
  auto printLine = [&](const std::string &text) {
    if (command.isQuiet())
      return;
    progress.clear();
    std::fprintf(stderr, "%s\n", text.c_str());
  };
  options.onProgress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  listenTo(command, options, printLine);
  options.onNote = [&](const std::string &text) { printLine("qopt: note: " + text); };
  options.onLayer = [&](const LayerReport &layer) {
    if (layer.loss)
      printLine(progressLine(layer));
  };
  Result<CompileReport> report = compileModel(options);
  progress.clear();
  if (!report)
    return report.error();
  if (!report->choices.empty())
    print(command, choiceText(*report));
  if (report->evaluation)
    print(command, evaluationText(*report));
  refusal = report->refusal;
  if (!refusal.empty())
    return {};
  if (command.report() == "-")
    std::fputs(toJson(*report).c_str(), stdout);
  printLine(summaryLine(*report, options.output));
  return {};
}

Status dumpPassPipeline(const CommandLine &command) {
  Result<std::string> text = command.passPipeline();
  if (!text)
    return text.error();
  return list(command, *text + "\n", passPipelineAsJson(*text));
}

} // namespace

int main(int argc, char **argv) {
  CommandLine command;
  Options &table = command.table();
  std::vector<std::string> mlirArguments;
  std::vector<const char *> arguments = takeMlirArguments(argc, argv, mlirArguments);
  std::string refusal;
  int code = runTool("qopt", table, static_cast<int>(arguments.size()), arguments.data(), [&]() -> Status {
    reportFatalErrors();
    Result<Request> request = command.request();
    if (!request)
      return request.error();
    bool hasModel = *request == Request::Compile || *request == Request::ListLayers;
    if (table.positional().size() != hasModel)
      return usageError(std::string("expected ") + (hasModel ? "one model" : "no model") + " but got " +
                        std::to_string(table.positional().size()));
    if (*request == Request::ListSchemes)
      return list(command, schemeTable(), schemesAsJson());
    if (*request == Request::PrintPipelines)
      return list(command, pipelineTable(), pipelinesAsJson());
    if (*request == Request::DumpPassPipeline)
      return dumpPassPipeline(command);
    Result<CompileOptions> options = command.compileOptions(table.positional()[0]);
    if (!options)
      return options.error();
    if (Status status = applyMlirArguments(mlirArguments, *options); !status)
      return status;
    return *request == Request::ListLayers ? listLayers(command, *options) : compile(command, *options, refusal);
  });
  if (code != ExitSuccess || refusal.empty())
    return code;
  reportError("qopt", refusal);
  return kExitRefused;
}
