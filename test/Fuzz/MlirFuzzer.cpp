//===- MlirFuzzer.cpp - MLIR as text and bytecode -------------------------===//
//
// As models come from files: behind the checks of our own, which stand between MLIR and
// what it does not survive. MLIR's reader of bytecode dies of much, so the seal of ours must
// find whatever became of a file.
//
//===----------------------------------------------------------------------===//
#include "Compiler.h"
#include "lib/Import/Bytecode.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "qopt/Import/Import.h"
#include "qopt/Import/MlirFile.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::fuzz;

static OwningOpRef<ModuleOp> load(MLIRContext &mlir, StringRef bytes, std::string &error) {
  ImportOptions options = {.bytes = std::as_bytes(std::span(bytes.data(), bytes.size())), .hasFolder = false};
  return loadModel("model.mlir", mlir, options, error);
}

/// What was read can be written and read again, but not with one bit changed.
static void writeAndRead(ModuleOp module, uint64_t anyBit) {
  std::string error, written;
  llvm::raw_string_ostream stream(written);
  if (failed(writeBytecodeToFile(module, stream)))
    std::abort();
  written = sealBytecode(written);
  if (!load(*module.getContext(), written, error))
    std::abort();
  written[anyBit / 8 % written.size()] ^= static_cast<char>(1 << anyBit % 8);
  if (load(*module.getContext(), written, error))
    std::abort();
  requireOneLine(error);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  StringRef text(reinterpret_cast<const char *>(data), size);
  if (text.starts_with(kBytecodeMagic))
    return -1; // of another program: what the reader makes of it is not ours
  std::string error;
  OwningOpRef<ModuleOp> module = load(context(), text, error);
  if (!module)
    return requireOneLine(error);
  writeAndRead(*module, llvm::xxh3_64bits(text));
  run(*module, "qopt-raise");
  run(*module, "rtn-int4");
  return 0;
}
