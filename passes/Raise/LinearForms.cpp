//===- LinearForms.cpp - The forms in which linears are written -----------===//
//
// A weight may be the first factor, have a batch of one, or be that of several heads.
//
//===----------------------------------------------------------------------===//
#include "LinearForms.h"
#include "Raising.h"
#include "mlir/IR/AsmState.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/StoredWeights.h"
#include "qopt/Dialect/Types.h"
#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;
using namespace qopt::raise;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// The transpose of the matrix `value`: a copy, where it may not be deferred.
static ElementsAttr transpose(ElementsAttr value) {
  ConstantView view = viewConstant(value);
  int64_t rows = view.type.getDimSize(0), cols = view.type.getDimSize(1), bytes = view.elementBytes();
  auto transposed = RankedTensorType::get({cols, rows}, view.type.getElementType());
  if (view.isSplat)
    return cast<DenseElementsAttr>(value).resizeSplat(transposed);
  if (!view.isComplete() || view.isPacked)
    return {};
  std::string name = view.name.empty() ? "transposed" : view.name.str() + ".transposed";
  if (DeferredData *deferred = DeferredData::get(*value.getContext()); deferred && !view.deferred)
    return deferred->add(transposed, name, DeferredConstant::ofTranspose(value));
  std::vector<char> made = view.deferred ? view.expanded() : std::vector<char>();
  const char *from = view.deferred ? made.data() : view.bytes.data();
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(view.expandedBytes(), 64, /*dataIsMutable=*/true);
  char *to = blob.getMutableData().data();
  // In tiles, so that neither side strides through memory.
  constexpr int64_t tile = 32;
  for (int64_t r0 = 0; r0 < rows; r0 += tile)
    for (int64_t c0 = 0; c0 < cols; c0 += tile)
      for (int64_t r = r0; r < std::min(r0 + tile, rows); ++r)
        for (int64_t c = c0; c < std::min(c0 + tile, cols); ++c)
          std::memcpy(to + (c * rows + r) * bytes, from + (r * cols + c) * bytes, bytes);
  return DenseResourceElementsAttr::get(transposed, name, std::move(blob));
}

bool WrittenWeight::match(Value value) {
  auto lookThrough = [&](CastOp cast) {
    castTo = cast.getTo();
    source = cast.getInput();
  };
  source = value;
  if (auto cast = source.getDefiningOp<CastOp>())
    lookThrough(cast);
  if (auto transpose = source.getDefiningOp<TransposeOp>()) {
    isTransposed = true;
    source = transpose.getData();
  }
  if (auto cast = source.getDefiningOp<CastOp>(); cast && !castTo)
    lookThrough(cast);
  std::optional<ConstantView> view = matchConstant(source);
  if (!view || view->type.getRank() != 2)
    return false;
  constant = view->value;
  return true;
}

Value WrittenWeight::createTransposed(OpBuilder &builder) const {
  ElementsAttr value = transpose(constant);
  if (!value)
    return {};
  Value result = ConstantOp::create(builder, source.getLoc(), value);
  if (!castTo)
    return result;
  RankedTensorType type = cast<RankedTensorType>(result.getType()).clone(castTo);
  return CastOp::create(builder, source.getLoc(), type, result, TypeAttr::get(castTo));
}

Value raise::swapLast(PatternRewriter &rewriter, Location loc, Value value) {
  RankedTensorType type = typeOf(value);
  int64_t rank = type.getRank();
  SmallVector<int64_t> perm = llvm::to_vector(llvm::seq<int64_t>(0, rank)), shape(type.getShape());
  std::swap(perm[rank - 1], perm[rank - 2]);
  std::swap(shape[rank - 1], shape[rank - 2]);
  return TransposeOp::create(rewriter, loc, type.clone(shape), value, perm);
}

/// W as an array of another shape with as many elements, perhaps cast; null where its data
/// are not there.
static Value reshapeWeight(PatternRewriter &rewriter, Location loc, Value weight, ArrayRef<int64_t> shape) {
  auto cast = weight.getDefiningOp<CastOp>();
  std::optional<ConstantView> view = matchConstant(cast ? cast.getInput() : weight);
  if (!view || view->deferred)
    return {};
  ElementsAttr value;
  auto type = RankedTensorType::get(shape, view->type.getElementType());
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(view->value))
    value = DenseResourceElementsAttr::get(type, resource.getRawHandle());
  else
    value = mlir::cast<DenseElementsAttr>(view->value).reshape(type);
  Value result = ConstantOp::create(rewriter, loc, value);
  return cast ? CastOp::create(rewriter, loc, type.clone(cast.getTo()), result, cast.getToAttr()).getResult() : result;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

