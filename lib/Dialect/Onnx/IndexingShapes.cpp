//===- IndexingShapes.cpp - Shapes of operators that join, cut and choose ---===//
//
// Concat, Split, Slice, the Gathers, Tile and Range.
//
//===----------------------------------------------------------------------===//
#include "ShapeRules.h"

#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

//===----------------------------------------------------------------------===//
// Concat and Split
//===----------------------------------------------------------------------===//

LogicalResult ConcatOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  if (op.getInputs().empty())
    return shapes.error("requires at least one operand");
  Value first = op.getInputs().front();
  Extents dims = shapes.dims(first);
  FailureOr<int64_t> axis = normalizeAxis(op.getAxis(), dims.size(), shapes);
  if (failed(axis))
    return failure();
  for (Value input : op.getInputs().drop_front()) {
    Extents part = shapes.dims(input);
    if (part.size() != dims.size())
      return shapes.error("requires operands of one rank but got ", dims.size(), " and ", part.size());
    for (auto [i, size] : llvm::enumerate(part)) {
      if (static_cast<int64_t>(i) == *axis) {
        dims[i] = shapes.add(dims[i], size);
        continue;
      }
      if (failed(shapes.requireEqual(dims[i], size, "dimension ", i, " is ", dims[i].value, " in one operand and ",
                                     size.value, " in another")))
        return failure();
      if (!dims[i].isConstant() && size.isKnown() && (size.isConstant() || !dims[i].isKnown()))
        dims[i] = size;
    }
  }
  return shapes.addResult(dims, elementOf(first));
}

/// What is not known of one part does not hide the others.
std::optional<Extents> ConcatOp::inferContents(ShapeMath &shapes) {
  Extents result;
  bool isAnyKnown = false;
  for (Value input : getInputs()) {
    std::optional<Extents> part = shapes.contents(input);
    if (!part && !mayHoldShape(input.getType()))
      return std::nullopt;
    isAnyKnown |= part.has_value();
    result.append(part ? *part : Extents(typeOf(input).getNumElements()));
  }
  return isAnyKnown ? std::optional(result) : std::nullopt;
}

/// The sizes of the parts: those that an operand lists, or equal ones but for the last.
static FailureOr<Extents> partSizes(SplitOp::Adaptor op, int64_t axis, Extent size, ShapeMath &shapes) {
  if (!op.getSplit()) {
    int64_t count = op.getNumOutputs().value_or(0);
    if (count < 1 || count > 4096)
      return shapes.error("expected 1 to 4096 parts but got ", count);
    Extent each = shapes.div(shapes.add(size, Extent::constant(count - 1)), Extent::constant(count)), left = size;
    Extents parts;
    for (int64_t i = 0; i < count; ++i) {
      parts.push_back(shapes.min(each, left));
      left = shapes.sub(left, parts.back());
    }
    return parts;
  }
  FailureOr<Extents> parts = readShape(op.getSplit(), "sizes of the parts", shapes);
  if (failed(parts))
    return failure();
  Extent sum = Extent::constant(0);
  for (Extent part : *parts) {
    if (part.isConstant() && part.value < 0)
      return shapes.error("expected parts of at least 0 elements but got ", part.value);
    sum = shapes.add(sum, part);
  }
  if (failed(shapes.requireEqual(sum, size, "parts of ", sum.value, " elements in all do not make up dimension ", axis,
                                 " of ", size.value)))
    return failure();
  return parts;
}

LogicalResult SplitOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getInput());
  FailureOr<int64_t> axis = normalizeAxis(op.getAxis(), dims.size(), shapes);
  FailureOr<Extents> parts = failed(axis) ? FailureOr<Extents>() : partSizes(op, *axis, dims[*axis], shapes);
  if (failed(parts))
    return failure();
  for (Extent part : *parts) {
    dims[*axis] = part;
    if (failed(shapes.addResult(dims, elementOf(op.getInput()))))
      return failure();
  }
  return success();
}

std::optional<Extents> SplitOp::inferContents(ShapeMath &shapes) { return inferContentsOf(0, shapes); }

