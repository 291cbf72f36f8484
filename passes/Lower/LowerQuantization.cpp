//===- LowerQuantization.cpp - Codes from floats and back -----------------===//
//
// As loops, for where no kernel does it. Every operation rounds as lib/Reference does, in the
// same order, so that codes are the same bit by bit.
//
//===----------------------------------------------------------------------===//
#include "LowerQuantization.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

//===----------------------------------------------------------------------===//
// Floats to codes
//===----------------------------------------------------------------------===//

/// clamp(rne(x), -128, 127), and 0 for NaN.
Value toCode(OnnxLowering &state, ImplicitLocOpBuilder &b, Value x) {
  Value isNan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x);
  x = arith::SelectOp::create(b, isNan, state.constant(x.getType(), 0), x);
  x = math::RoundEvenOp::create(b, x);
  x = arith::MaximumFOp::create(b, x, state.constant(x.getType(), -128));
  x = arith::MinimumFOp::create(b, x, state.constant(x.getType(), 127));
  return arith::FPToSIOp::create(b, b.getI8Type(), x);
}

/// Quantizes rows, each with its own scale.
class RowQuantizer {
public:
  /// Whether an element, of a column, is left out.
  using Test = std::function<Value(ImplicitLocOpBuilder &, Value x)>;

  RowQuantizer(OnnxLowering &state, Rows rows) : state(state), rows(std::move(rows)) {
    int64_t rank = this->rows.dims.size();
    all = state.b.getMultiDimIdentityMap(rank);
    perRow = pick(state, rank, upTo(rank - 1));
    perColumn = pick(state, rank, {rank - 1});
  }

  /// Leaves elements out of a row's largest, and gives them the code 0: those for which
  /// `isOutlier` holds, or that stand in a column which `columns` [K] of i1 marks.
  void leaveOut(Test test) { isOutlier = std::move(test); }
  /// Codes are 0 in the columns that this [K] of i1 marks, too.
  void clearColumns(Value marks) { cleared = marks; }

  /// Sets `codes` and `scale`, whose dimensions are those of the rows and of all but their last.
  void run() {
    Type f32 = state.b.getF32Type();
    Value init = state.fill(rows.leading(), state.constant(f32, 0));
    Value largest = state.fold(init, perRow, rows.tensor, all, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
      Value magnitude = math::AbsFOp::create(b, in[0]);
      if (isOutlier)
        magnitude = arith::SelectOp::create(b, isOutlier(b, in[0]), state.constant(f32, 0), magnitude);
      return arith::MaxNumFOp::create(b, in[1], magnitude);
    });
    scale = state.generic(rows.leading(), f32, largest, state.b.getMultiDimIdentityMap(rows.dims.size() - 1),
                          [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                            return arith::DivFOp::create(b, in[0], state.constant(f32, 127));
                          });
    SmallVector<Value> inputs{rows.tensor, largest};
    SmallVector<AffineMap> maps{all, perRow};
    if (cleared) {
      inputs.push_back(cleared);
      maps.push_back(perColumn);
    }
    codes = state.generic(
        rows.dims, state.b.getI8Type(), inputs, maps, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
          Value isZero = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, in[1], state.constant(f32, 0));
          if (isOutlier)
            isZero = arith::OrIOp::create(b, isZero, isOutlier(b, in[0]));
          if (cleared)
            isZero = arith::OrIOp::create(b, isZero, in[2]);
          Value scaled = arith::MulFOp::create(b, in[0], state.constant(f32, 127));
          Value code = toCode(state, b, arith::DivFOp::create(b, scaled, in[1]));
          return arith::SelectOp::create(b, isZero, arith::ConstantIntOp::create(b, code.getType(), 0), code);
        });
  }

  Value codes, scale;

private:
  OnnxLowering &state;
  Rows rows;
  AffineMap all, perRow, perColumn;
  Test isOutlier;
  Value cleared;
};

LogicalResult lowerQuantize(QuantizeOp op, OnnxLowering &state) {
  Dims dims = state.dims(op.getInput());
  size_t rank = dims.size();
  Value codes = state.generic(dims, state.b.getI8Type(), {state.tensor(op.getInput()), state.tensor(op.getScale())},
                              {state.b.getMultiDimIdentityMap(rank), pick(state, rank, {})},
                              [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                                return toCode(state, b, arith::DivFOp::create(b, in[0], in[1]));
                              });
  state.setTensor(op.getCodes(), codes, dims);
  return success();
}

