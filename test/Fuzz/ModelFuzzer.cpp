//===- ModelFuzzer.cpp - ONNX models up to the raised form ----------------===//
//
// What is imported is raised, quantized and lowered: MLIR's own checks must not be the
// first to notice that something is wrong.
//
//===----------------------------------------------------------------------===//
#include "Compiler.h"
#include "Mutators.h"
#include "qopt/Import/Import.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string error;
  ImportOptions options = {.bytes = std::as_bytes(std::span(data, size)), .hasFolder = false};
  OwningOpRef<ModuleOp> module = importOnnx("model.onnx", context(), options, error);
  if (!module)
    return requireOneLine(error);
  run(*module, "qopt-raise");
  run(*module, "rtn-int4");
  run(*module, "qopt-lower");
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  return mutateWith(mutateProtobuf, data, size, maxSize, seed);
}
