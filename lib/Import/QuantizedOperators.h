//===- QuantizedOperators.h - Rules of operators on codes -----------------===//
//
// One function per operator of ONNX or com.microsoft that takes or gives codes. Each
// replaces its node by DequantizeLinear in front of float operators and QuantizeLinear
// behind them; lookups and raising see one form only.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_QUANTIZEDOPERATORS_H
#define QOPT_LIB_IMPORT_QUANTIZEDOPERATORS_H

#include "OperatorBuilder.h"

namespace qopt::quantized {

// QuantizedOperators.cpp. The first two only complete the attributes of their node.
Status importDequantizeLinear(NodeImport &node);
Status importQuantizeLinear(NodeImport &node);
Status importContribDequantizeLinear(NodeImport &node);
Status importContribQuantizeLinear(NodeImport &node);
Status importDynamicQuantizeLinear(NodeImport &node);
Status importMatMulInteger(NodeImport &node);
Status importMatMulIntegerToFloat(NodeImport &node);
Status importDynamicQuantizeMatMul(NodeImport &node);
Status importQLinearMatMul(NodeImport &node);
Status importQGemm(NodeImport &node);
Status importConvInteger(NodeImport &node);
Status importQLinearConv(NodeImport &node);
Status importQLinearBinary(NodeImport &node);
Status importQLinearUnary(NodeImport &node);
Status importQLinearSoftmax(NodeImport &node);
Status importQLinearConcat(NodeImport &node);

// QuantizedBlocks.cpp
Status importMatMulNBits(NodeImport &node);
Status importGatherBlockQuantized(NodeImport &node);

/// Makes operators around codes.
class CodeBuilder : public OperatorBuilder {
public:
  explicit CodeBuilder(NodeImport &node) : OperatorBuilder(node), node(node) {}

  mlir::NamedAttribute type(mlir::Type to) const;
  /// One number of type f32, of rank 0.
  mlir::Value number(float value);
  /// (x - zero) * scale, in the type of the scale. Both are one, or one for each element of `axis`; a null `zero`
  /// is 0. [1, N] counts as the vector that it stands for.
  mlir::Value dequantize(mlir::Value x, mlir::Value scale, mlir::Value zero, int64_t axis = -1);
  /// The codes of x, of the type of `zero`; ui8 where that is null.
  mlir::Value quantize(mlir::Value x, mlir::Value scale, mlir::Value zero);
  /// `value` + `bias`, where one is there.
  mlir::Value addBias(mlir::Value value, mlir::Value bias);
  /// A vector of [1, N]; others, and null, as they are.
  mlir::Value flat(mlir::Value value);

private:
  NodeImport &node;
};

/// An error where one of these inputs is left out.
Status requireInputs(const NodeImport &node, llvm::ArrayRef<size_t> indices);

} // namespace qopt::quantized

#endif // QOPT_LIB_IMPORT_QUANTIZEDOPERATORS_H
