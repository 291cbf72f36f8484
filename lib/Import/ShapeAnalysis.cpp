#include "ShapeAnalysis.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Support/CheckedMath.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

/// Longer tensors are data, not shapes.
static constexpr int64_t kMaxContents = 64;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static bool mayHoldShape(Value value) {
  RankedTensorType type = typeOf(value);
  return type.getElementType().isInteger() && type.getRank() <= 1 && type.hasStaticShape() &&
         type.getNumElements() <= kMaxContents;
}

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

void ShapeAnalysis::addInput(Value input, ArrayAttr dimNames) {
  Extents extents;
  for (auto [size, name] : llvm::zip(typeOf(input).getShape(), dimNames.getAsValueRange<StringAttr>())) {
    if (!ShapedType::isDynamic(size)) {
      extents.push_back(Extent::constant(size));
    } else if (name.empty()) {
      extents.push_back(newSymbol());
    } else {
      auto [entry, isNew] = named.try_emplace(name);
      if (isNew)
        entry->second = newSymbol();
      extents.push_back(entry->second);
    }
  }
  dims[input] = extents;
}

Extents ShapeAnalysis::dimsOf(Value value) {
  Extents result;
  auto found = dims.find(value);
  for (auto [i, size] : llvm::enumerate(typeOf(value).getShape())) {
    if (!ShapedType::isDynamic(size))
      result.push_back(Extent::constant(size));
    else
      result.push_back(found == dims.end() ? Extent() : found->second[i]);
  }
  return result;
}

const Extents *ShapeAnalysis::contentsOf(Value value) const {
  auto found = value ? contents.find(value) : contents.end();
  return found == contents.end() ? nullptr : &found->second;
}

std::optional<SmallVector<int64_t>> ShapeAnalysis::constantContents(Value value) const {
  const Extents *extents = contentsOf(value);
  if (!extents || !llvm::all_of(*extents, [](const Extent &extent) { return extent.isConstant(); }))
    return std::nullopt;
  return llvm::map_to_vector(*extents, [](const Extent &extent) { return extent.value; });
}

Extent ShapeAnalysis::combine(char operation, Extent a, Extent b) {
  if (operation != '/' && (a.kind > b.kind || (a.kind == b.kind && a.value > b.value)))
    std::swap(a, b); // both others are commutative; a constant comes first
  if (a.isConstant() && b.isConstant()) {
    if (operation == '/')
      return b.value > 0 && a.value >= 0 ? Extent::constant(a.value / b.value) : Extent();
    auto result = operation == '+' ? checkedAdd(a.value, b.value) : checkedMul(a.value, b.value);
    return result ? Extent::constant(*result) : Extent();
  }
  if ((operation == '+' && a.isConstant(0)) || (operation == '*' && a.isConstant(1)))
    return b;
  if (operation == '/' && b.isConstant(1))
    return a;
  // A symbol is never negative, so neither must the result be.
  bool negative = (a.isConstant() && a.value < 0) || (b.isConstant() && b.value <= 0 && operation == '/') ||
                  (b.isConstant() && b.value < 0);
  if (!a.isKnown() || !b.isKnown() || negative)
    return {};
  auto [entry, isNew] = combined.try_emplace({operation, a.kind, a.value, b.kind, b.value});
  if (isNew)
    entry->second = newSymbol();
  return entry->second;
}

//===----------------------------------------------------------------------===//
// Dimensions
//===----------------------------------------------------------------------===//

/// The result of broadcasting dimensions: the one that all are that are not 1.
Extent ShapeAnalysis::broadcast(ArrayRef<Extent> extents) {
  Extent result = Extent::constant(1);
  for (const Extent &extent : extents) {
    if (extent.isConstant() && extent.value != 1)
      return extent;
    if (extent.isConstant(1) || extent.isSameAs(result))
      continue;
    result = result.isConstant(1) ? extent : Extent();
    if (!result.isKnown())
      return result;
  }
  return result;
}

