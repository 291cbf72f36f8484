//===- Quantized.cpp - The qopt dialect -----------------------------------===//
//
// Rounding of codes happens in float, as the original packages and the generated
// code do it, so that codes agree bit for bit; products are summed exactly.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/TypeSwitch.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

static int64_t clampToInt8(float value) {
  return static_cast<int64_t>(std::clamp(std::nearbyint(std::isnan(value) ? 0.0f : value), -128.0f, 127.0f));
}

static Outcome evaluateQuantize(const Tensor &x, const Tensor &scale, Tensor &codes) {
  for (int64_t i = 0, n = x.numElements(); i < n; ++i)
    codes.ints[i] = clampToInt8(static_cast<float>(x.floats[i]) / static_cast<float>(scale.floats[0]));
  return Outcome::Done;
}

/// Codes and scales per row; magnitudes from `threshold` on are left out, and with
/// more than one row their whole columns.
static void quantizeRows(const Tensor &x, float threshold, Tensor &codes, Tensor &scale, std::vector<bool> &outlier) {
  int64_t columns = shapeOf(x).back(), rows = columns == 0 ? 0 : x.numElements() / columns;
  auto isOutlier = [&](float value) { return threshold > 0 && std::abs(value) >= threshold; };
  outlier.assign(columns, false);
  for (int64_t i = 0, n = x.numElements(); i < n; ++i)
    if (isOutlier(static_cast<float>(x.floats[i])))
      outlier[i % columns] = true;
  for (int64_t row = 0; row < rows; ++row) {
    float absmax = 0;
    for (int64_t k = 0; k < columns; ++k) {
      float value = static_cast<float>(x.floats[row * columns + k]);
      if (!isOutlier(value))
        absmax = std::max(absmax, std::abs(value));
    }
    scale.floats[row] = absmax / 127.0f;
    for (int64_t k = 0; k < columns; ++k) {
      float value = static_cast<float>(x.floats[row * columns + k]);
      bool zero = absmax == 0 || isOutlier(value) || (rows > 1 && outlier[k]);
      codes.ints[row * columns + k] = zero ? 0 : clampToInt8(value * 127.0f / absmax);
    }
  }
}

/// A scale for each row, or for each group of a row.
static Outcome evaluateDynamicQuantize(DynamicQuantizeOp op, const Tensor &x, Results out) {
  std::vector<bool> outlier;
  int64_t columns = shapeOf(x).back(), size = static_cast<int64_t>(op.getGroupSize().value_or(columns));
  if (size >= columns) {
    quantizeRows(x, /*threshold=*/0, out[0], out[1], outlier);
    return Outcome::Done;
  }
  int64_t rows = x.numElements() / columns, groups = shapeOf(out[1]).back();
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t g = 0; g < groups; ++g) {
      int64_t first = row * columns + g * size, count = std::min(size, columns - g * size);
      Tensor group, codes, scale;
      allocate(group, RankedTensorType::get({1, count}, x.type.getElementType()));
      allocate(codes, RankedTensorType::get({1, count}, out[0].type.getElementType()));
      allocate(scale, RankedTensorType::get({1}, out[1].type.getElementType()));
      std::copy_n(x.floats.begin() + first, count, group.floats.begin());
      quantizeRows(group, /*threshold=*/0, codes, scale, outlier);
      std::copy_n(codes.ints.begin(), count, out[0].ints.begin() + first);
      out[1].floats[row * groups + g] = scale.floats[0];
    }
  return Outcome::Done;
}

static Outcome evaluateSplitColumns(SplitColumnsOp op, const Tensor &x, Results out) {
  std::vector<bool> outlier;
  quantizeRows(x, op.getThreshold().convertToFloat(), out[0], out[1], outlier);
  size_t next = 0;
  for (size_t k = 0; k < outlier.size(); ++k)
    if (outlier[k])
      out[2].ints[next++] = static_cast<int64_t>(k);
  std::fill(out[2].ints.begin() + next, out[2].ints.end(), -1);
  return Outcome::Done;
}

static Outcome evaluateSplitColumnsAt(SplitColumnsAtOp op, const Tensor &x, Results out) {
  Tensor rest = x;
  int64_t columns = shapeOf(x).back(), rows = columns == 0 ? 0 : x.numElements() / columns,
          count = op.getColumns().size();
  for (int64_t row = 0; row < rows; ++row)
    for (auto [i, column] : llvm::enumerate(op.getColumns())) {
      double &value = rest.floats[row * columns + column];
      out[2].floats[row * count + i] = value;
      value = 0;
    }
  std::vector<bool> outlier;
  quantizeRows(rest, /*threshold=*/0, out[0], out[1], outlier);
  return Outcome::Done;
}

