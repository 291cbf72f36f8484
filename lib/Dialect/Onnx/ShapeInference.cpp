//===- ShapeInference.cpp - Result types of ONNX operators ----------------===//
//
// What an operator's operands, attributes and constant operands say about the
// type of its results. `?` is "not known before run time". Errors are the ones a
// malformed model earns: they name the rule and the numbers.
//
//===----------------------------------------------------------------------===//
#include "InferTypes.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

static LogicalResult inferBroadcast(std::optional<Location> loc, ValueRange operands, Type element, Types &types) {
  if (operands.empty())
    return error(loc, "requires at least one operand");
  Dims dims;
  for (Value operand : operands) {
    FailureOr<Dims> next = broadcast(loc, dims, typeOf(operand).getShape());
    if (failed(next))
      return failure();
    dims = *next;
  }
  return withElement(types, dims, element);
}

#define INFER_UNARY(OP, REQUIREMENT)                                                                                   \
  static LogicalResult infer##OP([[maybe_unused]] std::optional<Location> loc, OP::Adaptor op, Types &types) {         \
    types.push_back(op.getInput().getType());                                                                          \
    return REQUIREMENT;                                                                                                \
  }                                                                                                                    \
  INFER(OP)
#define ANY success()
#define FLOAT requireFloat(loc, op.getInput())
#define BOOLEAN requireBoolean(loc, op.getInput())
INFER_UNARY(AbsOp, ANY)
INFER_UNARY(CeilOp, FLOAT)
INFER_UNARY(ClipOp, requireSameElement(loc, op.getOperands()))
INFER_UNARY(CosOp, FLOAT)
INFER_UNARY(ErfOp, FLOAT)
INFER_UNARY(ExpOp, FLOAT)
INFER_UNARY(FloorOp, FLOAT)
INFER_UNARY(GeluOp, FLOAT)
INFER_UNARY(IdentityOp, ANY)
INFER_UNARY(LogOp, FLOAT)
INFER_UNARY(NegOp, ANY)
INFER_UNARY(NotOp, BOOLEAN)
INFER_UNARY(ReciprocalOp, FLOAT)
INFER_UNARY(ReluOp, ANY)
INFER_UNARY(RoundOp, FLOAT)
INFER_UNARY(SigmoidOp, FLOAT)
INFER_UNARY(SignOp, ANY)
INFER_UNARY(SinOp, FLOAT)
INFER_UNARY(SoftplusOp, FLOAT)
INFER_UNARY(SqrtOp, FLOAT)
INFER_UNARY(SwishOp, FLOAT)
INFER_UNARY(TanhOp, FLOAT)

#define INFER_PREDICATE(OP)                                                                                            \
  static LogicalResult infer##OP(std::optional<Location> loc, OP::Adaptor op, Types &types) {                          \
    if (failed(requireFloat(loc, op.getInput())))                                                                      \
      return failure();                                                                                                \
    return withElement(types, typeOf(op.getInput()).getShape(), IntegerType::get(op.getInput().getContext(), 1));      \
  }                                                                                                                    \
  INFER(OP)
INFER_PREDICATE(IsInfOp)
INFER_PREDICATE(IsNaNOp)

#define INFER_BINARY(OP, ELEMENT, ...)                                                                                 \
  static LogicalResult infer##OP(std::optional<Location> loc, OP::Adaptor op, Types &types) {                          \
    if (failed(requireSameElement(loc, op.getOperands())) __VA_OPT__(|| failed(__VA_ARGS__)))                          \
      return failure();                                                                                                \
    [[maybe_unused]] MLIRContext *context = op.getOperands()[0].getContext();                                          \
    return inferBroadcast(loc, op.getOperands(), ELEMENT, types);                                                      \
  }                                                                                                                    \
  INFER(OP)
#define SAME_ELEMENT typeOf(op.getOperands()[0]).getElementType()
#define BOOL_ELEMENT IntegerType::get(context, 1)
INFER_BINARY(AddOp, SAME_ELEMENT)
INFER_BINARY(AndOp, SAME_ELEMENT, requireBoolean(loc, op.getOperands()))
INFER_BINARY(DivOp, SAME_ELEMENT)
INFER_BINARY(ModOp, SAME_ELEMENT)
INFER_BINARY(MulOp, SAME_ELEMENT)
INFER_BINARY(OrOp, SAME_ELEMENT, requireBoolean(loc, op.getOperands()))
INFER_BINARY(SubOp, SAME_ELEMENT)
INFER_BINARY(XorOp, SAME_ELEMENT, requireBoolean(loc, op.getOperands()))
INFER_BINARY(EqualOp, BOOL_ELEMENT)
INFER_BINARY(GreaterOp, BOOL_ELEMENT)
INFER_BINARY(GreaterOrEqualOp, BOOL_ELEMENT)
INFER_BINARY(LessOp, BOOL_ELEMENT)
INFER_BINARY(LessOrEqualOp, BOOL_ELEMENT)

