//===- IndexShapes.cpp - Shapes as index arithmetic ------------------------===//
//
// What folds has been folded before (ShapeMath); the rest becomes an operation here, once
// for the same operands.
//
//===----------------------------------------------------------------------===//
#include "IndexShapes.h"
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "qopt/Codegen/HostAbi.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;
using onnx::Extent;
using onnx::Extents;

FailureOr<SmallVector<Dims, 1>> IndexShapes::infer(onnx::OperatorInterface operation) {
  op = operation;
  results.clear();
  if (failed(operation.inferShapes(*this)))
    return failure();
  if (results.size() != op->getNumResults())
    return error("expected ", results.size(), " results but got ", op->getNumResults());
  SmallVector<Dims, 1> shapes;
  for (auto [value, result] : llvm::zip_equal(operation->getResults(), results)) {
    // Earlier passes may have proved what the rule cannot see.
    auto type = cast<RankedTensorType>(value.getType());
    for (auto [i, extent] : llvm::enumerate(result.dims))
      if (!extent.isConstant() && !type.isDynamicDim(i))
        extent = Extent::constant(type.getDimSize(i));
    shapes.push_back(sizesOf(result.dims));
  }
  return shapes;
}

std::optional<SmallVector<Dims, 1>> IndexShapes::inferContents(onnx::ShapeContentsInterface operation) {
  op = operation;
  SmallVector<Dims, 1> all;
  for (OpResult result : op->getResults()) {
    auto type = cast<RankedTensorType>(result.getType());
    bool isNumber = type.getElementType().isSignlessInteger(64) || type.getElementType().isSignlessInteger(32) ||
                    type.getElementType().isSignlessInteger(1);
    if (!isNumber || !onnx::mayHoldShape(type))
      return std::nullopt;
    std::optional<Extents> elements = operation.inferContentsOf(result.getResultNumber(), *this);
    if (!elements || static_cast<int64_t>(elements->size()) != type.getNumElements() ||
        !llvm::all_of(*elements, [](const Extent &element) { return element.isKnown(); }))
      return std::nullopt;
    all.push_back(sizesOf(*elements));
  }
  return all;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

Extents IndexShapes::dims(Value value) {
  Extents extents = extentsOf(state.dims(value));
  for (const Extent &extent : extents)
    if (!extent.isConstant())
      nonNegative.insert(extent.value);
  return extents;
}

std::optional<Extents> IndexShapes::contents(Value value) {
  std::optional<Dims> elements = state.knownElements(value);
  return elements ? std::optional(extentsOf(*elements)) : std::nullopt;
}

std::optional<Extents> IndexShapes::readContents(Value value) {
  std::optional<Dims> elements = state.elements(value);
  return elements ? std::optional(extentsOf(*elements)) : std::nullopt;
}

LogicalResult IndexShapes::addUnknown(int64_t rank, Type element, StringRef what) {
  return error("requires constant ", what);
}

std::optional<InFlightDiagnostic> IndexShapes::startError() { return op->emitOpError(); }

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Extent IndexShapes::extentOf(OpFoldResult size) {
  if (std::optional<int64_t> constant = constantOf(size))
    return Extent::constant(*constant);
  auto value = cast<Value>(size);
  auto [found, isNew] = numbers.try_emplace(value, values.size());
  if (isNew) {
    values.push_back(value);
    if (value.getDefiningOp<tensor::DimOp>())
      nonNegative.insert(found->second);
  }
  return Extent::symbol(found->second);
}

Extents IndexShapes::extentsOf(ArrayRef<OpFoldResult> sizes) {
  return llvm::map_to_vector<4>(sizes, [&](OpFoldResult size) { return extentOf(size); });
}

OpFoldResult IndexShapes::sizeOf(Extent extent) {
  if (extent.isConstant())
    return state.b.getIndexAttr(extent.value);
  return extent.isKnown() ? OpFoldResult(values[extent.value]) : OpFoldResult();
}

Dims IndexShapes::sizesOf(ArrayRef<Extent> extents) {
  Dims sizes;
  for (const Extent &extent : extents)
    sizes.push_back(sizeOf(extent));
  return sizes;
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

bool IndexShapes::isNonNegative(Extent extent) {
  return extent.isConstant() ? extent.value >= 0 : extent.isKnown() && nonNegative.contains(extent.value);
}

/// Sizes do not overflow.
bool IndexShapes::isResultNonNegative(Arithmetic operation, Extent a, Extent b) {
  switch (operation) {
  case Arithmetic::Add:
  case Arithmetic::Mul:
  case Arithmetic::Div:
  case Arithmetic::Min:
  case Arithmetic::CopyIfZero:
    return isNonNegative(a) && isNonNegative(b);
  case Arithmetic::Max:
    return isNonNegative(a) || isNonNegative(b);
  case Arithmetic::Sub:
  case Arithmetic::Broadcast:
  case Arithmetic::FromEnd:
  case Arithmetic::RestIfMinusOne:
    return false;
  }
  llvm_unreachable("unknown operation");
}

/// Constants that overflow wrap around, as they do at run time.
static int64_t wrap(uint64_t a, uint64_t b, bool isSum, bool isProduct) {
  return static_cast<int64_t>(isSum ? a + b : isProduct ? a * b : a - b);
}

bool lowering::mayExpandAtRunTime(Operation *op) {
  return isa_and_present<onnx::ExpandOp, onnx::MatMulOp>(op) || (op && op->hasTrait<onnx::Elementwise>());
}

Extent IndexShapes::compute(Arithmetic operation, Extent a, Extent b) {
  if (!a.isKnown() || !b.isKnown())
    return {};
  bool isSum = operation == Arithmetic::Add, isProduct = operation == Arithmetic::Mul;
  if (a.isConstant() && b.isConstant() && (isSum || isProduct || operation == Arithmetic::Sub))
    return Extent::constant(wrap(a.value, b.value, isSum, isProduct));
  if (operation == Arithmetic::Div && b.isConstant(0))
    return b; // as emitDivision() has it
  if (b.isConstant(0) && isNonNegative(a) && (operation == Arithmetic::Min || operation == Arithmetic::Max))
    return operation == Arithmetic::Min ? b : a;
  if ((operation == Arithmetic::FromEnd || operation == Arithmetic::CopyIfZero) && isNonNegative(a))
    // A size is 0 where the model is called with nothing; another copied in its place would
    // not have as many elements.
    return a;
  if (operation == Arithmetic::Broadcast && !lowering::mayExpandAtRunTime(op)) {
    // Of two sizes neither is taken to be 1.
    (void)checkEqual(a, b);
    return b.isConstant() ? b : a;
  }
  Extent &result = known[{operation, a.kind, a.value, b.kind, b.value}];
  if (!result.isKnown()) {
    result = operation == Arithmetic::Broadcast
                 ? expand(a, b)
                 : extentOf(emit(operation, state.value(sizeOf(a)), state.value(sizeOf(b))));
    if (!result.isConstant() && isResultNonNegative(operation, a, b))
      nonNegative.insert(result.value);
  }
  return result;
}

/// The size of two that are broadcast, either of which may be 1 at run time.
Extent IndexShapes::expand(Extent from, Extent to) {
  ImplicitLocOpBuilder &b = state.b;
  Value x = state.value(sizeOf(from)), y = state.value(sizeOf(to)), one = state.value(b.getIndexAttr(1));
  auto isEqual = [&](Value u, Value v) { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, u, v); };
  Value isOne = isEqual(x, one);
  Value fits = arith::OrIOp::create(b, isEqual(x, y), arith::OrIOp::create(b, isOne, isEqual(y, one)));
  emitRequire(b, b.getLoc(), fits, RuntimeError::ShapeMismatch, x, y);
  if (to.isConstant() || from.isConstant())
    return to.isConstant() ? to : from;
  Extent result = extentOf(arith::SelectOp::create(b, isOne, y, x).getResult());
  if (isNonNegative(from) && isNonNegative(to))
    nonNegative.insert(result.value);
  return result;
}

Value IndexShapes::emit(Arithmetic operation, Value a, Value b) {
  ImplicitLocOpBuilder &builder = state.b;
  auto constant = [&](int64_t value) { return state.value(builder.getIndexAttr(value)); };
  auto isSame = [&](Value x, int64_t value) -> Value {
    return arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, x, constant(value));
  };
  switch (operation) {
  case Arithmetic::Add:
    return arith::AddIOp::create(builder, a, b);
  case Arithmetic::Sub:
    return arith::SubIOp::create(builder, a, b);
  case Arithmetic::Mul:
    return arith::MulIOp::create(builder, a, b);
  case Arithmetic::Div:
    return emitDivision(a, b);
  case Arithmetic::Min:
    return arith::MinSIOp::create(builder, a, b);
  case Arithmetic::Max:
    return arith::MaxSIOp::create(builder, a, b);
  case Arithmetic::FromEnd: {
    Value isNegative = arith::CmpIOp::create(builder, arith::CmpIPredicate::slt, a, constant(0));
    return arith::SelectOp::create(builder, isNegative, arith::AddIOp::create(builder, a, b), a);
  }
  case Arithmetic::CopyIfZero:
    return arith::SelectOp::create(builder, isSame(a, 0), b, a);
  case Arithmetic::RestIfMinusOne:
    return arith::SelectOp::create(builder, isSame(a, -1), b, a);
  case Arithmetic::Broadcast:
    break; // no operation: compute() has decided
  }
  llvm_unreachable("unknown operation");
}

