//===- SearchScales.cpp - Scale weights up where activations are large ----===//
//
// AWQ (Lin et al., arXiv 2306.00978). All searches look at the float model as it is; then all
// scales are applied, and then clipping is searched.
//
//===----------------------------------------------------------------------===//
#include "CompiledRunner.h"
#include "ScaledValues.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/FloatRun.h"
#include "qopt/Calibration/WeightQuantizer.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Numerics/ActivationAware.h"
#include "qopt/Passes/Transforms.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_SEARCHSCALES
#include "qopt/Passes/Transforms.h.inc"

namespace {

using namespace transform;

/// Weights [K, N] as a quantizer wants them, and back.
Matrix<float> readRows(onnx::MatMulOp op) {
  std::vector<float> stored = readConstant(op.getB());
  int64_t k = typeOf(op.getB()).getDimSize(0), n = typeOf(op.getB()).getDimSize(1);
  Matrix<float> rows(n, k);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j)
      rows(j, i) = stored[i * n + j];
  return rows;
}

qrt::Tensor toColumns(const Matrix<float> &rows) {
  qrt::Tensor tensor(ElementType::F32, {rows.cols, rows.rows});
  for (int64_t i = 0; i < rows.cols; ++i)
    for (int64_t j = 0; j < rows.rows; ++j)
      tensor.data<float>()[i * rows.rows + j] = rows(j, i);
  return tensor;
}

/// Each input times its factor.
void scaleInputs(Matrix<float> &rows, ArrayRef<float> factors) {
  for (int64_t n = 0; n < rows.rows; ++n)
    for (int64_t k = 0; k < rows.cols; ++k)
      rows(n, k) *= factors[k];
}

/// Rounds weights as the scheme that the user named.
class Rounding {
public:
  explicit Rounding(const Scheme &scheme, const ParallelFor &parallelFor) : scheme(scheme), parallelFor(parallelFor) {}

  int64_t groupSize(int64_t inputs) const {
    for (const SchemeOption<int64_t> *option : {&options::groupSize, &options::groupSize64})
      if (scheme.has(*option))
        return scheme.get(*option) < 1 ? inputs : std::min(inputs, scheme.get(*option));
    return inputs;
  }
  Result<Matrix<float>> round(const Matrix<float> &weights) const {
    auto quantizer = WeightQuantizer::create(scheme, weights.cols, /*measured=*/nullptr, /*isLast=*/true, parallelFor);
    if (!quantizer)
      return quantizer.error();
    QuantizerFigures figures;
    Result<WeightCodes> codes = (*quantizer)->quantize(weights, figures, parallelFor);
    if (!codes)
      return codes.error();
    return dequantize(*codes);
  }
  const ParallelFor &threads() const { return parallelFor; }

private:
  const Scheme &scheme;
  const ParallelFor &parallelFor;
};

/// Sum of squared differences of the rows that count.
double squaredError(const qrt::Tensor &a, const qrt::Tensor &b, std::span<const uint8_t> mask) {
  int64_t columns = a.dims().back(), rows = a.numElements() / columns;
  double sum = 0;
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t k = t * columns; (mask.empty() || mask[t]) && k < (t + 1) * columns; ++k) {
      double difference = double(a.data<float>()[k]) - b.data<float>()[k];
      sum += difference * difference;
    }
  return sum;
}

/// The scales of one value, as far as they are known.
struct Search {
  ScaledValue value;
  std::optional<InputMoments> moments;
  std::vector<float> scales;
};

struct SearchScales : impl::SearchScalesBase<SearchScales> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    auto fail = [&](const Twine &reason) {
      return emitError(UnknownLoc::get(context)) << "awq: scheme \"" << scheme.getValue() << "\": " << reason;
    };
    Result<SchemeSpec> parsed = SchemeSpec::parse(scheme.getValue());
    if (!parsed)
      return fail(parsed.error().message);
    rounding.emplace(*parsed->info);
    rounding->apply(parsed->settings);
    const SchemeVariant &variant = rounding->variant();
    if (variant.weights == WeightMethod::Float || variant.weightStatistics != StatisticSet::None)
      return fail("expected one that rounds weights without calibration");
    return success();
  }

  void runOnOperation() override {
    LeftOut left("awq");
    for (func::FuncOp function : functionsOf(getOperation())) {
      std::vector<Search> searches;
      for (ScaledValue &value : findScaledValues(function, [&](Operation *op, const Twine &why) { left.add(op, why); }))
        searches.push_back({std::move(value), std::nullopt, {}});
      bool isUseful = llvm::any_of(searches, [](const Search &search) { return !search.value.divided.empty(); });
      if (isUseful && failed(scale(function, searches, left)))
        return signalPassFailure();
      eraseDeadOps(function);
    }
    if (failed(left.check(getOperation().getLoc(), "a value whose scale can move into the weights "
                                                   "that alone read it")))
      signalPassFailure();
  }

