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
#include <cstdio>

using namespace qopt;

/// Operations in `module`, itself not among them.
static int64_t countOperations(mlir::ModuleOp module) {
  int64_t count = -1;
  module->walk([&](mlir::Operation *) { ++count; });
  return count;
}

int main(int argc, char **argv) {
  std::string script, output = "-";
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
    const std::string &input = options.positional()[0];
    if (Status status = checkOutputPaths({output}, {input, script}); !status)
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
    std::string text = reducer.toText(*module);
    if (output == "-")
      std::fputs(text.c_str(), stdout);
    else if (Status written = writeFileAtomically(output, text); !written)
      return inFile(output, written.error());
    if (!isQuiet)
      std::fprintf(stderr, "%lld of %lld operations left, %d runs of the test\n",
                   static_cast<long long>(countOperations(*module)), static_cast<long long>(before), test.count());
    return {};
  });
}
