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
#include "qopt/Dialect/Qopt/SchemeOptions.h"

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

/// Zero points, unless a module keeps them in the sign of the scale (packInt4): those of codes of four
/// bits.
static Value storedZeros(Value zeros, bool areBytes) {
  if (areBytes || !zeros || !getElementTypeOrSelf(zeros).isInteger(8))
    return zeros;
  std::optional<ConstantView> view = matchConstant(zeros);
  return view && view->isWithin(7, 8) ? Value() : zeros;
}

/// The arrays that `op` keeps weights in; empty when it is no linear.
static SmallVector<Value> weightArrays(Operation *op) {
  if (auto product = dyn_cast<QuantizedProductOpInterface>(op))
    return {product.getWeightCodes(), product.getWeightScales(),
            storedZeros(product.getWeightZeros(), isa<MatmulW8A16Op>(op)), product.getKeptWeights()};
  auto matmul = dyn_cast<onnx::MatMulOp>(op);
  if (!matmul)
    return {};
  if (DequantizeOp weights = getQuantizedWeights(matmul)) {
    ReplaceColumnsOp kept = getKeptColumns(matmul);
    return {weights.getCodes(), weights.getScale(), storedZeros(weights.getZeros(), weights.getBytes()),
            kept ? Value(kept.getValues()) : Value()};
  }
  if (!Linear::match(matmul))
    return {};
  auto cast = matmul.getB().getDefiningOp<onnx::CastOp>();
  return {cast ? cast.getInput() : matmul.getB()};
}

/// The scale of activations that have one for all; nothing for other inputs.
static std::optional<double> staticInputScale(Operation *op) {
  Value scale;
  if (auto product = dyn_cast<QuantizedProductOpInterface>(op))
    scale = product.getInputScale();
  else if (auto folded = op->getOperand(0).getDefiningOp<DequantizeOp>())
    scale = folded.getScale();
  std::optional<ConstantView> view = matchConstant(scale);
  if (!view || view->numElements() != 1 || !view->type.getElementType().isF32())
    return std::nullopt;
  std::optional<std::vector<float>> values = view->readAs<float>();
  return values ? std::optional<double>(values->front()) : std::nullopt;
}

/// How many columns were kept in float; nothing where calibration does not choose any.
static std::optional<int64_t> countKeptColumns(Operation *op, const SchemeVariant &variant) {
  if (variant.activations != ActivationMethod::SplitColumnsAt)
    return std::nullopt;
  Value kept;
  if (auto product = dyn_cast<QuantizedProductOpInterface>(op))
    kept = product.getKeptWeights();
  else if (ReplaceColumnsOp columns = getKeptColumns(cast<onnx::MatMulOp>(op)))
    kept = columns.getValues();
  return kept ? cast<RankedTensorType>(kept.getType()).getDimSize(1) : 0;
}

/// Whether weights are of 4 bits, which are always in groups.
static bool isInGroups(Operation *op) { return isa<MatmulW4A16Op, MatmulW4A8Op>(op); }

std::optional<LayerReport> qopt::describeLayer(Operation *op) {
  auto name = getAttr<attrs::Layer>(op);
  SmallVector<Value> arrays = name ? weightArrays(op) : SmallVector<Value>();
  if (arrays.empty())
    return std::nullopt;
  LayerReport layer;
  layer.name = name.str();
  if (auto location = dyn_cast<NameLoc>(op->getLoc()))
    layer.node = location.getName().str();
  auto attribute = getAttr<attrs::Scheme>(op);
  const Scheme scheme = attribute ? attribute.getValue() : Scheme(*allSchemes().front());
  layer.scheme = scheme.name().str();
  layer.isQuantized = !scheme.info().isFloat();
  layer.hasInt8Activations = scheme.variant().activations != ActivationMethod::Float;
  if (auto product = dyn_cast<QuantizedProductOpInterface>(op); product && !attribute) {
    layer.scheme = "stored-int" + std::to_string(isInGroups(op) ? 4 : 8);
    layer.isQuantized = true;
    layer.hasInt8Activations = product.getActivationMethod() != ActivationMethod::Float;
  }
  if (scheme.variant().activations == ActivationMethod::PerGroup)
    layer.activationGroupSize = scheme.get(options::activationGroupSize);
  if (auto matmul = dyn_cast<onnx::MatMulOp>(op)) {
    auto weights = cast<RankedTensorType>(matmul.getB().getType());
    layer.inFeatures = weights.getDimSize(0);
    layer.outFeatures = weights.getDimSize(1);
  } else {
    layer.inFeatures = cast<RankedTensorType>(op->getOperand(0).getType()).getShape().back();
    layer.outFeatures = cast<RankedTensorType>(arrays.front().getType()).getDimSize(0);
  }
  layer.inputScale = staticInputScale(op);
  layer.outlierColumns = countKeptColumns(op, scheme.variant());
  layer.bitsPerWeight = storedBits(arrays) / (double(layer.inFeatures) * layer.outFeatures);
  return layer;
}

void qopt::addMeasured(LayerReport &layer, const LayerReport &measured) {
  static_cast<QuantizerFigures &>(layer) = measured;
  layer.sqnrDb = measured.sqnrDb;
  layer.seconds = measured.seconds;
}

LayerReport qopt::describeMeasured(Operation *op, const LayerReport &measured) {
  LayerReport layer = *describeLayer(op);
  addMeasured(layer, measured);
  return layer;
}

/// Codes of 8 bits that the file has in groups are two products.
static void addPart(LayerReport &layer, const LayerReport &part) {
  layer.scheme = "stored-int8";
  layer.bitsPerWeight += part.bitsPerWeight;
}

std::vector<LayerReport> qopt::listLayers(func::FuncOp function) {
  std::vector<LayerReport> layers;
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
    if (!layers.empty() && layers.back().name == layer->name)
      addPart(layers.back(), *layer);
    else
      layers.push_back(std::move(*layer));
  });
  addFigures(*function.getContext(), layers);
  return layers;
}

void qopt::addFigures(MLIRContext &context, std::vector<LayerReport> &layers) {
  if (CalibrationContext *quantizers = CalibrationContext::get(context))
    for (LayerReport &layer : layers)
      if (const LayerReport *measured = quantizers->findReport(layer.name))
        addMeasured(layer, *measured);
}
