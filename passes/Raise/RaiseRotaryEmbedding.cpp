//===- RaiseRotaryEmbedding.cpp - Find rotary position embeddings ---------===//
//
// Su et al., arXiv 2104.09864: pairs of channels turn by an angle that grows with
// the position. Exporters spell it with halves that are negated and joined, with
// neighbouring channels, with complex numbers; with angles computed or looked up,
// scaled in one of many ways. The pass reads the table of angles off the graph by
// probing and keeps the result only if it computes the same on random input.
//
//===----------------------------------------------------------------------===//
#include "GraphCut.h"
#include "RotaryFrequencies.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Passes.h"
#include "qopt/Passes/Remarks.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_RAISEROTARYEMBEDDING
#include "qopt/Passes/Passes.h.inc"

namespace {

using namespace raise;
using reference::Tensor;

/// Calls with which both ways are compared.
constexpr std::pair<Sizes, Padding> kTrials[] = {
    {{2, 7, 3}, Padding::None}, {{2, 7, 3}, Padding::Left}, {{2, 9, 2}, Padding::Holes}, {{1, 19, 5}, Padding::None}};

/// Positions that tables have at most, and from how many on they are computed where they can be.
constexpr int64_t kMostRows = int64_t(1) << 17, kManyRows = int64_t(1) << 15;
/// Positions below this one are tried where there are no tables.
constexpr int64_t kTriedPositions = int64_t(1) << 16;
/// Positions that frequencies are read from.
constexpr int64_t kFewRows = 2049;

/// Rules around those that readRotaryTables() checks by probing.
enum Rule { kIsCut = 1, kIsRanked, kHasSource, kHasHeads, kIsSame = kLastTableRule + 1 };

/// What may move elements between the projection and the rotation.
Value skipMovement(Value value) {
  Operation *op = value.getDefiningOp();
  return op && op->hasTrait<onnx::Rearranges>() ? op->getOperand(0) : Value();
}

/// The embeddings of one function; tables and positions are shared between layers.
class Raiser {
public:
  /// `prefersAngles`: computed where they can be, without a table.
  Raiser(func::FuncOp function, int64_t maxPosition, bool prefersAngles)
      : function(function), inputs(function), activations(inputs.activations()), maxPosition(maxPosition),
        prefersAngles(prefersAngles) {}

  /// Where the chain starts says which embedding it is, so it comes back with a failure
  /// that has a reason.
  LogicalResult raise(Value value, Value &start, Reason &reason) {
    std::optional<Chain> chain = findChain(value, activations);
    if (!chain || chain->tables.empty())
      return failure();
    start = chain->values.front();
    // Tokens that choose rows of a table are embedded, not turned.
    if (!isa<FloatType>(typeOf(start).getElementType()))
      return failure();
    reference::Quiet quiet(function.getContext());
    // Where neighbouring channels turn they are joined and reshaped at the end, so
    // the first value that could be the result need not be it.
    for (size_t end : chain->cuts)
      if (end >= chain->lastUse && succeeded(tryEnd(*chain, end, reason)))
        return success();
    return reason.fail(kIsCut, "what comes behind the tables of angles depends on more than one value");
  }

private:
  LogicalResult tryEnd(const Chain &chain, size_t end, Reason &reason) {
    FailureOr<Rotation> rotation = describe(chain, end, reason);
    if (failed(rotation))
      return failure();
    for (bool headsFirst : {true, false}) {
      rotation->headsFirst = headsFirst;
      if (typeOf(rotation->rotated).getDimSize(headsFirst ? 1 : 2) != rotation->heads)
        continue;
      if (prefersAngles) {
        Reason ofFew;
        FailureOr<RotaryTables> few = readRotaryTables(inputs, *rotation, kFewRows, evaluated, ofFew);
        std::optional<RotaryFrequencies> frequencies = failed(few) ? std::nullopt : findFrequencies(*few);
        for (Value positions : frequencies ? positionCandidates(chain.tables) : SmallVector<Value>())
          if (succeeded(replace(*rotation, *few, &*frequencies, positions, ofFew)))
            return success();
      }
      FailureOr<RotaryTables> tables = readRotaryTables(inputs, *rotation, maxPosition, evaluated, reason);
      if (failed(tables))
        continue;
      for (Value positions : positionCandidates(chain.tables))
        if (succeeded(replace(*rotation, *tables, /*frequencies=*/nullptr, positions, reason)))
          return success();
    }
    return reason.fail(kHasHeads,
                       Twine(rotation->heads) + " heads were expected in " + typeText(rotation->rotated.getType()));
  }

