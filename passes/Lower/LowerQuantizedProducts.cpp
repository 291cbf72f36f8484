//===- LowerQuantizedProducts.cpp - Matrix products on codes --------------===//
//
// As loops, for where no kernel does it: integers are summed in i32, which is exact, floats
// in f32 in the order of k, and groups in theirs.
//
//===----------------------------------------------------------------------===//
#include "LowerQuantization.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

namespace {

/// y = x w^T: the loops of one product. They are the rows of x, then n, then what is summed.
class Product {
public:
  Product(OnnxLowering &state, Value x, Value w, Value y) : state(state), y(y), w(state.dims(w)) {
    dims = Rows{{}, state.dims(x)}.leading();
    n = dims.size();
    dims.push_back(this->w[0]);
  }

  /// Maps of loops of which the last `summed` are summed over: of something with the rows of x
  /// and something with those of w, and of y.
  AffineMap x(int64_t summed) { return pick(state, n + 1 + summed, upTo(n, seq(summed))); }
  AffineMap weights(int64_t summed) {
    SmallVector<int64_t> positions{n};
    llvm::append_range(positions, seq(summed));
    return pick(state, n + 1 + summed, positions);
  }
  AffineMap result(int64_t summed) { return pick(state, n + 1 + summed, upTo(n + 1)); }
  /// The position of loop n.
  int64_t column() const { return n; }
  const Dims &shape() const { return dims; }

  /// sum_k x[t, k] w[n, k], from zero, in `type`: both are extended to it.
  Value sum(Value xs, Value ws, Type type) {
    Value init = state.fill(dims, state.constant(type, 0));
    return state.fold(init, result(1), {xs, ws}, {x(1), weights(1)},
                      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value { return addProduct(b, in, type); });
  }

  /// `sum` and what `inputs` hold at (t, n), through `body`.
  Value finish(ValueRange inputs, ArrayRef<AffineMap> maps, Body body) {
    return state.generic(dims, state.b.getF32Type(), inputs, maps, body);
  }

  void set(Value value) { state.setTensor(y, value, dims); }

  static Value addProduct(ImplicitLocOpBuilder &b, ValueRange in, Type type) {
    auto extend = [&](Value v) -> Value {
      if (v.getType() == type)
        return v;
      if (isa<FloatType>(type))
        return isa<FloatType>(v.getType()) ? widen(b, v, type) : arith::SIToFPOp::create(b, type, v).getResult();
      return arith::ExtSIOp::create(b, type, v);
    };
    Value l = extend(in[0]), r = extend(in[1]);
    if (isa<FloatType>(type))
      return arith::AddFOp::create(b, in[2], arith::MulFOp::create(b, l, r));
    return arith::AddIOp::create(b, in[2], arith::MulIOp::create(b, l, r));
  }

private:
  SmallVector<int64_t> seq(int64_t summed) const { return llvm::to_vector(llvm::seq<int64_t>(n + 1, n + 1 + summed)); }

