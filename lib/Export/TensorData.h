//===- TensorData.h - Attributes to ONNX tensors --------------------------===//
//
// Types and elements, as a file has them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_EXPORT_TENSORDATA_H
#define QOPT_LIB_EXPORT_TENSORDATA_H

#include "mlir/IR/BuiltinAttributes.h"
#include "onnx.pb.h"
#include "qopt/Support/Result.h"

namespace qopt {

/// TensorProto.DataType of an element type; 0 where there is none.
int32_t dataTypeOf(mlir::Type type);

/// The elements of a constant, and its type and shape where `tensor` has none yet. Errors: a type that ONNX does not
/// have, missing data.
Status fillTensor(mlir::ElementsAttr value, pb::TensorProto &tensor);

/// onnx.proto, AttributeProto.AttributeType.
enum AttributeType { IsFloat = 1, IsInt, IsString, IsTensor, IsInts = 7 };

/// An attribute of an operation as one of a node. Errors: a kind that ONNX does not have.
Status fillAttribute(mlir::NamedAttribute attribute, pb::AttributeProto &out);

} // namespace qopt

#endif // QOPT_LIB_EXPORT_TENSORDATA_H
