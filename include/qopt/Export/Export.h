//===- Export.h - MLIR to ONNX files --------------------------------------===//
//
// The way back: what the importer made of a model, and what raising made of that, as a file
// that other programs read.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_EXPORT_EXPORT_H
#define QOPT_EXPORT_EXPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Support/Result.h"

namespace qopt {

struct ExportOptions {
  /// Bytes of weights from which on they go to a file of their own, "PATH.data": an ONNX file
  /// must be smaller than 2 GiB. 0: always.
  int64_t maxBytesInFile = int64_t(1) << 30;
};

/// Writes @forward, which has the onnx dialect only, as an ONNX model of the least operator set
/// that has all of its operators, 18 or later. Imported again it is the same IR. Operators that
/// only newer sets have (RMSNormalization, Attention ...) are written as what they are.
/// Errors: "NODE: reason"; no @forward; an operation that ONNX does not have.
Status exportOnnx(mlir::ModuleOp module, const std::string &path, const ExportOptions &options = {});

} // namespace qopt

#endif // QOPT_EXPORT_EXPORT_H