  OnnxLowering &state;
  Value y;
  Dims w, dims;
  int64_t n;
};

/// Outlier columns are multiplied as f16, in a unit that nothing is out of range of.
Value roundOutlier(OnnxLowering &state, ImplicitLocOpBuilder &b, Value x) {
  Type f32 = b.getF32Type();
  Value scaled = arith::MulFOp::create(b, x, state.constant(f32, 1.0 / 64));
  scaled = arith::MaximumFOp::create(b, scaled, state.constant(f32, -65504));
  scaled = arith::MinimumFOp::create(b, scaled, state.constant(f32, 65504));
  Value half = arith::TruncFOp::create(b, b.getF16Type(), scaled);
  return arith::MulFOp::create(b, arith::ExtFOp::create(b, f32, half), state.constant(f32, 64));
}

/// Adds the columns that `list` has, up to its first -1, in float.
Value addListedColumns(MatmulW8A8Op op, Product &product, Value sum, OnnxLowering &state) {
  Value x = state.tensor(op.getOutliers()), w = state.tensor(op.getW());
  Type f32 = state.b.getF32Type();
  int64_t loops = product.column() + 2;
  return state.fold(
      sum, product.result(1), {state.tensor(op.getColumns()), state.tensor(op.getWScale())},
      {pick(state, loops, {loops - 1}), pick(state, loops, {product.column()})},
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
        Value zero = arith::ConstantIntOp::create(b, in[0].getType(), 0);
        Value isListed = arith::CmpIOp::create(b, arith::CmpIPredicate::sge, in[0], zero);
        Value column = arith::IndexCastOp::create(b, b.getIndexType(), arith::MaxSIOp::create(b, in[0], zero));
        SmallVector<Value> at;
        for (int64_t i = 0; i < product.column(); ++i)
          at.push_back(linalg::IndexOp::create(b, i));
        at.push_back(column);
        Value outlier = roundOutlier(state, b, tensor::ExtractOp::create(b, x, at));
        Value code = tensor::ExtractOp::create(b, w, ValueRange{linalg::IndexOp::create(b, product.column()), column});
        Value weight = arith::MulFOp::create(b, in[1], arith::SIToFPOp::create(b, f32, code));
        Value added = arith::AddFOp::create(b, in[2], arith::MulFOp::create(b, outlier, weight));
        return arith::SelectOp::create(b, isListed, added, in[2]);
      });
}

LogicalResult lowerMatmulW8A8(MatmulW8A8Op op, OnnxLowering &state) {
  Product product(state, op.getX(), op.getW(), op.getY());
  Type f32 = state.b.getF32Type();
  Value sum = product.sum(state.tensor(op.getX()), state.tensor(op.getW()), state.b.getI32Type());
  int64_t loops = product.column() + 1;
  bool isPerTensor = state.dims(op.getXScale()).empty();
  Value y = product.finish({sum, state.tensor(op.getXScale()), state.tensor(op.getWScale())},
                           {product.result(0), pick(state, loops, upTo(isPerTensor ? 0 : product.column())),
                            pick(state, loops, {product.column()})},
                           [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                             Value scale = arith::MulFOp::create(b, in[1], in[2]);
                             return arith::MulFOp::create(b, scale, arith::SIToFPOp::create(b, f32, in[0]));
                           });
  if (op.getOutlierWeights())
    y = state.fold(y, product.result(1), {state.tensor(op.getOutliers()), state.tensor(op.getOutlierWeights())},
                   {product.x(1), product.weights(1)}, [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                     return Product::addProduct(b, {roundOutlier(state, b, in[0]), in[1], in[2]}, f32);
                   });
  else if (op.getColumns())
    y = addListedColumns(op, product, y, state);
  product.set(y);
  return success();
}