// The exponent may have a type of its own.
static LogicalResult inferPowOp(std::optional<Location> loc, PowOp::Adaptor op, Types &types) {
  return inferBroadcast(loc, op.getOperands(), SAME_ELEMENT, types);
}
INFER(PowOp)

#define INFER_VARIADIC(OP)                                                                                             \
  static LogicalResult infer##OP(std::optional<Location> loc, OP::Adaptor op, Types &types) {                          \
    if (op.getInputs().empty())                                                                                        \
      return error(loc, "requires at least one operand");                                                              \
    if (failed(requireSameElement(loc, op.getInputs())))                                                               \
      return failure();                                                                                                \
    return inferBroadcast(loc, op.getInputs(), SAME_ELEMENT, types);                                                   \
  }                                                                                                                    \
  INFER(OP)
INFER_VARIADIC(MaxOp)
INFER_VARIADIC(MinOp)
INFER_VARIADIC(SumOp)

static LogicalResult inferCastOp(std::optional<Location> loc, CastOp::Adaptor op, Types &types) {
  if (!op.getTo().isIntOrFloat())
    return error(loc, "cannot cast to ", op.getTo());
  return withElement(types, typeOf(op.getInput()).getShape(), op.getTo());
}
INFER(CastOp)

static LogicalResult inferWhereOp(std::optional<Location> loc, WhereOp::Adaptor op, Types &types) {
  if (!typeOf(op.getCondition()).getElementType().isInteger(1))
    return error(loc, "requires a boolean condition but got ", op.getCondition().getType());
  if (failed(requireSameElement(loc, op.getOperands().drop_front())))
    return failure();
  return inferBroadcast(loc, op.getOperands(), typeOf(op.getX()).getElementType(), types);
}
INFER(WhereOp)

//===----------------------------------------------------------------------===//
// Constants, shapes
//===----------------------------------------------------------------------===//

static LogicalResult inferConstantOp(std::optional<Location>, ConstantOp::Adaptor op, Types &types) {
  types.push_back(op.getValue().getShapedType());
  return success();
}
INFER(ConstantOp)

/// The dimensions that a constant shape operand spells out, else all `?`.
static FailureOr<Dims> dimsFromShape(std::optional<Location> loc, Value shape, StringRef what) {
  FailureOr<int64_t> rank = lengthOf(loc, shape, what);
  if (failed(rank))
    return failure();
  auto ints = getConstantInts(shape);
  if (!ints)
    return Dims(*rank, kDynamic);
  if (!checkedNumElements(*ints))
    return error(loc, "expected ", what, " of non-negative dimensions whose product fits 64 bits");
  return Dims(*ints);
}

static LogicalResult inferConstantOfShapeOp(std::optional<Location> loc, ConstantOfShapeOp::Adaptor op, Types &types) {
  FailureOr<Dims> dims = dimsFromShape(loc, op.getInput(), "a shape");
  if (failed(dims))
    return failure();
  return withElement(types, *dims, op.getValue().getElementType());
}
INFER(ConstantOfShapeOp)

static LogicalResult inferExpandOp(std::optional<Location> loc, ExpandOp::Adaptor op, Types &types) {
  FailureOr<Dims> dims = dimsFromShape(loc, op.getShape(), "a shape");
  if (failed(dims))
    return failure();
  ArrayRef<int64_t> input = typeOf(op.getInput()).getShape();
  // A dimension of the shape that is only known at run time may be 1, so a known
  // dimension of the input decides unless it is 1 itself.
  FailureOr<Dims> result = broadcast(loc, input, *dims);
  if (failed(result))
    return failure();
  return withElement(types, *result, typeOf(op.getInput()).getElementType());
}
INFER(ExpandOp)

static LogicalResult inferShapeOp(std::optional<Location>, ShapeOp::Adaptor op, Types &types) {
  int64_t rank = typeOf(op.getData()).getRank();
  auto clampDim = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  int64_t start = clampDim(op.getStart()), end = clampDim(op.getEnd().value_or(rank));
  return withElement(types, std::max<int64_t>(end - start, 0), IntegerType::get(op.getData().getContext(), 64));
}
INFER(ShapeOp)

