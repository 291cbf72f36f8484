//===- Rotation.h - Orthogonal matrices that mix all features -------------===//
//
// Q = diag(signs) H / sqrt(n) with a Hadamard matrix H of order n: every feature of x Q is a
// sum of all of x with equal weights, so that outliers are spread (QuaRot, arXiv 2404.00456).
// H is the product of one of Paley's matrices and Sylvester's; for an order that neither
// gives, Q is a random orthogonal matrix. Everything is computed in double.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_ROTATION_H
#define QOPT_NUMERICS_ROTATION_H

#include "qopt/Numerics/Matrix.h"
#include "qopt/Numerics/Quantizers.h"
#include <optional>

namespace qopt {

/// A Hadamard matrix of Paley's first or second construction, of elements 1 and -1, over a
/// field of a prime, or, for the second, of its square. Nothing where they give none of this order.
std::optional<Matrix<double>> paleyMatrix(int64_t order);

class Rotation {
public:
  /// Takes its random bits from `state`, as splitmix64 does.
  static Rotation random(int64_t order, uint64_t &state);
  /// With the signs, 1 or -1, of the features. Nothing where no Hadamard matrix of so many is known.
  static std::optional<Rotation> hadamard(std::vector<double> signs);

  int64_t order() const { return static_cast<int64_t>(signs.size()); }
  bool isHadamard() const { return hasKnownOrder; }

  /// Every row x, and in it every block of order() columns, becomes x Q.
  void rotateRows(MatrixRef<float> matrix, const ParallelFor &parallelFor) const;
  /// Every column x, and in it every block of order() rows, becomes Q^T x.
  void rotateColumns(MatrixRef<float> matrix, const ParallelFor &parallelFor) const;

private:
  /// Rows of order() features.
  void rotate(Matrix<double> &rows) const;
  /// The same of `count` vectors, `at(vector, feature)`, in blocks.
  template <typename At>
  void rotateTiles(int64_t count, int64_t length, At at, const ParallelFor &parallelFor) const;

  std::vector<double> signs;
  /// Q = diag(signs) (core x Sylvester's matrix of the rest of the order) * factor.
  Matrix<double> core;
  double factor = 1;
  bool hasKnownOrder = false;
};

} // namespace qopt

#endif // QOPT_NUMERICS_ROTATION_H