LogicalResult DropUnitBatch::matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const {
  std::optional<ConstantView> weight = matchWeight(op.getB());
  RankedTensorType x = typeOf(op.getA()), w = typeOf(op.getB());
  if (!weight || w.getRank() < 3 || llvm::any_of(w.getShape().drop_back(2), [](int64_t size) { return size != 1; }))
    return rewriter.notifyMatchFailure(op, "requires weights of one batch");
  Value matrix = x.getRank() < 2 ? Value() : reshapeWeight(rewriter, op.getLoc(), op.getB(), w.getShape().take_back(2));
  if (!matrix)
    return rewriter.notifyMatchFailure(op, "requires a constant whose data are there");
  SmallVector<int64_t> shape(x.getShape().drop_back());
  shape.push_back(w.getShape().back());
  auto product = MatMulOp::create(rewriter, op.getLoc(), x.clone(shape), op.getA(), matrix);
  copyScope(op, product);
  Value result = product;
  if (x.getRank() < w.getRank())
    result = UnsqueezeOp::create(
        rewriter, op.getLoc(), op.getType(), product,
        raise::createInts(rewriter, op.getLoc(), llvm::to_vector(llvm::seq(w.getRank() - x.getRank()))));
  rewriter.replaceOp(op, result);
  return success();
}

LogicalResult DropUnitBatchOfFirst::matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const {
  RankedTensorType x = typeOf(op.getB()), w = typeOf(op.getA());
  bool isOne = w.getRank() >= 3 && llvm::all_of(w.getShape().drop_back(2), [](int64_t size) { return size == 1; });
  if (!matchWeight(op.getA()) || !isOne || x.getRank() < w.getRank())
    return rewriter.notifyMatchFailure(op, "requires weights of one batch as the first factor");
  Value matrix = reshapeWeight(rewriter, op.getLoc(), op.getA(), w.getShape().take_back(2));
  if (!matrix)
    return rewriter.notifyMatchFailure(op, "requires a constant whose data are there");
  rewriter.modifyOpInPlace(op, [&] { op.setOperand(0, matrix); });
  return success();
}

LogicalResult SumHeads::matchAndRewrite(ReduceSumOp op, PatternRewriter &rewriter) const {
  auto product = op.getData().getDefiningOp<MatMulOp>();
  std::optional<int64_t> axis = getConstantAxis(op.getAxes(), typeOf(op.getData()).getRank());
  if (!product || !product->hasOneUse() || !axis || op.getKeepdims())
    return rewriter.notifyMatchFailure(op, "requires the sum of a product over one axis");
  RankedTensorType x = typeOf(product.getA()), w = typeOf(product.getB());
  bool isOfHeads =
      x.getRank() == 4 && axis == 1 && w.getRank() == 3 && w.getDimSize(0) > 1 && x.getDimSize(1) == w.getDimSize(0);
  Value matrix =
      isOfHeads && matchWeight(product.getB())
          ? reshapeWeight(rewriter, op.getLoc(), product.getB(), {w.getDimSize(0) * w.getDimSize(1), w.getDimSize(2)})
          : Value();
  if (!matrix)
    return rewriter.notifyMatchFailure(op, "requires constant weights of several heads");
  Location loc = product.getLoc();
  int64_t heads = w.getDimSize(0), k = w.getDimSize(1);
  // [B, heads, S, K] to [B, S, heads * K].
  SmallVector<int64_t> shape = {x.getDimSize(0), x.getDimSize(2), heads, k};
  Value rows = TransposeOp::create(rewriter, loc, x.clone(shape), product.getA(), ArrayRef<int64_t>{0, 2, 1, 3});
  Value input = ReshapeOp::create(rewriter, loc, x.clone({shape[0], shape[1], heads * k}), rows,
                                  raise::createInts(rewriter, loc, {0, 0, heads * k}), /*allowzero=*/0);
  auto joined = MatMulOp::create(rewriter, loc, op.getType(), input, matrix);
  copyScope(product, joined);
  rewriter.replaceOp(op, joined);
  return success();
}

