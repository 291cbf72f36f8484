//===- Report.cpp - What became of one linear layer -----------------------===//
//
// Before quantization a layer is a MatMul of a constant, after it a product of codes; a
// row can be made of either.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Report.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;

/// Bits of the arrays in `values` (null ones count nothing).
static double storedBits(ArrayRef<Value> values) {
  double bits = 0;
  for (Value value : values)
    if (value) {
      auto type = cast<RankedTensorType>(value.getType());
      bits += double(type.getNumElements()) * type.getElementTypeBitWidth();
    }
  return bits;
}

/// Zero points, unless a module keeps them in the sign of the scale (packInt4).
static Value storedZeros(Value zeros) {
  std::optional<ConstantView> view = matchConstant(zeros);
  bool areSigns =
      view && view->isComplete() && llvm::all_of(view->bytes, [](char zero) { return zero == 7 || zero == 8; });
  return areSigns ? Value() : zeros;
}

/// The columns that were kept in float; null where there are none.
static Value keptWeights(onnx::MatMulOp matmul) {
  ReplaceColumnsOp kept = getKeptColumns(matmul);
  return kept ? kept.getValues() : Value();
}

/// The weight arrays that `op` reads; empty when it is no linear.
static SmallVector<Value> weightArrays(Operation *op) {
  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
      .Case([](MatmulW8A8Op matmul) {
        return SmallVector<Value>{matmul.getW(), matmul.getWScale(), matmul.getOutlierWeights()};
      })
      .Case([](MatmulW8A16Op matmul) { return SmallVector<Value>{matmul.getW(), matmul.getWScale()}; })
      .Case([](MatmulW4A16Op matmul) {
        return SmallVector<Value>{matmul.getW(), matmul.getScale(), storedZeros(matmul.getZeros())};
      })
      .Case([](onnx::MatMulOp matmul) -> SmallVector<Value> {
        if (DequantizeOp weights = getQuantizedWeights(matmul))
          return {weights.getCodes(), weights.getScale(), storedZeros(weights.getZeros()), keptWeights(matmul)};
        if (Linear::match(matmul)) {
          auto cast = matmul.getB().getDefiningOp<onnx::CastOp>();
          return {cast ? cast.getInput() : matmul.getB()};
        }
        return {};
      })
      .Default([](Operation *) { return SmallVector<Value>(); });
}

/// The scale of activations that have one for all; nothing for other inputs.
static std::optional<double> staticInputScale(Operation *op) {
  Value scale;
  if (auto product = dyn_cast<MatmulW8A8Op>(op))
    scale = product.getXScale();
  else if (auto folded = op->getOperand(0).getDefiningOp<DequantizeOp>())
    scale = folded.getScale();
  std::optional<ConstantView> view = matchConstant(scale);
  if (!view || view->numElements() != 1 || !view->type.getElementType().isF32())
    return std::nullopt;
  std::optional<std::vector<float>> values = view->readAs<float>();
  return values ? std::optional<double>(values->front()) : std::nullopt;
}

/// How many columns llm-int8 kept by calibration; nothing for other schemes.
static std::optional<int64_t> countOutlierColumns(Operation *op, SchemeAttr scheme) {
  if (!scheme || scheme.getKind() != SchemeKind::LlmInt8 || scheme.getOutliers() != OutlierColumns::Static)
    return std::nullopt;
  Value kept;
  if (auto product = dyn_cast<MatmulW8A8Op>(op))
    kept = product.getOutlierWeights();
  else if (auto matmul = dyn_cast<onnx::MatMulOp>(op))
    kept = keptWeights(matmul);
  return kept ? cast<RankedTensorType>(kept.getType()).getDimSize(1) : 0;
}

std::optional<LayerReport> qopt::describeLayer(Operation *op) {
  auto name = getAttr<attrs::Layer>(op);
  SmallVector<Value> arrays = name ? weightArrays(op) : SmallVector<Value>();
  if (arrays.empty())
    return std::nullopt;
  LayerReport layer;
  layer.name = name.str();
  if (auto location = dyn_cast<NameLoc>(op->getLoc()))
    layer.node = location.getName().str();
  auto scheme = getAttr<attrs::Scheme>(op);
  layer.scheme = stringifySchemeKind(scheme ? scheme.getKind() : SchemeKind::Float).str();
  if (auto matmul = dyn_cast<onnx::MatMulOp>(op)) {
    auto weights = cast<RankedTensorType>(matmul.getB().getType());
    layer.inFeatures = weights.getDimSize(0);
    layer.outFeatures = weights.getDimSize(1);
  } else {
    layer.inFeatures = cast<RankedTensorType>(op->getOperand(0).getType()).getShape().back();
    layer.outFeatures = cast<RankedTensorType>(arrays.front().getType()).getDimSize(0);
  }
  layer.inputScale = staticInputScale(op);
  layer.outlierColumns = countOutlierColumns(op, scheme);
  layer.bitsPerWeight = storedBits(arrays) / (double(layer.inFeatures) * layer.outFeatures);
  return layer;
}

/// Adds what only the quantizer of a layer knows to what the graph shows.
static void addMeasured(LayerReport &layer, const LayerReport &measured) {
  layer.sqnrDb = measured.sqnrDb;
  layer.loss = measured.loss;
  layer.damping = measured.damping;
  layer.tokens = measured.tokens;
  layer.deadColumns = measured.deadColumns;
  layer.fallback = measured.fallback;
  layer.seconds = measured.seconds;
}

std::vector<LayerReport> qopt::listLayers(func::FuncOp function) {
  std::vector<LayerReport> layers;
  CalibrationContext *quantizers = CalibrationContext::get(*function.getContext());
  llvm::DenseMap<Value, std::string> groups;
  function.walk([&](Operation *op) {
    std::optional<LayerReport> layer = describeLayer(op);
    if (!layer)
      return;
    // Schemes may put different operators between a value and who reads it.
    Value x = op->getOperand(0);
    while (Operation *source = x.getDefiningOp()) {
      if (!isa<ObserveOp, QuantizeOp, DequantizeOp, DynamicQuantizeOp, SplitColumnsOp, SplitColumnsAtOp>(source))
        break;
      x = source->getOperand(0);
    }
    layer->group = groups.try_emplace(x, layer->name).first->second;
    if (const LayerReport *measured = quantizers ? quantizers->findReport(layer->name) : nullptr)
      addMeasured(*layer, *measured);
    layers.push_back(std::move(*layer));
  });
  return layers;
}
