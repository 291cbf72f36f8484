//===- Gptq.cpp - Second-order weight quantization ------------------------===//
//
// The solver of a group of linears: what depends on the statistics alone is done once,
// then tile after tile of each linear's rows is quantized.
//
//===----------------------------------------------------------------------===//
#include "Blas.h"
#include "GptqTile.h"
#include "Parallel.h"
#include "qopt/Numerics/ScaleRange.h"
#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

using namespace qopt;

namespace {

/// Tiles work in the memory of those that are done.
template <typename T>
class TileMemories {
public:
  std::unique_ptr<TileMemory<T>> take() {
    std::scoped_lock lock(mutex);
    if (free.empty())
      return std::make_unique<TileMemory<T>>();
    std::unique_ptr<TileMemory<T>> memory = std::move(free.back());
    free.pop_back();
    return memory;
  }
  void give(std::unique_ptr<TileMemory<T>> memory) {
    std::scoped_lock lock(mutex);
    free.push_back(std::move(memory));
  }

private:
  std::mutex mutex;
  std::vector<std::unique_ptr<TileMemory<T>>> free;
};

class Solver final : public GptqSolver {
public:
  explicit Solver(GptqShared shared) : shared(std::move(shared)) {}

  Result<std::vector<GroupCodes>> quantizeAll(std::span<const MatrixRef<const float>> weights,
                                              std::span<GptqReport> reports,
                                              const ParallelFor &parallelFor) const override;

private:
  GroupCodes roundToNearest(MatrixRef<const float> weights, GptqReport &report, const ParallelFor &parallelFor) const;
  void sumLosses(const std::vector<double> &errors, int64_t rows, double *losses) const;

