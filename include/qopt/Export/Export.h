//===- Export.h - MLIR to ONNX files --------------------------------------===//
//
// The way back: what the importer made of a model, what raising made of that, and what a
// pipeline has quantized, as a file that other programs read.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_EXPORT_EXPORT_H
#define QOPT_EXPORT_EXPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Support/Result.h"

namespace qopt {

struct ExportOptions {
  /// Bytes of weights from which on they go to a file of their own, "PATH.HASH.data": an ONNX file
  /// must be smaller than 2 GiB. 0: always.
  int64_t maxBytesInFile = int64_t(1) << 30;
};

/// Writes @forward as an ONNX model of the least operator set that has all of its operators, 18
/// or later. Of the onnx dialect alone, imported again it is the same IR. Operators that only
/// newer sets have (RMSNormalization, Attention ...) are written as what they are. What the
/// pipelines quantize becomes DequantizeLinear of int8 or UINT4 weights (the latter in blocks,
/// set 21) and MatMul; int8 activations are quantized by QuantizeLinear where their scale is
/// known, else by Abs, ReduceMax, Div, Round.
/// Errors: "NODE: reason"; no @forward; an operation that ONNX does not have, such as int8
/// products with outlier columns.
Status exportOnnx(mlir::ModuleOp module, const std::string &path, const ExportOptions &options = {});

} // namespace qopt

#endif // QOPT_EXPORT_EXPORT_H