static Outcome evaluateReplaceColumns(ReplaceColumnsOp op, const Tensor &input, const Tensor &values, Tensor &out) {
  out = input;
  int64_t columns = shapeOf(input)[1], count = op.getColumns().size();
  for (int64_t n = 0; n < shapeOf(input)[0]; ++n)
    for (auto [i, column] : llvm::enumerate(op.getColumns()))
      out.floats[n * columns + column] = values.floats[n * count + i];
  return Outcome::Done;
}

/// What a code of eight bits stands for.
static double numberOf(int64_t code, bool isFloat8) {
  if (!isFloat8)
    return static_cast<double>(code);
  llvm::APFloat number(llvm::APFloat::Float8E4M3FN(), llvm::APInt(8, static_cast<uint64_t>(code & 0xff)));
  return number.convertToDouble();
}

namespace {
/// One weight of a matrix in groups: scale * (code - zero), or of the number in a table.
struct Groups {
  const Tensor &codes, &scale;
  const Tensor *zeros;
  int64_t groupSize;
  std::optional<ArrayRef<float>> table = std::nullopt;
  bool isBytes = false, isFloat8 = false; ///< codes of eight bits

  /// The scale of a weight.
  double scaleAt(int64_t n, int64_t k) const { return scale.floats[group(n, k)]; }
  /// Its code of four bits less the zero point, which is an integer.
  int64_t codeAt(int64_t n, int64_t k) const { return nibble(n, k) - (zeros ? zeros->ints[group(n, k)] : 8); }
  double at(int64_t n, int64_t k) const { return scaleAt(n, k) * unscaled(n, k); }

private:
  int64_t group(int64_t n, int64_t k) const { return n * scale.type.getDimSize(1) + k / groupSize; }
  int64_t byteAt(int64_t n, int64_t i) const { return codes.ints[n * codes.type.getDimSize(1) + i]; }
  int64_t nibble(int64_t n, int64_t k) const {
    int64_t byte = byteAt(n, k / 2) & 0xff;
    return k % 2 ? byte >> 4 : byte & 15;
  }
  double unscaled(int64_t n, int64_t k) const {
    if (table)
      return (*table)[nibble(n, k)];
    if (isBytes)
      return numberOf(byteAt(n, k), isFloat8) - (zeros ? static_cast<double>(zeros->ints[group(n, k)]) : 0);
    if (zeros && zeros->type.getElementType().isF32())
      return static_cast<double>(nibble(n, k)) - zeros->floats[group(n, k)];
    return static_cast<double>(codeAt(n, k));
  }
};
} // namespace

static Outcome evaluateDequantize(DequantizeOp op, Operands in, Tensor &out) {
  const Tensor &codes = *in[0], &scale = *in[1];
  int64_t columns = out.type.getRank() > 0 ? shapeOf(out).back() : 1;
  for (int64_t i = 0, n = out.numElements(); i < n; ++i) {
    if (op.getGroupSize()) {
      Groups groups{codes,
                    scale,
                    op.getZeros() ? in[2] : nullptr,
                    static_cast<int64_t>(*op.getGroupSize()),
                    op.getTable(),
                    op.getBytes(),
                    op.getFloat8()};
      out.floats[i] = groups.at(i / columns, i % columns);
    } else {
      out.floats[i] =
          scale.floats[scale.type.getRank() == 0 ? 0 : i / columns] * numberOf(codes.ints[i], op.getFloat8());
    }
  }
  return Outcome::Done;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// Outlier columns are multiplied as float16, in a unit that nothing is out of range of.
static double roundOutlier(MLIRContext *context, double x) {
  constexpr double unit = 64, largest = 65504;
  return roundTo(Float16Type::get(context), std::clamp(x / unit, -largest, largest)) * unit;
}

static Outcome evaluateMatmulW8A8(MatmulW8A8Op op, Operands in, Tensor &out) {
  const Tensor &x = *in[0], &xScale = *in[1], &w = *in[2], &wScale = *in[3];
  int64_t n = w.type.getDimSize(0), k = w.type.getDimSize(1), rows = k == 0 ? 0 : x.numElements() / k;
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t j = 0; j < n; ++j) {
      int64_t sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum += x.ints[t * k + l] * w.ints[j * k + l];
      double y = xScale.floats[xScale.type.getRank() == 0 ? 0 : t] * wScale.floats[j] * static_cast<double>(sum);
      if (op.getOutlierWeights())
        for (int64_t i = 0, count = shapeOf(*in[5])[1]; i < count; ++i)
          y += roundOutlier(op.getContext(), in[4]->floats[t * count + i]) * in[5]->floats[j * count + i];
      if (op.getColumns())
        for (int64_t column : in[5]->ints) {
          if (column == -1)
            break;
          if (column < 0 || column >= k)
            return fail(op, "expected outlier columns in [0, " + Twine(k - 1) + "] but got " + Twine(column));
          y += roundOutlier(op.getContext(), in[4]->floats[t * k + column]) * wScale.floats[j] *
               static_cast<double>(w.ints[j * k + column]);
        }
      out.floats[t * n + j] = y;
    }
  return Outcome::Done;
}