/// Broadcast dimensions of `operands` without the last `drop` of each.
Extents ShapeAnalysis::broadcastDims(ValueRange operands, size_t drop) {
  SmallVector<Extents> shapes;
  size_t rank = 0;
  for (Value operand : operands) {
    shapes.push_back(dimsOf(operand));
    shapes.back().resize(shapes.back().size() - std::min(drop, shapes.back().size()));
    rank = std::max(rank, shapes.back().size());
  }
  Extents result;
  for (size_t i = 0; i < rank; ++i) {
    Extents column;
    for (const Extents &shape : shapes)
      if (i + shape.size() >= rank)
        column.push_back(shape[i + shape.size() - rank]);
    result.push_back(broadcast(column));
  }
  return result;
}

/// The dimensions that the shape operand of a Reshape asks for; one -1 is solved by
/// striking out what the old and the new shape share.
std::optional<Extents> ShapeAnalysis::reshapedDims(Operation *op) {
  auto reshape = cast<ReshapeOp>(op);
  const Extents *shape = contentsOf(reshape.getShape());
  if (!shape)
    return std::nullopt;
  Extents from = dimsOf(reshape.getData()), result = *shape;
  std::optional<size_t> inferred;
  for (auto [i, extent] : llvm::enumerate(result)) {
    if (extent.isConstant(-1))
      inferred = i;
    else if (extent.isConstant(0) && !reshape.getAllowzero())
      extent = i < from.size() ? from[i] : Extent();
  }
  if (!inferred)
    return result;
  // Unknown extents on either side leave the -1 unknown.
  int64_t numerator = 1, denominator = 1;
  Extents open;
  bool solvable = true;
  for (const Extent &extent : from) {
    if (extent.isConstant())
      solvable &= !__builtin_mul_overflow(numerator, extent.value, &numerator);
    else
      open.push_back(extent);
  }
  for (auto [i, extent] : llvm::enumerate(result)) {
    if (i == *inferred)
      continue;
    if (extent.isConstant()) {
      solvable &= !__builtin_mul_overflow(denominator, extent.value, &denominator);
      continue;
    }
    auto *same = llvm::find_if(open, [&](const Extent &other) { return other.isSameAs(extent); });
    if (same == open.end())
      solvable = false;
    else
      open.erase(same);
  }
  result[*inferred] = Extent();
  if (solvable && denominator > 0 && numerator % denominator == 0) {
    if (open.empty())
      result[*inferred] = Extent::constant(numerator / denominator);
    else if (open.size() == 1)
      result[*inferred] = combine('*', Extent::constant(numerator / denominator), open[0]);
  }
  return result;
}

