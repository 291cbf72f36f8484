//===- LowerNormalization.cpp - LayerNormalization, RMSNormalization -------===//
//
// Norms that no kernel takes, as loops. Sums are kept in f64, in order, as those of the
// reductions are.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// The loops of one norm: over the dimensions of x, of which those from `axis` on are a row.
class Norm {
public:
  Norm(OnnxLowering &state, Value x, int64_t axis)
      : state(state), b(state.b), input(x), dims(state.dims(x)), axis(positiveAxis(axis, dims.size())),
        f64(b.getF64Type()) {
    for (const OpFoldResult &size : ArrayRef(dims).drop_front(this->axis))
      rowDims.push_back(size);
    all = b.getMultiDimIdentityMap(dims.size());
    perRow = AffineMap::get(dims.size(), 0, all.getResults().take_front(this->axis), b.getContext());
  }

  /// One f64 per row: what `finish` makes of the mean over the row of what `summand` makes of
  /// an element, with `means`, numbers per row, behind it.
  Value meanOf(ValueRange means, Body summand, Body finish) {
    Dims rows(ArrayRef(dims).take_front(axis));
    SmallVector<utils::IteratorType> iterators(dims.size(), utils::IteratorType::reduction);
    std::fill_n(iterators.begin(), axis, utils::IteratorType::parallel);
    SmallVector<Value> inputs{state.tensor(input)};
    llvm::append_range(inputs, means);
    SmallVector<AffineMap> maps{all};
    maps.append(means.size() + 1, perRow);
    Value init = state.fill(rows, state.constant(f64, 0));
    Value sum =
        linalg::GenericOp::create(b, TypeRange{init.getType()}, inputs, ValueRange{init}, maps, iterators,
                                  [&](OpBuilder &inner, Location loc, ValueRange in) {
                                    ImplicitLocOpBuilder b(loc, inner);
                                    Value added = summand(b, in.drop_back());
                                    linalg::YieldOp::create(b, arith::AddFOp::create(b, in.back(), added).getResult());
                                  })
            .getResult(0);
    Value count = arith::IndexCastOp::create(b, b.getI64Type(), state.value(state.product(rowDims)));
    count = arith::SIToFPOp::create(b, f64, count);
    return state.generic(rows, f64, sum, b.getMultiDimIdentityMap(axis),
                         [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                           return finish(b, {arith::DivFOp::create(b, in[0], count)});
                         });
  }

  /// In the shape of x: `body` of an element, the numbers per row and the operands, which
  /// are broadcast, all as f64.
  Value elements(ValueRange numbers, ValueRange operands, Body body) {
    SmallVector<Value> inputs{state.tensor(input)};
    SmallVector<AffineMap> maps{all};
    for (Value number : numbers) {
      inputs.push_back(number);
      maps.push_back(perRow);
    }
    for (Value operand : operands) {
      inputs.push_back(state.tensor(operand));
      maps.push_back(state.broadcastMap(state.dims(operand), dims.size()));
    }
    Type element = getElementTypeOrSelf(input.getType());
    return state.generic(dims, element, inputs, maps, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
      SmallVector<Value> wide;
      for (Value v : in)
        wide.push_back(widen(b, v, f64));
      return narrow(b, body(b, wide), element);
    });
  }

  /// Sets a result that has one number per row, in dimensions of size 1.
  void setPerRow(Value result, Value numbers) {
    Type element = getElementTypeOrSelf(result.getType());
    Dims rows(ArrayRef(dims).take_front(axis));
    Value elements = state.generic(rows, element, numbers, b.getMultiDimIdentityMap(axis),
                                   [&](ImplicitLocOpBuilder &b, ValueRange in) { return narrow(b, in[0], element); });
    state.setTensor(result, state.reshape(elements, rows, state.dims(result)));
  }

  Value wide(ImplicitLocOpBuilder &b, Value v) const { return widen(b, v, f64); }

private:
  OnnxLowering &state;
  ImplicitLocOpBuilder &b;
  Value input;
  Dims dims, rowDims;
  int64_t axis;
  Type f64;
  AffineMap all, perRow;
};

Value square(ImplicitLocOpBuilder &b, Value v) { return arith::MulFOp::create(b, v, v); }
Value mul(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::MulFOp::create(b, x, y); }

/// 1 / sqrt(x + epsilon).
Value inverseRoot(OnnxLowering &state, ImplicitLocOpBuilder &b, Value x, const APFloat &epsilon) {
  Value shifted = arith::AddFOp::create(b, x, state.constant(x.getType(), epsilon.convertToFloat()));
  return arith::DivFOp::create(b, state.constant(x.getType(), 1), math::SqrtOp::create(b, shifted));
}

LogicalResult lowerRMSNormalization(onnx::RMSNormalizationOp op, OnnxLowering &state) {
  Norm norm(state, op.getX(), op.getAxis());
  Value factor = norm.meanOf(
      {}, [&](ImplicitLocOpBuilder &b, ValueRange in) { return square(b, norm.wide(b, in[0])); },
      [&](ImplicitLocOpBuilder &b, ValueRange in) { return inverseRoot(state, b, in[0], op.getEpsilon()); });
  state.setTensor(op.getY(), norm.elements(factor, op.getScale(), [](ImplicitLocOpBuilder &b, ValueRange in) {
    return mul(b, mul(b, in[0], in[1]), in[2]);
  }));
  return success();
}

LogicalResult lowerLayerNormalization(onnx::LayerNormalizationOp op, OnnxLowering &state) {
  Norm norm(state, op.getX(), op.getAxis());
  auto distance = [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    return arith::SubFOp::create(b, norm.wide(b, in[0]), in[1]);
  };
  Value mean = norm.meanOf(
      {}, [&](ImplicitLocOpBuilder &b, ValueRange in) { return norm.wide(b, in[0]); },
      [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
  Value factor = norm.meanOf(
      mean, [&](ImplicitLocOpBuilder &b, ValueRange in) { return square(b, distance(b, in)); },
      [&](ImplicitLocOpBuilder &b, ValueRange in) { return inverseRoot(state, b, in[0], op.getEpsilon()); });
  SmallVector<Value> operands{op.getScale()};
  if (op.getB())
    operands.push_back(op.getB());
  state.setTensor(op.getY(),
                  norm.elements({mean, factor}, operands, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                    Value scaled = mul(b, mul(b, distance(b, in), in[2]), in[3]);
                    return in.size() == 4 ? scaled : arith::AddFOp::create(b, scaled, in[4]).getResult();
                  }));
  norm.setPerRow(op.getMean(), mean);
  norm.setPerRow(op.getInvStdDev(), factor);
  return success();
}

} // namespace

void lowering::populateNormalization(Handlers &handlers) {
  handlers.add(&lowerRMSNormalization);
  handlers.add(&lowerLayerNormalization);
}
