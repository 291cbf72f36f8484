//===- MlirFile.h - MLIR as text and bytecode -----------------------------===//
//
// How all tools read and write IR. Bytecode that qopt writes carries a SHA-256 in the name of
// its producer, which every MLIR reads and none looks at.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_IMPORT_MLIRFILE_H
#define QOPT_IMPORT_MLIRFILE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OperationSupport.h"
#include "qopt/Support/Result.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace qopt {

/// The text or bytecode in `path`, on standard input for "-", or in `bytes`, that may be given
/// to MLIR's parser. Errors: what cannot be read or is empty, text that nests deeper than the
/// parser's stack, a resource with an impossible alignment, bytecode of qopt that is damaged.
Result<std::unique_ptr<llvm::MemoryBuffer>> readMlir(const std::string &path,
                                                     std::optional<std::span<const std::byte>> bytes = std::nullopt);

/// Writes `path`, all or nothing: bytecode where it ends in .mlirbc, else text.
Status writeMlir(mlir::ModuleOp module, const std::string &path, mlir::OpPrintingFlags flags);

/// Gives bytecode that MLIR wrote the producer and the hash of ours.
std::string sealBytecode(llvm::StringRef bytecode);

} // namespace qopt

#endif // QOPT_IMPORT_MLIRFILE_H
