//===- StoredWeights.h - Weights that a file keeps as codes ---------------===//
//
// A DequantizeLinear of constants is a matrix of N outputs with K inputs each. Here its codes,
// scales and zero points become parameters in a form that products have kernels for, without
// a change of any number:
//
// - 8 bits, one scale per output: int8 codes; where a zero point is not in the middle,
//   what it adds to each output is subtracted;
// - at most 4 bits: unsigned 4-bit codes in groups;
// - 8 bits in groups: the sum of two matrices of 4 bits, of the high and of the low halves
//   of the codes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_STOREDWEIGHTS_H
#define QOPT_DIALECT_STOREDWEIGHTS_H

#include "mlir/IR/Builders.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

namespace qopt {

/// The codes, scales and zero points of one matrix, where the file has them.
struct StoredWeights {
  ConstantView codes;                ///< a matrix of integers of at most 8 bits
  ConstantView scales;               ///< one; one per output; or one per output and group
  std::optional<ConstantView> zeros; ///< integers or floats, one or of the shape of scales; none: 0
  bool outputsFirst = true;          ///< codes are [N, K], else [K, N]
  int64_t outputs = 0, inputs = 0;
  int64_t groupSize = 0; ///< inputs that share a scale; K where an output has one

  /// Reads the constants of `op`, whose outputs are along `outputAxis` of its codes. Where that
  /// is not possible `why` says so, with types.
  static std::optional<StoredWeights> match(onnx::DequantizeLinearOp op, int64_t outputAxis, std::string &why);

  int64_t groups() const { return (inputs + groupSize - 1) / groupSize; }
  int bits() const { return static_cast<int>(codes.type.getElementTypeBitWidth()); }
  /// What makes signed codes unsigned.
  int shift() const;
  int64_t codeAt(int64_t output, int64_t input) const;
  double scaleAt(int64_t output, int64_t group) const;
  double zeroAt(int64_t output, int64_t group) const;
};

/// The matrix [N, K] as float, of `qopt.dequantize` of parameters that are called after `name`.
/// `asInt8`: of int8 codes, where there is one scale per output. Null where no form fits.
mlir::Value createStoredWeights(mlir::OpBuilder &builder, mlir::Location location, const StoredWeights &weights,
                                llvm::StringRef name, bool asInt8);

/// The codes as they are, a parameter [N, K] of i8 less `128` where they are unsigned of
/// 8 bits, to look up rows of.
mlir::Value createStoredCodes(mlir::OpBuilder &builder, mlir::Location location, const StoredWeights &weights,
                              llvm::StringRef name);

/// A constant whose elements are computed: [rows, columns] of `element`, f32.
mlir::Value createFloats(mlir::OpBuilder &builder, mlir::Location location, llvm::ArrayRef<int64_t> shape,
                         llvm::ArrayRef<float> values, llvm::StringRef name);

} // namespace qopt

#endif // QOPT_DIALECT_STOREDWEIGHTS_H
