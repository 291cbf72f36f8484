//===- QoptOps.cpp - Verifiers of the qopt dialect ------------------------===//
//
// What types cannot say. Result types are compared with what is inferred before
// (InferTypes.cpp), so here results are as operands and attributes want them.
//
//===----------------------------------------------------------------------===//
#include "QoptText.h"
#include "qopt/Dialect/BytecodeVersion.h"
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
  addInterfaces<BytecodeVersion>();
}

/// The shape of `type` without its last dimension.
static ArrayRef<int64_t> rowShape(RankedTensorType type) { return type.getShape().drop_back(); }

static int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

//===----------------------------------------------------------------------===//
// RequireOp
//===----------------------------------------------------------------------===//

LogicalResult RequireOp::verify() {
  if (!isa_and_present<FunctionOpInterface, RepeatOp>((*this)->getParentOp()))
    return emitOpError("may only stand in the top block of a function; elsewhere there is qopt.fail");
  return success();
}

//===----------------------------------------------------------------------===//
// RepeatOp, SelectOp
//===----------------------------------------------------------------------===//

void RepeatOp::build(OpBuilder &builder, OperationState &state, int64_t count) {
  state.addAttribute(getCountAttrName(state.name), builder.getI64IntegerAttr(count));
  state.addRegion()->emplaceBlock().addArgument(builder.getIndexType(), state.location);
}

ParseResult RepeatOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &b = parser.getBuilder();
  int64_t count;
  OpAsmParser::Argument layer;
  layer.type = b.getIndexType();
  if (parser.parseInteger(count) || parser.parseKeyword("as") || parser.parseArgument(layer) ||
      parser.parseRegion(*result.addRegion(), layer))
    return failure();
  if (result.regions.front()->empty())
    result.regions.front()->emplaceBlock().addArgument(layer.type, result.location);
  result.addAttribute(getCountAttrName(result.name), b.getI64IntegerAttr(count));
  return parser.parseOptionalAttrDict(result.attributes);
}

void RepeatOp::print(OpAsmPrinter &p) {
  p << ' ' << getCount() << " as " << getLayer() << ' ';
  p.printRegion(getBody(), /*printEntryBlockArgs=*/false);
  p.printOptionalAttrDict((*this)->getAttrs(), {getCountAttrName()});
}

LogicalResult RepeatOp::verify() {
  if (!isa_and_present<FunctionOpInterface>((*this)->getParentOp()))
    return emitOpError("may only stand in the top block of a function");
  Block &body = getBody().front();
  if (body.getNumArguments() != 1 || !body.getArgument(0).getType().isIndex())
    return emitOpError("expected a body with one argument, an index");
  return success();
}

ParseResult SelectOp::parse(OpAsmParser &parser, OperationState &result) {
  OpAsmParser::UnresolvedOperand layer;
  SmallVector<OpAsmParser::UnresolvedOperand> values;
  Type type;
  if (parser.parseOperand(layer) || parser.parseKeyword("of") || parser.parseOperandList(values) ||
      parser.parseOptionalAttrDict(result.attributes) || parser.parseColonType(type) ||
      parser.resolveOperand(layer, parser.getBuilder().getIndexType(), result.operands) ||
      parser.resolveOperands(values, type, result.operands))
    return failure();
  result.addTypes(type);
  return success();
}

void SelectOp::print(OpAsmPrinter &p) {
  p << ' ' << getLayer() << " of " << getValues();
  p.printOptionalAttrDict((*this)->getAttrs());
  p << " : " << getType();
}

LogicalResult SelectOp::verify() {
  auto argument = dyn_cast<BlockArgument>(getLayer());
  auto repeat = argument ? dyn_cast<RepeatOp>(argument.getOwner()->getParentOp()) : RepeatOp();
  if (!repeat)
    return emitOpError("expected the number of the layer in a qopt.repeat");
  if (static_cast<int64_t>(getValues().size()) != static_cast<int64_t>(repeat.getCount()))
    return emitOpError("expected a value for each of ")
           << repeat.getCount() << " layers but got " << getValues().size();
  for (Type type : getValues().getTypes())
    if (type != getType())
      return emitOpError("expected values of type ") << getType() << " but got " << type;
  return success();
}

//===----------------------------------------------------------------------===//
// ObserveOp
//===----------------------------------------------------------------------===//

LogicalResult ObserveOp::verify() {
  if (getName().empty())
    return emitOpError("requires a non-empty name");
  if (getStatistics() == StatisticSet::None)
    return emitOpError("requires at least one statistic");
  return success();
}

