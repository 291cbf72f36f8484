//===- ShapeAnalysis.cpp - Dimensions and small integers, forward ---------===//
//
// A sparse forward analysis whose transfer function is what operators say of their shapes,
// computed with symbols. A dimension of which nothing is known is a symbol of its own.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Onnx/SymbolicShapes.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

//===----------------------------------------------------------------------===//
// Arithmetic with symbols
//===----------------------------------------------------------------------===//

namespace {

class SymbolicShapes : public ShapeMath {
public:
  SymbolicShapes(Symbols &symbols, Operation *op, ArrayRef<const ShapeLattice *> operands) : symbols(symbols) {
    for (auto [value, lattice] : llvm::zip(op->getOperands(), operands))
      known[value] = &lattice->getValue();
  }

  Extents dims(Value value) override { return known.lookup(value)->dims; }
  std::optional<Extents> contents(Value value) override { return known.lookup(value)->contents; }

  bool isNonNegative(Extent extent) override { return symbols.isNonNegative(extent); }

protected:
  Extent compute(Arithmetic operation, Extent a, Extent b) override;

  std::optional<bool> compareEqual(Extent a, Extent b) override {
    bool differ = isPositive(symbols.add(a, b, -1)) || isPositive(symbols.add(b, a, -1));
    return differ ? std::optional(false) : std::nullopt;
  }
  std::optional<bool> compareLess(Extent a, Extent b) override {
    if (isPositive(symbols.add(b, a, -1)))
      return true;
    return symbols.isNonNegative(symbols.add(a, b, -1)) ? std::optional(false) : std::nullopt;
  }

private:
  bool isPositive(Extent extent) { return symbols.isNonNegative(symbols.add(extent, Extent::constant(-1))); }
  Extent choose(Extent a, Extent b, bool smaller);

  Symbols &symbols;
  llvm::DenseMap<Value, const ShapeInfo *> known;
};

} // namespace

/// No dimension is as long, so it stands for "to the end".
static constexpr int64_t kEnd = std::numeric_limits<int32_t>::max();

/// The smaller or the larger of two numbers.
Extent SymbolicShapes::choose(Extent a, Extent b, bool smaller) {
  if (!a.isKnown() || !b.isKnown())
    return {};
  if (b.isConstant() && b.value >= kEnd && symbols.isNonNegative(a))
    return smaller ? a : b;
  if (symbols.isNonNegative(symbols.add(b, a, -1)))
    return smaller ? a : b;
  if (symbols.isNonNegative(symbols.add(a, b, -1)))
    return smaller ? b : a;
  return symbols.operation(smaller ? Atom::Minimum : Atom::Maximum, a, b);
}

Extent SymbolicShapes::compute(Arithmetic operation, Extent a, Extent b) {
  switch (operation) {
  case Arithmetic::Add:
    return symbols.add(a, b);
  case Arithmetic::Sub:
    return symbols.add(a, b, -1);
  case Arithmetic::Mul:
    return symbols.mul(a, b);
  case Arithmetic::Div:
    if (std::optional<Extent> quotient = symbols.divideExactly(a, b))
      return *quotient;
    return b.isConstant(0) ? Extent() : symbols.operation(Atom::Quotient, a, b);
  case Arithmetic::Min:
  case Arithmetic::Max:
    return choose(a, b, operation == Arithmetic::Min);
  case Arithmetic::Broadcast:
    // One of them is 1, or they are equal: a constant that is not 1 decides.
    return a.isConstant() ? a : b.isConstant() ? b : symbols.operation(Atom::Broadcast, a, b);
  case Arithmetic::FromEnd:
    return symbols.isNonNegative(a) ? a : Extent();
  case Arithmetic::CopyIfZero:
    // Where a size of 0 is computed, the numbers of elements differ, which is an error
    // when the model runs.
    return a;
  case Arithmetic::RestIfMinusOne:
    return {}; // nobody asks for what cannot be negative
  }
  llvm_unreachable("unknown operation");
}

