//===- ReplaceWeights.cpp - Codes instead of weights in the IR ------------===//
//
// Codes, scales and zero points become parameters, and a dequantize with a transpose
// takes the place of the constant.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/ReplaceWeights.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt;

namespace {

/// Creates the operations that stand for the quantized weights of one layer.
class WeightBuilder {
public:
  WeightBuilder(const Linear &linear) : linear(linear), op(linear.op), builder(op) {
    // Where others read these weights, too, they stand where all see them.
    if (Operation *old = op.getB().getDefiningOp(); old && !op.getB().hasOneUse())
      builder.setInsertionPointAfter(old);
  }

  std::string nameOf(StringRef suffix) const { return (linear.name + ".weight." + suffix).str(); }

  /// A parameter "<layer>.weight.<suffix>" that owns a copy of `values`.
  template <typename T>
  Value parameter(StringRef suffix, ArrayRef<int64_t> shape, Type element, ArrayRef<T> values) {
    std::string name = nameOf(suffix);
    auto type = RankedTensorType::get(shape, element);
    AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
        ArrayRef<char>(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T)), /*align=*/64,
        /*dataIsMutable=*/false);
    auto value = DenseResourceElementsAttr::get(type, name, std::move(blob));
    return ParameterOp::create(builder, op.getLoc(), name, value);
  }

  /// In float16 if that changes nothing.
  Value floats(StringRef suffix, ArrayRef<int64_t> shape, ArrayRef<float> values) {
    std::vector<_Float16> half(values.begin(), values.end());
    bool exact = std::equal(half.begin(), half.end(), values.begin(),
                            [](_Float16 a, float b) { return static_cast<float>(a) == b; });
    return exact ? parameter<_Float16>(suffix, shape, builder.getF16Type(), half)
                 : parameter<float>(suffix, shape, builder.getF32Type(), values);
  }

  Value build(const ChannelCodes &channels) {
    int64_t n = linear.outFeatures, k = linear.inFeatures;
    Value codes = parameter<int8_t>("codes", {n, k}, builder.getI8Type(), channels.codes.values);
    Value scale = parameter<float>("scale", {n}, builder.getF32Type(), channels.scales);
    return DequantizeOp::create(builder, op.getLoc(), codes, scale);
  }

  Value build(const SplitCodes &split) {
    Value rest = build(split.rest);
    if (split.columns.empty())
      return rest;
    Value kept = floats("outliers", {linear.outFeatures, split.kept.cols}, split.kept.values);
    SmallVector<int32_t> columns(split.columns.begin(), split.columns.end());
    return ReplaceColumnsOp::create(builder, op.getLoc(), rest, kept, columns);
  }

  Value build(const GroupCodes &groups) {
    StoredGroups stored(groups);
    Value codes = bytes("codes", stored.codes), zeros;
    Value scale = floats("scale", {groups.scales.rows, groups.scales.cols}, groups.scales.values);
    if (stored.hasZeros)
      zeros = parameter<int8_t>("zeros", {groups.zeros.rows, groups.zeros.cols}, builder.getI8Type(), stored.zeros);
    return dequantize(codes, scale, zeros, groups.groupSize, StoredGroups::areBytes(groups.bits));
  }

  Value build(const AffineCodes &groups) {
    Value codes = bytes("codes", packInt4(groups.codes));
    Value scale = floats("scale", {groups.scales.rows, groups.scales.cols}, groups.scales.values);
    Value zeros =
        parameter<float>("zeros", {groups.zeros.rows, groups.zeros.cols}, builder.getF32Type(), groups.zeros.values);
    return dequantize(codes, scale, zeros, groups.groupSize, /*areBytes=*/false);
  }

  Value build(const TableCodes &table) {
    Value codes = bytes("codes", packInt4(table.codes));
    Value scale = floats("scale", {table.scales.rows, table.scales.cols}, table.scales.values);
    return dequantize(codes, scale, /*zeros=*/{}, table.groupSize, /*areBytes=*/false,
                      builder.getDenseF32ArrayAttr(table.table));
  }

  Value build(const Float8Codes &float8) {
    Value codes = bytes("codes", float8.codes);
    if (float8.scales.cols > 1) {
      Value scale = floats("scale", {float8.scales.rows, float8.scales.cols}, float8.scales.values);
      return dequantize(codes, scale, /*zeros=*/{}, float8.groupSize, /*areBytes=*/true, /*table=*/{},
                        /*isFloat8=*/true);
    }
    Value scale = parameter<float>("scale", {linear.outFeatures}, builder.getF32Type(), float8.scales.values);
    return DequantizeOp::create(builder, op.getLoc(), codes, scale, /*zeros=*/Value(), /*group_size=*/IntegerAttr(),
                                /*columns=*/IntegerAttr(), /*table=*/DenseF32ArrayAttr(), /*bytes=*/UnitAttr(),
                                /*float8=*/builder.getUnitAttr());
  }

  /// Parameters that are the arrays of `rows`, in their order.
  Value build(const WeightArrays &arrays, std::shared_ptr<RowSource> rows, DeferredData &deferred) {
    int64_t n = linear.outFeatures, index = 0;
    auto next = [&](StringRef suffix, int64_t columns, Type element, int smallest, int largest) -> Value {
      DeferredConstant constant =
          DeferredConstant::ofArray(rows, index++, n, columns * element.getIntOrFloatBitWidth() / 8);
      constant.smallest = smallest;
      constant.largest = largest;
      auto type = arrays.groupSize || suffix == "codes" ? RankedTensorType::get({n, columns}, element)
                                                        : RankedTensorType::get({n}, element);
      std::string name = nameOf(suffix);
      return ParameterOp::create(builder, op.getLoc(), name, deferred.add(type, name, std::move(constant)));
    };
    int64_t k = linear.inFeatures;
    if (!arrays.groupSize) {
      Value codes = next("codes", k, builder.getI8Type(), -128, 127);
      return DequantizeOp::create(builder, op.getLoc(), codes, next("scale", 1, builder.getF32Type(), 0, 0));
    }
    int64_t groups = llvm::divideCeil(k, arrays.groupSize), middle = arrays.areBytes ? 0 : 8;
    Value codes = next("codes", arrays.areBytes ? k : llvm::divideCeil(k, 2), builder.getI8Type(), -128, 127);
    Value scale = next("scale", groups, builder.getF16Type(), 0, 0), zeros;
    if (arrays.smallestZero != middle || arrays.largestZero != middle)
      zeros = next("zeros", groups, builder.getI8Type(), arrays.smallestZero, arrays.largestZero);
    return dequantize(codes, scale, zeros, arrays.groupSize, arrays.areBytes);
  }

  void finish(Value weights) {
    auto type = RankedTensorType::get({linear.inFeatures, linear.outFeatures}, builder.getF32Type());
    Value transposed = onnx::TransposeOp::create(builder, op.getLoc(), type, weights, ArrayRef<int64_t>{1, 0});
    Operation *old = op.getB().getDefiningOp();
    for (onnx::MatMulOp sharer : findSharers(linear))
      sharer.getBMutable().assign(transposed);
    op.getBMutable().assign(transposed);
    // What reads rows of the weights (qopt-tie-embedding) reads those of the codes.
    for (Operation *user : llvm::make_early_inc_range(old->getUsers()))
      if (auto rows = dyn_cast<onnx::TransposeOp>(user)) {
        rows.getTransposed().replaceAllUsesWith(weights);
        rows.erase();
      }
    while (old && old->use_empty()) { // a constant, or a cast of one
      Operation *source = old->getNumOperands() ? old->getOperand(0).getDefiningOp() : nullptr;
      old->erase();
      old = source;
    }
  }

