//===- Import.h - ONNX files to MLIR --------------------------------------===//
//
// Models from files: ONNX, and MLIR that an earlier run has written.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_IMPORT_IMPORT_H
#define QOPT_IMPORT_IMPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace mlir {
class FallbackAsmResourceMap;
} // namespace mlir

namespace qopt {

struct ImportOptions {
  /// Reject NaN and infinity in small float initializers (CheckWeights.h: large ones), naming tensor and index.
  bool checkValues = true;
  /// The contents of the file where they are in memory, which must outlive the context.
  /// Nothing need be at `path` then: its ending says what they are, errors begin with it,
  /// and external data are beside it.
  std::optional<std::span<const std::byte>> bytes = std::nullopt;
  /// Of a model in memory: whether there is something beside it, in the folder of `path`.
  bool hasFolder = true;
  /// Of MLIR: gets the resources that belong to no dialect, such as the pipeline of a reproducer.
  mlir::FallbackAsmResourceMap *otherResources = nullptr;
  /// Where external data may lie besides the model's directory; empty: nowhere.
  std::string dataDirectory = {};
};

/// Imports the ONNX model `path` as a module with one function @forward in the
/// onnx dialect. Initializers and external data stay in the mapped files and are
/// referenced as dense resources (key: the initializer's name); the mappings live
/// as long as the context. Function arguments and results carry `onnx.name`
/// (StringAttr) and `onnx.dims` (ArrayAttr of StringAttr: the symbol of each
/// dimension, "" where constant). Every op's location is a NameLoc of its node
/// name (or first output). Where the exporter wrote the module path of a node into
/// its metadata, the op carries it as `onnx.scope` (StringAttr).
///
/// On failure `error` is one line "FILE: node or tensor: reason with numbers" and
/// the result is null. Never throws, whatever the file holds.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(const std::string &path, mlir::MLIRContext &context,
                                             const ImportOptions &options, std::string &error);

/// Reads a model in any form: MLIR as text or bytecode where the name ends in .mlir
/// or .mlirbc, else ONNX. MLIR is verified, and every dense resource must have a
/// blob of its type's size. Errors as importOnnx(); of MLIR text they are
/// "FILE:LINE:COLUMN: reason".
mlir::OwningOpRef<mlir::ModuleOp> loadModel(const std::string &path, mlir::MLIRContext &context,
                                            const ImportOptions &options, std::string &error);

} // namespace qopt

#endif // QOPT_IMPORT_IMPORT_H