LogicalResult lowerDynamicQuantize(DynamicQuantizeOp op, OnnxLowering &state) {
  Rows rows{state.tensor(op.getInput()), state.dims(op.getInput())};
  if (!op.getGroupSize()) {
    RowQuantizer quantizer(state, rows);
    quantizer.run();
    state.setTensor(op.getCodes(), quantizer.codes, rows.dims);
    state.setTensor(op.getScale(), quantizer.scale, rows.leading());
    return success();
  }
  std::optional<int64_t> columns = constantOf(rows.dims.back());
  if (!columns)
    return op.emitOpError("has no lowering for groups of a number of columns that is not known");
  Rows groups = splitGroups(state, rows, std::min<int64_t>(*op.getGroupSize(), *columns));
  RowQuantizer quantizer(state, groups);
  quantizer.run();
  state.setTensor(op.getCodes(), joinGroups(state, {quantizer.codes, groups.dims}, *columns).tensor, rows.dims);
  state.setTensor(op.getScale(), quantizer.scale, groups.leading());
  return success();
}

/// The numbers of the columns that `marks` [K] marks in rising order, then -1, as i32.
Value listColumns(OnnxLowering &state, Value marks, OpFoldResult count) {
  ImplicitLocOpBuilder &b = state.b;
  Type i32 = b.getI32Type();
  Value zero = state.value(state.index(0)), one = state.value(state.index(1));
  Value none = arith::ConstantIntOp::create(b, i32, -1), init = state.fill({count}, none);
  // What is no outlier writes the -1 that is there anyway.
  auto loop = scf::ForOp::create(b, zero, state.value(count), one, ValueRange{init, zero},
                                 [&](OpBuilder &inner, Location loc, Value column, ValueRange carried) {
                                   ImplicitLocOpBuilder b(loc, inner);
                                   Value isMarked = tensor::ExtractOp::create(b, marks, column);
                                   Value number = arith::IndexCastOp::create(b, i32, column);
                                   number = arith::SelectOp::create(b, isMarked, number, none);
                                   Value list = tensor::InsertOp::create(b, number, carried[0], carried[1]);
                                   Value next = arith::AddIOp::create(b, carried[1], one);
                                   next = arith::SelectOp::create(b, isMarked, next, carried[1]);
                                   scf::YieldOp::create(b, ValueRange{list, next});
                                 });
  return loop.getResult(0);
}

LogicalResult lowerSplitColumns(SplitColumnsOp op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Rows rows{state.tensor(op.getInput()), state.dims(op.getInput())};
  Type f32 = b.getF32Type(), i1 = b.getI1Type();
  float threshold = op.getThreshold().convertToFloat();
  auto isOutlier = [&state, f32, threshold](ImplicitLocOpBuilder &b, Value x) -> Value {
    if (threshold <= 0)
      return arith::ConstantIntOp::create(b, 0, 1);
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, math::AbsFOp::create(b, x),
                                 state.constant(f32, threshold));
  };
  int64_t rank = rows.dims.size();
  Value none = state.fill({rows.dims.back()}, arith::ConstantIntOp::create(b, 0, 1));
  Value marks = state.fold(none, pick(state, rank, {rank - 1}), rows.tensor, b.getMultiDimIdentityMap(rank),
                           [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                             return arith::OrIOp::create(b, in[1], isOutlier(b, in[0]));
                           });
  // In a single row an outlier is its column.
  Value hasRows = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, state.value(state.product(rows.leading())),
                                        state.value(state.index(1)));
  Value cleared = state.generic(
      {rows.dims.back()}, i1, marks, b.getMultiDimIdentityMap(1),
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value { return arith::AndIOp::create(b, in[0], hasRows); });
  RowQuantizer quantizer(state, rows);
  quantizer.leaveOut(isOutlier);
  quantizer.clearColumns(cleared);
  quantizer.run();
  state.setTensor(op.getCodes(), quantizer.codes, rows.dims);
  state.setTensor(op.getScale(), quantizer.scale, rows.leading());
  state.setTensor(op.getColumns(), listColumns(state, marks, rows.dims.back()), {rows.dims.back()});
  return success();
}

/// For each of `count` columns its place in `columns`, or -1, as i32.
Value placesOf(OnnxLowering &state, ArrayRef<int32_t> columns, int64_t count) {
  SmallVector<int32_t> places(count, -1);
  for (auto [place, column] : llvm::enumerate(columns))
    places[column] = static_cast<int32_t>(place);
  return arith::ConstantOp::create(state.b, state.b.getI32TensorAttr(places));
}

/// Whether a place is one.
Value isListed(ImplicitLocOpBuilder &b, Value place) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::sge, place,
                               arith::ConstantIntOp::create(b, place.getType(), 0));
}

