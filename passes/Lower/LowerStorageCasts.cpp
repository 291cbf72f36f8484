//===- LowerStorageCasts.cpp - Codes as types of the quant dialect --------===//
//
// For compilers that have instructions for such types: the codes, a cast that says what they
// stand for, and one to floats. MLIR's own lowering of these casts gives the numbers that our
// loops would. The types hold all scales.
//
//===----------------------------------------------------------------------===//
#include "LowerQuantization.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "qopt/Dialect/Constants.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

/// All elements of a constant.
template <typename T>
static std::optional<std::vector<T>> read(Value value) {
  std::optional<ConstantView> constant = matchConstant(value);
  return constant ? constant->readAs<T>() : std::nullopt;
}

/// Codes [N, K] with these `scales` and `zeros` for each group of `size` columns; null where no type can say it, as of
/// a scale of 0.
static Type typeOf(IntegerType storage, int64_t rows, int64_t size, ArrayRef<float> scales, ArrayRef<int64_t> zeros) {
  MLIRContext *context = storage.getContext();
  Type f32 = Float32Type::get(context);
  unsigned isSigned = quant::QuantizationFlags::Signed;
  int64_t largest = (int64_t(1) << (storage.getWidth() - 1)) - 1, groups = static_cast<int64_t>(scales.size()) / rows;
  auto silent = [] { return InFlightDiagnostic(); };
  // What MLIR does not read it writes all the same.
  if (llvm::any_of(zeros, [&](int64_t zero) { return zero < -largest - 1 || zero > largest; }) ||
      llvm::any_of(scales, [](float scale) { return !(scale > 0) || !std::isfinite(scale); }))
    return {};
  if (groups == 1)
    return quant::UniformQuantizedPerAxisType::getChecked(silent, isSigned, storage, f32,
                                                          SmallVector<double>(scales.begin(), scales.end()), zeros,
                                                          /*quantizedDimension=*/0, -largest - 1, largest);
  auto shaped = [&](Type element) { return RankedTensorType::get({rows, groups}, element); };
  SmallVector<APInt> codes;
  for (int64_t zero : zeros)
    codes.emplace_back(storage.getWidth(), static_cast<uint64_t>(zero), /*isSigned=*/true);
  return quant::UniformQuantizedSubChannelType::getChecked(
      silent, isSigned, storage, f32, DenseElementsAttr::get(shaped(f32), scales),
      DenseElementsAttr::get(shaped(storage), codes), ArrayRef<int32_t>{0, 1}, ArrayRef<int64_t>{1, size}, -largest - 1,
      largest);
}

std::optional<Rows> lowering::castStorage(OnnxLowering &state, const GroupedWeights &weights) {
  std::optional<std::vector<float>> scales = read<float>(weights.scale);
  std::optional<std::vector<int64_t>> zeros;
  if (weights.zeros)
    zeros = read<int64_t>(weights.zeros);
  int64_t size = std::min(weights.groupSize, weights.columns);
  if (!scales || weights.table || weights.isFloat8 || weights.columns % size != 0 || (weights.zeros && !zeros))
    return std::nullopt;
  ImplicitLocOpBuilder &b = state.b;
  std::optional<int64_t> rows = constantOf(state.dims(weights.codes)[0]);
  if (!rows || static_cast<int64_t>(scales->size()) != *rows * (weights.columns / size))
    return std::nullopt;
  // Codes of four bits have no sign yet, and 8 is their zero where no other is given.
  int64_t shift = weights.isBytes ? 0 : 8;
  SmallVector<int64_t> shifted(scales->size(), 0);
  for (auto [to, zero] : llvm::zip(shifted, zeros.value_or(std::vector<int64_t>(scales->size(), shift))))
    to = zero - shift;
  IntegerType storage = b.getIntegerType(weights.isBytes ? 8 : 4);
  Type element = typeOf(storage, *rows, size, *scales, shifted);
  if (!element)
    return std::nullopt;
  Dims dims{state.index(*rows), state.index(weights.columns)};
  Value codes = weights.isBytes ? state.tensor(weights.codes) : Value();
  if (!codes) {
    Rows unpacked = joinGroups(state, unpackCodes(state, weights.codes, {}, weights.columns, size), weights.columns);
    codes = state.generic(
        dims, storage, unpacked.tensor, b.getMultiDimIdentityMap(2),
        [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value { return arith::TruncIOp::create(b, storage, in[0]); });
  }
  Value quantized = quant::StorageCastOp::create(b, state.typeOf(dims, element), codes);
  return Rows{quant::DequantizeCastOp::create(b, state.typeOf(dims, b.getF32Type()), quantized), dims};
}
