//===- LowerGroups.cpp - Weights in groups, as loops ----------------------===//
//
// What codes of four and eight bits stand for, group by group.
//
//===----------------------------------------------------------------------===//
#include "LowerQuantization.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

Rows lowering::splitGroups(OnnxLowering &state, const Rows &rows, int64_t size) {
  int64_t columns = *constantOf(rows.dims.back()), groups = llvm::divideCeil(columns, size);
  Rows full = rows;
  if (groups * size != columns) {
    full.dims.back() = state.index(groups * size);
    Value zero = arith::ConstantOp::create(state.b, state.b.getZeroAttr(getElementTypeOrSelf(rows.tensor.getType())));
    Value part = state.castTo(rows.tensor, state.typeOf(rows.dims, zero.getType()));
    Dims offsets(full.dims.size(), state.index(0)), strides(full.dims.size(), state.index(1));
    full.tensor =
        tensor::InsertSliceOp::create(state.b, part, state.fill(full.dims, zero), offsets, rows.dims, strides);
  }
  Dims to = full.leading();
  to.append({state.index(groups), state.index(size)});
  return {state.reshape(full.tensor, full.dims, to), to};
}

Rows lowering::takeColumns(OnnxLowering &state, const Rows &rows, int64_t columns) {
  Dims to = rows.leading();
  to.push_back(state.index(columns));
  if (constantOf(rows.dims.back()) == columns)
    return {rows.tensor, to};
  Dims offsets(to.size(), state.index(0)), strides(to.size(), state.index(1));
  return {tensor::ExtractSliceOp::create(state.b, rows.tensor, offsets, to, strides), to};
}

Rows lowering::joinGroups(OnnxLowering &state, const Rows &groups, int64_t columns) {
  Dims joined = groups.leading(2);
  joined.push_back(state.product(ArrayRef(groups.dims).take_back(2)));
  return takeColumns(state, {state.reshape(groups.tensor, groups.dims, joined), joined}, columns);
}

/// Codes of four bits as i8 [N, groups, groupSize].
static Rows unpackNibbles(OnnxLowering &state, Value codes, int64_t columns, int64_t groupSize) {
  // The even column is in the low half of a byte.
  Dims packed = state.dims(codes), halves = packed;
  halves.push_back(state.index(2));
  Type i8 = state.b.getI8Type();
  Value nibbles = state.generic(halves, i8, state.tensor(codes), pick(state, 3, {0, 1}),
                                [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                                  Value half = arith::IndexCastOp::create(b, i8, linalg::IndexOp::create(b, 2));
                                  Value bits = arith::ShLIOp::create(b, half, arith::ConstantIntOp::create(b, i8, 2));
                                  Value code = arith::ShRUIOp::create(b, in[0], bits);
                                  return arith::AndIOp::create(b, code, arith::ConstantIntOp::create(b, i8, 15));
                                });
  return splitGroups(state, joinGroups(state, {nibbles, halves}, columns), groupSize);
}

Rows lowering::unpackCodes(OnnxLowering &state, Value codes, Value zeros, int64_t columns, int64_t groupSize) {
  Type i8 = state.b.getI8Type();
  Rows groups = unpackNibbles(state, codes, columns, groupSize);
  SmallVector<Value> inputs{groups.tensor};
  SmallVector<AffineMap> maps{pick(state, 3, {0, 1, 2})};
  if (zeros) {
    inputs.push_back(state.tensor(zeros));
    maps.push_back(pick(state, 3, {0, 1}));
  }
  groups.tensor = state.generic(groups.dims, i8, inputs, maps, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    Value zero = in.size() > 1 ? in[1] : arith::ConstantIntOp::create(b, i8, 8).getResult();
    return arith::SubIOp::create(b, in[0], zero);
  });
  return groups;
}

// The bits of an e4m3, moved to their places in an f16, are 2^-8 of it.
Value lowering::numberOf(ImplicitLocOpBuilder &b, Value code, bool isFloat8) {
  Type f32 = b.getF32Type(), i16 = b.getI16Type();
  if (!isFloat8)
    return arith::SIToFPOp::create(b, f32, code);
  auto constant = [&](int64_t value) -> Value { return arith::ConstantIntOp::create(b, i16, value); };
  Value bits = arith::ExtSIOp::create(b, i16, code), sign = arith::AndIOp::create(b, bits, constant(-0x8000));
  bits = arith::ShLIOp::create(b, arith::AndIOp::create(b, bits, constant(0x7F)), constant(7));
  Value half = arith::BitcastOp::create(b, b.getF16Type(), arith::OrIOp::create(b, sign, bits));
  return arith::MulFOp::create(b, arith::ExtFOp::create(b, f32, half),
                               arith::ConstantOp::create(b, b.getF32FloatAttr(256)));
}

Rows lowering::dequantizeGroups(OnnxLowering &state, const GroupedWeights &weights) {
  if (state.usesQuantTypes)
    if (std::optional<Rows> cast = castStorage(state, weights))
      return *cast;
  Type f32 = state.b.getF32Type();
  Rows groups;
  bool hasFloatZeros = weights.zeros && getElementTypeOrSelf(weights.zeros.getType()).isF32();
  if (weights.isBytes)
    groups = splitGroups(state, {state.tensor(weights.codes), state.dims(weights.codes)}, weights.groupSize);
  else if (weights.table || hasFloatZeros)
    groups = unpackNibbles(state, weights.codes, weights.columns, weights.groupSize);
  else
    groups = unpackCodes(state, weights.codes, weights.zeros, weights.columns, weights.groupSize);
  SmallVector<Value> inputs{groups.tensor, state.tensor(weights.scale)};
  SmallVector<AffineMap> maps{pick(state, 3, {0, 1, 2}), pick(state, 3, {0, 1})};
  bool subtracts = weights.zeros && (weights.isBytes || hasFloatZeros);
  if (subtracts) {
    inputs.push_back(state.tensor(weights.zeros));
    maps.push_back(pick(state, 3, {0, 1}));
  }
  Value table;
  if (weights.table)
    table =
        arith::ConstantOp::create(state.b, DenseElementsAttr::get(RankedTensorType::get({weights.table.size()}, f32),
                                                                  weights.table.asArrayRef()));
  groups.tensor = state.generic(groups.dims, f32, inputs, maps, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    Value number;
    if (table)
      number = tensor::ExtractOp::create(b, table, Value(arith::IndexCastUIOp::create(b, b.getIndexType(), in[0])));
    else
      number = numberOf(b, in[0], weights.isFloat8);
    if (subtracts)
      number =
          arith::SubFOp::create(b, number, hasFloatZeros ? in[2] : arith::SIToFPOp::create(b, f32, in[2]).getResult());
    return arith::MulFOp::create(b, widen(b, in[1], f32), number);
  });
  return joinGroups(state, groups, weights.columns);
}