LogicalResult lowerMatmulW8A16(MatmulW8A16Op op, OnnxLowering &state) {
  Product product(state, op.getX(), op.getW(), op.getY());
  Type f32 = state.b.getF32Type();
  int64_t columns = op.getW().getType().getDimSize(1);
  if (std::optional<uint64_t> size = op.getGroupSize()) {
    Rows weights =
        dequantizeGroups(state, {op.getW(), op.getWScale(), op.getZeros(), columns, static_cast<int64_t>(*size),
                                 /*table=*/{}, /*isBytes=*/true, op.getFloat8()});
    product.set(product.sum(state.tensor(op.getX()), weights.tensor, f32));
    return success();
  }
  if (state.usesQuantTypes)
    if (std::optional<Rows> weights = castStorage(state, {op.getW(), op.getWScale(), /*zeros=*/{}, columns, columns,
                                                          /*table=*/{}, /*isBytes=*/true, op.getFloat8()})) {
      product.set(product.sum(state.tensor(op.getX()), weights->tensor, f32));
      return success();
    }
  Value w = state.tensor(op.getW());
  if (op.getFloat8())
    w = state.generic(state.dims(op.getW()), f32, w, state.b.getMultiDimIdentityMap(2),
                      [](ImplicitLocOpBuilder &b, ValueRange in) { return numberOf(b, in[0], /*isFloat8=*/true); });
  Value sum = product.sum(state.tensor(op.getX()), w, f32);
  product.set(product.finish(
      {sum, state.tensor(op.getWScale())}, {product.result(0), pick(state, product.column() + 1, {product.column()})},
      [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value { return arith::MulFOp::create(b, in[0], in[1]); }));
  return success();
}

/// K of a product with packed weights: the columns of x, where they are known.
std::optional<int64_t> columnsOf(Operation *op, Value x, OnnxLowering &state) {
  std::optional<int64_t> columns = constantOf(state.dims(x).back());
  if (!columns)
    op->emitOpError("has no lowering for a number of columns that is not known");
  return columns;
}

LogicalResult lowerMatmulW4A16(MatmulW4A16Op op, OnnxLowering &state) {
  std::optional<int64_t> columns = columnsOf(op, op.getX(), state);
  if (!columns)
    return failure();
  Product product(state, op.getX(), op.getW(), op.getY());
  Rows weights = dequantizeGroups(state, {op.getW(), op.getScale(), op.getZeros(), *columns,
                                          static_cast<int64_t>(op.getGroupSize()), op.getTableAttr()});
  product.set(product.sum(state.tensor(op.getX()), weights.tensor, state.b.getF32Type()));
  return success();
}

/// The scales [N, G] of groups of the weights, once for each of the `parts` groups of x that
/// such a group has; of these the first `count`.
Value repeatScales(OnnxLowering &state, Value scale, int64_t parts, int64_t count) {
  Dims to = state.dims(scale);
  to.push_back(state.index(parts));
  Value repeated = state.generic(to, getElementTypeOrSelf(scale.getType()), state.tensor(scale), pick(state, 3, {0, 1}),
                                 [](ImplicitLocOpBuilder &, ValueRange in) { return in[0]; });
  return joinGroups(state, {repeated, to}, count).tensor;
}

LogicalResult lowerMatmulW4A8(MatmulW4A8Op op, OnnxLowering &state) {
  std::optional<int64_t> columns = columnsOf(op, op.getX(), state);
  if (!columns)
    return failure();
  ImplicitLocOpBuilder &b = state.b;
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  int64_t groupSize = op.getGroupSize(), xGroupSize = std::min<int64_t>(op.getXGroupSize(), *columns);
  // What fills up the last group is 0 in both.
  Rows codes = unpackCodes(state, op.getW(), op.getZeros(), *columns, groupSize);
  Rows w = splitGroups(state, joinGroups(state, codes, *columns), xGroupSize);
  Rows x = splitGroups(state, {state.tensor(op.getX()), state.dims(op.getX())}, xGroupSize);
  Product product(state, op.getX(), op.getW(), op.getY());
  // Loops: rows, n, group, element.
  int64_t n = product.column(), count = *constantOf(w.dims[1]);
  Dims sumDims = product.shape();
  sumDims.push_back(state.index(count));
  Value sums = state.fold(state.fill(sumDims, state.constant(i32, 0)), pick(state, n + 3, upTo(n + 2)),
                          {x.tensor, w.tensor}, {product.x(2), product.weights(2)},
                          [&](ImplicitLocOpBuilder &b, ValueRange in) { return Product::addProduct(b, in, i32); });
  Value scales = repeatScales(state, op.getScale(), llvm::divideCeil(groupSize, xGroupSize), count);
  Value init = state.fill(product.shape(), state.constant(f32, 0));
  product.set(state.fold(init, product.result(1), {sums, state.tensor(op.getXScale()), scales},
                         {pick(state, n + 2, upTo(n + 2)), product.x(1), product.weights(1)},
                         [&](ImplicitLocOpBuilder &b, ValueRange in) -> Value {
                           Value sum = arith::SIToFPOp::create(b, f32, in[0]);
                           Value scaled = arith::MulFOp::create(b, sum, in[1]);
                           return math::FmaOp::create(b, scaled, widen(b, in[2], f32), in[3]);
                         }));
  return success();
}

} // namespace

void lowering::populateQuantizedProducts(Handlers &handlers) {
  handlers.add(&lowerMatmulW4A16);
  handlers.add(&lowerMatmulW4A8);
  handlers.add(&lowerMatmulW8A16);
  handlers.add(&lowerMatmulW8A8);
}
