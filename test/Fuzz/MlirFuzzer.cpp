//===- MlirFuzzer.cpp - MLIR as text and bytecode -------------------------===//
//
// As models come from files: behind the checks of our own, which stand between MLIR and
// what it does not survive.
//
//===----------------------------------------------------------------------===//
#include "Compiler.h"
#include "qopt/Import/Import.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string error;
  ImportOptions options = {.bytes = std::as_bytes(std::span(data, size)), .hasFolder = false};
  OwningOpRef<ModuleOp> module = loadModel("model.mlir", context(), options, error);
  if (!module)
    return requireOneLine(error);
  run(*module, "qopt-raise");
  run(*module, "rtn-int4");
  return 0;
}
