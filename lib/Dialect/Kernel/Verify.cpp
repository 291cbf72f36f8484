//===- Verify.cpp - What kernels require ----------------------------------===//
//
// Ranks, element types and layouts are in ODS, the shapes that code depends on in
// Shapes.cpp; here is what else the code of a kernel relies on. Rules hold for tensors and
// memory alike.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Kernel/Kernel.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace qopt::kernel;

//===----------------------------------------------------------------------===//
// All kernels
//===----------------------------------------------------------------------===//

LogicalResult qopt::kernel::detail::verifyKernel(Operation *op) {
  auto kernel = cast<KernelOpInterface>(op);
  Type first;
  for (OpOperand &operand : op->getOpOperands()) {
    if (kernel.isCache(operand))
      continue;
    Type type = operand.get().getType();
    first = first ? first : type;
    if (isa<MemRefType>(type) != isa<MemRefType>(first))
      return op->emitOpError() << "expected tensors throughout or memory throughout, but got " << first << " and "
                               << type;
  }
  auto destinations = cast<DestinationStyleOpInterface>(op);
  for (OpOperand &init : destinations.getDpsInitsMutable())
    if (isa<MemRefType>(init.get().getType()) && llvm::is_contained(destinations.getDpsInputs(), init.get()))
      return op->emitOpError() << "expected a destination apart from what is read, but operand "
                               << init.getOperandNumber() << " is both";
  return success();
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

namespace {

ShapedType typeOf(Value value) { return cast<ShapedType>(value.getType()); }

std::string describe(ArrayRef<int64_t> shape) {
  auto size = [](int64_t d) { return ShapedType::isDynamic(d) ? std::string("?") : std::to_string(d); };
  return "[" + llvm::join(llvm::map_range(shape, size), ", ") + "]";
}

/// One size of an operand.
struct Size {
  Value value;
  unsigned dim;
  StringRef name; ///< of the operand

  int64_t get() const { return typeOf(value).getDimSize(dim); }
};

/// The checks of one operation; each emits a diagnostic where it fails.
struct Checks {
  Operation *op;

  /// All operands have the shapes that the kernel's code depends on.
  LogicalResult shapes() const {
    for (auto [operand, wanted] : llvm::zip(op->getOperands(), cast<KernelOpInterface>(op).getOperandShapes())) {
      ArrayRef<int64_t> actual = typeOf(operand).getShape();
      bool fits = actual.size() == wanted.sizes.size() && llvm::all_of(llvm::zip(actual, wanted.sizes), [](auto sizes) {
                    return ShapedType::isDynamic(std::get<1>(sizes)) || std::get<0>(sizes) == std::get<1>(sizes);
                  });
      if (!fits)
        return op->emitOpError() << "expected " << wanted.name << " " << describe(wanted.sizes) << ", but got "
                                 << describe(actual);
    }
    return success();
  }

  LogicalResult known(StringRef what, ArrayRef<int64_t> sizes) const {
    for (int64_t size : sizes)
      if (ShapedType::isDynamic(size) || size < 1)
        return op->emitOpError() << "requires known " << what << ", at least 1, but got " << describe(size);
    return success();
  }

  /// Sizes known at compile time agree. Where `mayBeOne`, 1 stands for any of the first.
  LogicalResult same(StringRef what, Size first, ArrayRef<Size> others, bool mayBeOne = false) const {
    for (const Size &other : others) {
      int64_t a = first.get(), b = other.get();
      if (!ShapedType::isDynamic(a) && !ShapedType::isDynamic(b) && a != b && !(mayBeOne && b == 1))
        return op->emitOpError() << "expected as many " << what << " in " << other.name << " as in " << first.name
                                 << ", but got " << b << " and " << a;
    }
    return success();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

/// What all products share: K and N are known, and x and y have as many rows.
static LogicalResult verifyProduct(ProductOpInterface op) {
  Checks checks{op};
  if (failed(checks.known("inputs", op.inputs())) || failed(checks.known("outputs", op.columns())) ||
      failed(checks.shapes()))
    return failure();
  return checks.same("rows", {op.getX(), 0, "x"}, {{op.getY(), 0, "y"}});
}

LogicalResult MatmulFloatOp::verify() { return verifyProduct(*this); }

LogicalResult MatmulW8A16Op::verify() {
  if (getZeros() && (!isByGroups() || getFloat8()))
    return emitOpError("expected zeros of int8 in groups only");
  if (!isByGroups() && (getScales().getType().getRank() != 1 || !getScales().getType().getElementType().isF32()))
    return emitOpError("expected scales [N] of f32 where there are no groups, but got ") << getScales().getType();
  return verifyProduct(*this);
}

LogicalResult MatmulW4A16Op::verify() {
  if (getZeros() && getTable())
    return emitOpError("expected zeros or a table, but got both");
  return verifyProduct(*this);
}

LogicalResult MatmulW4A8Op::verify() {
  if (failed(verifyProduct(*this)) ||
      failed(Checks{*this}.same("rows", {getX(), 0, "x"}, {{getXScale(), 0, "the scale of x"}})))
    return failure();
  int64_t ours = xGroupSize(), weights = groupSize();
  if (ours != weights && (weights % ours || ours % kInt4Step))
    return emitOpError() << "expected groups of x as large as those of the weights, " << weights
                         << ", or a multiple of " << kInt4Step << " that divides them, but got " << ours;
  return success();
}

LogicalResult MatmulW8A8Op::verify() {
  Checks checks{*this};
  if (getOutlierColumns() && getOutlierWeights())
    return emitOpError("expected columns or weights of outliers, but got both");
  if (static_cast<bool>(getOutliers()) != (outlierForm() != OutlierForm::None))
    return emitOpError("expected outliers together with their columns or their weights, but got only one");
  if (failed(verifyProduct(*this)) ||
      (isPerToken() && failed(checks.same("rows", {getX(), 0, "x"}, {{getXScale(), 0, "the scale of x"}}))) ||
      (getOutliers() && failed(checks.same("rows", {getX(), 0, "x"}, {{getOutliers(), 0, "outliers"}}))))
    return failure();
  if (outlierForm() != OutlierForm::Kept)
    return success();
  return checks.same("outlier columns", {getOutlierWeights(), 1, "weights"}, {{getOutliers(), 1, "outliers"}});
}

//===----------------------------------------------------------------------===//
// Quantization
//===----------------------------------------------------------------------===//

/// x and codes have K known and as many rows; `perRow` [R].
static LogicalResult verifyCodes(Operation *op, Value x, Value codes, Value perRow = {}) {
  Checks checks{op};
  if (failed(checks.known("row size", typeOf(x).getDimSize(1))) || failed(checks.shapes()) ||
      failed(checks.same("rows", {x, 0, "x"}, {{codes, 0, "codes"}})))
    return failure();
  return perRow ? checks.same("rows", {x, 0, "x"}, {{perRow, 0, "scale"}}) : success();
}

LogicalResult QuantizeOp::verify() { return verifyCodes(*this, getX(), getCodes()); }
LogicalResult DynamicQuantizeOp::verify() { return verifyCodes(*this, getX(), getCodes(), getScale()); }
LogicalResult SplitColumnsOp::verify() { return verifyCodes(*this, getX(), getCodes(), getScale()); }

LogicalResult SplitColumnsAtOp::verify() {
  Checks checks{*this};
  if (failed(verifyCodes(*this, getX(), getCodes(), getScale())) ||
      failed(checks.same("rows", {getX(), 0, "x"}, {{getOutliers(), 0, "outliers"}})))
    return failure();
  return checks.same("columns", {getColumns(), 0, "columns"}, {{getOutliers(), 1, "outliers"}});
}

//===----------------------------------------------------------------------===//
// The other parts of a decoder
//===----------------------------------------------------------------------===//

/// Of both norms.
static LogicalResult verifyNorm(Operation *op, Value x, Value y) {
  Checks checks{op};
  if (failed(checks.known("row size", typeOf(x).getDimSize(1))) || failed(checks.shapes()))
    return failure();
  return checks.same("rows", {x, 0, "x"}, {{y, 0, "y"}});
}

LogicalResult RmsNormOp::verify() { return verifyNorm(*this, getX(), getY()); }
LogicalResult LayerNormOp::verify() { return verifyNorm(*this, getX(), getY()); }

LogicalResult RotaryOp::verify() {
  Checks checks{*this};
  if (failed(checks.known("heads", heads())) || failed(checks.known("head size", headSize())))
    return failure();
  if (rotated() < 2 || rotated() % 2 || rotated() > headSize())
    return emitOpError() << "expected an even rotary_dim from 2 to the head size " << headSize() << ", but got "
                         << rotated();
  unsigned tokens = tokenDim();
  if (failed(checks.shapes()) || failed(checks.same("table rows", {getCos(), 0, "cos"}, {{getSin(), 0, "sin"}})) ||
      failed(checks.same("sequences", {getX(), 0, "x"}, {{getY(), 0, "y"}})) ||
      failed(checks.same("tokens", {getX(), tokens, "x"}, {{getY(), tokens, "y"}})))
    return failure();
  // What a token looks up stands for all sequences, or all tokens, where it is one.
  Size sequences{getPositions() ? getPositions() : getCos(), 0, getPositions() ? "positions" : "cos"};
  Size perToken{sequences.value, 1, sequences.name};
  return success(succeeded(checks.same("sequences", {getX(), 0, "x"}, sequences, /*mayBeOne=*/true)) &&
                 succeeded(checks.same("tokens", {getX(), tokens, "x"}, perToken, /*mayBeOne=*/true)));
}

LogicalResult GatherOp::verify() {
  Checks checks{*this};
  if (failed(checks.known("row size", width())))
    return failure();
  Type element = getData().getType().getElementType(), result = getY().getType().getElementType();
  if (getScales() && (!element.isInteger(8) || !result.isF32()))
    return emitOpError() << "expected codes of 'i8' and y of 'f32', but got " << element << " and " << result;
  if (!getScales() && result != element)
    return emitOpError() << "expected y of the element type of data, " << element << ", but got " << result;
  if (failed(checks.shapes()))
    return failure();
  return checks.same("rows", {getIndices(), 0, "indices"}, {{getY(), 0, "y"}});
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// Heads and their sizes, of attention of both kinds: known, query heads in groups of key
/// heads, keys as large as queries.
template <typename AttentionOp>
static LogicalResult verifyHeads(AttentionOp op, bool queryHeadsFirst, bool keyHeadsFirst) {
  Checks checks{op};
  if (failed(checks.known("heads", {op.heads(), op.keyHeads()})) ||
      failed(checks.known("head sizes", {op.headSize(), op.valueSize()})))
    return failure();
  if (op.heads() % op.keyHeads())
    return op.emitOpError() << "expected query heads in groups of key heads, but got " << op.heads() << " and "
                            << op.keyHeads();
  if (op.getSoftcap().convertToFloat() < 0)
    return op.emitOpError() << "expected a softcap of at least 0, but got " << op.getSoftcap().convertToFloat();
  unsigned queries = queryHeadsFirst ? 2 : 1, keys = keyHeadsFirst ? 2 : 1;
  return success(
      succeeded(checks.shapes()) &&
      succeeded(checks.same("sequences", {op.getQ(), 0, "q"},
                            {{op.getKeys(), 0, "keys"}, {op.getValues(), 0, "values"}, {op.getY(), 0, "y"}})) &&
      succeeded(checks.same("queries", {op.getQ(), queries, "q"}, {{op.getY(), queries, "y"}})) &&
      succeeded(checks.same("tokens", {op.getKeys(), keys, "keys"}, {{op.getValues(), keys, "values"}})));
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyHeads(*this, getQHeadsFirst(), getKvHeadsFirst())))
    return failure();
  if (getOffset() && !getCausal())
    return emitOpError("requires causal where there is an offset");
  if (!getMask())
    return success();
  Checks checks{*this};
  auto fits = [&](StringRef what, Value of, unsigned dim, StringRef name, unsigned ofMask) {
    return succeeded(checks.same(what, {of, dim, name}, {{getMask(), ofMask, "the mask"}}, /*mayBeOne=*/true));
  };
  return success(fits("sequences", getQ(), 0, "q", 0) && fits("heads", getQ(), 3 - queryDim(), "q", 1) &&
                 fits("queries", getQ(), queryDim(), "q", 2) && fits("tokens", getKeys(), keyDim(), "keys", 3));
}

LogicalResult CachedAttentionOp::verify() {
  if (getKeys().getType().getElementType() != getValues().getType().getElementType())
    return emitOpError("expected caches of one type, but got ")
           << getKeys().getType() << " and " << getValues().getType();
  return verifyHeads(*this, /*queryHeadsFirst=*/false, /*keyHeadsFirst=*/true);
}

LogicalResult CacheAppendOp::verify() {
  Checks checks{*this};
  if (failed(checks.known("heads", heads())) || failed(checks.known("head size", headSize())) ||
      failed(checks.shapes()))
    return failure();
  return checks.same("sequences", {getX(), 0, "x"}, {{getCache(), 0, "cache"}});
}
