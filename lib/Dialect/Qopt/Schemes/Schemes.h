//===- Schemes.h - The families of schemes --------------------------------===//
//
// A scheme is described in the file of its family; all of them become known by this list.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DIALECT_QOPT_SCHEMES_H
#define QOPT_LIB_DIALECT_QOPT_SCHEMES_H

#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"

namespace qopt::schemes {

/// Of the output layer with any scheme: int8 weights change logits less than what the scheme
/// does to the other layers, and a small model's head is half of its bytes.
inline constexpr llvm::StringLiteral kHead = "int8-weights";

llvm::ArrayRef<SchemeInfo> floats();
llvm::ArrayRef<SchemeInfo> int8();
llvm::ArrayRef<SchemeInfo> groups();
llvm::ArrayRef<SchemeInfo> smallFloats();

} // namespace qopt::schemes

#endif // QOPT_LIB_DIALECT_QOPT_SCHEMES_H