  /// Where the rotation starts, and how many heads it turns.
  FailureOr<Rotation> describe(const Chain &chain, size_t end, Reason &reason) {
    std::optional<size_t> start;
    for (size_t cut : chain.cuts)
      if (cut < chain.firstUse)
        start = cut;
    if (!start)
      return reason.fail(kIsCut, "what goes into the rotation is more than one value");
    Rotation rotation{{}, chain.values[end], chain.tables, 0, 0, false};
    RankedTensorType rotated = typeOf(rotation.rotated);
    if (rotated.getRank() != 4 || rotated.isDynamicDim(3))
      return reason.fail(kIsRanked, "the rotated value is " + typeText(rotated) + ", not heads in four dimensions");
    rotation.size = rotated.getDimSize(3);
    auto isStatic = [](RankedTensorType type, int64_t dim) { return !type.isDynamicDim(dim); };
    // The projection's own result is best, then the value of four dimensions that is
    // nearest to it.
    for (Value value = chain.values[*start]; value; value = skipMovement(value)) {
      RankedTensorType type = typeOf(value);
      if (type.getRank() == 4 && type.getDimSize(3) == rotation.size)
        rotation.source = value;
      if (type.getRank() == 3 && isStatic(type, 2) && type.getDimSize(2) % rotation.size == 0) {
        rotation.source = value;
        rotation.heads = type.getDimSize(2) / rotation.size;
        return rotation;
      }
    }
    if (!rotation.source)
      return reason.fail(kHasSource, "no projection into heads of " + Twine(rotation.size) + " channels was found");
    RankedTensorType type = typeOf(rotation.source);
    if (isStatic(type, 1) == isStatic(type, 2))
      return reason.fail(kHasSource, "it is not known which dimension of " + typeText(type) + " counts heads");
    rotation.heads = type.getDimSize(isStatic(type, 1) ? 1 : 2);
    return rotation;
  }

  /// The model's positions, 0, 1, 2 ..., and what the exporter computed.
  SmallVector<Value> positionCandidates(ArrayRef<Value> tables) {
    SmallVector<Value> result;
    if (inputs.positionIds)
      result.push_back(inputs.positionIds);
    if (inputs.tokens)
      result.push_back(countTokens());
    llvm::SetVector<Operation *> seen;
    SmallVector<Value> open(tables);
    while (!open.empty()) {
      Operation *op = open.pop_back_val().getDefiningOp();
      if (!op || !seen.insert(op))
        continue;
      for (Value operand : op->getOperands()) {
        open.push_back(operand);
        auto type = dyn_cast<RankedTensorType>(operand.getType());
        if (!type || !type.getElementType().isInteger(64) || operand.getDefiningOp<onnx::ConstantOp>())
          continue;
        if (type.getRank() == 2 && !isa<BlockArgument>(operand))
          result.push_back(operand);
        else if (type.getRank() == 1 &&
                 type.isDynamicDim(0)) // of one row, as those that count from the length of a past
          result.push_back(asRow(operand));
      }
    }
    return result;
  }

  /// [length] as [1, length].
  Value asRow(Value positions) {
    Value &row = rows[positions];
    if (row)
      return row;
    OpBuilder builder(positions.getContext());
    builder.setInsertionPointAfterValue(positions);
    auto type = typeOf(positions).clone({1, typeOf(positions).getDimSize(0)});
    return row = onnx::UnsqueezeOp::create(builder, positions.getLoc(), type, positions,
                                           createInts(builder, positions.getLoc(), {0}));
  }

