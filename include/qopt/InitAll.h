//===- InitAll.h - Everything a tool registers ----------------------------===//
//
// The dialects and passes that qopt-opt, the language server and the compiler know, in
// one list, for tools of other projects as well.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_INITALL_H
#define QOPT_INITALL_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace qopt {

/// qopt's dialects, and those of MLIR that its pipelines go through, with the interfaces
/// that these need.
void registerAllDialects(mlir::DialectRegistry &registry);

/// qopt's passes and pipelines, and the passes of MLIR that they consist of. May be called
/// more than once.
void registerAllPasses();

} // namespace qopt

#endif // QOPT_INITALL_H
