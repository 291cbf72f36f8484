//===- ResolveShapes.cpp - Turn shape computations into shapes ------------===//
//
// `?` does not say which dimensions are equal, and exporters compute shapes at run
// time that are known but for the batch and the sequence. The pass follows a few
// choices of these sizes through the function: what comes out the same every time
// is a constant, a dimension that always equals the input's is copied, and what
// remains is inferred. Only small integers are computed, weights never read.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_RESOLVESHAPES
#include "qopt/Passes/Passes.h.inc"

namespace {

using Sample = llvm::DenseMap<Value, reference::Known>;

/// Sizes without common factors, so that products of them are told apart.
constexpr raise::Sizes kSizes[] = {{2, 13, 7}, {3, 17, 5}, {5, 11, 19}};
/// Elements that are worth knowing: shapes, indices, short ranges.
constexpr int64_t kMaxElements = 1024;

class Resolver {
public:
  Resolver(func::FuncOp function, SmallVector<Sample> samples) : function(function), samples(std::move(samples)) {}

  /// Returns the number of operators made constant or removed.
  int64_t run() {
    refineTypes();
    for (Operation &op : llvm::make_early_inc_range(function.front().without_terminator()))
      resolved += replaceByConstants(&op) || replaceByOperand(&op) || rewriteShape(&op) || readFromArguments(&op);
    eraseDeadOps(function);
    return resolved;
  }

private:
  /// Dimension `i` of a value in each sample.
  SmallVector<int64_t> dimOf(Value value, int64_t i) {
    SmallVector<int64_t> result;
    for (Sample &sample : samples)
      result.push_back(sample.find(value)->second.type.getDimSize(i));
    return result;
  }

  bool isKnown(Value value) { return samples[0].contains(value); }

  bool haveSameShape(Value a, Value b) {
    return llvm::all_of(samples, [&](Sample &sample) {
      return sample.find(a)->second.type.getShape() == sample.find(b)->second.type.getShape();
    });
  }

  void refineTypes() {
    for (Operation &op : function.front().without_terminator())
      for (Value result : op.getResults()) {
        auto type = cast<RankedTensorType>(result.getType());
        SmallVector<int64_t> dims(type.getShape());
        for (auto [i, dim] : llvm::enumerate(dims))
          if (SmallVector<int64_t> sizes = dimOf(result, i); dim == ShapedType::kDynamic && llvm::all_equal(sizes))
            dim = sizes[0];
        result.setType(RankedTensorType::get(dims, type.getElementType()));
      }
    updateResultTypes(function);
  }

  /// A result whose elements are the same for all sizes.
  bool replaceByConstants(Operation *op) {
    if (isa<onnx::ConstantOp>(op) || op->getNumResults() != 1)
      return false;
    const reference::Known &first = samples[0].find(op->getResult(0))->second;
    for (Sample &sample : samples) {
      const reference::Known &known = sample.find(op->getResult(0))->second;
      if (!known.elements || known.type != first.type || known.elements->isFloat() ||
          known.elements->ints != first.elements->ints)
        return false;
    }
    OpBuilder builder(op);
    Value constant = onnx::ConstantOp::create(builder, op->getLoc(), reference::toAttribute(*first.elements));
    replace(op, constant);
    return true;
  }

  /// Reshape, Expand, Slice ... that change nothing.
  bool replaceByOperand(Operation *op) {
    if (!isa<onnx::ReshapeOp, onnx::ExpandOp, onnx::SliceOp, onnx::TileOp, onnx::ConcatOp, onnx::FlattenOp>(op))
      return false;
    if (isa<onnx::ConcatOp>(op) && op->getNumOperands() != 1)
      return false;
    if (auto slice = dyn_cast<onnx::SliceOp>(op); slice && slice.getSteps()) {
      auto steps = onnx::getConstantInts(slice.getSteps());
      if (!steps || llvm::any_of(*steps, [](int64_t step) { return step != 1; }))
        return false;
    }
    Value input = op->getOperand(0);
    if (!isKnown(input) || !haveSameShape(input, op->getResult(0)))
      return false;
    replace(op, input);
    return true;
  }

