//===- Matrix.h - Views of row-major arrays -------------------------------===//
//
// Weights are matrices [N, K] of many element types; the quantizers take views, so that
// nobody copies to call them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_MATRIX_H
#define QOPT_NUMERICS_MATRIX_H

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace qopt {

/// A view of a dense row-major matrix; owns nothing.
template <typename T>
struct MatrixRef {
  T *data = nullptr;
  int64_t rows = 0, cols = 0;
  int64_t stride = 0; ///< elements from one row to the next

  MatrixRef() = default;
  MatrixRef(T *data, int64_t rows, int64_t cols) : data(data), rows(rows), cols(cols), stride(cols) {}
  MatrixRef(T *data, int64_t rows, int64_t cols, int64_t stride) : data(data), rows(rows), cols(cols), stride(stride) {}
  operator MatrixRef<const T>() const { return {data, rows, cols, stride}; }
  T *row(int64_t r) const { return data + r * stride; }
  T &operator()(int64_t r, int64_t c) const { return data[r * stride + c]; }
};

/// A dense row-major matrix.
template <typename T>
struct Matrix {
  int64_t rows = 0, cols = 0;
  std::vector<T> values;

  Matrix() = default;
  Matrix(int64_t rows, int64_t cols, T value = T()) : rows(rows), cols(cols), values(rows * cols, value) {}
  T &operator()(int64_t r, int64_t c) { return values[r * cols + c]; }
  const T &operator()(int64_t r, int64_t c) const { return values[r * cols + c]; }
  T *row(int64_t r) { return values.data() + r * cols; }
  const T *row(int64_t r) const { return values.data() + r * cols; }
  operator MatrixRef<T>() { return {values.data(), rows, cols}; }
  operator MatrixRef<const T>() const { return {values.data(), rows, cols}; }
};

} // namespace qopt

#endif // QOPT_NUMERICS_MATRIX_H
