//===- Bytecode.h - The seal of bytecode ----------------------------------===//
//
// MLIR's bytecode begins with its magic, a version and the name of the producer, which is
// free. Ours is "qopt VERSION sha256:DIGITS": the hash of the file with zeros for the digits.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_BYTECODE_H
#define QOPT_LIB_IMPORT_BYTECODE_H

#include "qopt/Support/Result.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace qopt {

inline constexpr llvm::StringLiteral kBytecodeMagic = "ML\xefR";

/// The producer, with zeros for the digits.
std::string unsealedProducer();
/// Where the digits begin in a file with that producer.
int64_t sealOffset();

/// Whether bytecode that qopt wrote is as it was written. That of others passes.
Status checkSeal(llvm::StringRef bytecode);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_BYTECODE_H