  /// [1, length]: 0, 1, 2 ...
  Value countTokens() {
    if (counted)
      return counted;
    OpBuilder builder = OpBuilder::atBlockBegin(&function.front());
    Location loc = function.getLoc();
    auto scalar = RankedTensorType::get({}, builder.getI64Type());
    auto constant = [&](int64_t value) {
      return onnx::ConstantOp::create(builder, loc, DenseElementsAttr::get(scalar, value));
    };
    Value zero = constant(0), one = constant(1), axis = createInts(builder, loc, {0});
    int64_t dim = typeOf(inputs.tokens).getRank() == 1 ? 0 : 1; // of one text
    Value shape = onnx::ShapeOp::create(builder, loc, inputs.tokens, dim, builder.getI64IntegerAttr(dim + 1));
    Value length = onnx::SqueezeOp::create(builder, loc, shape, axis);
    Value range = onnx::RangeOp::create(builder, loc, zero, length, one);
    return counted = onnx::UnsqueezeOp::create(builder, loc, range, axis);
  }

  /// `frequencies`: by angles that are computed of them; null: by tables.
  LogicalResult replace(const Rotation &rotation, const RotaryTables &tables, const RotaryFrequencies *frequencies,
                        Value positions, Reason &reason) {
    Operation *last = rotation.rotated.getDefiningOp();
    OpBuilder builder(last);
    Location loc = last->getLoc();
    auto [cos, sin] = frequencies ? values.computed(positions, *frequencies) : values.stored(tables);
    Operation *before = last->getPrevNode();
    Value source = rotation.source;
    if (typeOf(source).getRank() == 4) {
      if (rotation.isSourceHeadsFirst())
        source = onnx::TransposeOp::create(builder, loc, source, ArrayRef<int64_t>{0, 2, 1, 3});
      source = onnx::ReshapeOp::create(builder, loc, source,
                                       createInts(builder, loc, {0, 0, rotation.heads * rotation.size}));
    }
    bool isPartial = tables.rotatedSize != rotation.size;
    Value result =
        onnx::RotaryEmbeddingOp::create(builder, loc, source, cos, sin, frequencies ? Value() : positions,
                                        tables.interleaved, rotation.heads, isPartial ? tables.rotatedSize : 0);
    onnx::copyScope(last, result.getDefiningOp());
    result =
        onnx::ReshapeOp::create(builder, loc, result, createInts(builder, loc, {0, 0, rotation.heads, rotation.size}));
    if (rotation.headsFirst)
      result = onnx::TransposeOp::create(builder, loc, result, ArrayRef<int64_t>{0, 2, 1, 3});
    std::optional<size_t> trial =
        findDifference(rotation, result, frequencies ? kTriedPositions : tables.cos.type.getDimSize(0));
    if (!trial) {
      activations.insert(result);
      for (Operation *op = last->getPrevNode(); op != before; op = op->getPrevNode())
        if (!isa<onnx::ConstantOp>(op))
          activations.insert(op->getResult(0));
      Value(rotation.rotated).replaceAllUsesWith(result);
      return success();
    }
    while (last->getPrevNode() != before)
      last->getPrevNode()->erase();
    Sizes sizes = kTrials[*trial].first;
    return reason.fail(kIsSame + static_cast<int>(*trial), "a rotation by its tables gives another result for " +
                                                               Twine(sizes.batch) + " texts of " + Twine(sizes.length) +
                                                               " tokens after " + Twine(sizes.past) + " earlier ones");
  }

  /// The first trial in which both ways differ; nothing if they are the same.
  std::optional<size_t> findDifference(const Rotation &rotation, Value replacement, int64_t positions) {
    std::mt19937 random(1);
    for (auto [trial, call] : llvm::enumerate(kTrials)) {
      auto [wanted, padding] = call;
      // Counted positions must be in the tables.
      Sizes sizes = inputs.adapt(
          {wanted.batch, std::min(wanted.length, std::max<int64_t>(positions - wanted.past, 1)), wanted.past});
      reference::Slice slice;
      inputs.fill(slice, sizes, padding, positions, random);
      slice.set(rotation.source, randomTensor(rotation.sourceType(sizes), random));
      FailureOr<Tensor> expected = slice.get(rotation.rotated), actual = slice.get(replacement);
      if (failed(expected) || failed(actual) ||
          !reference::isClose(*expected, *actual, toleranceOf(expected->type.getElementType())))
        return trial;
    }
    return std::nullopt;
  }

