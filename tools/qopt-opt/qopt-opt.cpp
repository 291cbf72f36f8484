//===- qopt-opt.cpp - mlir-opt with qopt's dialects and passes ------------===//
//
// Runs passes and pipelines on IR. Of MLIR's own passes only those are registered that our
// tests and pipelines name, which keeps linking quick. Input is judged before MLIR reads it,
// and the output appears complete or not at all.
//
//===----------------------------------------------------------------------===//
#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"
#include "qopt/Dialect/CheckData.h"
#include "qopt/Import/FatalErrors.h"
#include "qopt/Import/MlirFile.h"
#include "qopt/InitAll.h"
#include "qopt/Plugins/Plugins.h"
#include "qopt/Support/File.h"
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Tool.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdio>

using namespace qopt;

namespace {
/// What the importer refuses, for IR that passes are run on: data that do not fit their types.
struct CheckData : mlir::PassWrapper<CheckData, mlir::OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CheckData)
  llvm::StringRef getArgument() const override { return "qopt-check-data"; }
  llvm::StringRef getDescription() const override { return "Refuse constants whose data do not fit their types"; }

  void runOnOperation() override {
    auto bad = findBadData(getOperation());
    if (!bad)
      return markAllAnalysesPreserved();
    mlir::emitError(bad->first) << bad->second.message;
    signalPassFailure();
  }
};
} // namespace

/// What the command line asks for, with the check of data before all passes.
static mlir::MlirOptMainConfig configure() {
  mlir::MlirOptMainConfig asked = mlir::MlirOptMainConfig::createFromCLOptions(), config = asked;
  config.setPassPipelineSetupFn([asked](mlir::PassManager &passes) {
    passes.addPass(std::make_unique<CheckData>());
    return asked.setupPassPipeline(passes);
  });
  return config;
}

static Status write(const std::string &path, std::string &text) {
  if (mlir::isBytecode({text, path}))
    text = sealBytecode(text);
  if (path == "-") {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return {};
  }
  Status status = writeFileAtomically(path, text);
  return status ? status : Status(inFile(path, status.error()));
}

int main(int argc, char **argv) {
  return runTool("qopt-opt", [&]() -> Result<int> {
    reportFatalErrors();
    if (Status status = checkPluginOptions(argc, argv); !status)
      return status.error();
    mlir::DialectRegistry registry;
    registerAllDialects(registry);
    registerAllPasses();
    mlir::registerTransformsPasses();
    mlir::PassRegistration<CheckData>(); // for reproducers
    auto [input, output] = mlir::registerAndParseCLIOptions(argc, argv, "qopt optimizer\n", registry);
    mlir::MlirOptMainConfig config = configure();
    std::unique_ptr<llvm::MemoryBuffer> buffer = llvm::MemoryBuffer::getMemBuffer("");
    if (!config.shouldListPasses() && !config.shouldShowDialects()) {
      if (Status status = checkOutputPaths({output}, {input}); !status)
        return status.error();
      Result<std::unique_ptr<llvm::MemoryBuffer>> read = readMlir(input);
      if (!read)
        return inFile(input, read.error());
      buffer = std::move(*read);
    }
    std::string text;
    llvm::raw_string_ostream stream(text);
    if (failed(mlir::MlirOptMain(stream, std::move(buffer), registry, config))) {
      // It said why. Parts of a file that were right are shown beside those that were not.
      if (output == "-")
        (void)write(output, text);
      return static_cast<int>(ExitFailure);
    }
    llvm::outs().flush(); // what MLIR lists
    if (Status status = write(output, text); !status)
      return status.error();
    return static_cast<int>(ExitSuccess);
  });
}
