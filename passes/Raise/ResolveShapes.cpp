//===- ResolveShapes.cpp - Turn shape computations into shapes ------------===//
//
// `?` does not say which dimensions are equal, and exporters compute shapes at run
// time that are known but for the batch and the sequence. Here dimensions are expressed
// by those of the inputs: what is a number becomes one, a dimension that is the input's
// is copied, and what remains is inferred. What is not proved stays an operation.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "mlir/Analysis/DataFlow/DeadCodeAnalysis.h"
#include "qopt/Dialect/Onnx/SymbolicShapes.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_RESOLVESHAPES
#include "qopt/Passes/Passes.h.inc"

namespace {

bool areSame(ArrayRef<Extent> a, ArrayRef<Extent> b) {
  return a.size() == b.size() &&
         llvm::all_of(llvm::zip(a, b), [](auto pair) { return std::get<0>(pair).isSameAs(std::get<1>(pair)); });
}

/// Makes operations on shapes of what a symbol stands for.
class Materializer {
public:
  Materializer(Symbols &symbols, func::FuncOp function) : symbols(symbols), function(function) {}

  /// A tensor<1xi64>; null where the symbol is more than sums and products of dimensions of
  /// the function's arguments.
  Value create(OpBuilder &builder, Location loc, Extent extent) {
    if (extent.isConstant())
      return raise::createInts(builder, loc, {extent.value});
    Symbols::Polynomial polynomial = symbols.polynomialOf(extent);
    for (const auto &[monomial, factor] : polynomial)
      for (int atom : monomial)
        if (symbols.atom(atom).kind != Atom::Dimension || !isa<BlockArgument>(symbols.atom(atom).value))
          return {};
    Value sum;
    for (const auto &[monomial, factor] : polynomial) {
      Value product = createProduct(builder, loc, monomial, factor);
      sum = sum ? Value(AddOp::create(builder, loc, sum, product)) : product;
    }
    return sum;
  }

private:
  Value createProduct(OpBuilder &builder, Location loc, ArrayRef<int> factors, int64_t constant) {
    Value product = constant == 1 && !factors.empty() ? Value() : raise::createInts(builder, loc, {constant});
    for (int number : factors) {
      const Atom &atom = symbols.atom(number);
      Value size =
          ShapeOp::create(builder, loc, atom.value, atom.position, builder.getI64IntegerAttr(atom.position + 1));
      product = product ? Value(MulOp::create(builder, loc, product, size)) : size;
    }
    return product;
  }

  Symbols &symbols;
  func::FuncOp function;
};

class Resolver {
public:
  explicit Resolver(func::FuncOp function)
      : function(function), solver(DataFlowConfig().setInterprocedural(false)), materializer(symbols, function) {}

  LogicalResult analyze() {
    for (BlockArgument argument : function.getArguments())
      inputs[argument] = dimsOf(argument);
    solver.load<dataflow::DeadCodeAnalysis>();
    solver.load<ShapeAnalysis>(symbols, inputs);
    return solver.initializeAndRun(function);
  }

  /// Returns the number of operators made constant or removed.
  int64_t run() {
    for (Operation &op : function.front().without_terminator())
      for (Value result : op.getResults())
        refineType(result);
    updateResultTypes(function);
    int64_t resolved = 0;
    for (Operation &op : llvm::make_early_inc_range(function.front().without_terminator()))
      resolved += replaceByConstants(&op) || replaceByOperand(&op) || rewriteShape(&op) || readFromArguments(&op);
    eraseDeadOps(function);
    return resolved;
  }

private:
  Extents dimsOf(BlockArgument argument);

  /// Null for values that this pass has made.
  const ShapeInfo *infoOf(Value value) {
    const auto *lattice = solver.lookupState<ShapeLattice>(value);
    return lattice && lattice->getValue().isReached ? &lattice->getValue() : nullptr;
  }

  void refineType(Value value) {
    const ShapeInfo *info = infoOf(value);
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!info || !type)
      return;
    SmallVector<int64_t> dims(type.getShape());
    for (auto [dim, extent] : llvm::zip_equal(dims, info->dims))
      if (extent.isConstant())
        dim = extent.value;
    value.setType(RankedTensorType::get(dims, type.getElementType()));
  }

  bool replaceByConstants(Operation *op);
  bool replaceByOperand(Operation *op);
  bool rewriteShape(Operation *op);
  bool readFromArguments(Operation *op);

  func::FuncOp function;
  Symbols symbols;
  llvm::DenseMap<Value, Extents> inputs;
  DataFlowSolver solver;
  Materializer materializer;
};

/// Dimensions with the same name are equal: the runtime checks that before the call.
Extents Resolver::dimsOf(BlockArgument argument) {
  Extents dims;
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  auto names = getArgAttr<onnx::attrs::Dims>(function, argument.getArgNumber());
  for (int64_t i = 0; type && i < type.getRank(); ++i) {
    auto name = names && static_cast<size_t>(i) < names.size() ? dyn_cast<StringAttr>(names[i]) : StringAttr();
    dims.push_back(type.isDynamicDim(i) ? symbols.dimension(argument, i, name ? name.getValue() : "")
                                        : Extent::constant(type.getDimSize(i)));
  }
  return dims;
}

