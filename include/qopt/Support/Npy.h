//===- Npy.h - NumPy's .npy files ------------------------------------------===//
//
// Format: numpy/lib/format.py, versions 1.0 to 3.0. Arrays of the other byte order, or in
// Fortran order, are turned when they are read.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_NPY_H
#define QOPT_SUPPORT_NPY_H

#include "qopt/Support/Result.h"
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace qopt {

enum class NpyType : uint8_t {
  Bool,
  Int8,
  UInt8,
  Int16,
  UInt16,
  Int32,
  UInt32,
  Int64,
  UInt64,
  Float16,
  Float32,
  Float64
};

/// Bytes of one element.
size_t npyElementSize(NpyType type);
/// NumPy's name: "bool", "int8", "float16" ...
const char *npyTypeName(NpyType type);

struct NpyArray {
  NpyType type = NpyType::Float32;
  /// Empty for a scalar; at most 64 dimensions.
  std::vector<int64_t> shape;
  /// The elements in C order; aligned for every type.
  std::vector<std::byte> data;

  int64_t numElements() const { return static_cast<int64_t>(data.size() / npyElementSize(type)); }
  /// The elements as T, whose size must be that of the type (float16 as uint16_t).
  template <typename T>
  std::span<const T> as() const {
    assert(sizeof(T) == npyElementSize(type) && "type of another size");
    return {reinterpret_cast<const T *>(data.data()), data.size() / sizeof(T)};
  }
};

/// Errors: not .npy, a type other than NpyType's, a negative or overflowing shape, fewer or
/// more bytes than the shape needs.
Result<NpyArray> parseNpy(std::span<const std::byte> file);
Result<NpyArray> readNpy(const std::string &path);

/// The elements as integers, in order: of unsigned ones beyond 63 bits the largest that fits.
/// Errors: not integers.
Result<std::vector<int64_t>> npyIntegers(const NpyArray &array);

/// Writes `data`, numElements(shape) elements in C order, replacing the file as
/// AtomicFile does.
Status writeNpy(const std::string &path, NpyType type, std::span<const int64_t> shape, std::span<const std::byte> data);

} // namespace qopt

#endif // QOPT_SUPPORT_NPY_H