LogicalResult lowerSplitColumnsAt(SplitColumnsAtOp op, OnnxLowering &state) {
  Rows rows{state.tensor(op.getInput()), state.dims(op.getInput())};
  std::optional<int64_t> columns = constantOf(rows.dims.back());
  if (!columns)
    return op.emitOpError("has no lowering for a number of columns that is not known");
  int64_t rank = rows.dims.size();
  AffineMap all = state.b.getMultiDimIdentityMap(rank), perColumn = pick(state, rank, {rank - 1});
  Type f32 = state.b.getF32Type();
  Value rest = state.generic(rows.dims, f32, {rows.tensor, placesOf(state, op.getColumns(), *columns)},
                             {all, perColumn}, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                               return arith::SelectOp::create(b, isListed(b, in[1]), state.constant(f32, 0), in[0]);
                             });
  RowQuantizer quantizer(state, {rest, rows.dims});
  quantizer.run();
  Dims outliers = rows.leading();
  outliers.push_back(state.index(op.getColumns().size()));
  Value list = arith::ConstantOp::create(state.b, state.b.getI32TensorAttr(op.getColumns()));
  Value taken = state.generic(outliers, f32, list, perColumn, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
    SmallVector<Value> at;
    for (int64_t i = 0; i + 1 < rank; ++i)
      at.push_back(linalg::IndexOp::create(b, i));
    at.push_back(arith::IndexCastOp::create(b, b.getIndexType(), in[0]));
    return tensor::ExtractOp::create(b, rows.tensor, at);
  });
  state.setTensor(op.getCodes(), quantizer.codes, rows.dims);
  state.setTensor(op.getScale(), quantizer.scale, rows.leading());
  state.setTensor(op.getOutliers(), taken, outliers);
  return success();
}

//===----------------------------------------------------------------------===//
// Codes to floats
//===----------------------------------------------------------------------===//

LogicalResult lowerDequantize(DequantizeOp op, OnnxLowering &state) {
  if (op.getGroupSize()) {
    int64_t columns = cast<RankedTensorType>(op.getResult().getType()).getShape().back();
    Rows weights = dequantizeGroups(state, {op.getCodes(), op.getScale(), op.getZeros(), columns,
                                            static_cast<int64_t>(*op.getGroupSize()), op.getTableAttr(), op.getBytes(),
                                            op.getFloat8()});
    state.setTensor(op.getResult(), weights.tensor, weights.dims);
    return success();
  }
  Dims dims = state.dims(op.getCodes());
  size_t rank = dims.size();
  if (std::optional<int64_t> columns = constantOf(dims.back()); columns && state.usesQuantTypes && rank == 2)
    if (std::optional<Rows> weights =
            castStorage(state, {op.getCodes(), op.getScale(), /*zeros=*/{}, *columns, *columns,
                                /*table=*/{}, /*isBytes=*/true, op.getFloat8()})) {
      state.setTensor(op.getResult(), weights->tensor, weights->dims);
      return success();
    }
  bool isPerTensor = state.dims(op.getScale()).empty();
  Type f32 = state.b.getF32Type();
  Value result = state.generic(dims, f32, {state.tensor(op.getCodes()), state.tensor(op.getScale())},
                               {state.b.getMultiDimIdentityMap(rank), pick(state, rank, upTo(isPerTensor ? 0 : 1))},
                               [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                                 Value number = numberOf(b, in[0], op.getFloat8());
                                 return arith::MulFOp::create(b, widen(b, in[1], f32), number);
                               });
  state.setTensor(op.getResult(), result, dims);
  return success();
}

LogicalResult lowerReplaceColumns(ReplaceColumnsOp op, OnnxLowering &state) {
  Dims dims = state.dims(op.getInput());
  Value places = placesOf(state, op.getColumns(), *constantOf(dims[1])), values = state.tensor(op.getValues());
  Type f32 = state.b.getF32Type();
  Value result = state.generic(
      dims, f32, {state.tensor(op.getInput()), places}, {pick(state, 2, {0, 1}), pick(state, 2, {1})},
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value zero = arith::ConstantIntOp::create(b, in[1].getType(), 0);
        Value place = arith::IndexCastOp::create(b, b.getIndexType(), arith::MaxSIOp::create(b, in[1], zero));
        Value value = tensor::ExtractOp::create(b, values, ValueRange{linalg::IndexOp::create(b, 0), place});
        return arith::SelectOp::create(b, isListed(b, in[1]), widen(b, value, f32), in[0]);
      });
  state.setTensor(op.getResult(), result, dims);
  return success();
}

} // namespace

void lowering::populateQuantization(Handlers &handlers) {
  handlers.add(&lowerDequantize);
  handlers.add(&lowerDynamicQuantize);
  handlers.add(&lowerQuantize);
  handlers.add(&lowerReplaceColumns);
  handlers.add(&lowerSplitColumns);
  handlers.add(&lowerSplitColumnsAt);
}