/// A result whose elements are all numbers.
bool Resolver::replaceByConstants(Operation *op) {
  const ShapeInfo *info = op->getNumResults() == 1 ? infoOf(op->getResult(0)) : nullptr;
  if (!info || !info->contents || isa<ConstantOp>(op))
    return false;
  RankedTensorType type = typeOf(op->getResult(0));
  SmallVector<APInt> elements;
  for (const Extent &extent : *info->contents) {
    if (!extent.isConstant())
      return false;
    elements.push_back(APInt(type.getElementTypeBitWidth(), extent.value, /*isSigned=*/true, /*implicitTrunc=*/true));
  }
  OpBuilder builder(op);
  Value constant = ConstantOp::create(builder, op->getLoc(), DenseElementsAttr::get(type, elements));
  op->getResult(0).replaceAllUsesWith(constant);
  return true;
}

/// Reshape, Expand, Slice ... that change nothing.
bool Resolver::replaceByOperand(Operation *op) {
  if (!isa<ReshapeOp, ExpandOp, SliceOp, TileOp, ConcatOp, FlattenOp>(op) ||
      (isa<ConcatOp>(op) && op->getNumOperands() != 1))
    return false;
  // In steps of 1, a slice as long as its input is the whole.
  if (auto slice = dyn_cast<SliceOp>(op); slice && slice.getSteps()) {
    std::optional<SmallVector<int64_t>> steps = getConstantInts(slice.getSteps());
    if (!steps || llvm::any_of(*steps, [](int64_t step) { return step != 1; }))
      return false;
  }
  const ShapeInfo *from = infoOf(op->getOperand(0)), *to = infoOf(op->getResult(0));
  if (!from || !to || !areSame(from->dims, to->dims))
    return false;
  op->getResult(0).replaceAllUsesWith(op->getOperand(0));
  return true;
}

/// A computed shape operand becomes constant.
bool Resolver::rewriteShape(Operation *op) {
  if (!isa<ReshapeOp, ExpandOp>(op) || op->getOperand(1).getDefiningOp<ConstantOp>())
    return false;
  auto reshape = dyn_cast<ReshapeOp>(op);
  const ShapeInfo *from = infoOf(op->getOperand(0)), *to = infoOf(op->getResult(0)), *given = infoOf(op->getOperand(1));
  if (!from || !to)
    return false;
  SmallVector<int64_t> shape;
  // Expand aligns dimensions from the end.
  int64_t shift = reshape ? 0 : static_cast<int64_t>(to->dims.size()) - static_cast<int64_t>(from->dims.size());
  std::optional<size_t> inferred;
  for (auto [i, size] : llvm::enumerate(to->dims)) {
    int64_t at = static_cast<int64_t>(i) - shift;
    bool isCopied = at >= 0 && at < static_cast<int64_t>(from->dims.size()) && from->dims[at].isSameAs(size);
    if (size.isConstant() && size.value > 0)
      shape.push_back(size.value);
    else if (isCopied)
      shape.push_back(reshape ? 0 : 1);
    else if (reshape && !inferred)
      shape.push_back(-1), inferred = i;
    else
      return false;
  }
  // The operand said -1 in the same place, or the numbers of elements are equal.
  bool saysSo = inferred && given && given->contents && (*given->contents)[*inferred].isConstant(-1);
  auto product = [&](ArrayRef<Extent> sizes) {
    Extent result = Extent::constant(1);
    for (const Extent &size : sizes)
      result = symbols.mul(result, size);
    return result;
  };
  if (reshape && !saysSo && !product(from->dims).isSameAs(product(to->dims)))
    return false;
  OpBuilder builder(op);
  op->setOperand(1, raise::createInts(builder, op->getLoc(), shape));
  if (reshape)
    reshape.setAllowzero(0);
  return true;
}

/// The shape of an activation, from the inputs' shapes: no shape computation then hangs on
/// the rest of the model.
bool Resolver::readFromArguments(Operation *op) {
  auto shape = dyn_cast<ShapeOp>(op);
  const ShapeInfo *info = shape && !isa<BlockArgument>(shape.getData()) ? infoOf(shape.getShape()) : nullptr;
  if (!info || !info->contents || info->contents->empty())
    return false;
  OpBuilder builder(op);
  SmallVector<Value> parts;
  for (const Extent &extent : *info->contents)
    parts.push_back(extent.isKnown() ? materializer.create(builder, op->getLoc(), extent) : Value());
  if (llvm::is_contained(parts, Value()))
    return false; // what was made has no users
  shape.getShape().replaceAllUsesWith(parts.size() == 1 ? parts[0]
                                                        : Value(ConcatOp::create(builder, op->getLoc(), parts, 0)));
  return true;
}

struct ResolveShapes : impl::ResolveShapesBase<ResolveShapes> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!raise::isGraph(function))
      return;
    Resolver resolver(function);
    if (failed(resolver.analyze()))
      return signalPassFailure();
    numResolved += resolver.run();
  }
};

} // namespace
} // namespace qopt
