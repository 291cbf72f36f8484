//===- qopt-translate.cpp - ONNX to MLIR and back -------------------------===//
//
// Reads a model in one form and writes it in another, without running a pass.
//
//===----------------------------------------------------------------------===//
#include "qopt/Export/Export.h"
#include "qopt/Import/FatalErrors.h"
#include "qopt/Import/Import.h"
#include "qopt/Import/MlirFile.h"
#include "qopt/InitAll.h"
#include "qopt/Support/File.h"
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Tool.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdio>

using namespace llvm;

static cl::opt<std::string> input(cl::Positional, cl::Required, cl::desc("FILE.onnx | FILE.mlir | FILE.mlirbc"));
static cl::opt<bool> onnxToMlir("onnx-to-mlir", cl::desc("the input is ONNX, whatever its name"));
static cl::opt<bool> mlirToOnnx("mlir-to-onnx", cl::desc("the output is ONNX, whatever its name"));
static cl::opt<std::string> output("o", cl::desc("output file: .mlir (default: to stdout), .mlirbc or .onnx"),
                                   cl::value_desc("file"), cl::init("-"));
static cl::opt<bool>
    externalData("external-data",
                 cl::desc("weights of an .onnx beside it, in FILE.HASH.data (default: from 1 GiB on)"));
static cl::opt<bool> weights("weights", cl::desc("print the weights in full (.mlirbc always has them)"));

static qopt::Status exportModel(mlir::ModuleOp module) {
  if (output == "-")
    return qopt::Error{"ONNX needs a file: -o FILE.onnx"};
  qopt::ExportOptions options;
  if (externalData)
    options.maxBytesInFile = 0;
  qopt::Status status = qopt::exportOnnx(module, output, options);
  return status ? status : qopt::Status(qopt::inFile(input, status.error()));
}

static qopt::Status translate() {
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  std::string error;
  mlir::OwningOpRef<mlir::ModuleOp> module =
      onnxToMlir ? qopt::importOnnx(input, context, {}, error) : qopt::loadModel(input, context, {}, error);
  if (!module)
    return qopt::Error{error};
  // The model names the files of its weights.
  std::vector<std::string> read = qopt::mappedFiles();
  read.push_back(input);
  if (qopt::Status status = qopt::checkOutputPaths({output}, read); !status)
    return status;
  if (mlirToOnnx || StringRef(output).ends_with(".onnx"))
    return exportModel(*module);

  mlir::OpPrintingFlags flags;
  if (!weights)
    // Weights of a model are gigabytes as text.
    flags.useLocalScope(); // which leaves out the resources
  if (output != "-") {
    qopt::Status status = qopt::writeMlir(*module, output, flags);
    return status ? status : qopt::Status(qopt::inFile(output, status.error()));
  }
  std::string text;
  raw_string_ostream(text) << mlir::OpWithFlags(module->getOperation(), flags) << '\n';
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

int main(int argc, char **argv) {
  return qopt::runTool("qopt-translate", [&]() -> qopt::Result<int> {
    qopt::reportFatalErrors();
    cl::ParseCommandLineOptions(argc, argv, "qopt translator between model formats\n");
    qopt::Status status = translate();
    return status ? qopt::Result<int>(int(qopt::ExitSuccess)) : status.error();
  });
}
