//===- qopt-translate.cpp - ONNX to MLIR ----------------------------------===//
//
// Imports a model and prints it, without running a pass.
//
//===----------------------------------------------------------------------===//
#include "mlir/Bytecode/BytecodeWriter.h"
#include "qopt/Import/Import.h"
#include "qopt/InitAll.h"
#include "qopt/Support/File.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

static cl::opt<std::string> input(cl::Positional, cl::Required, cl::desc("FILE.onnx | FILE.mlir | FILE.mlirbc"));
static cl::opt<bool> importOnnx("import-onnx", cl::desc("the input is ONNX, whatever its name"));
static cl::opt<std::string> output("o", cl::desc("output file: .mlir (default: to stdout) or .mlirbc"),
                                   cl::value_desc("file"), cl::init("-"));
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
      importOnnx ? qopt::importOnnx(input, context, {}, error) : qopt::loadModel(input, context, {}, error);
  if (!module)
    return fail(error);

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
