//===- ShapeMath.cpp - Arithmetic on sizes, and what types say ------------===//
//
// Everything that folds, folds here, for all who ask: constants, neutral elements and
// equal numbers. What remains goes to compute().
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Onnx/ShapeMath.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Support/CheckedMath.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

static constexpr int64_t kDynamic = ShapedType::kDynamic;

static Extent orUnknown(std::optional<int64_t> value) { return value ? Extent::constant(*value) : Extent(); }

/// Constants stand last.
static void order(Extent &a, Extent &b) {
  if (a.isConstant() && !b.isConstant())
    std::swap(a, b);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Extent ShapeMath::add(Extent a, Extent b) {
  order(a, b);
  if (a.isConstant() && b.isConstant())
    if (Extent sum = orUnknown(checkedAdd(a.value, b.value)); sum.isKnown())
      return sum;
  return b.isConstant(0) ? a : compute(Arithmetic::Add, a, b);
}

Extent ShapeMath::sub(Extent a, Extent b) {
  int64_t difference;
  if (a.isConstant() && b.isConstant() && !__builtin_sub_overflow(a.value, b.value, &difference))
    return Extent::constant(difference);
  if (a.isSameAs(b))
    return Extent::constant(0);
  return b.isConstant(0) ? a : compute(Arithmetic::Sub, a, b);
}

Extent ShapeMath::mul(Extent a, Extent b) {
  order(a, b);
  if (b.isConstant(0) || b.isConstant(1))
    return b.value == 0 ? b : a;
  if (a.isConstant() && b.isConstant())
    if (Extent product = orUnknown(checkedMul(a.value, b.value)); product.isKnown())
      return product;
  return compute(Arithmetic::Mul, a, b);
}

Extent ShapeMath::div(Extent a, Extent b) {
  if (b.isConstant(1))
    return a;
  if (b.isConstant(-1))
    return sub(Extent::constant(0), a);
  if (a.isConstant() && b.isConstant() && b.value != 0)
    return Extent::constant(a.value / b.value);
  return compute(Arithmetic::Div, a, b);
}

Extent ShapeMath::min(Extent a, Extent b) {
  order(a, b);
  if (a.isConstant() && b.isConstant())
    return Extent::constant(std::min(a.value, b.value));
  if (a.isSameAs(b) || b.isConstant(std::numeric_limits<int64_t>::max()))
    return a;
  return compute(Arithmetic::Min, a, b);
}

Extent ShapeMath::max(Extent a, Extent b) {
  order(a, b);
  if (a.isConstant() && b.isConstant())
    return Extent::constant(std::max(a.value, b.value));
  return a.isSameAs(b) ? a : compute(Arithmetic::Max, a, b);
}

Extent ShapeMath::product(ArrayRef<Extent> factors) {
  // The constant part last: products that differ only in it share the rest.
  Extent constant = Extent::constant(1), result = Extent::constant(1);
  for (Extent factor : factors) {
    Extent &part = factor.isConstant() ? constant : result;
    part = mul(part, factor);
  }
  return mul(result, constant);
}

Extent ShapeMath::fromEnd(Extent position, Extent size) {
  if (position.isConstant())
    return position.value < 0 ? add(size, position) : position;
  return compute(Arithmetic::FromEnd, position, size);
}

Extent ShapeMath::copyIfZero(Extent element, Extent copied) {
  if (element.isConstant())
    return element.value == 0 ? copied : element;
  return element.isSameAs(copied) ? element : compute(Arithmetic::CopyIfZero, element, copied);
}

Extent ShapeMath::restIfMinusOne(Extent element, Extent rest) {
  if (element.isConstant())
    return element.value == -1 ? rest : element;
  return compute(Arithmetic::RestIfMinusOne, element, rest);
}

std::optional<bool> ShapeMath::isEqual(Extent a, Extent b) {
  if (!a.isKnown() || !b.isKnown())
    return std::nullopt;
  if (a == b || (a.isConstant() && b.isConstant()))
    return a == b;
  return compareEqual(a, b);
}

std::optional<bool> ShapeMath::isLess(Extent a, Extent b) {
  if (!a.isKnown() || !b.isKnown())
    return std::nullopt;
  if (a == b || (a.isConstant() && b.isConstant()))
    return a.value < b.value;
  return compareLess(a, b);
}

/// For those who know constants only.
Extent ShapeMath::compute(Arithmetic operation, Extent a, Extent b) {
  if (operation == Arithmetic::Broadcast)
    return a.isConstant() ? a : b.isConstant() ? b : Extent();
  return {};
}

//===----------------------------------------------------------------------===//
// Demands
//===----------------------------------------------------------------------===//

FailureOr<Extent> ShapeMath::broadcast(Extent a, Extent b) {
  if (a.isSameAs(b) || b.isConstant(1))
    return a;
  if (a.isConstant(1))
    return b;
  if (a.isConstant() && b.isConstant())
    return error("cannot broadcast dimension ", a.value, " with ", b.value);
  return compute(Arithmetic::Broadcast, a, b);
}

FailureOr<Extents> ShapeMath::broadcast(ArrayRef<Extent> a, ArrayRef<Extent> b) {
  size_t rank = std::max(a.size(), b.size());
  Extents result(rank, Extent::constant(1));
  // The last dimensions first: a message names the innermost one that does not fit.
  for (size_t i = 1; i <= rank; ++i) {
    Extent x = i <= a.size() ? a[a.size() - i] : Extent::constant(1);
    Extent y = i <= b.size() ? b[b.size() - i] : Extent::constant(1);
    FailureOr<Extent> size = broadcast(x, y);
    if (failed(size))
      return failure();
    result[rank - i] = *size;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

bool onnx::mayHoldShape(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() <= 1 && tensor.hasStaticShape() && tensor.getElementType().isInteger() &&
         tensor.getNumElements() <= ShapeMath::kMaxContents;
}

std::optional<Extents> ShapeMath::readContents(Value value) {
  if (std::optional<Extents> known = contents(value))
    return known;
  auto type = cast<RankedTensorType>(value.getType());
  return mayHoldShape(type) ? std::optional(Extents(type.getNumElements())) : std::nullopt;
}

std::optional<SmallVector<int64_t>> ShapeMath::constants(Value value) {
  std::optional<Extents> known = value ? contents(value) : std::nullopt;
  if (!known || !llvm::all_of(*known, [](const Extent &extent) { return extent.isConstant(); }))
    return std::nullopt;
  return llvm::map_to_vector(*known, [](const Extent &extent) { return extent.value; });
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

Extents StaticShapes::dims(Value value) {
  Extents result;
  for (int64_t size : cast<RankedTensorType>(value.getType()).getShape())
    result.push_back(size == kDynamic ? Extent() : Extent::constant(size));
  return result;
}

std::optional<Extents> StaticShapes::contents(Value value) {
  std::optional<SmallVector<int64_t>> ints = getConstantInts(value);
  if (!ints || static_cast<int64_t>(ints->size()) > std::numeric_limits<int16_t>::max())
    return std::nullopt;
  return llvm::map_to_vector<4>(*ints, [](int64_t value) { return Extent::constant(value); });
}

LogicalResult StaticShapes::getTypes(SmallVectorImpl<Type> &types) {
  for (const ResultShape &result : results) {
    SmallVector<int64_t> dims;
    for (const Extent &extent : result.dims) {
      if (extent.isConstant() && extent.value < 0)
        return error("expected dimensions of at least 0 but got ", extent.value);
      dims.push_back(extent.isConstant() ? extent.value : kDynamic);
    }
    types.push_back(RankedTensorType::get(dims, result.element));
  }
  return success();
}

std::optional<InFlightDiagnostic> StaticShapes::startError() {
  return loc ? std::optional(emitError(*loc)) : std::nullopt;
}

bool onnx::areCompatible(TypeRange inferred, TypeRange actual) {
  if (inferred.size() != actual.size())
    return false;
  for (auto [a, b] : llvm::zip(inferred, actual)) {
    auto x = dyn_cast<RankedTensorType>(a), y = dyn_cast<RankedTensorType>(b);
    if (!x || !y || x.getElementType() != y.getElementType() || failed(verifyCompatibleShape(x, y)))
      return false;
  }
  return true;
}