LogicalResult JoinHeads::matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const {
  RankedTensorType x = typeOf(op.getA()), w = typeOf(op.getB());
  // A batch of one in front of the heads changes nothing where x has one, too.
  if (w.getRank() == 4 && w.getDimSize(0) == 1 && w.getDimSize(1) > 1 && x.getRank() == 4)
    if (Value heads = matchWeight(op.getB())
                          ? reshapeWeight(rewriter, op.getLoc(), op.getB(), w.getShape().drop_front())
                          : Value()) {
      rewriter.modifyOpInPlace(op, [&] { op.setOperand(1, heads); });
      return success();
    }
  std::optional<ConstantView> weight = matchWeight(op.getB());
  int64_t rank = x.getRank();
  bool isShared = rank == 2 || (rank >= 3 && x.getDimSize(rank - 3) == 1);
  if (!weight || w.getRank() != 3 || w.getDimSize(0) < 2 || rank > 4 || !isShared)
    return rewriter.notifyMatchFailure(op, "requires weights of several heads that read one input");
  int64_t heads = w.getDimSize(0), k = w.getDimSize(1), d = w.getDimSize(2);
  auto floats = weight->readAs<float>();
  if (!floats)
    return rewriter.notifyMatchFailure(op, "requires a constant whose data are there");
  std::vector<float> joined(floats->size());
  for (int64_t h = 0; h < heads; ++h)
    for (int64_t i = 0; i < k; ++i)
      std::copy_n(floats->begin() + (h * k + i) * d, d, joined.begin() + (i * heads + h) * d);
  Location loc = op.getLoc();
  Value matrix = createFloats(rewriter, loc, {k, heads * d}, joined, weight->name), input = op.getA();
  SmallVector<int64_t> rows(x.getShape().drop_back());
  if (rank >= 3) {
    rows.erase(rows.begin() + (rank - 3));
    SmallVector<int64_t> shape(rows);
    shape.push_back(k);
    input = SqueezeOp::create(rewriter, loc, x.clone(shape), input, raise::createInts(rewriter, loc, {rank - 3}));
  }
  SmallVector<int64_t> shape(rows), sizes(rows.size(), 0), perm;
  shape.push_back(heads * d);
  auto product = MatMulOp::create(rewriter, loc, x.clone(shape), input, matrix);
  copyScope(op, product);
  shape.back() = heads;
  shape.push_back(d);
  sizes.append({heads, d});
  Value split = ReshapeOp::create(rewriter, loc, x.clone(shape), product, raise::createInts(rewriter, loc, sizes),
                                  /*allowzero=*/0);
  // [..., S, heads, d] to [..., heads, S, d].
  perm = llvm::to_vector(llvm::seq<int64_t>(0, shape.size()));
  std::swap(perm[perm.size() - 2], perm[perm.size() - 3]);
  rewriter.replaceOpWithNewOp<TransposeOp>(op, op.getType(), split, perm);
  return success();
}

LogicalResult SwapFactors::matchAndRewrite(MatMulOp op, PatternRewriter &rewriter) const {
  // A single input is a vector of factors, as of the angles of positions.
  if (!WrittenWeight().match(op.getA()) || WrittenWeight().match(op.getB()) || typeOf(op.getB()).getRank() < 2 ||
      typeOf(op.getA()).getShape().back() == 1)
    return rewriter.notifyMatchFailure(op, "requires a constant matrix as the first factor only");
  Location loc = op.getLoc();
  Value matrix = swapLast(rewriter, loc, op.getA()), x = swapLast(rewriter, loc, op.getB());
  RankedTensorType type = typeOf(x);
  SmallVector<int64_t> shape(type.getShape().drop_back());
  shape.push_back(typeOf(matrix).getShape().back());
  auto product = MatMulOp::create(rewriter, loc, type.clone(shape), x, matrix);
  copyScope(op, product);
  Value result = swapLast(rewriter, loc, product);
  rewriter.replaceOp(op, result);
  return success();
}

LogicalResult DropTwoTransposes::matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const {
  auto first = op.getData().getDefiningOp<TransposeOp>();
  if (!first || first.getPerm().size() != op.getPerm().size() || first.getData().getType() != op.getType())
    return rewriter.notifyMatchFailure(op, "requires a transpose of a transpose");
  for (auto [i, at] : llvm::enumerate(op.getPerm()))
    if (first.getPerm()[at] != static_cast<int64_t>(i))
      return rewriter.notifyMatchFailure(op, "requires a transpose that undoes the other");
  rewriter.replaceOp(op, first.getData());
  return success();
}
