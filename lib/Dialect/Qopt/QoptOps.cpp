//===- QoptOps.cpp - Verifiers of the qopt dialect ------------------------===//
#include "qopt/Dialect/Qopt/Qopt.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;

#include "qopt/Dialect/Qopt/QoptOpsDialect.cpp.inc"
#include "qopt/Dialect/Qopt/QoptOpsEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "qopt/Dialect/Qopt/QoptOpsAttributes.cpp.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Qopt/QoptOps.cpp.inc"

void QoptDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "qopt/Dialect/Qopt/QoptOpsAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "qopt/Dialect/Qopt/QoptOps.cpp.inc"
      >();
}

/// The shape of `type` without its last dimension.
static ArrayRef<int64_t> rowShape(RankedTensorType type) { return type.getShape().drop_back(); }

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

//===----------------------------------------------------------------------===//
// RequireOp
//===----------------------------------------------------------------------===//

LogicalResult RequireOp::verify() {
  if (!isa_and_present<FunctionOpInterface>((*this)->getParentOp()))
    return emitOpError("may only stand in the top block of a function; elsewhere there is qopt.fail");
  return success();
}

//===----------------------------------------------------------------------===//
// ParameterOp, ObserveOp
//===----------------------------------------------------------------------===//

LogicalResult ParameterOp::inferReturnTypes(MLIRContext *, std::optional<Location>, Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getValue().getShapedType());
  return success();
}

LogicalResult ObserveOp::verify() {
  if (getName().empty())
    return emitOpError("requires a non-empty name");
  if (getStatistics().empty())
    return emitOpError("requires at least one statistic");
  for (StringRef statistic : getStatistics().getAsValueRange<StringAttr>())
    if (statistic != "absmax" && statistic != "column-absmax" && statistic != "hessian")
      return emitOpError("expected statistic \"absmax\", \"column-absmax\" or \"hessian\" but got \"")
             << statistic << '"';
  return success();
}

//===----------------------------------------------------------------------===//
// Quantization of values
//===----------------------------------------------------------------------===//

LogicalResult QuantizeOp::verify() {
  if (getScale().getType().getRank() != 0)
    return emitOpError("expected a scale of rank 0 but got rank ") << getScale().getType().getRank();
  if (getCodes().getType().getShape() != getInput().getType().getShape())
    return emitOpError("requires codes of the input's shape");
  return success();
}

/// What dynamic_quantize and both ways to split share: a scale per row of the input.
static LogicalResult verifyRowCodes(Operation *op, RankedTensorType input, RankedTensorType codes,
                                    RankedTensorType scale) {
  if (input.getRank() < 1)
    return op->emitOpError("requires an input of rank 1 or more");
  if (codes.getShape() != input.getShape())
    return op->emitOpError("requires codes of the input's shape");
  if (scale.getShape() != rowShape(input))
    return op->emitOpError("requires a scale of the input's shape without its last dimension");
  return success();
}

LogicalResult DynamicQuantizeOp::verify() {
  return verifyRowCodes(*this, getInput().getType(), getCodes().getType(), getScale().getType());
}

LogicalResult SplitColumnsOp::verify() {
  if (failed(verifyRowCodes(*this, getInput().getType(), getCodes().getType(), getScale().getType())))
    return failure();
  if (!(getThreshold().convertToFloat() > 0))
    return emitOpError("requires a threshold above 0");
  if (getColumns().getType().getShape() != getInput().getType().getShape().take_back())
    return emitOpError("requires one entry of columns per input column");
  return success();
}

/// Checks a list of columns of a matrix that has `width` of them.
static LogicalResult verifyColumns(Operation *op, ArrayRef<int32_t> columns, int64_t width) {
  if (columns.empty())
    return op->emitOpError("requires at least one column");
  int64_t last = -1;
  for (int32_t column : columns) {
    if (column <= last || column >= width)
      return op->emitOpError("expected strictly rising columns in [0, ") << width << ") but got " << columns;
    last = column;
  }
  return success();
}

LogicalResult SplitColumnsAtOp::verify() {
  RankedTensorType input = getInput().getType(), outliers = getOutliers().getType();
  if (failed(verifyRowCodes(*this, input, getCodes().getType(), getScale().getType())))
    return failure();
  if (ShapedType::isDynamic(input.getShape().back()))
    return emitOpError("requires a known number of input columns");
  if (failed(verifyColumns(*this, getColumns(), input.getShape().back())))
    return failure();
  SmallVector<int64_t> expected(rowShape(input));
  expected.push_back(getColumns().size());
  if (outliers.getShape() != ArrayRef<int64_t>(expected))
    return emitOpError("expected outliers of ")
           << getColumns().size() << " columns and the rows of the input, but got " << outliers;
  return success();
}