static LogicalResult inferReshapeOp(std::optional<Location> loc, ReshapeOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData());
  FailureOr<int64_t> rank = lengthOf(loc, op.getShape(), "a shape");
  if (failed(rank))
    return failure();
  auto shape = getConstantInts(op.getShape());
  if (!shape)
    return withElement(types, Dims(*rank, kDynamic), data.getElementType());
  Dims dims(*shape);
  int64_t inferred = -1;
  Dims remaining(data.getShape()); // input dimensions that are not copied by a 0
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (dim == -1) {
      if (inferred >= 0)
        return error(loc, "expected at most one -1 in the shape but got it at ", inferred, " and ", i);
      inferred = i;
    } else if (dim < 0) {
      return error(loc, "expected dimensions of at least -1 but got ", dim);
    } else if (dim == 0 && !op.getAllowzero()) {
      if (static_cast<int64_t>(i) >= data.getRank())
        return error(loc, "cannot copy dimension ", i, " of an input of rank ", data.getRank());
      dim = data.getDimSize(i);
      remaining[i] = 1;
    }
  }
  // Products of what is known on both sides; copied dimensions cancel out.
  int64_t from = 1, to = 1;
  bool known = true;
  for (int64_t dim : remaining)
    known &= dim != kDynamic && !__builtin_mul_overflow(from, dim, &from);
  for (auto [i, dim] : llvm::enumerate(dims)) {
    bool copied = (*shape)[i] == 0 && !op.getAllowzero();
    if (static_cast<int64_t>(i) != inferred && !copied && __builtin_mul_overflow(to, dim, &to))
      return error(loc, "expected a shape whose product fits 64 bits");
  }
  if (inferred >= 0) {
    dims[inferred] = kDynamic;
    if (known) {
      if (to == 0 || from % to != 0)
        return error(loc, "cannot divide ", from, " elements into rows of ", to);
      dims[inferred] = from / to;
    }
  } else if (known && from != to) {
    return error(loc, "cannot reshape ", from, " elements to ", to);
  }
  return withElement(types, dims, data.getElementType());
}
INFER(ReshapeOp)

static LogicalResult inferTransposeOp(std::optional<Location> loc, TransposeOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData());
  if (static_cast<int64_t>(op.getPerm().size()) != data.getRank())
    return error(loc, "expected a permutation of ", data.getRank(), " dimensions but got ", op.getPerm().size());
  FailureOr<Dims> perm = normalizeAxes(loc, op.getPerm(), data.getRank());
  if (failed(perm))
    return failure();
  Dims dims;
  for (int64_t axis : *perm)
    dims.push_back(data.getDimSize(axis));
  return withElement(types, dims, data.getElementType());
}
INFER(TransposeOp)

static LogicalResult inferUnsqueezeOp(std::optional<Location> loc, UnsqueezeOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData());
  auto ints = getConstantInts(op.getAxes());
  if (!ints)
    return error(loc, "requires constant axes");
  int64_t rank = data.getRank() + ints->size();
  FailureOr<Dims> axes = normalizeAxes(loc, *ints, rank);
  if (failed(axes))
    return failure();
  Dims dims;
  for (int64_t i = 0, next = 0; i < rank; ++i)
    dims.push_back(llvm::is_contained(*axes, i) ? 1 : data.getDimSize(next++));
  return withElement(types, dims, data.getElementType());
}
INFER(UnsqueezeOp)

static LogicalResult inferSqueezeOp(std::optional<Location> loc, SqueezeOp::Adaptor op, Types &types) {
  RankedTensorType data = typeOf(op.getData());
  Dims axes;
  if (op.getAxes()) {
    FailureOr<Dims> given = constantAxes(loc, op.getAxes(), data.getRank());
    if (failed(given))
      return failure();
    axes = *given;
  } else {
    for (auto [i, dim] : llvm::enumerate(data.getShape())) {
      if (dim == kDynamic)
        return error(loc, "requires axes, as dimension ", i, " is only known at run time");
      if (dim == 1)
        axes.push_back(i);
    }
  }
  Dims dims;
  for (auto [i, dim] : llvm::enumerate(data.getShape())) {
    if (!llvm::is_contained(axes, static_cast<int64_t>(i)))
      dims.push_back(dim);
    else if (dim != 1 && dim != kDynamic)
      return error(loc, "cannot squeeze dimension ", i, " of size ", dim);
  }
  return withElement(types, dims, data.getElementType());
}
INFER(SqueezeOp)