/// 0 where `b` is 0. Neither division by zero nor that of the least number by -1 may trap.
Value IndexShapes::emitDivision(Value a, Value b) {
  ImplicitLocOpBuilder &builder = state.b;
  if (constantOf(b))
    return arith::DivSIOp::create(builder, a, b);
  Value zero = state.value(builder.getIndexAttr(0)), one = state.value(builder.getIndexAttr(1));
  Value minusOne = state.value(builder.getIndexAttr(-1));
  Value isZero = arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, b, zero);
  Value isMinusOne = arith::CmpIOp::create(builder, arith::CmpIPredicate::eq, b, minusOne);
  Value isUnsafe = arith::OrIOp::create(builder, isZero, isMinusOne);
  Value quotient = arith::DivSIOp::create(builder, a, arith::SelectOp::create(builder, isUnsafe, one, b));
  Value negated = arith::SubIOp::create(builder, zero, a);
  quotient = arith::SelectOp::create(builder, isMinusOne, negated, quotient);
  return arith::SelectOp::create(builder, isZero, zero, quotient);
}

//===----------------------------------------------------------------------===//
// Decisions and demands
//===----------------------------------------------------------------------===//

std::optional<bool> IndexShapes::compareEqual(Extent a, Extent b) {
  // A size is never negative, so it differs from -1 whatever it is.
  bool differ =
      (a.isConstant() && a.value < 0 && isNonNegative(b)) || (b.isConstant() && b.value < 0 && isNonNegative(a));
  return differ ? std::optional(false) : std::nullopt;
}

std::optional<bool> IndexShapes::compareLess(Extent a, Extent b) {
  if (a.isConstant() && a.value < 0 && isNonNegative(b))
    return true;
  return b.isConstant() && b.value <= 0 && isNonNegative(a) ? std::optional(false) : std::nullopt;
}

/// The entry point fails at run time where they differ.
LogicalResult IndexShapes::checkEqual(Extent a, Extent b) {
  if (!a.isKnown() || !b.isKnown())
    return success();
  Value x = state.value(sizeOf(a)), y = state.value(sizeOf(b));
  Value isSame = arith::CmpIOp::create(state.b, arith::CmpIPredicate::eq, x, y);
  emitRequire(state.b, state.b.getLoc(), isSame, RuntimeError::ShapeMismatch, x, y);
  return success();
}
