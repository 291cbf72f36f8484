//===- BytecodeVersion.h - The version of a dialect in bytecode -----------===//
//
// Bytecode says of which versions its dialects are: what is older is read, and of what is
// newer both versions are named.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_BYTECODEVERSION_H
#define QOPT_DIALECT_BYTECODEVERSION_H

#include "mlir/Bytecode/BytecodeImplementation.h"

namespace qopt {

/// The interface that a dialect of qopt adds, once, in its initialize().
class BytecodeVersion : public mlir::BytecodeDialectInterface {
public:
  /// Of all dialects. The first grows when a form goes that older files have, the second when
  /// one is added that older programs do not know.
  static constexpr uint64_t kMajor = 1, kMinor = 0;

  explicit BytecodeVersion(mlir::Dialect *dialect) : BytecodeDialectInterface(dialect) {}
  void writeVersion(mlir::DialectBytecodeWriter &writer) const override;
  std::unique_ptr<mlir::DialectVersion> readVersion(mlir::DialectBytecodeReader &reader) const override;
};

} // namespace qopt

#endif // QOPT_DIALECT_BYTECODEVERSION_H