/// The parts before `result` tell where it begins.
std::optional<Extents> SplitOp::inferContentsOf(unsigned result, ShapeMath &shapes) {
  std::optional<Extents> data = shapes.contents(getInput());
  size_t begin = 0;
  for (unsigned i = 0; i <= result; ++i) {
    RankedTensorType type = typeOf(getResult(i));
    if (!data || !type.hasStaticShape() || begin + type.getNumElements() > data->size())
      return std::nullopt;
    if (i == result)
      return Extents(data->begin() + begin, data->begin() + begin + type.getNumElements());
    begin += type.getNumElements();
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

/// The axes that a Slice cuts, and its steps along them, where they are constants.
static std::optional<SmallVector<int64_t>> cutAxes(SliceOp::Adaptor op, int64_t count, ShapeMath &shapes) {
  return op.getAxes() ? shapes.constants(op.getAxes()) : llvm::to_vector(llvm::seq<int64_t>(0, count));
}
static std::optional<SmallVector<int64_t>> cutSteps(SliceOp::Adaptor op, int64_t count, ShapeMath &shapes) {
  return op.getSteps() ? shapes.constants(op.getSteps()) : SmallVector<int64_t>(count, 1);
}

FailureOr<SmallVector<SliceRange>> onnx::sliceRanges(SliceOp::Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getData());
  FailureOr<Extents> starts = readShape(op.getStarts(), "starts", shapes),
                     ends = readShape(op.getEnds(), "ends", shapes);
  if (failed(starts) || failed(ends))
    return failure();
  if (ends->size() != starts->size())
    return shapes.error("expected ", starts->size(), " ends but got ", ends->size());
  auto given = cutAxes(op, starts->size(), shapes), steps = cutSteps(op, starts->size(), shapes);
  if (!given || !steps)
    return shapes.error("requires constant axes and steps");
  FailureOr<Axes> axes = normalizeAxes(*given, dims.size(), shapes);
  if (failed(axes))
    return failure();
  SmallVector<SliceRange> ranges;
  for (auto [axis, start, end, step] : llvm::zip_equal(*axes, *starts, *ends, *steps)) {
    if (step == 0 || step == std::numeric_limits<int64_t>::min())
      return shapes.error("expected a step other than 0 but got ", step);
    SliceExtent cut = sliceExtent(start, end, step, dims[axis], shapes);
    ranges.push_back({axis, step, cut.start, cut.length});
  }
  return ranges;
}

LogicalResult SliceOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getData());
  int64_t rank = dims.size();
  FailureOr<int64_t> count = lengthOf(op.getStarts(), "starts", shapes);
  if (failed(count))
    return failure();
  auto listed = [&](Value list) { return list ? typeOf(list).getNumElements() : *count; };
  for (Value list : {op.getAxes(), op.getSteps()})
    if (list && !typeOf(list).hasStaticShape())
      return shapes.addUnknown(rank, elementOf(op.getData()), "axes and steps");
  if (listed(op.getAxes()) != *count || listed(op.getSteps()) != *count || *count > rank)
    return shapes.error("expected as many axes and steps as starts, at most ", rank, ", but got ", listed(op.getAxes()),
                        ", ", listed(op.getSteps()), " and ", *count);
  bool areAxesKnown = cutAxes(op, *count, shapes).has_value();
  if (!areAxesKnown || !cutSteps(op, *count, shapes))
    return shapes.addUnknown(rank, elementOf(op.getData()), areAxesKnown ? "steps" : "axes");
  FailureOr<SmallVector<SliceRange>> ranges = sliceRanges(op, shapes);
  if (failed(ranges))
    return failure();
  for (const SliceRange &range : *ranges)
    dims[range.axis] = range.length;
  return shapes.addResult(dims, elementOf(op.getData()));
}

std::optional<Extents> SliceOp::inferContents(ShapeMath &shapes) {
  std::optional<Extents> data = shapes.contents(getData());
  auto starts = shapes.constants(getStarts()), ends = shapes.constants(getEnds());
  auto steps = getSteps() ? shapes.constants(getSteps()) : SmallVector<int64_t>{1};
  if (!data || !starts || !ends || !steps || starts->size() != 1 || ends->size() != 1 || steps->size() != 1)
    return std::nullopt;
  int64_t step = steps->front();
  if (step == 0 || step == std::numeric_limits<int64_t>::min())
    return std::nullopt;
  StaticShapes constants(std::nullopt);
  SliceExtent cut = sliceExtent(Extent::constant(starts->front()), Extent::constant(ends->front()), step,
                                Extent::constant(data->size()), constants);
  Extents result;
  for (int64_t i = 0; i < cut.length.value; ++i)
    result.push_back((*data)[cut.start.value + i * step]);
  return result;
}

//===----------------------------------------------------------------------===//
// Gather and Scatter
//===----------------------------------------------------------------------===//

LogicalResult GatherOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents data = shapes.dims(op.getData()), indices = shapes.dims(op.getIndices());
  FailureOr<int64_t> axis = normalizeAxis(op.getAxis(), data.size(), shapes);
  if (failed(axis))
    return failure();
  Extent size = data[*axis];
  if (std::optional<Extents> known = shapes.contents(op.getIndices()); known && size.isConstant())
    for (const Extent &index : *known)
      if (index.isConstant() && (index.value < -size.value || index.value >= size.value))
        return shapes.error("expected indices in [", -size.value, ", ", size.value - 1, "] but got ", index.value);
  Extents dims(data.begin(), data.begin() + *axis);
  dims.append(indices);
  dims.append(data.begin() + *axis + 1, data.end());
  return shapes.addResult(dims, elementOf(op.getData()));
}