//===----------------------------------------------------------------------===//
// Quantization of values
//===----------------------------------------------------------------------===//

LogicalResult QuantizeOp::verify() {
  if (getScale().getType().getRank() != 0)
    return emitOpError("expected a scale of rank 0 but got rank ") << getScale().getType().getRank();
  return success();
}

LogicalResult DynamicQuantizeOp::verify() {
  int64_t width = getInput().getType().getShape().back();
  if (!getGroupSize())
    return success();
  if (ShapedType::isDynamic(width))
    return emitOpError("requires a known number of input columns where there are groups");
  int64_t size = static_cast<int64_t>(*getGroupSize());
  if (size < 1 || size > width)
    return emitOpError("expected a group size in [1, ") << width << "] but got " << size;
  return success();
}

LogicalResult SplitColumnsOp::verify() {
  if (!(getThreshold().convertToFloat() > 0))
    return emitOpError("requires a threshold above 0");
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
  int64_t width = getInput().getType().getShape().back();
  if (ShapedType::isDynamic(width))
    return emitOpError("requires a known number of input columns");
  return verifyColumns(*this, getColumns(), width);
}

LogicalResult ReplaceColumnsOp::verify() {
  RankedTensorType input = getInput().getType(), values = getValues().getType();
  if (failed(verifyColumns(*this, getColumns(), input.getDimSize(1))))
    return failure();
  int64_t count = getColumns().size();
  if (values.getShape() != ArrayRef<int64_t>{input.getDimSize(0), count})
    return emitOpError("expected ") << input.getDimSize(0) << "x" << count << " values but got " << values;
  return success();
}

/// Checks codes [N, `bytes`], scale [N, G] and zeros [N, G] of a matrix [N, K] in groups. Places
/// in a table and float8 take no zeros.
static LogicalResult verifyGroups(Operation *op, int64_t n, int64_t k, int64_t groupSize, RankedTensorType codes,
                                  int64_t bytes, RankedTensorType scale, Value zeros, bool takesZeros = true) {
  if (zeros && !takesZeros)
    return op->emitOpError("requires codes without zeros where there is a table or float8");
  if (groupSize < 1 || groupSize > k)
    return op->emitOpError("expected a group size in [1, ") << k << "] but got " << groupSize;
  if (codes.getShape() != ArrayRef<int64_t>{n, bytes})
    return op->emitOpError("expected ") << n << "x" << bytes << " bytes of codes but got " << codes;
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
      return emitOpError("requires a static matrix of codes in groups");
    int64_t k = result.getDimSize(1);
    bool hasFloatZeros = getZeros() && getElementTypeOrSelf(getZeros()).isF32();
    if (getBytes() ? getTable() || getColumns() || hasFloatZeros : getFloat8())
      return emitOpError("requires codes of four bits with table, columns or zeros of f32, of eight with float8");
    return verifyGroups(*this, result.getDimSize(0), k, *getGroupSize(), codes, getBytes() ? k : ceilDiv(k, 2), scale,
                        getZeros(), !getTable() && !getFloat8());
  }
  if (getZeros() || getColumns() || getTable() || getBytes())
    return emitOpError("requires group_size with zeros, columns, table or bytes");
  if (scale.getRank() != 0 &&
      (scale.getRank() != 1 || codes.getRank() != 2 || scale.getDimSize(0) != codes.getDimSize(0)))
    return emitOpError("expected a scale of rank 0 or one per row of codes, but got ") << scale;
  return success();
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// x must have as many columns as w, a matrix of K columns.
static LogicalResult verifyProduct(Operation *op, RankedTensorType x, int64_t k) {
  if (x.getShape().back() != k)
    return op->emitOpError("expected x with ") << k << " columns but got " << x;
  return success();
}

/// One scale for each row of a weight matrix [N, K] of int8.
static LogicalResult verifyScales(Operation *op, RankedTensorType w, RankedTensorType scale) {
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
  if (type.getDimSize(0) != w.getDimSize(0))
    return op.emitOpError("expected outlier weights of ") << w.getDimSize(0) << " rows but got " << type;
  SmallVector<int64_t> expected(rowShape(x));
  expected.push_back(type.getDimSize(1));
  if (outliers.getType().getShape() != ArrayRef<int64_t>(expected))
    return op.emitOpError("expected outliers of ")
           << type.getDimSize(1) << " columns and the rows of x, but got " << outliers.getType();
  return success();
}