  GptqShared shared;
};

Status checkFinite(const Matrix<double> &matrix, const char *name) {
  for (int64_t i = 0; i < matrix.rows; ++i) {
    const double *row = matrix.row(i);
    // A sum that is finite has finite terms; one that is not may have overflowed.
    if (std::isfinite(std::accumulate(row, row + matrix.cols, 0.0)))
      continue;
    for (int64_t j = 0; j < matrix.cols; ++j)
      if (!std::isfinite(row[j]))
        return Error{std::string(name) + " is not finite at row " + std::to_string(i) + ", column " +
                     std::to_string(j) + ": activations overflow or contain nan"};
  }
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
  if (!(options.polishGain >= 0 && options.polishGain <= 1))
    return Error{"expected a gain per polishing pass between 0 and 1, but got " + std::to_string(options.polishGain)};
  if (!std::isfinite(options.floatTarget))
    return Error{"expected a finite weight of the float target, but got " + std::to_string(options.floatTarget)};
  if (options.actOrder && !options.staticGroups && groups.groupSize != -1)
    return Error{"act-order requires static groups"};
  if (options.actOrder && options.actGroupAware)
    return Error{"act-order and act-group-aware contradict each other"};
  return {};
}

/// losses[r] = e_r H e_r^T, without damping; `errors` by column of W, [K][rows].
void Solver::sumLosses(const std::vector<double> &errors, int64_t rows, double *losses) const {
  int64_t size = shared.size();
  std::vector<double> product(errors.size());
  gemm(CblasNoTrans, CblasNoTrans, size, rows, size, 1.0, shared.undamped.values.data(), size, errors.data(), rows, 0.0,
       product.data(), rows);
  std::fill_n(losses, rows, 0.0);
  for (int64_t k = 0; k < size; ++k)
    if (!shared.dead[k])
      for (int64_t r = 0; r < rows; ++r)
        losses[r] += errors[k * rows + r] * product[k * rows + r] * shared.unit;
}

GroupCodes Solver::roundToNearest(MatrixRef<const float> weights, GptqReport &report,
                                  const ParallelFor &parallelFor) const {
  report.fellBack = true;
  std::vector<double> weighing(shared.importance.begin(), shared.importance.end());
  GroupCodes result = quantizeGroups(weights, shared.options.groups, weighing, parallelFor);
  std::vector<double> losses(weights.rows);
  runParallel(parallelFor, (weights.rows + kTileRows - 1) / kTileRows, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      int64_t first = tile * kTileRows, rows = std::min(kTileRows, weights.rows - first);
      std::vector<double> errors(shared.size() * rows);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t k = 0; k < shared.size(); ++k) {
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

Result<std::vector<GroupCodes>> Solver::quantizeAll(std::span<const MatrixRef<const float>> all,
                                                    std::span<GptqReport> reports,
                                                    const ParallelFor &parallelFor) const {
  int64_t size = shared.size(), groupSize = effectiveGroupSize(shared.options.groups.groupSize, size);
  int64_t groups = (size + groupSize - 1) / groupSize;
  std::vector<GroupCodes> results;
  std::vector<std::vector<double>> losses;
  std::vector<std::pair<size_t, int64_t>> tiles; // number of the linear, first row
  for (size_t i = 0; i < all.size(); ++i) {
    MatrixRef<const float> weights = all[i];
    if (weights.cols != size)
      return Error{"expected weights of " + std::to_string(size) + " columns, but got " + std::to_string(weights.cols)};
    if (shared.product.rows != 0 && weights.rows != shared.product.rows)
      return Error{"expected weights of " + std::to_string(shared.product.rows) + " rows, but got " +
                   std::to_string(weights.rows)};
    reports[i] = GptqReport();
    reports[i].deadColumns = shared.deadColumns;
    losses.emplace_back(weights.rows);
    if (!shared.factor) {
      results.push_back(roundToNearest(weights, reports[i], parallelFor));
      continue;
    }
    reports[i].damping = shared.factor->dampFraction;
    results.push_back({shared.options.groups.bits, groupSize, Matrix<uint8_t>(weights.rows, size),
                       Matrix<float>(weights.rows, groups), Matrix<uint8_t>(weights.rows, groups)});
    for (int64_t first = 0; first < weights.rows; first += kTileRows)
      tiles.emplace_back(i, first);
  }
  std::vector<GroupScaler> scalers;
  for (MatrixRef<const float> weights : all)
    scalers.emplace_back(withFittingScales(weights, shared.options.groups));
  int64_t rows = 0;
  for (MatrixRef<const float> weights : all)
    rows += weights.rows;
  Matrix<float> shift = shareShift(shared, rows, parallelFor);
  TileMemories<float> memories;
  TileMemories<double> exactMemories;
  runParallel(parallelFor, int64_t(tiles.size()), [&](int64_t begin, int64_t end) {
    auto quantize = [&]<typename T>(MatrixRef<const T> upper, TileMemories<T> &memories) {
      auto memory = memories.take();
      for (int64_t tile = begin; tile < end; ++tile) {
        auto [i, first] = tiles[tile];
        quantizeTile(shared, upper, shift, all[i], scalers[i], *memory, results[i], first, losses[i].data());
      }
      memories.give(std::move(memory));
    };
    if (shared.isExact())
      quantize(MatrixRef<const double>(shared.exactUpper), exactMemories);
    else
      quantize(shared.upper(), memories);
  });
  for (size_t i = 0; shared.factor && i < all.size(); ++i)
    reports[i].loss = std::max(0.0, std::accumulate(losses[i].begin(), losses[i].end(), 0.0)) / double(all[i].rows);
  return results;
}

} // namespace

int64_t qopt::gptqBytes(int64_t inFeatures, int64_t outFeatures, const GptqOptions &options) {
  int64_t square = inFeatures * inFeatures, product = outFeatures * inFeatures;
  // H in double, whose memory becomes that of its factor; C or W C in double, and then in float.
  int64_t statistics = 8 * square;
  if (options.floatTarget != 0)
    statistics += 12 * (outFeatures == 0 ? square : product);
  bool alsoFloats = options.groups.referenceMinMax && (options.polishPasses > 0 || options.floatTarget != 0);
  return std::max(statistics, alsoFloats ? 20 * square : 0);
}

Result<GroupCodes> GptqSolver::quantize(MatrixRef<const float> weights, GptqReport &report,
                                        const ParallelFor &parallelFor) const {
  Result<std::vector<GroupCodes>> codes = quantizeAll({&weights, 1}, {&report, 1}, parallelFor);
  if (!codes)
    return codes.error();
  return std::move(codes->front());
}

Result<std::unique_ptr<GptqSolver>> GptqSolver::create(Hessian hessian, const GptqOptions &options,
                                                       const ParallelFor &parallelFor) {
  const Matrix<double> &h = hessian.h, &c = hessian.c;
  if (h.rows == 0 || h.rows != h.cols)
    return Error{"expected a square hessian, but got " + std::to_string(h.rows) + "x" + std::to_string(h.cols)};
  if (c.rows != 0 && (c.rows != h.rows || c.cols != h.cols))
    return Error{"expected float statistics of " + std::to_string(h.rows) + "x" + std::to_string(h.cols) +
                 ", but got " + std::to_string(c.rows) + "x" + std::to_string(c.cols)};
  if (hessian.product.rows != 0 && (hessian.product.cols != h.rows || c.rows != 0))
    return Error{"expected float statistics of " + std::to_string(h.rows) + " columns alone, but got " +
                 std::to_string(hessian.product.cols) + (c.rows != 0 ? " and others" : "")};
  if (Status status = checkOptions(options); !status)
    return status.error();
  if (Status status = checkFinite(h, "the hessian"); !status)
    return status.error();
  for (const Matrix<double> *sums : {&hessian.c, &hessian.product})
    if (Status status = checkFinite(*sums, "the product with the float activations"); !status)
      return status.error();
  prepareBlas();
  return std::unique_ptr<GptqSolver>(
      std::make_unique<Solver>(shareStatistics(std::move(hessian), options, parallelFor)));
}