  func::FuncOp function;
  ModelInputs inputs;
  llvm::DenseSet<Value> activations;
  int64_t maxPosition;
  bool prefersAngles;
  Value counted;
  EvaluatedTables evaluated;
  llvm::DenseMap<Value, Value> rows;
  TableValues values;
};

struct RaiseRotaryEmbedding : impl::RaiseRotaryEmbeddingBase<RaiseRotaryEmbedding> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (!isGraph(function))
      return;
    FailureOr<int64_t> positions = contextLength(function, maxPosition);
    if (failed(positions))
      return signalPassFailure();
    bool isAssumed = isContextAssumed(function, maxPosition);
    Raiser raiser(function, std::min(*positions, kMostRows), isAssumed || *positions > kManyRows);
    // Queries and keys meet in a product of two activations or in an Attention; keys
    // also leave through a cache.
    llvm::DenseSet<Value> activations = ModelInputs(function).activations();
    SmallVector<Value> operands;
    for (Operation &op : function.front())
      if (isa<onnx::MatMulOp, onnx::AttentionOp, onnx::ConcatOp>(op) &&
          llvm::count_if(op.getOperands(), [&](Value v) { return activations.contains(v); }) >= 2)
        operands.append(op.operand_begin(), op.operand_end());
    llvm::SetVector<Value> unique(operands.begin(), operands.end());
    // Parts of one embedding may be operands, too: by where it starts, the reason of the
    // way that came farthest, and the value at which that ended.
    llvm::MapVector<Value, std::pair<Value, Reason>> missed;
    bool isAnyRaised = false;
    for (Value operand : unique) {
      if (!activations.contains(operand))
        continue;
      Value start;
      Reason reason;
      if (succeeded(raiser.raise(operand, start, reason))) {
        ++numRaised;
        isAnyRaised = true; // which a statistic need not tell
      } else if (auto &known = missed[start]; reason.step() > known.second.step())
        known = {operand, reason};
    }
    explain(missed);
    if (isAnyRaised)
      explainContext(*positions);
    eraseDeadOps(function);
  }

private:
  void explain(const llvm::MapVector<Value, std::pair<Value, Reason>> &missed) {
    if (!areRemarksWanted(getOperation()))
      return;
    // What has become part of a raised embedding is not used any more.
    llvm::DenseSet<Value> used = findUsedValues(getOperation());
    for (const auto &[start, last] : missed)
      if (const auto &[value, reason] = last; reason.step() && used.contains(value))
        remarkMissed(value.getLoc(), topics::kRotary, "this is no rotary embedding: " + reason.text());
  }

  /// Tables may have fewer positions, which the model's own constants then tell.
  void explainContext(int64_t positions) {
    bool isAssumed = isContextAssumed(getOperation(), maxPosition);
    int64_t rows = std::min(positions, kMostRows);
    auto hasAll = [&](onnx::RotaryEmbeddingOp op) {
      return typeOf(op.getCosCache()).getRank() == 2 && typeOf(op.getCosCache()).getDimSize(0) == rows;
    };
    if ((!isAssumed && rows == positions) ||
        llvm::none_of(getOperation().front().getOps<onnx::RotaryEmbeddingOp>(), hasAll))
      return;
    std::string why = isAssumed ? "as the model does not tell how many"
                                : "not for all " + std::to_string(positions) + " of the context";
    remarkMissed(getOperation().getLoc(), topics::kContext,
                 "rotary tables are made for " + Twine(rows) + " positions, " + why);
  }
};

} // namespace
} // namespace qopt
