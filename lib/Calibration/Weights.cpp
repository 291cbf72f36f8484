//===- Weights.cpp - The weights of a linear layer as numbers -------------===//
//
// Models keep W transposed, [K, N]; quantizers want rows of outputs.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Weights.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/DeferredData.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Reading weights
//===----------------------------------------------------------------------===//

FailureOr<StoredMatrix> qopt::viewWeights(const Linear &linear, std::vector<char> &storage) {
  onnx::MatMulOp op = linear.op;
  if (Type read = getElementTypeOrSelf(op.getB()); !read.isF32())
    return op.emitOpError() << "expected float32 weights of layer \"" << linear.name << "\" but got " << read;
  ConstantView view = viewConstant(linear.weights);
  if (isa<DenseResourceElementsAttr>(view.value) && !view.isComplete())
    return op.emitOpError() << "expected " << view.expandedBytes() << " bytes of weights of layer \"" << linear.name
                            << "\" but got " << view.bytes.size();
  std::optional<ElementType> type = toElementType(view.type.getElementType());
  if (!view.isComplete() || !type || !isFloatType(*type))
    return op.emitOpError() << "expected dense weights of layer \"" << linear.name << '"';
  StoredMatrix stored{nullptr, *type, linear.inFeatures, linear.outFeatures};
  if (view.deferred && view.deferred->transposeOf) {
    stored.data = viewConstant(view.deferred->transposeOf).bytes.data();
    stored.isTransposed = true;
    return stored;
  }
  bool isCopied = view.isSplat || view.deferred;
  if (isCopied)
    storage = view.expanded();
  stored.data = isCopied ? storage.data() : view.bytes.data();
  return stored;
}

Status qopt::checkFinite(StringRef layer, const Matrix<float> &rows, int64_t first) {
  std::optional<int64_t> bad = findNonFinite(rows.values.data(), static_cast<int64_t>(rows.values.size()));
  if (!bad)
    return {};
  return Error{"expected finite weights of layer \"" + layer.str() + "\" but got " + std::to_string(rows.values[*bad]) +
               " for output " + std::to_string(first + *bad / rows.cols) + ", input " +
               std::to_string(*bad % rows.cols)};
}

FailureOr<Matrix<float>> qopt::readWeights(const Linear &linear) {
  std::vector<char> storage;
  FailureOr<StoredMatrix> stored = viewWeights(linear, storage);
  if (failed(stored))
    return failure();
  Matrix<float> weights(linear.outFeatures, linear.inFeatures);
  readColumns(*stored, 0, weights);
  if (Status status = checkFinite(linear.name, weights, 0); !status) {
    onnx::MatMulOp op = linear.op;
    return op.emitOpError() << status.error().message;
  }
  return weights;
}

//===----------------------------------------------------------------------===//
// What quantizers make of them
//===----------------------------------------------------------------------===//

StoredGroups::StoredGroups(const GroupCodes &groups) {
  int added = offset(groups.bits), middle = (1 << (groups.bits - 1)) + added;
  auto move = [&](uint8_t code) { return static_cast<uint8_t>(code + added); };
  Matrix<uint8_t> moved = groups.codes;
  llvm::transform(moved.values, moved.values.begin(), move);
  codes = areBytes(groups.bits) ? std::move(moved) : packInt4(moved);
  for (uint8_t zero : groups.zeros.values) {
    zeros.push_back(static_cast<int8_t>(move(zero)));
    hasZeros |= zeros.back() != middle;
  }
}

static ArrayRef<float> scalesOf(const ChannelCodes &codes) { return codes.scales; }
static ArrayRef<float> scalesOf(const SplitCodes &codes) { return codes.rest.scales; }
template <typename Groups>
static ArrayRef<float> scalesOf(const Groups &codes) {
  return codes.scales.values;
}

Status qopt::checkScales(StringRef layer, const WeightCodes &codes) {
  for (float scale : std::visit([](const auto &c) { return scalesOf(c); }, codes))
    if (!(scale > 0) || !std::isfinite(scale))
      return Error{"expected positive and finite weight scales of layer \"" + layer.str() + "\" but got " +
                   std::to_string(scale)};
  return {};
}

