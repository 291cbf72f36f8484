//===- LowerElements.cpp - Shape arithmetic on single elements ------------===//
//
// Exporters compute shapes with tensor operators on small integer vectors. Done
// element by element on index values they fold away or become a few instructions.
//
//===----------------------------------------------------------------------===//
#include "OnnxLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

/// Element by element with broadcasting of single elements.
static std::optional<Dims> combine(const Dims &lhs, const Dims &rhs,
                                   function_ref<OpFoldResult(OpFoldResult, OpFoldResult)> operation) {
  size_t count = lhs.size() == 1 ? rhs.size() : lhs.size();
  if (rhs.size() != 1 && rhs.size() != count)
    return std::nullopt;
  Dims result;
  for (size_t i = 0; i < count; ++i)
    result.push_back(operation(lhs[lhs.size() == 1 ? 0 : i], rhs[rhs.size() == 1 ? 0 : i]));
  return result;
}

static std::optional<Dims> gather(const Dims &data, const Dims &indices) {
  Dims result;
  int64_t size = data.size();
  for (OpFoldResult at : indices) {
    std::optional<int64_t> i = constantOf(at);
    if (!i || *i < -size || *i >= size)
      return std::nullopt;
    result.push_back(data[*i < 0 ? *i + size : *i]);
  }
  return result;
}

static std::optional<Dims> slice(const Dims &data, const Dims &starts, const Dims &ends, const Dims &steps) {
  if (starts.size() != 1 || ends.size() != 1 || steps.size() != 1)
    return std::nullopt;
  std::optional<int64_t> start = constantOf(starts[0]), end = constantOf(ends[0]);
  if (!start || !end || constantOf(steps[0]) != 1)
    return std::nullopt;
  int64_t size = data.size();
  auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
  Dims result;
  for (int64_t i = clamp(*start); i < clamp(*end); ++i)
    result.push_back(data[i]);
  return result;
}

static std::optional<Dims> select(const Dims &condition, const Dims &x, const Dims &y) {
  size_t count = std::max({condition.size(), x.size(), y.size()});
  Dims result;
  for (size_t i = 0; i < count; ++i) {
    auto pick = [&](const Dims &from) { return from[from.size() == 1 ? 0 : i]; };
    for (const Dims *operand : {&condition, &x, &y})
      if (operand->size() != 1 && operand->size() != count)
        return std::nullopt;
    std::optional<int64_t> known = constantOf(pick(condition));
    if (!known)
      return std::nullopt;
    result.push_back(*known ? pick(x) : pick(y));
  }
  return result;
}

static std::optional<Dims> compute(Operation *op, OnnxLowering &state, ArrayRef<Dims> in) {
  using Result = std::optional<Dims>;
  auto binary = [&](OpFoldResult (OnnxLowering::*operation)(OpFoldResult, OpFoldResult)) {
    Dims result = in[0];
    for (const Dims &next : in.drop_front()) {
      Result combined = combine(result, next, [&](OpFoldResult l, OpFoldResult r) { return (state.*operation)(l, r); });
      if (!combined)
        return combined;
      result = *combined;
    }
    return Result(result);
  };
  return TypeSwitch<Operation *, Result>(op)
      .Case<onnx::AddOp, onnx::SumOp>([&](auto) { return binary(&OnnxLowering::add); })
      .Case([&](onnx::SubOp) { return binary(&OnnxLowering::sub); })
      .Case([&](onnx::MulOp) { return binary(&OnnxLowering::mul); })
      .Case([&](onnx::DivOp) { return binary(&OnnxLowering::div); })
      .Case([&](onnx::MinOp) { return binary(&OnnxLowering::min); })
      .Case([&](onnx::MaxOp) { return binary(&OnnxLowering::max); })
      .Case([&](onnx::EqualOp) -> Result {
        Dims result;
        Result same = combine(in[0], in[1], [&](OpFoldResult l, OpFoldResult r) -> OpFoldResult {
          if (l == r)
            return state.index(1);
          // A size is never negative, so it differs from -1 whatever it is.
          std::optional<int64_t> x = constantOf(l), y = constantOf(r);
          return (x && y) || (x && *x < 0) || (y && *y < 0) ? state.index(0) : OpFoldResult();
        });
        return same && llvm::all_of(*same, [](OpFoldResult e) { return bool(e); }) ? same : std::nullopt;
      })
      .Case([&](onnx::WhereOp) { return select(in[0], in[1], in[2]); })
      .Case([&](onnx::NegOp) {
        return combine({state.index(0)}, in[0], [&](auto l, auto r) { return state.sub(l, r); });
      })
      .Case([&](onnx::ConcatOp) -> Result {
        Dims result;
        for (const Dims &part : in)
          llvm::append_range(result, part);
        return result;
      })
      .Case([&](onnx::GatherOp) { return gather(in[0], in[1]); })
      .Case([&](onnx::SliceOp slice) -> Result {
        return ::slice(in[0], in[1], in[2], slice.getSteps() ? in.back() : Dims{state.index(1)});
      })
      .Case([&](onnx::ReduceProdOp) -> Result { return Dims{state.product(in[0])}; })
      .Case<onnx::IdentityOp, onnx::CastOp, onnx::UnsqueezeOp, onnx::SqueezeOp, onnx::ReshapeOp>(
          [&](auto) -> Result { return in[0]; })
      .Default([](Operation *) { return std::nullopt; });
}

bool lowering::lowerOnElements(Operation *op, OnnxLowering &state) {
  if (op->getNumResults() != 1 || isa<onnx::ConstantOp>(op))
    return false;
  Value result = op->getResult(0);
  auto type = cast<RankedTensorType>(result.getType());
  if (type.getRank() > 1 || !(type.getElementType().isInteger(64) || type.getElementType().isInteger(32) ||
                              (isa<onnx::EqualOp>(op) && type.getElementType().isInteger(1))))
    return false;
  if (auto shape = dyn_cast<onnx::ShapeOp>(op)) {
    Dims all = state.dims(shape.getData());
    int64_t rank = all.size();
    auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
    int64_t start = clamp(shape.getStart()), end = clamp(shape.getEnd().value_or(rank));
    state.setElements(result, Dims(ArrayRef(all).slice(start, std::max<int64_t>(end - start, 0))));
    return true;
  }
  SmallVector<Dims> operands;
  for (Value operand : op->getOperands()) {
    std::optional<Dims> known = state.knownElements(operand);
    if (!known || cast<RankedTensorType>(operand.getType()).getRank() > 1)
      return false;
    operands.push_back(*known);
  }
  if (operands.empty())
    return false;
  std::optional<Dims> elements = compute(op, state, operands);
  if (!elements || (type.hasStaticShape() && type.getNumElements() != int64_t(elements->size())))
    return false;
  state.setElements(result, *elements);
  return true;
}
