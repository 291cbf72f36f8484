//===- BytecodeVersion.cpp - The version of a dialect in bytecode ---------===//
//
// Operations and attributes are in MLIR's own forms; only the version is added.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/BytecodeVersion.h"
#include "mlir/IR/Dialect.h"

using namespace mlir;
using namespace qopt;

namespace {
/// MLIR keeps it, nobody asks for it: there has been one version so far.
struct VersionOfFile : DialectVersion {};
} // namespace

void BytecodeVersion::writeVersion(DialectBytecodeWriter &writer) const {
  writer.writeVarInt(kMajor);
  writer.writeVarInt(kMinor);
}

std::unique_ptr<DialectVersion> BytecodeVersion::readVersion(DialectBytecodeReader &reader) const {
  uint64_t major, minor;
  if (failed(reader.readVarInt(major)) || failed(reader.readVarInt(minor)))
    return nullptr;
  if (major == kMajor && minor <= kMinor)
    return std::make_unique<VersionOfFile>();
  reader.emitError() << "the dialect '" << getDialect()->getNamespace() << "' is of version " << major << '.' << minor
                     << ", but this program reads " << kMajor << ".0 to " << kMajor << '.' << kMinor;
  return nullptr;
}
