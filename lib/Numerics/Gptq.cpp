//===- Gptq.cpp - Second-order weight quantization ------------------------===//
//
// The solver of a group of linears: what depends on H alone is done once, then
// each linear goes through target, scales, sweep, polish and refit, tile by tile.
//
//===----------------------------------------------------------------------===//
#include "qopt/Numerics/Gptq.h"
#include "GptqTile.h"
#include "Parallel.h"
#include <algorithm>
#include <cblas.h>
#include <cmath>
#include <numeric>

using namespace qopt;

namespace {

/// Columns per product where the block size cannot change a code.
constexpr int64_t kBlock = 128;

class Solver final : public GptqSolver {
public:
  Solver(Hessian input, const GptqOptions &options)
      : options(options), hessian(std::move(input)), dead(hessian.h.rows) {}

  void prepare();
  Result<GroupCodes> quantize(MatrixRef<const float> weights, GptqReport &report,
                              const ParallelFor &parallelFor) const override;

private:
  int64_t size() const { return hessian.h.rows; }
  bool hasFloatTarget() const { return hessian.c.rows != 0 && options.floatTarget != 0; }
  GroupCodes roundToNearest(MatrixRef<const float> weights, GptqReport &report, const ParallelFor &parallelFor) const;
  void quantizeTile(MatrixRef<const float> weights, const GroupScaler &scaler, GroupCodes &result, int64_t first,
                    double *losses) const;
  void addFloatTarget(const std::vector<double> &byColumn, GptqTile &tile) const;
  void sumLosses(const std::vector<double> &errorsByColumn, int64_t rows, double *losses) const;

  GptqOptions options;
  Hessian hessian; ///< h with a diagonal for dead columns; c, where used, holds C - H
  std::vector<bool> dead;
  int64_t deadColumns = 0;
  std::optional<GptqFactor> factor;
  std::vector<float> importance;
};

/// An array of a tile by column of W instead of by position.
std::vector<double> byColumn(const GptqFactor &factor, const std::vector<double> &byPosition, int64_t rows) {
  std::vector<double> result(byPosition.size());
  for (int64_t j = 0; j < factor.size(); ++j)
    std::copy_n(byPosition.data() + j * rows, rows, result.data() + factor.order[j] * rows);
  return result;
}

Status checkFinite(const Matrix<double> &matrix, const char *name) {
  for (int64_t i = 0; i < matrix.rows; ++i)
    for (int64_t j = 0; j < matrix.cols; ++j)
      if (!std::isfinite(matrix(i, j)))
        return Error{std::string(name) + " is not finite at row " + std::to_string(i) + ", column " +
                     std::to_string(j) + ": activations overflow or contain nan"};
  return {};
}

Status checkOptions(const GptqOptions &options) {
  const GroupOptions &groups = options.groups;
  if (groups.bits < 2 || groups.bits > 8)
    return Error{"expected 2 to 8 bits, but got " + std::to_string(groups.bits)};
  if (groups.groupSize < -1 || groups.groupSize == 0)
    return Error{"expected a positive group size or -1, but got " + std::to_string(groups.groupSize)};
  if (options.blockSize < 1)
    return Error{"expected a positive block size, but got " + std::to_string(options.blockSize)};
  if (!(options.dampPercent >= 0 && options.dampPercent <= 1))
    return Error{"expected a damping between 0 and 1, but got " + std::to_string(options.dampPercent)};
  if (!(options.dampIncrement >= 0 && options.dampIncrement <= 1))
    return Error{"expected a damping increment between 0 and 1, but got " + std::to_string(options.dampIncrement)};
  if (!std::isfinite(options.floatTarget))
    return Error{"expected a finite weight of the float target, but got " + std::to_string(options.floatTarget)};
  if (options.actOrder && !options.staticGroups && groups.groupSize != -1)
    return Error{"act-order requires static groups"};
  return {};
}

void Solver::prepare() {
  useOneBlasThread();
  double sum = 0;
  for (int64_t k = 0; k < size(); ++k) {
    dead[k] = hessian.h(k, k) == 0;
    deadColumns += dead[k];
    sum += hessian.h(k, k);
  }
  importance.resize(size());
  if (deadColumns == size()) { // no tokens, or nothing but zeros: there is nothing to weigh errors by
    importance = scaleImportance({}, size(), size());
    return;
  }
  // The reference gives dead columns 1, which means something else for each scale of H.
  double live = options.groups.referenceMinMax ? 1.0 : sum / double(size() - deadColumns);
  std::vector<double> diagonal(size());
  for (int64_t k = 0; k < size(); ++k) {
    if (dead[k])
      hessian.h(k, k) = live;
    diagonal[k] = hessian.h(k, k);
  }
  importance = scaleImportance(diagonal, size(), effectiveGroupSize(options.groups.groupSize, size()));
  factor = factorHessian(hessian.h, options);
  if (!hasFloatTarget()) {
    hessian.c = Matrix<double>();
    return;
  }
  for (int64_t i = 0; i < size(); ++i)
    for (int64_t j = 0; j < size(); ++j)
      if (i != j || !dead[i])
        hessian.c(i, j) -= hessian.h(i, j);
}

/// W' = W + alpha W (C - H) (H + damp)^-1: of all weights, those whose output on the
/// inputs the layer will really get is nearest to the float model's, at alpha 1.
void Solver::addFloatTarget(const std::vector<double> &weights, GptqTile &tile) const {
  int64_t k = size(), rows = tile.rows;
  std::vector<double> shift(k * rows);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, int(k), int(rows), int(k), options.floatTarget,
              hessian.c.values.data(), int(k), weights.data(), int(rows), 0.0, shift.data(), int(rows));
  std::vector<double> solved(k * rows);
  for (int64_t j = 0; j < k; ++j)
    std::copy_n(shift.data() + factor->order[j] * rows, rows, solved.data() + j * rows);
  for (CBLAS_TRANSPOSE transpose : {CblasNoTrans, CblasTrans})
    cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, transpose, CblasNonUnit, int(k), int(rows), 1.0,
                factor->matrix.values.data(), int(k), solved.data(), int(rows));
  for (int64_t i = 0; i < k * rows; ++i)
    tile.target[i] += solved[i];
}