/// The product with weights in groups.
static Outcome evaluateGroups(const Tensor &x, const Groups &groups, Tensor &out) {
  int64_t n = groups.codes.type.getDimSize(0), k = shapeOf(x).back(), rows = k == 0 ? 0 : x.numElements() / k;
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum += x.floats[t * k + l] * groups.at(j, l);
      out.floats[t * n + j] = sum;
    }
  return Outcome::Done;
}

static Outcome evaluateMatmulW8A16(MatmulW8A16Op op, Operands in, Tensor &out) {
  const Tensor &x = *in[0], &w = *in[1], &wScale = *in[2];
  if (op.getGroupSize())
    return evaluateGroups(x,
                          {w, wScale, op.getZeros() ? in[3] : nullptr, static_cast<int64_t>(*op.getGroupSize()),
                           std::nullopt, /*isBytes=*/true, op.getFloat8()},
                          out);
  int64_t n = w.type.getDimSize(0), k = w.type.getDimSize(1), rows = k == 0 ? 0 : x.numElements() / k;
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum += x.floats[t * k + l] * numberOf(w.ints[j * k + l], op.getFloat8());
      out.floats[t * n + j] = wScale.floats[j] * sum;
    }
  return Outcome::Done;
}

static Outcome evaluateMatmulW4A16(MatmulW4A16Op op, Operands in, Tensor &out) {
  return evaluateGroups(
      *in[0], {*in[1], *in[2], op.getZeros() ? in[3] : nullptr, static_cast<int64_t>(op.getGroupSize()), op.getTable()},
      out);
}

/// In float and in the order of the groups, as every kernel adds them, so that results agree
/// bit for bit; sums of groups are exact.
static Outcome evaluateMatmulW4A8(MatmulW4A8Op op, Operands in, Tensor &out) {
  const Tensor &x = *in[0], &xScale = *in[1], &w = *in[2];
  int64_t n = w.type.getDimSize(0), k = shapeOf(x).back(), rows = k == 0 ? 0 : x.numElements() / k;
  int64_t size = static_cast<int64_t>(op.getXGroupSize()), groups = shapeOf(xScale).back();
  Groups weights{w, *in[3], op.getZeros() ? in[4] : nullptr, static_cast<int64_t>(op.getGroupSize())};
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t j = 0; j < n; ++j) {
      float total = 0;
      for (int64_t g = 0; g < groups; ++g) {
        int64_t sum = 0;
        for (int64_t l = g * size, end = std::min(k, l + size); l < end; ++l)
          sum += x.ints[t * k + l] * weights.codeAt(j, l);
        float scaled = static_cast<float>(sum) * static_cast<float>(xScale.floats[t * groups + g]);
        total = std::fma(scaled, static_cast<float>(weights.scaleAt(j, g * size)), total);
      }
      out.floats[t * n + j] = total;
    }
  return Outcome::Done;
}

Outcome reference::evaluateQuantized(Operation *op, Operands in, Results out) {
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](ParameterOp parameter) {
        FailureOr<Tensor> value = fromAttribute(parameter.getValue());
        if (failed(value))
          return fail(op, "cannot read the value");
        out[0] = std::move(*value);
        return Outcome::Done;
      })
      .Case([&](ObserveOp) {
        out[0] = *in[0];
        return Outcome::Done;
      })
      .Case([&](QuantizeOp) { return evaluateQuantize(*in[0], *in[1], out[0]); })
      .Case([&](DynamicQuantizeOp quantize) { return evaluateDynamicQuantize(quantize, *in[0], out); })
      .Case([&](SplitColumnsOp split) { return evaluateSplitColumns(split, *in[0], out); })
      .Case([&](SplitColumnsAtOp split) { return evaluateSplitColumnsAt(split, *in[0], out); })
      .Case([&](ReplaceColumnsOp replace) { return evaluateReplaceColumns(replace, *in[0], *in[1], out[0]); })
      .Case([&](DequantizeOp dequantize) { return evaluateDequantize(dequantize, in, out[0]); })
      .Case([&](MatmulW8A8Op matmul) { return evaluateMatmulW8A8(matmul, in, out[0]); })
      .Case([&](MatmulW8A16Op matmul) { return evaluateMatmulW8A16(matmul, in, out[0]); })
      .Case([&](MatmulW4A16Op matmul) { return evaluateMatmulW4A16(matmul, in, out[0]); })
      .Case([&](MatmulW4A8Op matmul) { return evaluateMatmulW4A8(matmul, in, out[0]); })
      .Default([](Operation *) { return Outcome::NotMine; });
}
