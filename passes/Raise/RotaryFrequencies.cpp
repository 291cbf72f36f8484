//===- RotaryFrequencies.cpp - Angles that grow evenly with the position --===//
//
// A frequency shows at ever later positions ever more exactly. At powers of two its product
// with the position is not rounded, so that the f32 that the exporter had is found.
//
//===----------------------------------------------------------------------===//
#include "RotaryFrequencies.h"
#include "Raising.h"
#include "mlir/IR/AsmState.h"
#include "qopt/Dialect/Types.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace qopt;
using namespace qopt::raise;
using reference::Tensor;

/// Positions that frequencies are found from, at least.
static constexpr int64_t kFewest = 512;
/// Of entries near 1, in f32.
static constexpr double kExact = 2e-6;

/// Whether between integers, which count positions, and `table` are nothing but products, angles and
/// movements, as of numbers that are the same for every call.
static bool isComputedEvenly(Value table) {
  llvm::DenseSet<Value> seen;
  SmallVector<Value> open{table};
  bool hasPositions = false;
  while (!open.empty()) {
    Value value = open.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    if (!isa<FloatType>(typeOf(value).getElementType())) {
      hasPositions |= !isa_and_present<onnx::ConstantOp>(value.getDefiningOp());
      continue;
    }
    Operation *op = value.getDefiningOp();
    if (isa_and_present<onnx::ConstantOp>(op))
      continue;
    if (!op || !(op->hasTrait<onnx::Rearranges>() ||
                 isa<onnx::CosOp, onnx::SinOp, onnx::MulOp, onnx::NegOp, onnx::MatMulOp, onnx::CastOp, onnx::IdentityOp,
                     onnx::ExpandOp, onnx::ConcatOp, onnx::RangeOp>(op)))
      return false;
    open.append(op->operand_begin(), op->operand_end());
  }
  return hasPositions;
}

std::optional<RotaryFrequencies> raise::findFrequencies(const RotaryTables &tables) {
  int64_t rows = tables.cos.type.getDimSize(0), pairs = tables.cos.type.getDimSize(1);
  if (rows < kFewest || !tables.cos.type.getElementType().isF32() || !isComputedEvenly(tables.cosSource) ||
      !isComputedEvenly(tables.sinSource))
    return std::nullopt;
  auto at = [&](const Tensor &table, int64_t position, int64_t pair) { return table.floats[position * pairs + pair]; };
  RotaryFrequencies result{{}, at(tables.cos, 0, 0)};
  if (!(result.scale > 0))
    return std::nullopt;
  for (int64_t i = 0; i < pairs; ++i) {
    double frequency = 0;
    for (int64_t position = 1; position < rows; position *= 2) {
      double angle = std::atan2(at(tables.sin, position, i), at(tables.cos, position, i));
      double turns = std::round((frequency * position - angle) / (2 * std::numbers::pi));
      frequency = (angle + 2 * std::numbers::pi * turns) / position;
    }
    result.values.push_back(static_cast<float>(frequency));
  }
  for (int64_t position = 0; position < rows; ++position)
    for (int64_t i = 0; i < pairs; ++i) {
      double angle = static_cast<float>(position) * result.values[i], most = kExact * std::max(result.scale, 1.0);
      if (!(std::abs(result.scale * std::cos(angle) - at(tables.cos, position, i)) <= most) ||
          !(std::abs(result.scale * std::sin(angle) - at(tables.sin, position, i)) <= most))
        return std::nullopt;
    }
  return result;
}

//===----------------------------------------------------------------------===//
// In the graph
//===----------------------------------------------------------------------===//

Value TableValues::create(const Tensor &table, StringRef name, Block &block) {
  for (auto &[known, value] : tables)
    if (known.type == table.type && known.floats == table.floats)
      return value;
  OpBuilder builder = OpBuilder::atBlockBegin(&block);
  ElementsAttr value = reference::toAttribute(table);
  if (auto raw = cast<DenseElementsAttr>(value); !raw.isSplat())
    value = DenseResourceElementsAttr::get(
        table.type, name, HeapAsmResourceBlob::allocateAndCopyWithAlign(raw.getRawData(), 64, /*dataIsMutable=*/false));
  tables.push_back({table, onnx::ConstantOp::create(builder, block.getParentOp()->getLoc(), value)});
  return tables.back().second;
}

TableValues::Pair TableValues::stored(const RotaryTables &read) {
  Block &block = Value(read.cosSource).getParentRegion()->front();
  return {create(read.cos, "rotary.cos", block), create(read.sin, "rotary.sin", block)};
}

static TableValues::Pair compute(Value positions, const RotaryFrequencies &frequencies) {
  OpBuilder b(positions.getContext());
  b.setInsertionPointAfterValue(positions);
  Location loc = positions.getLoc();
  Type f32 = b.getF32Type();
  auto floats = [&](ArrayRef<int64_t> shape, ArrayRef<float> values) -> Value {
    return onnx::ConstantOp::create(b, loc, DenseElementsAttr::get(RankedTensorType::get(shape, f32), values));
  };
  int64_t pairs = frequencies.values.size();
  SmallVector<int64_t> shape(typeOf(positions).getShape());
  shape.push_back(1);
  Value column = onnx::UnsqueezeOp::create(b, loc, typeOf(positions).clone(shape), positions, createInts(b, loc, {2}));
  column = onnx::CastOp::create(b, loc, RankedTensorType::get(shape, f32), column, TypeAttr::get(f32));
  shape.back() = pairs;
  auto type = RankedTensorType::get(shape, f32);
  Value angles = onnx::MulOp::create(b, loc, type, column, floats({1, 1, pairs}, frequencies.values));
  auto scaled = [&](Value value) { return scaledBy(b, loc, value, APFloat(frequencies.scale)); };
  return {scaled(onnx::CosOp::create(b, loc, type, angles)), scaled(onnx::SinOp::create(b, loc, type, angles))};
}

TableValues::Pair TableValues::computed(Value positions, const RotaryFrequencies &frequencies) {
  for (auto &[at, known, values] : angles)
    if (at == positions && known.values == frequencies.values && known.scale == frequencies.scale)
      return values;
  angles.emplace_back(positions, frequencies, compute(positions, frequencies));
  return std::get<2>(angles.back());
}
