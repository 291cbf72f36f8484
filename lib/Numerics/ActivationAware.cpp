//===- ActivationAware.cpp - Scales that protect weights of large inputs --===//
//
// Products of a batch are float32, their sums over batches double.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/ActivationAware.h"
#include "Blas.h"
#include "Parallel.h"
#include <cmath>
#include <numeric>

using namespace qopt;

InputMoments::InputMoments(int64_t columns, int64_t groupSize) : columns(columns), size(groupSize) {
  magnitudes.resize(columns);
  for (int64_t first = 0; first < columns; first += size) {
    int64_t width = std::min(size, columns - first);
    products.emplace_back(width * width);
  }
}

void InputMoments::observe(MatrixRef<const float> x, std::span<const uint8_t> mask, const ParallelFor &parallelFor) {
  prepareBlas();
  Matrix<float> rows(0, columns);
  for (int64_t t = 0; t < x.rows; ++t)
    if (mask.empty() || mask[t]) {
      rows.values.insert(rows.values.end(), x.row(t), x.row(t) + columns);
      ++rows.rows;
    }
  count += rows.rows;
  runParallel(parallelFor, static_cast<int64_t>(products.size()), [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; ++group) {
      int64_t first = group * size, width = std::min(size, columns - first);
      std::vector<float> product(width * width);
      gemm(CblasTrans, CblasNoTrans, width, width, rows.rows, 1.0f, rows.row(0) + first, columns, rows.row(0) + first,
           columns, 0.0f, product.data(), width);
      for (size_t i = 0; i < product.size(); ++i)
        products[group][i] += product[i];
      for (int64_t t = 0; t < rows.rows; ++t)
        for (int64_t k = first; k < first + width; ++k)
          magnitudes[k] += std::fabs(rows(t, k));
    }
  });
}

std::vector<float> InputMoments::meanMagnitudes() const {
  std::vector<float> means(columns);
  for (int64_t k = 0; k < columns; ++k)
    means[k] = static_cast<float>(magnitudes[k] / static_cast<double>(std::max<int64_t>(count, 1)));
  return means;
}

double InputMoments::meanSquare(int64_t group, std::span<const float> d) const {
  double sum = 0;
  for (size_t i = 0; i < d.size(); ++i) {
    const double *row = products[group].data() + i * d.size();
    double dot = 0;
    for (size_t j = 0; j < d.size(); ++j)
      dot += row[j] * d[j];
    sum += dot * d[i];
  }
  return sum / static_cast<double>(std::max<int64_t>(count, 1));
}

void InputMoments::divide(std::span<const float> scales) {
  for (int64_t k = 0; k < columns; ++k)
    magnitudes[k] /= scales[k];
  for (size_t group = 0; group < products.size(); ++group) {
    int64_t first = static_cast<int64_t>(group) * size, width = std::min(size, columns - first);
    for (int64_t i = 0; i < width; ++i)
      for (int64_t j = 0; j < width; ++j)
        products[group][i * width + j] /= double(scales[first + i]) * scales[first + j];
  }
}

double qopt::squaredProduct(MatrixRef<const float> x, std::span<const uint8_t> mask, MatrixRef<const float> weights,
                            const ParallelFor &parallelFor) {
  prepareBlas();
  // Blocks of a fixed size, so that the order of the sum is the same for any number of threads.
  constexpr int64_t kRows = 128;
  std::vector<double> sums((x.rows + kRows - 1) / kRows);
  runParallel(parallelFor, static_cast<int64_t>(sums.size()), [&](int64_t begin, int64_t end) {
    Matrix<float> product(kRows, weights.rows);
    for (int64_t block = begin; block < end; ++block) {
      int64_t first = block * kRows, count = std::min(kRows, x.rows - first);
      gemm(CblasNoTrans, CblasTrans, count, weights.rows, x.cols, 1.0f, x.row(first), x.stride, weights.data,
           weights.stride, 0.0f, product.row(0), weights.rows);
      for (int64_t t = 0; t < count; ++t)
        for (int64_t n = 0; (mask.empty() || mask[first + t]) && n < weights.rows; ++n)
          sums[block] += double(product(t, n)) * product(t, n);
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

std::vector<float> qopt::relativeMagnitudes(std::span<const Matrix<float>> weights, int64_t groupSize) {
  std::vector<double> sums(weights.front().cols);
  int64_t rows = 0;
  for (const Matrix<float> &matrix : weights) {
    rows += matrix.rows;
    runParallelByGroups({}, matrix.rows, matrix.cols, groupSize, [&](int64_t n, int64_t, int64_t first, int64_t width) {
      float largest = 0;
      for (int64_t k = first; k < first + width; ++k)
        largest = std::max(largest, std::fabs(matrix(n, k)));
      for (int64_t k = first; k < first + width; ++k)
        sums[k] += std::fabs(matrix(n, k)) / (largest + 1e-6f);
    });
  }
  std::vector<float> means(sums.size());
  for (size_t k = 0; k < means.size(); ++k)
    means[k] = static_cast<float>(sums[k] / static_cast<double>(rows));
  return means;
}

std::vector<float> qopt::activationScales(std::span<const float> inputs, std::span<const float> weights, double ratio) {
  constexpr float kSmallest = 1e-4f;
  std::vector<float> scales(inputs.size());
  for (size_t k = 0; k < scales.size(); ++k) {
    scales[k] = std::pow(inputs[k], static_cast<float>(ratio));
    if (!weights.empty())
      scales[k] /= std::pow(weights[k], static_cast<float>(1 - ratio)) + kSmallest;
    scales[k] = std::max(scales[k], kSmallest);
  }
  auto [smallest, largest] = std::minmax_element(scales.begin(), scales.end());
  float middle = std::sqrt(*smallest * *largest);
  for (float &scale : scales)
    scale /= middle;
  return scales;
}
