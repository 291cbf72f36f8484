//===- Tensors.h - ONNX tensors to attributes -----------------------------===//
//
// From TensorProto to DenseElementsAttr or a resource over the file.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_TENSORS_H
#define QOPT_LIB_IMPORT_TENSORS_H

#include "ExternalData.h"
#include "ModelFile.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace qopt {

/// The MLIR type of a TensorProto.DataType: i1 for BOOL, signless signed integers,
/// ui8 ... for unsigned ones. Errors: unknown or unsupported.
Result<mlir::Type> elementType(mlir::MLIRContext *context, int32_t dataType);

/// The name of a TensorProto.DataType, or its number.
std::string dataTypeName(int32_t dataType);

/// Turns the tensors of one model into attributes. Large ones become dense
/// resources over the mapped file; small ones, and integers that shapes may depend
/// on, dense attributes that folding can read.
class Tensors {
public:
  Tensors(mlir::MLIRContext *context, const ModelFile &file)
      : context(context), file(file), external(file.path, file.hasFolder, file.dataDirectory) {}

  /// `key` names the resource. Errors: negative or overflowing dimensions, missing,
  /// short, long or contradictory data, unsupported element type.
  Result<mlir::ElementsAttr> convert(const pb::TensorProto &tensor, llvm::StringRef key);

private:
  Result<OwnedBytes> dataOf(const pb::TensorProto &tensor, int64_t elements, uint64_t size);

  mlir::MLIRContext *context;
  const ModelFile &file;
  ExternalData external;
};

/// Checks that no element is NaN, nor infinite unless `allowInfinity`: the error
/// names the first that is. Integers pass.
Status checkFinite(mlir::ElementsAttr elements, bool allowInfinity);
/// Whether checkWeights() does that, because `elements` are many.
bool isCheckedLater(mlir::ElementsAttr elements);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_TENSORS_H
