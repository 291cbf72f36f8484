//===- TensorFile.h - Tensors from and to files ---------------------------===//
//
// Inputs and outputs of `qrun` are the files of NumPy and those of ONNX's test data.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_TENSORFILE_H
#define QOPT_RUNTIME_TENSORFILE_H

#include "qopt/Runtime/Runtime.h"

namespace qrt {

/// Parses ONNX's TensorProto (onnx.proto3), as in the .pb files of ONNX's test
/// data. Errors: not protobuf, an element type that is no ElementType, external data,
/// a number of values other than the shape's, nothing but a name.
Result<Tensor> parseTensorProto(std::span<const std::byte> bytes);

/// Reads a .npy or, when the name ends in .pb, a TensorProto. Integers of types that are no ElementType
/// are read as i64 (unsigned ones beyond it as the largest), float64 as the nearest f32, where no number
/// becomes infinite.
Result<Tensor> readTensorFile(const std::string &path);

/// Writes a .npy; bf16, which NumPy has not, is widened to f32.
Status writeTensorFile(const std::string &path, const Tensor &tensor);

/// `tensor` with elements of `type`: itself; integers converted between i64, i32, i8, u8 and bool
/// where every value fits; floats rounded to the nearest, where no number becomes infinite. An
/// error otherwise.
Result<Tensor> convertTensor(const Tensor &tensor, ElementType type);

} // namespace qrt

#endif // QOPT_RUNTIME_TENSORFILE_H