LogicalResult ReplaceColumnsOp::verify() {
  RankedTensorType input = getInput().getType(), values = getValues().getType();
  if (input.getRank() != 2 || !input.hasStaticShape())
    return emitOpError("requires a static weight matrix");
  if (getResult().getType() != input)
    return emitOpError("requires a result of the type of the input");
  if (failed(verifyColumns(*this, getColumns(), input.getDimSize(1))))
    return failure();
  int64_t count = getColumns().size();
  if (values.getShape() != ArrayRef<int64_t>{input.getDimSize(0), count})
    return emitOpError("expected ") << input.getDimSize(0) << "x" << count << " values but got " << values;
  return success();
}

/// Checks codes [N, ceil(K/2)], scale [N, G] and zeros [N, G] of a matrix [N, K] in groups.
static LogicalResult verifyGroups(Operation *op, int64_t n, int64_t k, int64_t groupSize, RankedTensorType codes,
                                  RankedTensorType scale, Value zeros) {
  if (groupSize < 1 || groupSize > k)
    return op->emitOpError("expected a group size in [1, ") << k << "] but got " << groupSize;
  if (codes.getShape() != ArrayRef<int64_t>{n, ceilDiv(k, 2)})
    return op->emitOpError("expected ") << n << "x" << ceilDiv(k, 2) << " bytes of codes but got " << codes;
  int64_t groups = ceilDiv(k, groupSize);
  if (scale.getShape() != ArrayRef<int64_t>{n, groups})
    return op->emitOpError("expected ") << groups << " scales for each of " << n << " rows in groups of " << groupSize
                                        << ", but got " << scale;
  if (zeros && cast<RankedTensorType>(zeros.getType()).getShape() != scale.getShape())
    return op->emitOpError("requires zeros of the shape of scale");
  return success();
}