/// losses[r] = e_r H e_r^T, without damping.
void Solver::sumLosses(const std::vector<double> &errors, int64_t rows, double *losses) const {
  std::vector<double> product(errors.size());
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, int(size()), int(rows), int(size()), 1.0,
              hessian.h.values.data(), int(size()), errors.data(), int(rows), 0.0, product.data(), int(rows));
  std::fill_n(losses, rows, 0.0);
  for (int64_t k = 0; k < size(); ++k)
    if (!dead[k])
      for (int64_t r = 0; r < rows; ++r)
        losses[r] += errors[k * rows + r] * product[k * rows + r];
}

void Solver::quantizeTile(MatrixRef<const float> weights, const GroupScaler &scaler, GroupCodes &result, int64_t first,
                          double *losses) const {
  int64_t cols = size(), rows = std::min(kTileRows, weights.rows - first), groupSize = result.groupSize;
  GptqTile tile(rows, cols, groupSize, scaler.maxCode());
  tile.float16Scales = options.groups.float16Scales;
  std::vector<double> original(cols * rows);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < cols; ++k)
      original[k * rows + r] = double(weights(first + r, k));
  for (int64_t j = 0; j < cols; ++j)
    std::copy_n(original.data() + factor->order[j] * rows, rows, tile.target.data() + j * rows);

  if (hasFloatTarget())
    addFloatTarget(original, tile);
  for (int64_t j = 0; j < cols; ++j)
    if (dead[factor->order[j]])
      std::fill_n(tile.target.data() + j * rows, rows, 0.0);
  std::vector<double> target = byColumn(*factor, tile.target, rows);

  // A group per row never changes after the start, so it counts as static. The
  // reference takes its scale before it clears the weights of dead columns.
  bool oneGroup = options.groups.groupSize == -1;
  bool isStatic = options.staticGroups || oneGroup;
  const std::vector<double> &from = oneGroup && options.groups.referenceMinMax ? original : target;
  if (isStatic)
    for (int64_t g = 0; g < tile.groups(); ++g)
      chooseScales(tile, scaler, importance.data(), g, std::min(groupSize, cols - g * groupSize),
                   [&](int64_t k) { return from.data() + (g * groupSize + k) * rows; });
  gptqSweep(*factor, tile, isStatic ? kBlock : std::min(options.blockSize, cols), isStatic ? nullptr : &scaler,
            importance.data());

  if (options.polishPasses > 0) {
    std::optional<ScaleRefit> refit;
    if (options.refitScales)
      refit.emplace(hessian.h, *factor, tile, target);
    for (int pass = 0; pass < options.polishPasses; ++pass) {
      if (refit)
        refit->run(tile);
      polishSweep(*factor, tile);
    }
  }

  sumLosses(byColumn(*factor, tile.errors, rows), rows, losses + first);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t g = 0; g < tile.groups(); ++g) {
      result.scales(first + r, g) = tile.scales[g * rows + r];
      result.zeros(first + r, g) = uint8_t(int(-tile.lows[g * rows + r]));
    }
    for (int64_t j = 0; j < cols; ++j) {
      int64_t k = factor->order[j];
      float low = tile.lows[k / groupSize * rows + r];
      result.codes(first + r, k) = uint8_t(int(tile.codes[j * rows + r] - double(low)));
    }
  }
}

