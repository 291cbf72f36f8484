//===- Verify.cpp - What kernels require ----------------------------------===//
//
// Ranks, element types and layouts are in ODS; here are sizes and what else the code
// of a kernel relies on. Rules hold for tensors and memory alike.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Kernel/Kernel.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace qopt::kernel;

static constexpr int64_t kAny = ShapedType::kDynamic;

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

  /// Exactly this shape; `kAny` matches everything.
  LogicalResult shape(StringRef name, Value value, ArrayRef<int64_t> wanted) const {
    ArrayRef<int64_t> actual = typeOf(value).getShape();
    bool fits = actual.size() == wanted.size() && llvm::all_of(llvm::zip(actual, wanted), [](auto sizes) {
                  return ShapedType::isDynamic(std::get<1>(sizes)) || std::get<0>(sizes) == std::get<1>(sizes);
                });
    if (!fits)
      return op->emitOpError() << "expected " << name << " " << describe(wanted) << ", but got " << describe(actual);
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

static int64_t blocksOf(ProductOpInterface op) { return llvm::divideCeil(op.columns(), kColumns); }

/// What all products share: K and N are known, and x and y have as many rows.
static LogicalResult verifyProduct(ProductOpInterface op) {
  Checks checks{op};
  if (failed(checks.known("inputs", op.inputs())) || failed(checks.known("outputs", op.columns())))
    return failure();
  return checks.same("rows", {op.getX(), 0, "x"}, {{op.getY(), 0, "y"}});
}

LogicalResult MatmulFloatOp::verify() {
  if (failed(verifyProduct(*this)))
    return failure();
  return Checks{*this}.shape("weights", getWeights(), {blocksOf(*this), inputs(), kColumns});
}

LogicalResult MatmulW8A16Op::verify() {
  Checks checks{*this};
  return success(succeeded(verifyProduct(*this)) &&
                 succeeded(checks.shape("weights", getWeights(), {blocksOf(*this), inputs(), kColumns})) &&
                 succeeded(checks.shape("scales", getScales(), {columns()})));
}

LogicalResult MatmulW4A16Op::verify() {
  Checks checks{*this};
  if (failed(verifyProduct(*this)))
    return failure();
  SmallVector<int64_t> perGroup{blocksOf(*this), groups(), kColumns};
  return success(
      succeeded(checks.shape("weights", getWeights(), {blocksOf(*this), steps(), kColumns * kInt4Step / 2})) &&
      succeeded(checks.shape("scales", getScales(), perGroup)) &&
      (!getZeros() || succeeded(checks.shape("zeros", getZeros(), perGroup))));
}

/// The operands of the two forms in which outlier columns are given.
static LogicalResult verifyOutliers(MatmulW8A8Op op) {
  Checks checks{op};
  if (op.getOutlierColumns() && op.getOutlierWeights())
    return op.emitOpError("expected columns or weights of outliers, but got both");
  if (static_cast<bool>(op.getOutliers()) != (op.outlierForm() != OutlierForm::None))
    return op.emitOpError("expected outliers together with their columns or their weights, but got only one");
  switch (op.outlierForm()) {
  case OutlierForm::None:
    return success();
  case OutlierForm::Listed:
    if (failed(checks.shape("outliers", op.getOutliers(), {kAny, op.inputs()})) ||
        failed(checks.shape("outlier columns", op.getOutlierColumns(), {op.inputs()})))
      return failure();
    break;
  case OutlierForm::Kept:
    if (failed(checks.shape("outlier weights", op.getOutlierWeights(), {blocksOf(op), kAny, kColumns})) ||
        failed(checks.shape("outlier count", op.getOutlierCount(), {1})) ||
        failed(checks.same("outlier columns", {op.getOutlierWeights(), 1, "weights"},
                           {{op.getOutliers(), 1, "outliers"}})))
      return failure();
    break;
  }
  return checks.same("rows", {op.getX(), 0, "x"}, {{op.getOutliers(), 0, "outliers"}});
}

LogicalResult MatmulW8A8Op::verify() {
  Checks checks{*this};
  int64_t blocks = blocksOf(*this), steps = llvm::divideCeil(inputs(), 4);
  if (failed(verifyProduct(*this)) || failed(checks.shape("weights", getWeights(), {blocks, steps, 4 * kColumns})) ||
      failed(checks.shape("correction", getCorrection(), {blocks * kColumns})) ||
      failed(checks.shape("scales", getScales(), {columns()})))
    return failure();
  if (isPerToken() && failed(checks.same("rows", {getX(), 0, "x"}, {{getXScale(), 0, "the scale of x"}})))
    return failure();
  return verifyOutliers(*this);
}

//===----------------------------------------------------------------------===//
// Quantization
//===----------------------------------------------------------------------===//

/// x and codes [R, K] with K known; `perRow` [R].
static LogicalResult verifyCodes(Operation *op, Value x, Value codes, Value perRow = {}) {
  Checks checks{op};
  int64_t width = typeOf(x).getDimSize(1);
  if (failed(checks.known("row size", width)) || failed(checks.shape("codes", codes, {kAny, width})) ||
      failed(checks.same("rows", {x, 0, "x"}, {{codes, 0, "codes"}})))
    return failure();
  return perRow ? checks.same("rows", {x, 0, "x"}, {{perRow, 0, "scale"}}) : success();
}

LogicalResult QuantizeOp::verify() { return verifyCodes(*this, getX(), getCodes()); }

LogicalResult DynamicQuantizeOp::verify() { return verifyCodes(*this, getX(), getCodes(), getScale()); }

LogicalResult SplitColumnsOp::verify() {
  if (failed(verifyCodes(*this, getX(), getCodes(), getScale())))
    return failure();
  return Checks{*this}.shape("columns", getColumns(), {width()});
}

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

LogicalResult RmsNormOp::verify() {
  Checks checks{*this};
  if (failed(checks.known("row size", width())) || failed(checks.shape("weight", getWeight(), {width()})) ||
      failed(checks.shape("y", getY(), {kAny, width()})))
    return failure();
  return checks.same("rows", {getX(), 0, "x"}, {{getY(), 0, "y"}});
}

/// [B, S, heads, size] or, heads first, [B, heads, S, size].
static SmallVector<int64_t> headsShape(bool headsFirst, int64_t heads, int64_t size) {
  return headsFirst ? SmallVector<int64_t>{kAny, heads, kAny, size} : SmallVector<int64_t>{kAny, kAny, heads, size};
}

LogicalResult RotaryOp::verify() {
  Checks checks{*this};
  if (failed(checks.known("heads", heads())) || failed(checks.known("head size", headSize())))
    return failure();
  if (rotated() < 2 || rotated() % 2 || rotated() > headSize())
    return emitOpError() << "expected an even rotary_dim from 2 to the head size " << headSize() << ", but got "
                         << rotated();
  SmallVector<int64_t> table(getPositions() ? 1 : 2, kAny);
  table.push_back(rotated() / 2);
  unsigned tokens = tokenDim();
  if (failed(checks.shape("cos", getCos(), table)) || failed(checks.shape("sin", getSin(), table)) ||
      failed(checks.shape("y", getY(), headsShape(getHeadsFirst(), heads(), headSize()))) ||
      failed(checks.same("table rows", {getCos(), 0, "cos"}, {{getSin(), 0, "sin"}})) ||
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
  Type element = getData().getType().getElementType();
  if (getY().getType().getElementType() != element)
    return emitOpError() << "expected y of the element type of data, " << element << ", but got "
                         << getY().getType().getElementType();
  SmallVector<int64_t> table{kAny, width()};
  if (isPacked())
    table = {static_cast<int64_t>(llvm::divideCeil(*getRows(), kColumns)), width(), kColumns};
  if (failed(checks.shape("data", getData(), table)))
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
      succeeded(checks.shape("keys", op.getKeys(), headsShape(keyHeadsFirst, op.keyHeads(), op.headSize()))) &&
      succeeded(checks.shape("values", op.getValues(), headsShape(keyHeadsFirst, op.keyHeads(), op.valueSize()))) &&
      succeeded(checks.shape("y", op.getY(), headsShape(queryHeadsFirst, op.heads(), op.valueSize()))) &&
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
  if (failed(verifyHeads(*this, /*queryHeadsFirst=*/false, /*keyHeadsFirst=*/true)))
    return failure();
  return Checks{*this}.shape("past", getPast(), {1});
}

LogicalResult CacheAppendOp::verify() {
  Checks checks{*this};
  if (failed(checks.known("heads", heads())) || failed(checks.known("head size", headSize())) ||
      failed(checks.shape("past", getPast(), {1})) ||
      failed(checks.shape("cache", getCache(), headsShape(/*headsFirst=*/true, heads(), headSize()))))
    return failure();
  return checks.same("sequences", {getX(), 0, "x"}, {{getCache(), 0, "cache"}});
}