  /// A computed shape operand becomes constant.
  bool rewriteShape(Operation *op) {
    if (!isa<onnx::ReshapeOp, onnx::ExpandOp>(op) || op->getOperand(1).getDefiningOp<onnx::ConstantOp>())
      return false;
    bool isReshape = isa<onnx::ReshapeOp>(op);
    Value input = op->getOperand(0), result = op->getResult(0);
    int64_t rank = cast<RankedTensorType>(result.getType()).getRank();
    int64_t inputRank = cast<RankedTensorType>(input.getType()).getRank();
    SmallVector<int64_t> shape;
    for (int64_t i = 0; i < rank; ++i) {
      SmallVector<int64_t> sizes = dimOf(result, i);
      int64_t from = isReshape ? i : i - (rank - inputRank); // Expand aligns from the end
      if (llvm::all_equal(sizes) && sizes[0] > 0)
        shape.push_back(sizes[0]);
      else if (from >= 0 && from < inputRank && dimOf(input, from) == sizes)
        shape.push_back(isReshape ? 0 : 1);
      else if (isReshape && !llvm::is_contained(shape, -1))
        shape.push_back(-1);
      else
        return false;
    }
    OpBuilder builder(op);
    Value constant = raise::createInts(builder, op->getLoc(), shape);
    op->setOperand(1, constant);
    if (auto reshape = dyn_cast<onnx::ReshapeOp>(op))
      reshape.setAllowzero(0);
    return true;
  }

  /// The shape of an activation, from the inputs' shapes: no shape computation then
  /// hangs on the rest of the model.
  bool readFromArguments(Operation *op) {
    auto shape = dyn_cast<onnx::ShapeOp>(op);
    if (!shape || isa<BlockArgument>(shape.getData()))
      return false;
    OpBuilder builder(op);
    SmallVector<Value> parts;
    for (int64_t i = 0, n = samples[0].find(shape.getShape())->second.type.getNumElements(); i < n; ++i) {
      SmallVector<int64_t> sizes;
      for (Sample &sample : samples)
        sizes.push_back(sample.find(shape.getShape())->second.elements->ints[i]);
      if (llvm::all_equal(sizes)) {
        parts.push_back(raise::createInts(builder, op->getLoc(), {sizes[0]}));
        continue;
      }
      auto [argument, dim] = findDimension(sizes);
      if (!argument)
        return false;
      parts.push_back(onnx::ShapeOp::create(builder, op->getLoc(), argument, dim, builder.getI64IntegerAttr(dim + 1)));
    }
    if (parts.empty())
      return false;
    replace(op, parts.size() == 1 ? parts[0] : Value(onnx::ConcatOp::create(builder, op->getLoc(), parts, 0)));
    return true;
  }

  /// An argument's dimension that has these sizes in the samples.
  std::pair<Value, int64_t> findDimension(ArrayRef<int64_t> sizes) {
    for (Value argument : function.getArguments())
      for (int64_t i = 0, rank = cast<RankedTensorType>(argument.getType()).getRank(); i < rank; ++i)
        if (dimOf(argument, i) == sizes)
          return {argument, i};
    return {};
  }

  /// Operators that are no longer used go at the end: samples are keyed by their
  /// addresses.
  void replace(Operation *op, Value by) {
    for (Sample &sample : samples)
      if (!sample.contains(by)) {
        reference::Known known = sample.find(op->getResult(0))->second;
        sample.try_emplace(by, std::move(known));
      }
    op->getResult(0).replaceAllUsesWith(by);
  }

  func::FuncOp function;
  SmallVector<Sample> samples;
  int64_t resolved = 0;
};

struct ResolveShapes : impl::ResolveShapesBase<ResolveShapes> {
  using Base::Base;

  /// Sizes as in a decoder, else a size per name.
  SmallVector<Sample> followSizes() {
    func::FuncOp function = getOperation();
    raise::ModelInputs inputs(function);
    reference::Quiet quiet(&getContext());
    for (bool byName : {false, true}) {
      SmallVector<Sample> samples;
      for (auto [i, sizes] : llvm::enumerate(kSizes)) {
        auto types = byName ? inputs.typesByName(static_cast<int64_t>(i)) : inputs.types(sizes);
        FailureOr<Sample> sample = reference::followSizes(function, types, kMaxElements);
        if (failed(sample))
          break;
        samples.push_back(std::move(*sample));
      }
      if (samples.size() == std::size(kSizes))
        return samples;
    }
    return {};
  }

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!function.getBody().hasOneBlock() ||
        llvm::any_of(function.getArgumentTypes(), [](Type type) { return !isa<RankedTensorType>(type); }))
      return;
    SmallVector<Sample> samples = followSizes();
    if (samples.empty()) {
      emitRemark(function.getLoc()) << "shapes stay dynamic: they do not follow from the sizes of the inputs";
      return;
    }
    numResolved += Resolver(function, std::move(samples)).run();
  }
};

} // namespace
} // namespace qopt