std::optional<Extents> ShapeAnalysis::inferDims(Operation *op) {
  Value first = op->getNumOperands() ? op->getOperand(0) : Value();
  return TypeSwitch<Operation *, std::optional<Extents>>(op)
      .Case<AddOp, SubOp, MulOp, DivOp, PowOp, AndOp, OrOp, XorOp, EqualOp, LessOp, LessOrEqualOp, GreaterOp,
            GreaterOrEqualOp, ModOp, MaxOp, MinOp, SumOp, WhereOp>(
          [&](Operation *op) { return broadcastDims(op->getOperands()); })
      .Case<AbsOp, CeilOp, CosOp, ErfOp, ExpOp, FloorOp, IdentityOp, IsInfOp, IsNaNOp, LogOp, NegOp, NotOp,
            ReciprocalOp, ReluOp, RoundOp, SigmoidOp, SignOp, SinOp, SoftplusOp, SqrtOp, TanhOp, SwishOp, GeluOp,
            CastOp, ClipOp, TriluOp, CumSumOp, SoftmaxOp, RMSNormalizationOp, RotaryEmbeddingOp, ScatterNDOp>(
          [&](Operation *) { return dimsOf(first); })
      .Case<ReshapeOp>([&](Operation *op) { return reshapedDims(op); })
      .Case<ConstantOfShapeOp>([&](Operation *) -> std::optional<Extents> {
        const Extents *shape = contentsOf(first);
        return shape ? std::optional(*shape) : std::nullopt;
      })
      .Case<ExpandOp>([&](ExpandOp expand) -> std::optional<Extents> {
        const Extents *shape = contentsOf(expand.getShape());
        if (!shape)
          return std::nullopt;
        Extents from = dimsOf(first), result;
        size_t rank = std::max(from.size(), shape->size());
        for (size_t i = 0; i < rank; ++i) {
          Extents column;
          if (i + from.size() >= rank)
            column.push_back(from[i + from.size() - rank]);
          if (i + shape->size() >= rank)
            column.push_back((*shape)[i + shape->size() - rank]);
          result.push_back(broadcast(column));
        }
        return result;
      })
      .Case<TransposeOp>([&](TransposeOp transpose) {
        Extents from = dimsOf(first), result;
        for (int64_t axis : transpose.getPerm())
          result.push_back(from[axis < 0 ? axis + from.size() : axis]);
        return result;
      })
      .Case<UnsqueezeOp, SqueezeOp>([&](Operation *op) -> std::optional<Extents> {
        auto axes = op->getNumOperands() > 1 ? getConstantInts(op->getOperand(1)) : std::nullopt;
        bool isSqueeze = isa<SqueezeOp>(op);
        Extents from = dimsOf(first), result;
        if (!axes && !(isSqueeze && op->getNumOperands() == 1))
          return std::nullopt;
        auto rank = static_cast<int64_t>(isSqueeze ? from.size() : from.size() + axes->size());
        size_t next = 0;
        for (int64_t i = 0; i < rank; ++i) {
          bool listed =
              axes ? llvm::is_contained(*axes, i) || llvm::is_contained(*axes, i - rank) : from[i].isConstant(1);
          if (isSqueeze && !listed)
            result.push_back(from[i]);
          else if (!isSqueeze)
            result.push_back(listed ? Extent::constant(1) : from[next++]);
        }
        return result;
      })
      .Case<MatMulOp>([&](MatMulOp product) -> std::optional<Extents> {
        Extents a = dimsOf(product.getA()), b = dimsOf(product.getB());
        Extents result = broadcastDims(op->getOperands(), 2);
        if (a.size() > 1)
          result.push_back(a[a.size() - 2]);
        if (b.size() > 1)
          result.push_back(b.back());
        return result;
      })
      .Case<GemmOp>([&](GemmOp product) {
        Extents a = dimsOf(product.getA()), b = dimsOf(product.getB());
        return Extents{a[product.getTransA() ? 1 : 0], b[product.getTransB() ? 0 : 1]};
      })
      .Case<GatherOp>([&](GatherOp gather) {
        Extents data = dimsOf(gather.getData()), indices = dimsOf(gather.getIndices());
        int64_t axis = gather.getAxis() < 0 ? gather.getAxis() + data.size() : gather.getAxis();
        Extents result(data.begin(), data.begin() + axis);
        result.append(indices);
        result.append(data.begin() + axis + 1, data.end());
        return result;
      })
      .Case<ConcatOp, SplitOp, SliceOp>([&](Operation *op) {
        // Dimensions that the operation leaves alone have equal types; where one that
        // it cuts or joins is not constant, it gets a new symbol.
        Extents result = dimsOf(first);
        SmallVector<int64_t> axes;
        if (auto slice = dyn_cast<SliceOp>(op)) {
          for (int64_t i = 0; i < typeOf(slice.getStarts()).getDimSize(0); ++i)
            axes.push_back(i);
          if (slice.getAxes())
            axes = getConstantInts(slice.getAxes()).value_or(SmallVector<int64_t>());
        } else {
          axes.push_back(cast<IntegerAttr>(op->getAttr("axis")).getInt());
        }
        for (int64_t axis : axes)
          result[axis < 0 ? axis + result.size() : axis] = Extent();
        return result;
      })
      .Case<ReduceMaxOp, ReduceMeanOp, ReduceMinOp, ReduceProdOp, ReduceSumOp>(
          [&](Operation *op) -> std::optional<Extents> {
            Extents from = dimsOf(first);
            if (typeOf(op->getResult(0)).getRank() != static_cast<int64_t>(from.size()))
              return std::nullopt;
            return from; // those reduced are 1 in the type
          })
      .Case<RangeOp>([&](RangeOp range) -> std::optional<Extents> {
        const Extents *start = contentsOf(range.getStart()), *limit = contentsOf(range.getLimit()),
                      *delta = contentsOf(range.getDelta());
        if (!start || !limit || !delta || !(*start)[0].isConstant(0) || !(*delta)[0].isConstant(1))
          return std::nullopt;
        return *limit;
      })
      .Case<FlattenOp>([&](FlattenOp flatten) {
        Extents from = dimsOf(first), result(2, Extent::constant(1));
        auto rank = static_cast<int64_t>(from.size());
        int64_t axis = flatten.getAxis() < 0 ? flatten.getAxis() + rank : flatten.getAxis();
        for (int64_t i = 0; i < rank; ++i)
          result[i >= axis] = combine('*', result[i >= axis], from[i]);
        return result;
      })
      .Case<AttentionOp>([&](AttentionOp attention) {
        Extents result = dimsOf(attention.getQ());
        result.back() = Extent();
        return result;
      })
      .Default([](Operation *) { return std::nullopt; });
}