static LogicalResult inferFlattenOp(std::optional<Location> loc, FlattenOp::Adaptor op, Types &types) {
  RankedTensorType input = typeOf(op.getInput());
  FailureOr<int64_t> axis = normalizeAxis(loc, op.getAxis(), input.getRank(), /*endAllowed=*/true);
  if (failed(axis))
    return failure();
  auto product = [](ArrayRef<int64_t> dims) {
    int64_t result = 1;
    for (int64_t dim : dims)
      if (dim == kDynamic || __builtin_mul_overflow(result, dim, &result))
        return kDynamic;
    return result;
  };
  Dims dims = {product(input.getShape().take_front(*axis)), product(input.getShape().drop_front(*axis))};
  return withElement(types, dims, input.getElementType());
}
INFER(FlattenOp)

static LogicalResult inferConcatOp(std::optional<Location> loc, ConcatOp::Adaptor op, Types &types) {
  if (op.getInputs().empty())
    return error(loc, "requires at least one operand");
  if (failed(requireSameElement(loc, op.getInputs())))
    return failure();
  RankedTensorType first = typeOf(op.getInputs()[0]);
  FailureOr<int64_t> axis = normalizeAxis(loc, op.getAxis(), first.getRank());
  if (failed(axis))
    return failure();
  Dims dims(first.getShape());
  for (Value input : op.getInputs().drop_front()) {
    RankedTensorType type = typeOf(input);
    if (type.getRank() != first.getRank())
      return error(loc, "requires operands of one rank but got ", first.getRank(), " and ", type.getRank());
    for (auto [i, dim] : llvm::enumerate(type.getShape())) {
      if (static_cast<int64_t>(i) == *axis) {
        if (dims[i] == kDynamic || dim == kDynamic || __builtin_add_overflow(dims[i], dim, &dims[i]))
          dims[i] = kDynamic;
      } else if (dims[i] == kDynamic) {
        dims[i] = dim;
      } else if (dim != kDynamic && dim != dims[i]) {
        return error(loc, "dimension ", i, " is ", dims[i], " in one operand and ", dim, " in another");
      }
    }
  }
  return withElement(types, dims, first.getElementType());
}
INFER(ConcatOp)

static LogicalResult inferTileOp(std::optional<Location> loc, TileOp::Adaptor op, Types &types) {
  RankedTensorType input = typeOf(op.getInput());
  Dims dims(input.getRank(), kDynamic);
  if (auto repeats = getConstantInts(op.getRepeats())) {
    if (static_cast<int64_t>(repeats->size()) != input.getRank())
      return error(loc, "expected ", input.getRank(), " repeats but got ", repeats->size());
    for (auto [i, repeat] : llvm::enumerate(*repeats)) {
      if (repeat < 0)
        return error(loc, "expected repeats of at least 0 but got ", repeat);
      if (input.isDynamicDim(i) || __builtin_mul_overflow(input.getDimSize(i), repeat, &dims[i]))
        dims[i] = kDynamic;
    }
  }
  return withElement(types, dims, input.getElementType());
}
INFER(TileOp)

static LogicalResult inferTriluOp(std::optional<Location> loc, TriluOp::Adaptor op, Types &types) {
  if (typeOf(op.getInput()).getRank() < 2)
    return error(loc, "requires an input of rank 2 or more");
  types.push_back(op.getInput().getType());
  return success();
}
INFER(TriluOp)

static LogicalResult inferRangeOp(std::optional<Location> loc, RangeOp::Adaptor op, Types &types) {
  if (failed(requireSameElement(loc, op.getOperands())))
    return failure();
  for (Value operand : op.getOperands())
    if (typeOf(operand).getRank() > 1)
      return error(loc, "requires scalars but got ", operand.getType());
  int64_t size = kDynamic;
  auto start = getConstantScalar(op.getStart()), limit = getConstantScalar(op.getLimit()),
       delta = getConstantScalar(op.getDelta());
  if (delta && *delta == 0)
    return error(loc, "requires a delta other than 0");
  if (start && limit && delta && std::isfinite((*limit - *start) / *delta))
    size = static_cast<int64_t>(std::clamp(std::ceil((*limit - *start) / *delta), 0.0, 9e15));
  return withElement(types, size, typeOf(op.getStart()).getElementType());
}
INFER(RangeOp)

static LogicalResult inferCumSumOp(std::optional<Location>, CumSumOp::Adaptor op, Types &types) {
  types.push_back(op.getX().getType());
  return success();
}
INFER(CumSumOp)
