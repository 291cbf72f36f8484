//===- TestUtils.h - Random matrices, threads, safetensors ----------------===//
#ifndef QOPT_TEST_UNIT_NUMERICS_TESTUTILS_H
#define QOPT_TEST_UNIT_NUMERICS_TESTUTILS_H

#include "qopt/Numerics/Gptq.h"
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

namespace qopt::test {

inline Matrix<float> randomMatrix(int64_t rows, int64_t cols, unsigned seed, float scale = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, scale);
  Matrix<float> result(rows, cols);
  for (float &value : result.values)
    value = normal(generator);
  return result;
}

/// Inputs as a trained model has them: correlated, features of very different size.
inline Matrix<float> randomInputs(int64_t tokens, int64_t cols, unsigned seed) {
  Matrix<float> low = randomMatrix(tokens, 8, seed), mix = randomMatrix(8, cols, seed + 1);
  Matrix<float> own = randomMatrix(tokens, cols, seed + 2), size = randomMatrix(1, cols, seed + 3);
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t k = 0; k < cols; ++k) {
      for (int64_t i = 0; i < 8; ++i)
        own(t, k) += 0.5f * low(t, i) * mix(i, k);
      own(t, k) *= std::exp(size(0, k));
    }
  return own;
}

inline Hessian hessianOf(const Matrix<float> &x) {
  Hessian result;
  accumulateHessian(result, x, {}, {}, {});
  return result;
}

/// tr((W - Q) H (W - Q)^T) with `damp` on the diagonal, evaluated plainly.
inline double objective(const Matrix<float> &w, const GroupCodes &q, const Matrix<double> &h, double damp = 0) {
  double sum = 0;
  std::vector<double> e(w.cols);
  for (int64_t n = 0; n < w.rows; ++n) {
    for (int64_t k = 0; k < w.cols; ++k) {
      int64_t g = k / q.groupSize;
      e[k] = double(w(n, k)) - double(q.scales(n, g)) * (int(q.codes(n, k)) - int(q.zeros(n, g)));
    }
    for (int64_t i = 0; i < w.cols; ++i) {
      double row = damp * e[i];
      for (int64_t j = 0; j < w.cols; ++j)
        row += h(i, j) * e[j];
      sum += e[i] * row;
    }
  }
  return sum;
}

/// Splits into one piece per thread and runs them at the same time.
inline ParallelFor threads(int64_t number) {
  return [number](int64_t count, const std::function<void(int64_t, int64_t)> &body) {
    std::vector<std::thread> pool;
    for (int64_t i = 0; i < number; ++i)
      if (count * i / number < count * (i + 1) / number)
        pool.emplace_back([=, &body] { body(count * i / number, count * (i + 1) / number); });
    for (std::thread &thread : pool)
      thread.join();
  };
}

/// One tensor of a safetensors file below test/Inputs.
template <typename T>
std::vector<T> readTensor(const std::string &file, const std::string &name) {
  std::ifstream stream(std::string(QOPT_TEST_INPUTS "/") + file, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  uint64_t size = 0;
  if (bytes.size() < 8)
    throw std::runtime_error("cannot read " + file);
  std::memcpy(&size, bytes.data(), 8);
  auto offsets = nlohmann::json::parse(bytes.substr(8, size)).at(name).at("data_offsets");
  size_t begin = offsets[0], end = offsets[1];
  std::vector<T> result((end - begin) / sizeof(T));
  std::memcpy(result.data(), bytes.data() + 8 + size + begin, end - begin);
  return result;
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_NUMERICS_TESTUTILS_H
