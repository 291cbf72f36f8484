//===- qopt-translate.cpp - ONNX to MLIR and back -------------------------===//
//
// Reads a model in one form and writes it in another, without running a pass.
//
//===----------------------------------------------------------------------===//
#include "mlir/Bytecode/BytecodeWriter.h"
#include "qopt/Export/Export.h"
#include "qopt/Import/Import.h"
#include "qopt/InitAll.h"
#include "qopt/Support/File.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

static cl::opt<std::string> input(cl::Positional, cl::Required, cl::desc("FILE.onnx | FILE.mlir | FILE.mlirbc"));
static cl::opt<bool> onnxToMlir("onnx-to-mlir", cl::desc("the input is ONNX, whatever its name"));
static cl::opt<bool> mlirToOnnx("mlir-to-onnx", cl::desc("the output is ONNX, whatever its name"));
static cl::opt<std::string> output("o", cl::desc("output file: .mlir (default: to stdout), .mlirbc or .onnx"),
                                   cl::value_desc("file"), cl::init("-"));
static cl::opt<bool> externalData("external-data",
                                  cl::desc("weights of an .onnx beside it, in FILE.data (default: from 1 GiB on)"));
static cl::opt<bool> weights("weights", cl::desc("print the weights in full (.mlirbc always has them)"));

/// The one line of an error, and the exit code.
static int fail(const std::string &message) {
  errs() << "qopt-translate: error: " << message << '\n';
  return 1;
}

int main(int argc, char **argv) {
  cl::ParseCommandLineOptions(argc, argv, "qopt translator between model formats\n");
  mlir::DialectRegistry registry;
  qopt::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  std::string error;
  mlir::OwningOpRef<mlir::ModuleOp> module =
      onnxToMlir ? qopt::importOnnx(input, context, {}, error) : qopt::loadModel(input, context, {}, error);
  if (!module)
    return fail(error);

  if (mlirToOnnx || StringRef(output).ends_with(".onnx")) {
    if (output == "-")
      return fail("ONNX needs a file: -o FILE.onnx");
    qopt::ExportOptions options;
    if (externalData)
      options.maxBytesInFile = 0;
    qopt::Status status = qopt::exportOnnx(*module, output, options);
    return status ? 0 : fail(input + ": " + status.error().message);
  }
  std::string text;
  raw_string_ostream stream(text);
  if (StringRef(output).ends_with(".mlirbc")) {
    if (failed(mlir::writeBytecodeToFile(*module, stream)))
      return fail(output + ": cannot be written as bytecode");
  } else {
    mlir::OpPrintingFlags flags;
    if (!weights)
      // Weights of a model are gigabytes as text.
      flags.useLocalScope(); // which leaves out the resources
    module->print(stream, flags);
    stream << '\n';
  }
  // A file appears complete or not at all; a pipe gets what there is.
  if (output == "-") {
    outs() << text;
    return 0;
  }
  qopt::Status status = qopt::writeFileAtomically(output, text);
  return status ? 0 : fail(output + ": " + status.error().message);
}
