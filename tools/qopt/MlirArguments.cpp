//===- MlirArguments.cpp - MLIR's own debugging options -------------------===//
//
// The options exist only once they are registered, so they are, and only where some are given.
//
//===----------------------------------------------------------------------===//
#include "MlirArguments.h"
#include "qopt/InitAll.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

using namespace qopt;

std::vector<const char *> qopt::takeMlirArguments(int argc, char **argv, std::vector<std::string> &mlirArguments) {
  std::vector<const char *> rest;
  for (int i = 0; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (i > 0 &&
        (argument.starts_with("--mlir-") || argument.starts_with("-mlir-") || argument.starts_with("--debug-only")))
      mlirArguments.emplace_back(argument);
    else
      rest.push_back(argv[i]);
  }
  return rest;
}

Status qopt::applyMlirArguments(const std::vector<std::string> &mlirArguments, CompileOptions &options) {
  if (mlirArguments.empty())
    return {};
  registerAllPasses(); // whose names are values of options
  mlir::registerPassManagerCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerAsmPrinterCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  std::vector<const char *> forwarded = {"qopt"};
  for (const std::string &argument : mlirArguments) {
    forwarded.push_back(argument.c_str());
    llvm::StringRef text = llvm::StringRef(argument).ltrim('-');
    if (text.consume_front("mlir-pass-pipeline-crash-reproducer="))
      options.reproducer = text.str();
  }
  std::string message;
  llvm::raw_string_ostream stream(message);
  llvm::SmallVector<llvm::cl::Option *> forgotten;
  if (!llvm::cl::ParseCommandLineOptions(forwarded.size(), forwarded.data(), "", &stream))
    return usageError(printable(message.substr(0, message.find('\n'))));
  // lld resets all options that the parser knows, at every link; those it does not know keep
  // their values.
  for (auto &[name, option] : llvm::cl::getRegisteredOptions())
    if (name.starts_with("mlir-"))
      forgotten.push_back(option);
  for (llvm::cl::Option *option : forgotten)
    option->removeArgument();
  options.mlirOptions = true;
  return {};
}
