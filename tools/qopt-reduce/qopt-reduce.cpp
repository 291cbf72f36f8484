//===- qopt-reduce.cpp - The smallest IR that shows a fault ---------------===//
//
// As mlir-reduce, with qopt's dialects, for graphs that its reduction-tree pass does not survive.
//
//===----------------------------------------------------------------------===//
#include "Reducer.h"
#include "mlir/IR/AsmState.h"
#include "qopt/Import/Import.h"
#include "qopt/InitAll.h"
#include "qopt/Plugins/Plugins.h"
#include "qopt/Support/File.h"
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Progress.h"
#include "qopt/Support/Tool.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <cstdio>

using namespace qopt;

/// Operations in `module`, itself not among them.
static int64_t countOperations(mlir::ModuleOp module) {
  int64_t count = -1;
  module->walk([&](mlir::Operation *) { ++count; });
  return count;
}

/// To standard output where `path` is "-".
static Status write(const std::string &path, const std::string &text) {
  if (path == "-") {
    std::fputs(text.c_str(), stdout);
    return {};
  }
  Status written = writeFileAtomically(path, text);
  return written ? written : inFile(path, written.error());
}

int main(int argc, char **argv) {
  std::string script, output = "-", report;
  std::vector<std::string> scriptArguments, dialectPlugins;
  bool allowsUnregistered = false, isQuiet = false;
  Options options("qopt-reduce MODEL --test=SCRIPT [options]",
                  "Makes IR as small as it can be while SCRIPT still says that it shows a fault.");
  options.file("test", "SCRIPT", script,
               "a program that is called as SCRIPT [ARG...] FILE.mlir; exit status 0: FILE does not show\n"
               "the fault, any other (1 by custom): it does, as for mlir-reduce;\n"
               "126, 127 and signals are errors, as a shell returns them for commands it cannot run");
  options.list("test-arg", "ARG", scriptArguments, "an argument of SCRIPT before FILE.mlir; may be repeated");
  options.file("output", "FILE", output, "the reduced IR as text (default: standard output)");
  options.shortName('o');
  options.file("report", "FILE", report,
               "how much is left, and what it took, as JSON (docs/schemas/qopt-reduction.json)");
  options.list("load-dialect-plugin", "FILE", dialectPlugins, "a plugin with dialects that the input has");
  options.flag("allow-unregistered-dialect", allowsUnregistered, "take operations of unknown dialects");
  options.flag("quiet", isQuiet, "no progress and no summary");
  options.epilog("MODEL is MLIR as text or bytecode, or ONNX. A reproducer stays one: its pipeline goes with every "
                 "file.\nExit status: 0 when done, 1 on an error (one line), 2 for a wrong command line.");

  return runTool("qopt-reduce", options, argc, argv, [&]() -> Status {
    if (options.positional().size() != 1)
      return usageError("expected one model but got " + std::to_string(options.positional().size()));
    if (script.empty())
      return usageError("expected --test=SCRIPT");
    if (output == "-" && report == "-")
      return usageError("expected -o FILE where --report=- takes standard output");
    const std::string &input = options.positional()[0];
    if (Status status = checkOutputPaths({output, report}, {input, script}); !status)
      return status;

    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    mlir::MLIRContext context(registry);
    context.allowUnregisteredDialects(allowsUnregistered);
    if (Status status = loadPlugins({}, dialectPlugins, context); !status)
      return status;
    mlir::FallbackAsmResourceMap resources;
    ImportOptions importOptions;
    importOptions.checkValues = false;
    importOptions.otherResources = &resources;
    std::string error;
    mlir::OwningOpRef<mlir::ModuleOp> module = loadModel(input, context, importOptions, error);
    if (!module)
      return Error{error};

    int64_t before = countOperations(*module);
    InterestingnessTest test(script, scriptArguments);
    Reducer reducer(test, resources);
    Progress progress("reducing", isQuiet);
    reducer.onStep = [&](mlir::ModuleOp smaller) { progress.update(before - countOperations(smaller), before); };
    Status status = reducer.reduce(module);
    progress.clear();
    if (!status)
      return inFile(input, status.error());
    if (Status written = write(output, reducer.toText(*module)); !written)
      return written;
    int64_t left = countOperations(*module);
    if (!isQuiet)
      std::fprintf(stderr, "%lld of %lld operations left, %d runs of the test\n", static_cast<long long>(left),
                   static_cast<long long>(before), test.count());
    if (report.empty())
      return {};
    llvm::json::Object json{{"operations", before}, {"operations_left", left}, {"test_runs", test.count()}};
    return write(report, llvm::formatv("{0:2}\n", llvm::json::Value(std::move(json))).str());
  });
}