//===----------------------------------------------------------------------===//
// The lattice
//===----------------------------------------------------------------------===//

/// What is the same in both; nothing where they are of different lengths.
static Extents joinExtents(ArrayRef<Extent> a, ArrayRef<Extent> b) {
  Extents result(a);
  for (auto [i, extent] : llvm::enumerate(result))
    if (a.size() != b.size() || !extent.isSameAs(b[i]))
      extent = Extent();
  return result;
}

ShapeInfo ShapeInfo::join(const ShapeInfo &a, const ShapeInfo &b) {
  if (!a.isReached || !b.isReached)
    return a.isReached ? a : b;
  ShapeInfo result{true, joinExtents(a.dims, b.dims), std::nullopt};
  if (a.contents && b.contents && a.contents->size() == b.contents->size())
    result.contents = joinExtents(*a.contents, *b.contents);
  return result;
}

static void printExtents(raw_ostream &os, ArrayRef<Extent> extents) {
  os << "[";
  llvm::interleaveComma(extents, os, [&](const Extent &extent) {
    if (extent.isKnown())
      os << (extent.isConstant() ? "" : "s") << extent.value;
    else
      os << "?";
  });
  os << "]";
}

void ShapeInfo::print(raw_ostream &os) const {
  printExtents(os, dims);
  if (contents)
    printExtents(os << " = ", *contents);
}

//===----------------------------------------------------------------------===//
// The analysis
//===----------------------------------------------------------------------===//

/// What a type says goes before `dims`, and what neither says is a new symbol.
ShapeInfo ShapeAnalysis::infoOf(Value value, ArrayRef<Extent> dims) {
  ShapeInfo info{true, {}, std::nullopt};
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type)
    return info;
  bool fits = static_cast<int64_t>(dims.size()) == type.getRank();
  for (auto [i, size] : llvm::enumerate(type.getShape())) {
    if (!ShapedType::isDynamic(size))
      info.dims.push_back(Extent::constant(size));
    else if (fits && symbols.isNonNegative(dims[i]))
      info.dims.push_back(dims[i]);
    else
      info.dims.push_back(symbols.dimension(value, i));
  }
  return info;
}

void ShapeAnalysis::setToEntryState(ShapeLattice *lattice) {
  auto found = inputs.find(lattice->getAnchor());
  ShapeInfo info = infoOf(lattice->getAnchor(), found == inputs.end() ? ArrayRef<Extent>() : found->second);
  propagateIfChanged(lattice, lattice->join(info));
}

LogicalResult ShapeAnalysis::visitOperation(Operation *op, ArrayRef<const ShapeLattice *> operands,
                                            ArrayRef<ShapeLattice *> results) {
  if (!llvm::all_of(operands, [](const ShapeLattice *operand) { return operand->getValue().isReached; }))
    return success();
  SymbolicShapes shapes(symbols, op, operands);
  auto known = dyn_cast<OperatorInterface>(op);
  // Operands that contradict each other are for lowering to report.
  bool isInferred = known && succeeded(known.inferShapes(shapes)) && shapes.results.size() == results.size();
  for (auto [i, lattice] : llvm::enumerate(results)) {
    ShapeInfo info =
        infoOf(lattice->getAnchor(), isInferred ? ArrayRef<Extent>(shapes.results[i].dims) : ArrayRef<Extent>());
    auto contents = dyn_cast<ShapeContentsInterface>(op);
    if (contents && mayHoldShape(lattice->getAnchor().getType()))
      info.contents = contents.inferContentsOf(i, shapes);
    auto type = dyn_cast<RankedTensorType>(lattice->getAnchor().getType());
    if (info.contents && static_cast<int64_t>(info.contents->size()) != type.getNumElements())
      info.contents = std::nullopt;
    propagateIfChanged(lattice, lattice->join(info));
  }
  return success();
}