LogicalResult DequantizeOp::verify() {
  RankedTensorType codes = getCodes().getType(), scale = getScale().getType(), result = getResult().getType();
  if (getGroupSize()) {
    if (result.getRank() != 2 || !result.hasStaticShape())
      return emitOpError("requires a static matrix as result of groups");
    return verifyGroups(*this, result.getDimSize(0), result.getDimSize(1), *getGroupSize(), codes, scale, getZeros());
  }
  if (getZeros())
    return emitOpError("requires group_size with zeros");
  if (codes.getShape() != result.getShape())
    return emitOpError("requires a result of the shape of codes");
  if (scale.getRank() != 0 &&
      (scale.getRank() != 1 || codes.getRank() != 2 || scale.getDimSize(0) != codes.getDimSize(0)))
    return emitOpError("expected a scale of rank 0 or one per row of codes, but got ") << scale;
  return success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// y must be x with its last dimension K replaced by N.
static LogicalResult verifyProduct(Operation *op, RankedTensorType x, int64_t n, int64_t k, RankedTensorType y) {
  if (x.getRank() < 1 || x.getShape().back() != k)
    return op->emitOpError("expected x with ") << k << " columns but got " << x;
  SmallVector<int64_t> expected(rowShape(x));
  expected.push_back(n);
  if (y.getShape() != ArrayRef<int64_t>(expected))
    return op->emitOpError("expected a result of ") << n << " columns and the rows of x, but got " << y;
  return success();
}

/// A static weight matrix [N, K] of int8 with one scale per row.
static LogicalResult verifyChannels(Operation *op, RankedTensorType w, RankedTensorType scale) {
  if (w.getRank() != 2 || !w.hasStaticShape())
    return op->emitOpError("requires a static weight matrix");
  if (scale.getShape() != w.getShape().take_front())
    return op->emitOpError("expected ") << w.getDimSize(0) << " weight scales but got " << scale;
  return success();
}

/// Outliers are all of x with a list of columns, or so many columns with their weights.
static LogicalResult verifyOutliers(MatmulW8A8Op op) {
  TypedValue<RankedTensorType> outliers = op.getOutliers(), columns = op.getColumns(), weights = op.getOutlierWeights();
  if (!outliers && !columns && !weights)
    return success();
  if (!outliers || !columns == !weights)
    return op.emitOpError("requires outliers together with either columns or weights");
  RankedTensorType x = op.getX().getType(), w = op.getW().getType();
  if (columns) {
    if (outliers.getType().getShape() != x.getShape())
      return op.emitOpError("requires outliers of the shape of x");
    if (columns.getType().getShape() != w.getShape().drop_front())
      return op.emitOpError("requires one entry of columns per column of x");
    return success();
  }
  RankedTensorType type = weights.getType();
  if (type.getRank() != 2 || !type.hasStaticShape() || type.getDimSize(0) != w.getDimSize(0))
    return op.emitOpError("expected a static matrix of outlier weights with ")
           << w.getDimSize(0) << " rows but got " << type;
  SmallVector<int64_t> expected(rowShape(x));
  expected.push_back(type.getDimSize(1));
  if (outliers.getType().getShape() != ArrayRef<int64_t>(expected))
    return op.emitOpError("expected outliers of ")
           << type.getDimSize(1) << " columns and the rows of x, but got " << outliers.getType();
  return success();
}

LogicalResult MatmulW8A8Op::verify() {
  RankedTensorType x = getX().getType(), w = getW().getType(), xScale = getXScale().getType();
  if (failed(verifyChannels(*this, w, getWScale().getType())))
    return failure();
  if (failed(verifyProduct(*this, x, w.getDimSize(0), w.getDimSize(1), getY().getType())))
    return failure();
  if (xScale.getRank() != 0 && xScale.getShape() != rowShape(x))
    return emitOpError("expected x_scale of rank 0 or one per row of x, but got ") << xScale;
  return verifyOutliers(*this);
}

LogicalResult MatmulW8A16Op::verify() {
  RankedTensorType w = getW().getType();
  if (failed(verifyChannels(*this, w, getWScale().getType())))
    return failure();
  return verifyProduct(*this, getX().getType(), w.getDimSize(0), w.getDimSize(1), getY().getType());
}

LogicalResult MatmulW4A16Op::verify() {
  RankedTensorType x = getX().getType(), w = getW().getType();
  if (w.getRank() != 2 || !w.hasStaticShape())
    return emitOpError("requires a static weight matrix");
  if (x.getRank() < 1 || x.isDynamicDim(x.getRank() - 1))
    return emitOpError("requires x with a known number of columns");
  int64_t n = w.getDimSize(0), k = x.getShape().back();
  if (failed(verifyGroups(*this, n, k, getGroupSize(), w, getScale().getType(), getZeros())))
    return failure();
  return verifyProduct(*this, x, n, k, getY().getType());
}

//===----------------------------------------------------------------------===//
// CachedAttentionOp
//===----------------------------------------------------------------------===//

LogicalResult CachedAttentionOp::verify() {
  auto keyCache = cast<MemRefType>(getKeyCache().getType()), valueCache = cast<MemRefType>(getValueCache().getType());
  for (MemRefType cache : {keyCache, valueCache})
    if (!cache.getLayout().isIdentity() || cache.isDynamicDim(1) || cache.isDynamicDim(3))
      return emitOpError("requires dense caches of known heads and head size, but got ") << cache;
  int64_t keyHeads = keyCache.getDimSize(1), keySize = keyCache.getDimSize(3), valueSize = valueCache.getDimSize(3);
  if (keyHeads < 1 || keySize < 1 || valueSize < 1 || valueCache.getDimSize(1) != keyHeads)
    return emitOpError("requires caches of as many heads of at least one element, but got ")
           << keyCache << " and " << valueCache;
  if (getPastLength().getType().getShape() != ArrayRef<int64_t>{1})
    return emitOpError("expected one past_length but got ") << getPastLength().getType();
  RankedTensorType q = getQ().getType();
  if (q.getRank() != 3 || q.isDynamicDim(2) || q.getDimSize(2) % (keyHeads * keySize) != 0 || q.getDimSize(2) == 0)
    return emitOpError("expected q of a multiple of ") << keyHeads * keySize << " columns but got " << q;
  auto verifyColumns = [&](StringRef name, RankedTensorType type, int64_t columns) -> LogicalResult {
    if (type.getRank() == 3 && type.getDimSize(2) == columns)
      return success();
    return emitOpError("expected ") << name << " of " << columns << " columns but got " << type;
  };
  int64_t heads = q.getDimSize(2) / keySize;
  if (failed(verifyColumns("k", getK().getType(), keyHeads * keySize)) ||
      failed(verifyColumns("v", getV().getType(), keyHeads * valueSize)))
    return failure();
  return verifyColumns("a result", getY().getType(), heads * valueSize);
}