//===----------------------------------------------------------------------===//
// Contents
//===----------------------------------------------------------------------===//

/// Whether two extents are equal; nothing where that is not known.
static std::optional<bool> areEqual(const Extent &a, const Extent &b) {
  if (a.isSameAs(b))
    return true;
  if (a.isConstant() && b.isConstant())
    return false;
  bool negative = (a.isConstant() && a.value < 0) || (b.isConstant() && b.value < 0);
  return negative && a.isKnown() && b.isKnown() ? std::optional(false) : std::nullopt;
}

/// Applies `function` to the elements of two or three operands, each of which may be a scalar.
template <typename Function>
static std::optional<Extents> mapContents(ArrayRef<const Extents *> operands, size_t size, Function function) {
  for (const Extents *operand : operands)
    if (!operand || (operand->size() != 1 && operand->size() != size))
      return std::nullopt;
  Extents result;
  for (size_t i = 0; i < size; ++i) {
    Extents row;
    for (const Extents *operand : operands)
      row.push_back((*operand)[operand->size() == 1 ? 0 : i]);
    result.push_back(function(row));
  }
  return result;
}

std::optional<Extents> ShapeAnalysis::inferContents(Operation *op) {
  auto size = static_cast<size_t>(typeOf(op->getResult(0)).getNumElements());
  auto operand = [&](unsigned i) { return contentsOf(op->getOperand(i)); };
  auto arithmetic = [&](char operation) {
    return mapContents({operand(0), operand(1)}, size,
                       [&](const Extents &row) { return combine(operation, row[0], row[1]); });
  };
  return TypeSwitch<Operation *, std::optional<Extents>>(op)
      .Case<ConstantOp>([&](ConstantOp constant) -> std::optional<Extents> {
        auto ints = getConstantInts(constant.getOutput());
        if (!ints)
          return std::nullopt;
        Extents result;
        for (int64_t value : *ints)
          result.push_back(Extent::constant(value));
        return result;
      })
      .Case<ShapeOp>([&](ShapeOp shape) {
        Extents all = dimsOf(shape.getData());
        auto rank = static_cast<int64_t>(all.size());
        int64_t start = std::clamp<int64_t>(shape.getStart() < 0 ? shape.getStart() + rank : shape.getStart(), 0, rank);
        return Extents(all.begin() + start, all.begin() + start + size);
      })
      .Case<CastOp, UnsqueezeOp, SqueezeOp, ReshapeOp>([&](Operation *op) -> std::optional<Extents> {
        const Extents *from = operand(0);
        auto fits = [](const Extent &extent) { return !extent.isConstant() || llvm::isInt<32>(extent.value); };
        bool changes = isa<CastOp>(op) && !typeOf(op->getResult(0)).getElementType().isInteger(64);
        if (!from || from->size() != size || (changes && !llvm::all_of(*from, fits)))
          return std::nullopt;
        if (changes && !typeOf(op->getResult(0)).getElementType().isInteger(32))
          return std::nullopt;
        return *from;
      })
      .Case<ExpandOp>(
          [&](ExpandOp) { return mapContents(operand(0), size, [](const Extents &row) { return row[0]; }); })
      .Case<ConcatOp>([&](ConcatOp concat) -> std::optional<Extents> {
        Extents result;
        for (Value input : concat.getInputs()) {
          const Extents *part = contentsOf(input);
          if (!part)
            return std::nullopt;
          result.append(*part);
        }
        return result;
      })
      .Case<GatherOp>([&](GatherOp gather) -> std::optional<Extents> {
        const Extents *data = operand(0);
        auto indices = constantContents(gather.getIndices());
        if (!data || !indices)
          return std::nullopt;
        Extents result;
        for (int64_t index : *indices) {
          index = index < 0 ? index + static_cast<int64_t>(data->size()) : index;
          if (index < 0 || index >= static_cast<int64_t>(data->size()))
            return std::nullopt;
          result.push_back((*data)[index]);
        }
        return result;
      })
      .Case<SliceOp>([&](SliceOp slice) -> std::optional<Extents> {
        const Extents *data = operand(0);
        auto starts = constantContents(slice.getStarts());
        auto steps = slice.getSteps() ? constantContents(slice.getSteps()) : SmallVector<int64_t>{1};
        if (!data || !starts || !steps || starts->size() != 1 || steps->size() != 1)
          return std::nullopt;
        auto length = static_cast<int64_t>(data->size());
        int64_t step = (*steps)[0], start = (*starts)[0];
        start = std::clamp<int64_t>(start < 0 ? start + length : start, 0, step > 0 ? length : length - 1);
        Extents result;
        for (size_t i = 0; i < size; ++i, start += step) {
          if (start < 0 || start >= length)
            return std::nullopt;
          result.push_back((*data)[start]);
        }
        return result;
      })
      .Case<ConstantOfShapeOp>([&](ConstantOfShapeOp op) -> std::optional<Extents> {
        auto values = op.getValue().tryGetValues<APInt>();
        if (!values || !typeOf(op.getOutput()).getElementType().isSignlessInteger(64))
          return std::nullopt;
        return Extents(size, Extent::constant((*values->begin()).getSExtValue()));
      })
      .Case<AddOp>([&](Operation *) { return arithmetic('+'); })
      .Case<MulOp>([&](Operation *) { return arithmetic('*'); })
      .Case<DivOp>([&](Operation *) { return arithmetic('/'); })
      .Case<SubOp>([&](Operation *) {
        return mapContents({operand(0), operand(1)}, size, [&](const Extents &row) {
          auto negated = row[1].isConstant() ? checkedMul(row[1].value, -1) : std::nullopt;
          return negated ? combine('+', row[0], Extent::constant(*negated)) : Extent();
        });
      })
      .Case<EqualOp>([&](Operation *) {
        return mapContents({operand(0), operand(1)}, size, [&](const Extents &row) {
          auto equal = areEqual(row[0], row[1]);
          return equal ? Extent::constant(*equal) : Extent();
        });
      })
      .Case<WhereOp>([&](Operation *) {
        return mapContents({operand(0), operand(1), operand(2)}, size, [&](const Extents &row) {
          if (row[0].isConstant())
            return row[0].value ? row[1] : row[2];
          return row[1].isSameAs(row[2]) ? row[1] : Extent();
        });
      })
      .Default([](Operation *) { return std::nullopt; });
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

void ShapeAnalysis::addOperation(Operation *op) {
  std::optional<Extents> known = inferDims(op);
  for (OpResult result : op->getResults()) {
    RankedTensorType type = typeOf(result);
    Extents extents = dimsOf(result);
    SmallVector<int64_t> shape(type.getShape());
    bool usable = known && known->size() == shape.size() && (result.getResultNumber() == 0 || isa<SplitOp>(op));
    for (size_t i = 0; i < shape.size(); ++i) {
      if (extents[i].isConstant())
        continue;
      if (usable)
        extents[i] = (*known)[i];
      if (extents[i].isConstant() && extents[i].value >= 0)
        shape[i] = extents[i].value;
      else if (extents[i].kind != Extent::Symbol)
        extents[i] = newSymbol();
    }
    if (shape != type.getShape())
      result.setType(type.clone(shape));
    dims[result] = extents;
  }
  if (op->getNumResults() == 1 && mayHoldShape(op->getResult(0)))
    if (std::optional<Extents> values = inferContents(op))
      contents[op->getResult(0)] = *values;
}
