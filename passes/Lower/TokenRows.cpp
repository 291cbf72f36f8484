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

int64_t TokenRows::axisOf(Value value) const {
  auto it = rows.find(value);
  return it == rows.end() ? -1 : it->second;
}

bool TokenRows::areRows(Operation *op, ArrayRef<unsigned> operands) const {
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (llvm::is_contained(operands, i) ? !rows.contains(operand) : !constants.contains(operand))
      return false;
  return true;
}

/// The last dimensions of operands lie upon each other. What is no rows must be the same for all tokens and texts.
std::optional<TokenRows::Alone> TokenRows::treatElementwise(Operation *op) const {
  Alone found{{}, -1};
  int64_t rank = typeOf(op->getResult(0)).getRank();
  for (auto [i, operand] : llvm::enumerate(op->getOperands()))
    if (int64_t axis = axisOf(operand); axis >= 0) {
      axis += rank - typeOf(operand).getRank();
      if (found.axis >= 0 && found.axis != axis)
        return std::nullopt;
      found.axis = axis;
      found.operands.push_back(i);
    }
  auto isOne = [&](Value value, int64_t axis) {
    axis -= rank - typeOf(value).getRank();
    return axis < 0 || typeOf(value).getDimSize(axis) == 1;
  };
  for (Value operand : op->getOperands()) {
    RankedTensorType type = typeOf(operand);
    // The first dimension of rows counts texts, and stays the first.
    bool fits = axisOf(operand) < 0 ? isOne(operand, found.axis) && isOne(operand, 0)
                                    : type.getRank() == rank || type.getDimSize(0) == 1;
    if (!fits)
      return std::nullopt;
  }
  return found;
}

/// Whether dimensions between the first, of texts, and that of tokens hold as much in both, and
/// those behind, too; `axis` gets the dimension of `to` that counts tokens.
static bool findTokens(RankedTensorType from, int64_t tokens, RankedTensorType to, int64_t &axis) {
  auto product = [](ArrayRef<int64_t> dims) {
    int64_t all = 1;
    for (int64_t dim : dims)
      all = ShapedType::isDynamic(dim) || all < 0 ? -1 : all * dim;
    return all;
  };
  int64_t before = product(from.getShape().slice(1, tokens - 1)),
          behind = product(from.getShape().drop_front(tokens + 1));
  for (axis = 1; axis < to.getRank(); ++axis)
    if (before > 0 && behind > 0 && (to.isDynamicDim(axis) || to.getDimSize(axis) == from.getDimSize(tokens)) &&
        product(to.getShape().slice(1, axis - 1)) == before && product(to.getShape().drop_front(axis + 1)) == behind)
      return true;
  return false;
}