GroupCodes Solver::roundToNearest(MatrixRef<const float> weights, GptqReport &report,
                                  const ParallelFor &parallelFor) const {
  report.fellBack = true;
  std::vector<double> weighing(importance.begin(), importance.end());
  GroupCodes result = quantizeGroups(weights, options.groups, weighing, parallelFor);
  std::vector<double> losses(weights.rows);
  runParallel(parallelFor, (weights.rows + kTileRows - 1) / kTileRows, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      int64_t first = tile * kTileRows, rows = std::min(kTileRows, weights.rows - first);
      std::vector<double> errors(size() * rows);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t k = 0; k < size(); ++k) {
          int64_t g = k / result.groupSize, n = first + r;
          int code = int(result.codes(n, k)) - int(result.zeros(n, g));
          errors[k * rows + r] = double(weights(n, k)) - double(result.scales(n, g)) * code;
        }
      sumLosses(errors, rows, losses.data() + first);
    }
  });
  report.loss = std::max(0.0, std::accumulate(losses.begin(), losses.end(), 0.0)) / double(weights.rows);
  return result;
}

Result<GroupCodes> Solver::quantize(MatrixRef<const float> weights, GptqReport &report,
                                    const ParallelFor &parallelFor) const {
  if (weights.cols != size())
    return Error{"expected weights of " + std::to_string(size()) + " columns, but got " + std::to_string(weights.cols)};
  report = GptqReport();
  report.deadColumns = deadColumns;
  if (!factor)
    return roundToNearest(weights, report, parallelFor);
  report.damping = factor->dampFraction;

  GroupScaler scaler(options.groups);
  int64_t groupSize = effectiveGroupSize(options.groups.groupSize, size());
  int64_t groups = (size() + groupSize - 1) / groupSize;
  GroupCodes result{options.groups.bits, groupSize, Matrix<uint8_t>(weights.rows, size()),
                    Matrix<float>(weights.rows, groups), Matrix<uint8_t>(weights.rows, groups)};
  std::vector<double> losses(weights.rows);
  runParallel(parallelFor, (weights.rows + kTileRows - 1) / kTileRows, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile)
      quantizeTile(weights, scaler, result, tile * kTileRows, losses.data());
  });
  report.loss = std::max(0.0, std::accumulate(losses.begin(), losses.end(), 0.0)) / double(weights.rows);
  return result;
}

} // namespace

Result<std::unique_ptr<GptqSolver>> GptqSolver::create(Hessian hessian, const GptqOptions &options,
                                                       const ParallelFor &parallelFor) {
  (void)parallelFor;
  const Matrix<double> &h = hessian.h, &c = hessian.c;
  if (h.rows == 0 || h.rows != h.cols)
    return Error{"expected a square hessian, but got " + std::to_string(h.rows) + "x" + std::to_string(h.cols)};
  if (c.rows != 0 && (c.rows != h.rows || c.cols != h.cols))
    return Error{"expected float statistics of " + std::to_string(h.rows) + "x" + std::to_string(h.cols) +
                 ", but got " + std::to_string(c.rows) + "x" + std::to_string(c.cols)};
  if (Status status = checkOptions(options); !status)
    return status.error();
  if (Status status = checkFinite(h, "the hessian"); !status)
    return status.error();
  if (Status status = checkFinite(c, "the product with the float activations"); !status)
    return status.error();
  auto solver = std::make_unique<Solver>(std::move(hessian), options);
  solver->prepare();
  return std::unique_ptr<GptqSolver>(std::move(solver));
}
