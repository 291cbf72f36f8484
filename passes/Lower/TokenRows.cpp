//===- TokenRows.cpp - What a decoder computes for each token alone --------===//
//
// A list of operators that treat tokens alone, and how far back from the logits only the
// last token matters.
//
//===----------------------------------------------------------------------===//
#include "TokenRows.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Dialect/Types.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

/// Whether broadcasting a constant gives all tokens the same.
static bool isSameForAllTokens(Value constant) {
  ArrayRef<int64_t> shape = typeOf(constant).getShape();
  return shape.empty() || llvm::all_of(shape.drop_back(), [](int64_t size) { return size == 1; });
}

bool TokenRows::areRows(Operation *op, ArrayRef<unsigned> operands) const {
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (!(llvm::is_contained(operands, i) ? rows : constants).contains(operand))
      return false;
  return true;
}

/// The operands of `op` that must be rows for its results to be; the others must be
/// constants. Nothing where `op` is not known.
std::optional<SmallVector<unsigned>> TokenRows::rowOperands(Operation *op) const {
  using Result = std::optional<SmallVector<unsigned>>;
  auto first = [](bool fits) -> Result { return fits ? Result({0}) : std::nullopt; };
  if (op->hasTrait<onnx::Elementwise>()) {
    SmallVector<unsigned> found;
    int64_t rank = typeOf(op->getResult(0)).getRank();
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      if (rows.contains(operand) && typeOf(operand).getRank() == rank)
        found.push_back(i);
      else if (rows.contains(operand) || !isSameForAllTokens(operand))
        return std::nullopt;
    }
    return found;
  }
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<QuantizeOp, DynamicQuantizeOp, SplitColumnsAtOp, MatmulW8A16Op, MatmulW4A16Op>(
          [&](auto) { return first(true); })
      .Case([&](onnx::MatMulOp op) {
        return first(typeOf(op.getA()).getRank() == 3 && typeOf(op.getB()).getRank() == 2);
      })
      .Case<onnx::RMSNormalizationOp, onnx::LayerNormalizationOp>([&](auto op) {
        int64_t axis = op.getAxis();
        return first(axis == -1 || axis == typeOf(op.getX()).getRank() - 1);
      })
      .Case([&](onnx::ReduceMeanOp op) {
        auto axes = op.getAxes() ? onnx::getConstantInts(op.getAxes()) : std::nullopt;
        bool isLast =
            axes && axes->size() == 1 && ((*axes)[0] == -1 || (*axes)[0] == typeOf(op.getData()).getRank() - 1);
        return first(isLast && op.getKeepdims() && typeOf(op.getData()).getRank() == 3);
      })
      .Case([&](onnx::GatherOp op) -> Result {
        int64_t rank = typeOf(op.getData()).getRank(), axis = onnx::frontAxis(op.getAxis(), rank);
        if (rank == 3 && axis == 2) // columns of rows
          return first(true);
        return axis == 0 && rank == 2 ? Result({1}) : std::nullopt;
      })
      .Case([&](onnx::ReshapeOp op) {
        // Sizes of 0 are those of the operand: batch and sequence stay what they are.
        auto shape = onnx::getConstantInts(op.getShape());
        bool keepsTokens = shape && shape->size() >= 2 && (*shape)[0] == 0 && (*shape)[1] == 0 && !op.getAllowzero();
        return first(keepsTokens && typeOf(op.getData()).getRank() >= 3);
      })
      .Case([&](onnx::SplitOp op) {
        int64_t rank = typeOf(op.getInput()).getRank();
        return first(rank == 3 && onnx::frontAxis(op.getAxis(), rank) == 2);
      })
      .Case([](MatmulW4A8Op) { return Result({0, 1}); })
      .Case([&](MatmulW8A8Op op) -> Result {
        SmallVector<unsigned> found{0};
        if (op.getXScale().getType().getRank() != 0)
          found.push_back(1);
        if (op.getOutliers())
          found.push_back(op.getOutliersMutable().begin()->getOperandNumber());
        return found;
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// Which operands of an operation that reads rows are read row by row: none where it may
/// mix tokens, as attention does. Nothing where its results are not rows.
std::optional<SmallVector<unsigned>> TokenRows::findAlone(Operation *op) const {
  std::optional<SmallVector<unsigned>> mixed{std::in_place};
  auto areAll = [](const llvm::DenseSet<Value> &set, ValueRange values) {
    return llvm::all_of(values, [&](Value value) { return set.contains(value); });
  };
  if (auto rotary = dyn_cast<onnx::RotaryEmbeddingOp>(op))
    return rows.contains(rotary.getX()) && areAll(constants, {rotary.getCosCache(), rotary.getSinCache()})
               ? mixed
               : std::nullopt;
  if (auto attention = dyn_cast<CachedAttentionOp>(op))
    return areAll(rows, {attention.getQ(), attention.getK(), attention.getV()}) ? mixed : std::nullopt;
  if (isa<SplitColumnsOp>(op))
    return mixed;
  std::optional<SmallVector<unsigned>> operands = rowOperands(op);
  return operands && !operands->empty() && areRows(op, *operands) ? operands : std::nullopt;
}

Operation *TokenRows::find(func::FuncOp function, Value tokens, const llvm::DenseSet<Operation *> &ignored) {
  rows.insert(tokens);
  for (Operation &op : function.front().without_terminator()) {
    if (ignored.contains(&op)) {
      constants.insert(op.result_begin(), op.result_end());
      continue;
    }
    if (llvm::none_of(op.getOperands(), [&](Value v) { return rows.contains(v); })) {
      if (!isPure(&op) || llvm::any_of(op.getOperands(), [&](Value v) { return !constants.contains(v); }))
        return &op;
      constants.insert(op.result_begin(), op.result_end());
      continue;
    }
    std::optional<SmallVector<unsigned>> alone = findAlone(&op);
    if (!alone)
      return &op;
    // Which columns are outliers is a matter of all tokens of a call.
    if (isa<SplitColumnsOp>(op))
      constants.insert(op.getResult(2));
    for (Value result : op.getResults())
      if (!constants.contains(result))
        rows.insert(result);
    makers[&op] = *alone;
  }
  Operation *terminator = function.front().getTerminator();
  return rows.contains(terminator->getOperand(0)) ? nullptr : terminator;
}

void TokenRows::cutToLast(func::FuncOp function) {
  llvm::DenseSet<Operation *> last{function.front().getTerminator()};
  for (auto &[op, operands] : llvm::reverse(makers))
    if (!operands.empty() && llvm::all_of(op->getUsers(), [&](Operation *user) { return last.contains(user); }))
      last.insert(op);

  OpBuilder b(function.getContext());
  llvm::DenseMap<Value, Value> cuts;
  auto cut = [&](OpOperand &operand) {
    Value row = operand.get();
    if (Operation *maker = row.getDefiningOp(); maker && last.contains(maker))
      return;
    Value &known = cuts[row];
    if (!known) {
      b.setInsertionPointAfterValue(row);
      auto ints = [&](int64_t value) { return onnx::ConstantOp::create(b, row.getLoc(), b.getI64TensorAttr({value})); };
      Value start = ints(-1), end = ints(std::numeric_limits<int64_t>::max()), axis = ints(1);
      known = onnx::SliceOp::create(b, row.getLoc(), row.getType(), row, start, end, axis, /*steps=*/Value());
    }
    operand.set(known);
  };
  for (auto &[op, operands] : makers)
    if (last.contains(op))
      for (unsigned i : operands)
        cut(op->getOpOperand(i));
  cut(function.front().getTerminator()->getOpOperand(0));
}