LogicalResult MatmulW8A8Op::verify() {
  RankedTensorType x = getX().getType(), w = getW().getType(), xScale = getXScale().getType();
  if (failed(verifyScales(*this, w, getWScale().getType())) || failed(verifyProduct(*this, x, w.getDimSize(1))))
    return failure();
  if (xScale.getRank() != 0 && xScale.getShape() != rowShape(x))
    return emitOpError("expected x_scale of rank 0 or one per row of x, but got ") << xScale;
  return verifyOutliers(*this);
}

LogicalResult MatmulW8A16Op::verify() {
  RankedTensorType w = getW().getType(), scale = getWScale().getType();
  int64_t k = w.getDimSize(1);
  if (failed(verifyProduct(*this, getX().getType(), k)))
    return failure();
  if (std::optional<uint64_t> size = getGroupSize())
    return verifyGroups(*this, w.getDimSize(0), k, static_cast<int64_t>(*size), w, k, scale, getZeros(), !getFloat8());
  if (getZeros() || !scale.getElementType().isF32())
    return emitOpError("requires group_size with zeros or scales of f16");
  return verifyScales(*this, w, scale);
}

LogicalResult MatmulW4A16Op::verify() {
  int64_t n = getW().getType().getDimSize(0), k = getX().getType().getShape().back();
  if (ShapedType::isDynamic(k))
    return emitOpError("requires x with a known number of columns");
  return verifyGroups(*this, n, k, getGroupSize(), getW().getType(), ceilDiv(k, 2), getScale().getType(), getZeros(),
                      !getTable());
}

LogicalResult MatmulW4A8Op::verify() {
  RankedTensorType x = getX().getType(), xScale = getXScale().getType();
  int64_t n = getW().getType().getDimSize(0), k = x.getShape().back();
  int64_t size = static_cast<int64_t>(getGroupSize()), xSize = static_cast<int64_t>(getXGroupSize());
  if (ShapedType::isDynamic(k))
    return emitOpError("requires x with a known number of columns");
  if (failed(verifyGroups(*this, n, k, size, getW().getType(), ceilDiv(k, 2), getScale().getType(), getZeros())))
    return failure();
  if (!areActivationGroups(xSize, size))
    return emitOpError("expected groups of x of ") << describeActivationGroups(size) << ", but got " << xSize;
  SmallVector<int64_t> expected(rowShape(x));
  expected.push_back(ceilDiv(k, xSize));
  if (xScale.getShape() != ArrayRef<int64_t>(expected))
    return emitOpError("expected ") << expected.back() << " scales for each row of x in groups of " << xSize
                                    << ", but got " << xScale;
  return success();
}

//===----------------------------------------------------------------------===//
// CachedAttentionOp
//===----------------------------------------------------------------------===//

LogicalResult CachedAttentionOp::verify() {
  auto keyCache = cast<MemRefType>(getKeyCache().getType()), valueCache = cast<MemRefType>(getValueCache().getType());
  int64_t keyHeads = keyCache.getDimSize(1), keySize = keyCache.getDimSize(3), valueSize = valueCache.getDimSize(3);
  if (valueCache.getDimSize(1) != keyHeads)
    return emitOpError("requires caches of as many heads, but got ") << keyCache << " and " << valueCache;
  ArrayRef<int64_t> past = getPastLength().getType().getShape();
  if (past != ArrayRef<int64_t>{1} && past != getQ().getType().getShape().take_front())
    return emitOpError("expected a past_length for each row, or one for all, but got ") << getPastLength().getType();
  int64_t columns = getQ().getType().getDimSize(2);
  if (ShapedType::isDynamic(columns) || columns % (keyHeads * keySize) != 0 || columns == 0)
    return emitOpError("expected q of a multiple of ") << keyHeads * keySize << " columns but got " << getQ().getType();
  for (auto [name, value] : {std::pair("slopes", getSlopes()), std::pair("sinks", getSinks())})
    if (value && cast<RankedTensorType>(value.getType()).getShape() != ArrayRef<int64_t>{columns / keySize})
      return emitOpError("expected ") << columns / keySize << " " << name << " but got " << value.getType();
  auto verifyColumns = [&](StringRef name, RankedTensorType type, int64_t columns) -> LogicalResult {
    if (type.getDimSize(2) == columns)
      return success();
    return emitOpError("expected ") << name << " of " << columns << " columns but got " << type;
  };
  if (failed(verifyColumns("k", getK().getType(), keyHeads * keySize)))
    return failure();
  return verifyColumns("v", getV().getType(), keyHeads * valueSize);
}