std::optional<Extents> GatherOp::inferContents(ShapeMath &shapes) {
  std::optional<Extents> data = shapes.contents(getData());
  std::optional<SmallVector<int64_t>> indices = shapes.constants(getIndices());
  if (!data || !indices)
    return std::nullopt;
  Extents result;
  auto size = static_cast<int64_t>(data->size());
  for (int64_t index : *indices) {
    if (index < -size || index >= size)
      return std::nullopt;
    result.push_back((*data)[frontAxis(index, size)]);
  }
  return result;
}

LogicalResult GatherElementsOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  int64_t rank = rankOf(op.getData());
  if (failed(normalizeAxis(op.getAxis(), rank, shapes)))
    return failure();
  if (rankOf(op.getIndices()) != rank)
    return shapes.error("requires indices of rank ", rank, " but got ", rankOf(op.getIndices()));
  return shapes.addResult(shapes.dims(op.getIndices()), elementOf(op.getData()));
}

LogicalResult GatherNDOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents data = shapes.dims(op.getData()), indices = shapes.dims(op.getIndices());
  int64_t batch = op.getBatchDims();
  if (indices.empty() || !indices.back().isConstant())
    return shapes.error("requires indices with a known last dimension but got ", typeOf(op.getIndices()));
  int64_t tuple = indices.back().value;
  if (batch < 0 || batch >= static_cast<int64_t>(indices.size()) || tuple < 1 ||
      batch + tuple > static_cast<int64_t>(data.size()))
    return shapes.error("cannot index rank ", data.size(), " by tuples of ", tuple, " after ", batch,
                        " batch dimensions");
  Extents dims(indices.begin(), indices.end() - 1);
  dims.append(data.begin() + batch + tuple, data.end());
  return shapes.addResult(dims, elementOf(op.getData()));
}

//===----------------------------------------------------------------------===//
// Tile and Range
//===----------------------------------------------------------------------===//

LogicalResult TileOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  Extents dims = shapes.dims(op.getInput());
  std::optional<Extents> repeats = shapes.readContents(op.getRepeats());
  if (!repeats)
    return shapes.addUnknown(dims.size(), elementOf(op.getInput()), "repeats");
  if (repeats->size() != dims.size())
    return shapes.error("expected ", dims.size(), " repeats but got ", repeats->size());
  for (auto [size, repeat] : llvm::zip(dims, *repeats)) {
    if (repeat.isConstant() && repeat.value < 0)
      return shapes.error("expected repeats of at least 0 but got ", repeat.value);
    size = shapes.mul(size, shapes.max(repeat, Extent::constant(0)));
  }
  return shapes.addResult(dims, elementOf(op.getInput()));
}

/// The number of steps where they are floats: a constant, or for the run time to tell.
static Extent countFloatSteps(RangeOp::Adaptor op) {
  auto start = getConstantScalar(op.getStart()), limit = getConstantScalar(op.getLimit()),
       delta = getConstantScalar(op.getDelta());
  if (!start || !limit || !delta || !std::isfinite((*limit - *start) / *delta))
    return {};
  return Extent::constant(static_cast<int64_t>(std::clamp(std::ceil((*limit - *start) / *delta), 0.0, 9e15)));
}

/// max(ceil((limit - start) / delta), 0); the sign of delta must be known.
static Extent countSteps(RangeOp::Adaptor op, ShapeMath &shapes) {
  auto start = shapes.readContents(op.getStart()), limit = shapes.readContents(op.getLimit());
  auto delta = shapes.constants(op.getDelta());
  bool areSingle = start && limit && delta && start->size() == 1 && limit->size() == 1 && delta->size() == 1;
  if (!areSingle || delta->front() == std::numeric_limits<int64_t>::min())
    return {};
  bool isUpward = delta->front() > 0;
  Extent span = isUpward ? shapes.sub(limit->front(), start->front()) : shapes.sub(start->front(), limit->front());
  int64_t stride = std::abs(delta->front());
  Extent rounded = shapes.add(span, Extent::constant(stride - 1));
  return shapes.max(shapes.div(rounded, Extent::constant(stride)), Extent::constant(0));
}

LogicalResult RangeOp::inferShapes(Adaptor op, ShapeMath &shapes) {
  if (std::optional<double> delta = getConstantScalar(op.getDelta()); delta && *delta == 0)
    return shapes.error("requires a delta other than 0");
  bool isFloat = isa<FloatType>(elementOf(op.getStart()));
  return shapes.addResult({isFloat ? countFloatSteps(op) : countSteps(op, shapes)}, elementOf(op.getStart()));
}

std::optional<Extents> RangeOp::inferContents(ShapeMath &shapes) {
  auto start = shapes.constants(getStart()), delta = shapes.constants(getDelta());
  if (!start || !delta || start->size() != 1 || delta->size() != 1 || !mayHoldShape(getOutput().getType()))
    return std::nullopt;
  Extents result;
  for (int64_t i = 0, n = typeOf(getOutput()).getNumElements(); i < n; ++i)
    result.push_back(Extent::constant(static_cast<int64_t>(
        static_cast<uint64_t>(start->front()) + static_cast<uint64_t>(i) * static_cast<uint64_t>(delta->front()))));
  return result;
}