static void dequantizeInto(const ChannelCodes &codes, Matrix<float> &weights) { dequantizeChannels(codes, weights); }
static void dequantizeInto(const SplitCodes &codes, Matrix<float> &weights) { dequantizeSplit(codes, weights); }
static void dequantizeInto(const GroupCodes &codes, Matrix<float> &weights) { dequantizeGroups(codes, weights); }
static void dequantizeInto(const AffineCodes &codes, Matrix<float> &weights) { dequantizeAffine(codes, weights); }
static void dequantizeInto(const TableCodes &codes, Matrix<float> &weights) { dequantizeTable(codes, weights); }
static void dequantizeInto(const Float8Codes &codes, Matrix<float> &weights) { dequantizeFloat8(codes, weights); }

template <typename Codes>
static const auto &matrixOf(const Codes &codes) {
  if constexpr (std::is_same_v<Codes, SplitCodes>)
    return codes.rest.codes;
  else
    return codes.codes;
}

std::pair<int64_t, int64_t> qopt::codesShape(const WeightCodes &codes) {
  return std::visit([](const auto &c) { return std::pair(matrixOf(c).rows, matrixOf(c).cols); }, codes);
}

Matrix<float> qopt::dequantize(const WeightCodes &codes) {
  auto [rows, cols] = codesShape(codes);
  Matrix<float> weights(rows, cols);
  std::visit([&](const auto &c) { dequantizeInto(c, weights); }, codes);
  return weights;
}

//===----------------------------------------------------------------------===//
// Their size
//===----------------------------------------------------------------------===//

/// Floats are kept in float16 if that changes nothing.
static int64_t bytesOfFloats(ArrayRef<float> values) {
  bool fit =
      llvm::all_of(values, [](float value) { return static_cast<float>(static_cast<_Float16>(value)) == value; });
  return static_cast<int64_t>(values.size()) * (fit ? 2 : 4);
}

/// Of codes that are packed two in a byte.
static int64_t packedBytes(const Matrix<uint8_t> &codes) { return codes.rows * ((codes.cols + 1) / 2); }

static int64_t bytesOf(const ChannelCodes &codes) {
  return static_cast<int64_t>(codes.codes.values.size() + codes.scales.size() * sizeof(float));
}
static int64_t bytesOf(const SplitCodes &codes) { return bytesOf(codes.rest) + bytesOfFloats(codes.kept.values); }
static int64_t bytesOf(const GroupCodes &codes) {
  StoredGroups stored(codes);
  // Zero points of four bits next to the middle are a bit of the scale.
  bool haveZeros = stored.hasZeros && (StoredGroups::areBytes(codes.bits) ||
                                       llvm::any_of(stored.zeros, [](int8_t zero) { return zero != 7 && zero != 8; }));
  return static_cast<int64_t>(stored.codes.values.size() + (haveZeros ? stored.zeros.size() : 0)) +
         bytesOfFloats(codes.scales.values);
}
static int64_t bytesOf(const AffineCodes &codes) {
  return packedBytes(codes.codes) + bytesOfFloats(codes.scales.values) +
         static_cast<int64_t>(codes.zeros.values.size() * sizeof(float));
}
static int64_t bytesOf(const TableCodes &codes) {
  return packedBytes(codes.codes) + bytesOfFloats(codes.scales.values);
}
static int64_t bytesOf(const Float8Codes &codes) {
  bool isPerRow = codes.scales.cols == 1;
  return static_cast<int64_t>(codes.codes.values.size() + (isPerRow ? codes.scales.values.size() * sizeof(float) : 0)) +
         (isPerRow ? 0 : bytesOfFloats(codes.scales.values));
}

int64_t qopt::storedBytes(const WeightCodes &codes) {
  return std::visit([](const auto &c) { return bytesOf(c); }, codes);
}

std::optional<double> qopt::sqnrDb(const ErrorSums &sums) {
  if (sums.noise == 0)
    return std::nullopt;
  return 10 * std::log10(sums.signal / sums.noise);
}
