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

/// Type, shape and elements of a constant. Errors: a type that ONNX does not have, missing data.
Status fillTensor(mlir::ElementsAttr value, pb::TensorProto &tensor);

} // namespace qopt

#endif // QOPT_LIB_EXPORT_TENSORDATA_H
