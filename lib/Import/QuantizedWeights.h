//===- QuantizedWeights.h - The codes of onnxruntime's operators ----------===//
//
// MatMulNBits and GatherBlockQuantized pack codes into bytes in ways of their own; ONNX
// has types of 2, 4 and 8 bits. Where the bits lie alike, the bytes are only seen anew.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_QUANTIZEDWEIGHTS_H
#define QOPT_LIB_IMPORT_QUANTIZEDWEIGHTS_H

#include "Operators.h"

namespace qopt {

/// The constant that `value` is, be it through reshapes; null where it is none, or its data
/// are not there.
mlir::ElementsAttr constantOf(mlir::Value value);

/// The same elements in another shape of as many.
mlir::ElementsAttr reshaped(mlir::ElementsAttr value, llvm::ArrayRef<int64_t> shape);

/// Codes of `bits` bits, one after the other in rows of `rowBytes` bytes.
struct PackedCodes {
  mlir::ElementsAttr bytes; ///< ui8, rows * rowBytes of them
  int64_t rows, rowBytes;
  int bits; ///< 2 to 8

  /// The codes of the row's first `columns`, all rows one after the other.
  std::vector<uint8_t> unpack(int64_t columns) const;
  /// As a constant [rows, columns] of the smallest unsigned type that holds them. The bytes
  /// stay where they are if they are what such a constant has.
  mlir::ElementsAttr toConstant(int64_t columns, llvm::StringRef name) const;
};

/// A constant [rows, columns] of these codes, of ui8 or, where `bits` is less, of ui4 or ui2.
mlir::ElementsAttr packCodes(mlir::MLIRContext *context, llvm::ArrayRef<uint8_t> codes, int64_t rows, int bits,
                             llvm::StringRef name);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_QUANTIZEDWEIGHTS_H
