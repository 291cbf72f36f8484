//===- Paley.cpp - Hadamard matrices from finite fields -------------------===//
//
// R. Paley, "On orthogonal matrices", 1933. With the quadratic character of a field of q
// elements: order q + 1 where q = 3 modulo 4, order 2 (q + 1) where q = 1 modulo 4.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Rotation.h"

using namespace qopt;

namespace {

bool isPrime(int64_t n) {
  for (int64_t d = 2; d * d <= n; ++d)
    if (n % d == 0)
      return false;
  return n > 1;
}

/// 1 for squares modulo the prime p, -1 for other numbers, 0 for 0.
std::vector<int> characters(int64_t p) {
  std::vector<int> result(p, -1);
  result[0] = 0;
  for (int64_t i = 1; i < p; ++i)
    result[i * i % p] = 1;
  return result;
}

/// The elements of a field of p or p^2, p an odd prime, by numbers. Those of p^2 are a + b sqrt(g)
/// with a number g that is no square, as a + b p.
class Field {
public:
  static std::optional<Field> create(int64_t size) {
    if (size % 2 == 0)
      return std::nullopt;
    for (int64_t p = 3; p * p <= size; p += 2)
      if (p * p == size && isPrime(p))
        return Field(size, p);
    return isPrime(size) ? std::optional(Field(size, size)) : std::nullopt;
  }

  /// The quadratic character of x - y: an element of p^2 is a square where its norm is one of p.
  int character(int64_t x, int64_t y) const {
    int64_t a = (x % p - y % p + p) % p, b = (x / p - y / p + p) % p;
    return ofPrime[size == p ? a : (a * a + (p - nonSquare) * b % p * b) % p];
  }

private:
  Field(int64_t size, int64_t p) : size(size), p(p), ofPrime(characters(p)) {
    while (ofPrime[nonSquare] != -1)
      ++nonSquare;
  }

  int64_t size, p, nonSquare = 1;
  std::vector<int> ofPrime;
};

/// Ones around the characters of all differences; `corner` is below the first one.
Matrix<double> bordered(const Field &field, int64_t size, double corner) {
  Matrix<double> matrix(size + 1, size + 1);
  for (int64_t i = 1; i <= size; ++i) {
    matrix(0, i) = 1;
    matrix(i, 0) = corner;
    for (int64_t j = 1; j <= size; ++j)
      matrix(i, j) = field.character(i - 1, j - 1);
  }
  return matrix;
}

} // namespace

std::optional<Matrix<double>> qopt::paleyMatrix(int64_t order) {
  if (order < 4 || order % 4)
    return std::nullopt;
  if (std::optional<Field> field = Field::create(order - 1); field && isPrime(order - 1)) {
    Matrix<double> matrix = bordered(*field, order - 1, -1);
    for (int64_t i = 0; i < order; ++i)
      matrix(i, i) += 1;
    return matrix;
  }
  int64_t size = order / 2 - 1;
  std::optional<Field> field = Field::create(size);
  if (!field || size % 4 != 1)
    return std::nullopt;
  Matrix<double> conference = bordered(*field, size, 1), matrix(order, order);
  for (int64_t i = 0; i <= size; ++i)
    for (int64_t j = 0; j <= size; ++j) {
      double c = conference(i, j), one = i == j;
      matrix(2 * i, 2 * j) = c + one;
      matrix(2 * i, 2 * j + 1) = matrix(2 * i + 1, 2 * j) = c - one;
      matrix(2 * i + 1, 2 * j + 1) = -c - one;
    }
  return matrix;
}