private:
  LogicalResult scale(func::FuncOp function, std::vector<Search> &searches, LeftOut &left) {
    auto windows = findWindows(getOperation().getLoc(), calibration);
    if (failed(windows))
      return failure();
    // What is judged is observed behind what is scaled, other inputs behind what reads them.
    llvm::DenseMap<Operation *, std::pair<Search *, bool>> observers;
    for (Search &search : searches) {
      onnx::MatMulOp reader = search.value.linears.front();
      Value input = search.value.input(), judged = search.value.judged;
      observers[observeBehind(judged ? input.getDefiningOp() : reader, input, reader)] = {&search, false};
      if (judged)
        observers[observeBehind(judged.getDefiningOp(), judged, reader)] = {&search, true};
    }
    LogicalResult result =
        runFloat(function, *windows, floatRunOptions(getContext()), chooseRunner(getContext()),
                 [&](const ObservedValue &seen, const ParallelFor &parallelFor) -> Status {
                   auto [search, isJudged] = observers.lookup(seen.observe());
                   Rounding rounds(*rounding, parallelFor);
                   if (!isJudged)
                     if (Status status = measure(*search, seen, rounds); !status)
                       return status;
                   bool isLast = isJudged || !search->value.judged;
                   return isLast && !search->value.divided.empty() ? choose(*search, seen, rounds) : Status();
                 });
    for (auto &[observer, search] : observers)
      observer->erase();
    if (failed(result))
      return failure();
    for (Search &search : searches) {
      if (search.value.divided.empty())
        continue;
      moveFactors(search.value.divided, search.value.linears, search.scales);
      search.moments->divide(search.scales);
      ++numScaled;
      left.countDone();
    }
    qrt::ThreadPool threads(floatRunOptions(getContext()).threads);
    ParallelFor parallelFor = makeParallelFor(threads);
    for (const Search &search : searches)
      for (onnx::MatMulOp linear : search.value.linears)
        if (clip && !feedsScores(linear))
          if (Status status = clipWeights(linear, *search.moments, Rounding(*rounding, parallelFor)); !status)
            return emitError(linear.getLoc()) << status.error().message;
    return success();
  }

  Status measure(Search &search, const ObservedValue &seen, const Rounding &rounds) {
    int64_t features = search.value.features();
    search.moments.emplace(features, rounds.groupSize(features));
    for (size_t i = 0; i < seen.numBatches(); ++i) {
      Result<qrt::Tensor> x = seen.load(i);
      if (!x)
        return x.error();
      search.moments->observe({x->data<float>(), x->numElements() / features, features}, seen.mask(i),
                              rounds.threads());
    }
    return {};
  }

  /// The scales of least error of those that are tried; the first of equal ones.
  Status choose(Search &search, const ObservedValue &seen, const Rounding &rounds) {
    constexpr int kSteps = 20;
    std::vector<Matrix<float>> weights;
    for (onnx::MatMulOp linear : search.value.linears)
      weights.push_back(readRows(linear));
    std::vector<float> inputs = search.moments->meanMagnitudes(), relative;
    if (duo)
      relative = relativeMagnitudes(weights, search.moments->groupSize());
    double least = std::numeric_limits<double>::infinity();
    for (int step = 0; step < kSteps; ++step) {
      std::vector<float> scales = activationScales(inputs, relative, double(step) / kSteps), inverse = scales;
      for (float &scale : inverse)
        scale = 1 / scale;
      std::vector<Matrix<float>> rounded;
      for (Matrix<float> scaled : weights) {
        scaleInputs(scaled, scales);
        Result<Matrix<float>> one = rounds.round(scaled);
        if (!one)
          return one.error();
        scaleInputs(*one, inverse);
        rounded.push_back(std::move(*one));
      }
      Result<double> error =
          search.value.judged ? judge(search, seen, rounded) : ownError(seen, weights, rounded, rounds.threads());
      if (!error)
        return error.error();
      if (*error < least) {
        least = *error;
        search.scales = std::move(scales);
      }
    }
    return {};
  }

  /// What rounding does to the value behind the linears.
  Result<double> judge(const Search &search, const ObservedValue &seen, ArrayRef<Matrix<float>> rounded) {
    WeightChoice choice;
    for (auto [linear, weights] : llvm::zip(search.value.linears, rounded))
      choice[linear] = toColumns(weights);
    double sum = 0;
    for (size_t i = 0; i < seen.numBatches(); ++i) {
      Result<qrt::Tensor> expected = seen.load(i), computed = seen.compute(i, choice);
      if (!expected || !computed)
        return expected ? computed.error() : expected.error();
      sum += squaredError(*expected, *computed, seen.mask(i));
    }
    return sum;
  }

  /// What rounding does to the products of the linears.
  static Result<double> ownError(const ObservedValue &seen, ArrayRef<Matrix<float>> weights,
                                 ArrayRef<Matrix<float>> rounded, const ParallelFor &parallelFor) {
    double sum = 0;
    for (auto [before, after] : llvm::zip(weights, rounded)) {
      Matrix<float> difference = after;
      for (auto [value, other] : llvm::zip(difference.values, before.values))
        value -= other;
      for (size_t i = 0; i < seen.numBatches(); ++i) {
        Result<qrt::Tensor> x = seen.load(i);
        if (!x)
          return x.error();
        MatrixRef<const float> rows(x->data<float>(), x->numElements() / before.cols, before.cols);
        sum += squaredProduct(rows, seen.mask(i), difference, parallelFor);
      }
    }
    return sum;
  }

  /// Cuts the weights of each group to the share of its largest that rounding likes best; the largest of equal ones.
  Status clipWeights(onnx::MatMulOp linear, const InputMoments &moments, const Rounding &rounds) {
    constexpr int kSteps = 20, kTried = 10;
    Matrix<float> weights = readRows(linear), best = weights;
    int64_t size = moments.groupSize(), groups = (weights.cols + size - 1) / size;
    Matrix<double> least(weights.rows, groups, std::numeric_limits<double>::infinity());
    Matrix<float> largest(weights.rows, groups);
    for (int64_t n = 0; n < weights.rows; ++n)
      for (int64_t k = 0; k < weights.cols; ++k)
        largest(n, k / size) = std::max(largest(n, k / size), std::fabs(weights(n, k)));
    for (int step = 0; step < kTried; ++step) {
      Matrix<float> cut = weights;
      for (int64_t n = 0; n < cut.rows; ++n)
        for (int64_t k = 0; k < cut.cols; ++k) {
          float limit = largest(n, k / size) * (1 - float(step) / kSteps);
          cut(n, k) = std::clamp(cut(n, k), -limit, limit);
        }
      Result<Matrix<float>> rounded = rounds.round(cut);
      if (!rounded)
        return rounded.error();
      rounds.threads()(weights.rows, [&](int64_t begin, int64_t end) {
        std::vector<float> difference;
        for (int64_t n = begin; n < end; ++n)
          for (int64_t group = 0; group < groups; ++group) {
            int64_t first = group * size, last = std::min(first + size, weights.cols);
            difference.clear();
            for (int64_t k = first; k < last; ++k)
              difference.push_back((*rounded)(n, k) - weights(n, k));
            double error = moments.meanSquare(group, difference);
            if (!(error < least(n, group)))
              continue;
            least(n, group) = error;
            std::copy(cut.row(n) + first, cut.row(n) + last, best.row(n) + first);
          }
      });
    }
    numClipped += best.values != weights.values;
    qrt::Tensor columns = toColumns(best);
    setConstant(linear.getBMutable(), ArrayRef(columns.data<float>(), columns.numElements()));
    return {};
  }

  std::optional<Scheme> rounding; ///< of `scheme`
};

} // namespace
} // namespace qopt