/// How `op` treats its first rows; nothing where it is not known.
std::optional<TokenRows::Alone> TokenRows::treat(Operation *op) const {
  using Result = std::optional<Alone>;
  if (op->hasTrait<onnx::Elementwise>())
    return treatElementwise(op);
  int64_t axis = axisOf(op->getOperand(0));
  RankedTensorType type = axis < 0 ? RankedTensorType() : typeOf(op->getOperand(0));
  int64_t rank = type ? type.getRank() : 0;
  auto first = [&](bool fits) -> Result { return fits ? Result({{0}, axis}) : std::nullopt; };
  /// Whether a dimension counts neither texts nor tokens.
  auto isInside = [&](int64_t dim) {
    dim = onnx::frontAxis(dim, rank);
    return dim != 0 && dim != axis;
  };
  auto reduction = [&](auto op) -> Result {
    auto axes = onnx::getConstantInts(op.getAxes());
    if (axis < 0 || !axes || axes->empty() || !llvm::all_of(*axes, isInside))
      return std::nullopt;
    int64_t before =
        op.getKeepdims() ? 0 : llvm::count_if(*axes, [&](int64_t dim) { return onnx::frontAxis(dim, rank) < axis; });
    return Alone{{0}, axis - before};
  };
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case<QuantizeOp, DynamicQuantizeOp, SplitColumnsAtOp, MatmulW8A16Op, MatmulW4A16Op>(
          [&](auto) { return first(axis == 0 || axis == 1); })
      .Case([&](onnx::MatMulOp op) -> Result {
        if (axis >= 0)
          return first(axis < rank - 1 && rank >= 2 && typeOf(op.getB()).getRank() == 2);
        // Columns, as of frequencies times positions.
        RankedTensorType left = typeOf(op.getA()), right = typeOf(op.getB());
        bool areColumns = axisOf(op.getB()) == right.getRank() - 1 && left.getRank() == right.getRank() &&
                          llvm::all_of(left.getShape().drop_back(2), [](int64_t dim) { return dim == 1; });
        return areColumns ? Result({{1}, right.getRank() - 1}) : std::nullopt;
      })
      .Case([&](onnx::GatherNDOp op) -> Result {
        int64_t indices = axisOf(op.getIndices());
        bool areRows = axis < 0 && indices >= 0 && indices < typeOf(op.getIndices()).getRank() - 1;
        return areRows && op.getBatchDims() == 0 ? Result({{1}, indices}) : std::nullopt;
      })
      .Case<onnx::RMSNormalizationOp, onnx::LayerNormalizationOp, onnx::SoftmaxOp>(
          [&](auto op) { return first(axis >= 0 && onnx::frontAxis(op.getAxis(), rank) == rank - 1 && isInside(-1)); })
      .Case<onnx::ReduceMeanOp, onnx::ReduceSumOp, onnx::ReduceMaxOp>([&](auto op) { return reduction(op); })
      .Case([&](onnx::GatherElementsOp op) -> Result {
        bool fits = axis >= 0 && axisOf(op.getIndices()) == axis && isInside(op.getAxis());
        return fits ? Result({{0, 1}, axis}) : std::nullopt;
      })
      .Case([&](onnx::GatherOp op) -> Result {
        if (axis >= 0 && isInside(op.getAxis()))
          return Alone{{0}, axis};
        if (axis >= 0) { // the last token
          auto index = onnx::getConstantInts(op.getIndices());
          bool isLast = axis > 0 && onnx::frontAxis(op.getAxis(), rank) == axis && index &&
                        *index == SmallVector<int64_t>{-1} && typeOf(op.getIndices()).getRank() <= 1;
          return isLast ? Result({{0}, 0}) : std::nullopt;
        }
        int64_t dataRank = typeOf(op.getData()).getRank(), indices = axisOf(op.getIndices());
        return onnx::frontAxis(op.getAxis(), dataRank) == 0 ? Result({{1}, indices}) : std::nullopt;
      })
      .Case([&](onnx::ReshapeOp op) -> Result {
        auto shape = onnx::getConstantInts(op.getShape());
        int64_t to = -1;
        // A size of 0 is that of the operand: texts stay what they are.
        bool keepsTexts = axis >= 0 && shape && !shape->empty() && shape->front() == 0 && !op.getAllowzero();
        if (!keepsTexts)
          return std::nullopt;
        if (axis == 0 || (axis == 1 && shape->size() > 1 && (*shape)[1] == 0))
          return Alone{{0}, axis};
        return findTokens(type, axis, op.getType(), to) ? Result({{0}, to}) : std::nullopt;
      })
      .Case([&](onnx::TransposeOp op) -> Result {
        ArrayRef<int64_t> perm = op.getPerm();
        if (axis < 0 || perm.empty() || perm.front() != 0)
          return std::nullopt;
        return Alone{{0}, llvm::find(perm, axis) - perm.begin()};
      })
      .Case([&](onnx::UnsqueezeOp op) -> Result {
        auto axes = onnx::getConstantInts(op.getAxes());
        int64_t all = typeOf(op->getResult(0)).getRank();
        if (axis < 0 || !axes)
          return std::nullopt;
        SmallVector<bool> isNew(all);
        for (int64_t dim : *axes)
          isNew[onnx::frontAxis(dim, all)] = true;
        int64_t to = 0;
        for (int64_t old = -1; to < all && (old += !isNew[to]) < axis; ++to) {
        }
        return isNew[0] ? std::nullopt : Result({{0}, to});
      })
      .Case([&](onnx::SqueezeOp op) -> Result {
        auto axes = onnx::getConstantInts(op.getAxes());
        int64_t to = axis;
        for (int64_t dim : axes ? *axes : SmallVector<int64_t>()) {
          dim = onnx::frontAxis(dim, rank);
          if (dim == axis && axis > 0 && type.getDimSize(axis) == 1)
            to = 0; // of the last token
          else if (!isInside(dim))
            return std::nullopt;
          to -= dim < axis && to > 0;
        }
        return axis < 0 || !axes ? std::nullopt : Result({{0}, to});
      })
      .Case([&](onnx::ExpandOp op) -> Result {
        auto shape = onnx::getConstantInts(op.getShape());
        return first(axis >= 0 && shape && static_cast<int64_t>(shape->size()) == rank && shape->front() == 1 &&
                     (*shape)[axis] == 1);
      })
      .Case([&](onnx::SliceOp op) -> Result {
        auto axes = onnx::getConstantInts(op.getAxes()), starts = onnx::getConstantInts(op.getStarts()),
             ends = onnx::getConstantInts(op.getEnds());
        if (axis < 0 || !axes || !starts || !ends)
          return std::nullopt;
        // The last token's row is that of the last token.
        bool isLast = axis > 0 && axes->size() == 1 && onnx::frontAxis(axes->front(), rank) == axis &&
                      starts->front() == -1 && ends->front() >= std::numeric_limits<int32_t>::max() && !op.getSteps();
        return first(isLast || llvm::all_of(*axes, isInside));
      })
      .Case([&](onnx::SplitOp op) { return first(axis >= 0 && isInside(op.getAxis())); })
      .Case([&](onnx::ConcatOp op) -> Result {
        Alone found{{}, axis};
        for (auto [i, operand] : llvm::enumerate(op.getInputs())) {
          if (axisOf(operand) != axis)
            return std::nullopt;
          found.operands.push_back(i);
        }
        return axis >= 0 && isInside(op.getAxis()) ? Result(found) : std::nullopt;
      })
      .Case([&](MatmulW4A8Op) { return Result({{0, 1}, axis}); })
      .Case([&](MatmulW8A8Op op) -> Result {
        Alone found{{0}, axis};
        if (op.getXScale().getType().getRank() != 0)
          found.operands.push_back(1);
        if (op.getOutliers())
          found.operands.push_back(op.getOutliersMutable().begin()->getOperandNumber());
        return found;
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// How an operation that reads rows does it: row by row, or, with no operands, so that it
/// may mix tokens, as attention does. Nothing where its results are not rows.
std::optional<TokenRows::Alone> TokenRows::findAlone(Operation *op) const {
  if (auto rotary = dyn_cast<onnx::RotaryEmbeddingOp>(op)) {
    int64_t axis = axisOf(rotary.getX());
    bool fits = axis == (typeOf(rotary.getX()).getRank() == 4 ? 2 : 1);
    for (Value other : op->getOperands().drop_front())
      fits &=
          constants.contains(other) ? other != rotary.getPositionIds() && rotary.getPositionIds() : axisOf(other) == 1;
    return fits ? std::optional(Alone{{}, axis}) : std::nullopt;
  }
  if (auto attention = dyn_cast<CachedAttentionOp>(op)) {
    for (Value value : {attention.getQ(), attention.getK(), attention.getV()})
      if (axisOf(value) != 1)
        return std::nullopt;
    return Alone{};
  }
  if (isa<SplitColumnsOp>(op))
    return Alone{};
  std::optional<Alone> alone = treat(op);
  return alone && !alone->operands.empty() && alone->axis >= 0 && areRows(op, alone->operands) ? alone : std::nullopt;
}

Operation *TokenRows::find(func::FuncOp function, ValueRange sources, const llvm::DenseSet<Operation *> &ignored) {
  for (Value source : sources)
    if (source)
      rows[source] = 1;
  for (Operation &op : function.front().without_terminator()) {
    if (ignored.contains(&op)) {
      for (Value result : op.getResults())
        if (!rows.contains(result))
          constants.insert(result);
      continue;
    }
    if (llvm::none_of(op.getOperands(), [&](Value v) { return rows.contains(v); })) {
      if (!isPure(&op) || llvm::any_of(op.getOperands(), [&](Value v) { return !constants.contains(v); }))
        return &op;
      constants.insert(op.result_begin(), op.result_end());
      continue;
    }
    std::optional<Alone> alone = findAlone(&op);
    if (!alone)
      return &op;
    // Which columns are outliers is a matter of all tokens of a call.
    if (isa<SplitColumnsOp>(op))
      constants.insert(op.getResult(2));
    for (Value result : op.getResults())
      if (!constants.contains(result))
        rows[result] = alone->axis;
    makers[&op] = alone->operands;
  }
  Operation *terminator = function.front().getTerminator();
  int64_t axis = axisOf(terminator->getOperand(0));
  return axis == 0 || axis == 1 ? nullptr : terminator;
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
    if (axisOf(row) == 0)
      return;
    if (Operation *maker = row.getDefiningOp(); maker && last.contains(maker))
      return;
    Value &known = cuts[row];
    if (!known) {
      b.setInsertionPointAfterValue(row);
      auto ints = [&](int64_t value) { return onnx::ConstantOp::create(b, row.getLoc(), b.getI64TensorAttr({value})); };
      Value start = ints(-1), end = ints(std::numeric_limits<int64_t>::max()), axis = ints(axisOf(row));
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