private:
  Value bytes(StringRef suffix, const Matrix<uint8_t> &matrix) {
    return parameter<uint8_t>(suffix, {matrix.rows, matrix.cols}, builder.getI8Type(), matrix.values);
  }

  /// Of codes in groups.
  Value dequantize(Value codes, Value scale, Value zeros, int64_t groupSize, bool areBytes,
                   DenseF32ArrayAttr table = {}, bool isFloat8 = false) {
    // The last byte of a row holds one code where their number is odd.
    bool isOdd = !areBytes && linear.inFeatures % 2;
    return DequantizeOp::create(builder, op.getLoc(), codes, scale, zeros, builder.getI64IntegerAttr(groupSize),
                                isOdd ? builder.getI64IntegerAttr(linear.inFeatures) : IntegerAttr(), table,
                                areBytes ? builder.getUnitAttr() : UnitAttr(),
                                isFloat8 ? builder.getUnitAttr() : UnitAttr());
  }

  const Linear &linear;
  onnx::MatMulOp op;
  OpBuilder builder;
};

} // namespace

SmallVector<onnx::MatMulOp> qopt::findSharers(const Linear &linear) {
  SmallVector<onnx::MatMulOp> sharers;
  // Columns that are kept in float are those of a layer's own inputs.
  if (linear.variant().weights == WeightMethod::KeptChannels)
    return sharers;
  onnx::MatMulOp op = linear.op;
  for (Operation *user : op.getB().getUsers())
    if (std::optional<Linear> other = Linear::match(user);
        other && other->op != op && other->op.getB() == op.getB() && other->scheme == linear.scheme)
      sharers.push_back(other->op);
  return sharers;
}

LogicalResult qopt::replaceWeights(const Linear &linear, const WeightCodes &codes) {
  if (Status status = checkScales(linear.name, codes); !status) {
    onnx::MatMulOp op = linear.op;
    return op.emitOpError() << status.error().message;
  }
  WeightBuilder builder(linear);
  builder.finish(std::visit([&](const auto &c) { return builder.build(c); }, codes));
  return success();
}

void qopt::replaceWeights(const Linear &linear, const WeightArrays &arrays, std::shared_ptr<RowSource> rows,
                          DeferredData &deferred) {
  WeightBuilder builder(linear);
  builder.finish(builder.build(arrays, std::move(rows), deferred));
}
