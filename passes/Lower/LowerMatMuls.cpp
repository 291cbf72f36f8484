//===- LowerMatMuls.cpp - Products of two computed matrices ---------------===//
//
// Products with constant weights have kernels; these are plain loops: batch and
// rows in parallel, then k, then columns innermost, so that every element is summed
// in the order of k.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// One operand of a product: a batch of matrices.
struct Matrix {
  Value tensor;
  Dims dims; ///< batch dimensions, then two
  bool transposed = false;

  Dims batch() const { return Dims(ArrayRef(dims).drop_back(2)); }
};

/// Loops: batch, rows, k, columns. `first` and `second` are the loops of the
/// matrix's own two dimensions.
AffineMap readMap(const Matrix &matrix, size_t rank, int64_t first, int64_t second, OnnxLowering &state) {
  AffineMap batch = state.broadcastMap(matrix.batch(), rank - 3);
  SmallVector<AffineExpr> expressions(batch.getResults());
  if (matrix.transposed)
    std::swap(first, second);
  expressions.push_back(state.b.getAffineDimExpr(first));
  expressions.push_back(state.b.getAffineDimExpr(second));
  return AffineMap::get(rank, 0, expressions, state.b.getContext());
}

/// The product, of `dims`. Narrow floats are summed in f32, integers in their own type.
Value multiply(const Matrix &lhs, const Matrix &rhs, ArrayRef<OpFoldResult> dims, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  int64_t rank = dims.size() + 1, row = rank - 3, k = rank - 2, column = rank - 1;
  Type element = getElementTypeOrSelf(lhs.tensor.getType());
  auto type = dyn_cast<FloatType>(element);
  bool isNarrow = type && type.getWidth() < 32;
  Type working = isNarrow ? Type(b.getF32Type()) : element;
  SmallVector<AffineExpr> write;
  for (int64_t i = 0; i < rank; ++i)
    if (i != k)
      write.push_back(b.getAffineDimExpr(i));
  SmallVector<AffineMap> maps{readMap(lhs, rank, row, k, state), readMap(rhs, rank, k, column, state),
                              AffineMap::get(rank, 0, write, b.getContext())};
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators[k] = utils::IteratorType::reduction;
  Value init = state.fill(dims, state.constant(working, 0));
  auto op =
      linalg::GenericOp::create(b, TypeRange{init.getType()}, ValueRange{lhs.tensor, rhs.tensor}, ValueRange{init},
                                maps, iterators, [&](OpBuilder &inner, Location loc, ValueRange in) {
                                  ImplicitLocOpBuilder b(loc, inner);
                                  Value x = in[0], y = in[1], sum;
                                  if (isNarrow) {
                                    x = arith::ExtFOp::create(b, working, x);
                                    y = arith::ExtFOp::create(b, working, y);
                                  }
                                  if (type)
                                    sum = arith::AddFOp::create(b, in[2], arith::MulFOp::create(b, x, y));
                                  else
                                    sum = arith::AddIOp::create(b, in[2], arith::MulIOp::create(b, x, y));
                                  linalg::YieldOp::create(b, sum);
                                });
  Value result = op.getResult(0);
  if (isNarrow)
    result = state.generic(
        dims, element, result, b.getMultiDimIdentityMap(dims.size()),
        [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value { return arith::TruncFOp::create(b, element, in[0]); });
  return result;
}

LogicalResult lowerMatMul(onnx::MatMulOp op, OnnxLowering &state) {
  Dims a = state.dims(op.getA()), b = state.dims(op.getB()), to = state.dims(op.getY()), full = to;
  // A vector is a row on the left and a column on the right.
  Matrix lhs{state.tensor(op.getA()), a}, rhs{state.tensor(op.getB()), b};
  if (a.size() == 1) {
    lhs.dims.insert(lhs.dims.begin(), state.index(1));
    lhs.tensor = state.reshape(lhs.tensor, a, lhs.dims);
    full.insert(full.end() - (b.size() == 1 ? 0 : 1), state.index(1));
  }
  if (b.size() == 1) {
    rhs.dims.push_back(state.index(1));
    rhs.tensor = state.reshape(rhs.tensor, b, rhs.dims);
    full.push_back(state.index(1));
  }
  for (Matrix *matrix : {&lhs, &rhs}) {
    Dims own(ArrayRef(full).drop_back(2));
    own.append(matrix->dims.end() - 2, matrix->dims.end());
    matrix->tensor = state.expand(matrix->tensor, matrix->dims, own);
  }
  state.setTensor(op.getY(), state.reshape(multiply(lhs, rhs, full, state), full, to));
  return success();
}

LogicalResult lowerGemm(onnx::GemmOp op, OnnxLowering &state) {
  ImplicitLocOpBuilder &b = state.b;
  Matrix lhs{state.tensor(op.getA()), state.dims(op.getA()), op.getTransA() != 0};
  Matrix rhs{state.tensor(op.getB()), state.dims(op.getB()), op.getTransB() != 0};
  Dims dims = state.dims(op.getY());
  Value result = multiply(lhs, rhs, dims, state);
  Type element = getElementTypeOrSelf(result.getType());
  double alpha = op.getAlpha().convertToDouble(), beta = op.getBeta().convertToDouble();
  if (!isa<FloatType>(element) && (alpha != 1 || beta != 1))
    return op.emitOpError("has no lowering for alpha and beta with elements of type ") << element;
  auto scale = [&](ImplicitLocOpBuilder &b, Value v, double factor) -> Value {
    if (factor == 1)
      return v;
    return arith::MulFOp::create(b, v, arith::ConstantOp::create(b, b.getFloatAttr(element, factor)));
  };
  SmallVector<Value> inputs{result};
  SmallVector<AffineMap> maps{b.getMultiDimIdentityMap(2)};
  if (op.getC()) {
    inputs.push_back(state.tensor(op.getC()));
    maps.push_back(state.broadcastMap(state.dims(op.getC()), 2));
  }
  if (op.getC() || alpha != 1)
    result = state.generic(dims, element, inputs, maps, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
      Value sum = scale(b, in[0], alpha);
      if (in.size() == 1)
        return sum;
      Value addend = scale(b, in[1], beta);
      return isa<FloatType>(element) ? arith::AddFOp::create(b, sum, addend).getResult()
                                     : arith::AddIOp::create(b, sum, addend).getResult();
    });
  state.setTensor(op.getY(), result);
  return success();
}

} // namespace

void lowering::populateMatMuls(Handlers &handlers) {
  handlers.add(&lowerGemm);
  handlers.add(&lowerMatMul);
}
