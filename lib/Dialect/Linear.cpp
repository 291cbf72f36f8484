//===- Linear.cpp - A linear layer of the raised graph --------------------===//
//
// A linear is recognised by its name: qopt-name-layers gave one to each MatMul that may
// be quantized.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Linear.h"
#include "qopt/Dialect/Constants.h"

using namespace mlir;
using namespace qopt;

std::optional<Linear> Linear::match(Operation *op) {
  auto matmul = dyn_cast<onnx::MatMulOp>(op);
  auto name = getAttr<attrs::Layer>(op);
  if (!matmul || !name || name.empty())
    return std::nullopt;
  std::optional<ConstantView> weights = matchWeight(matmul.getB());
  if (!weights || weights->type.getRank() != 2 || weights->numElements() == 0)
    return std::nullopt;
  Linear linear{matmul, name.getValue(), getAttr<attrs::Scheme>(op), weights->value};
  linear.inFeatures = weights->type.getDimSize(0);
  linear.outFeatures = weights->type.getDimSize(1);
  return linear;
}

const SchemeVariant &Linear::variant() const {
  return scheme ? scheme.getVariant() : allSchemes().front()->variants.back();
}

/// W [N, K], whose transpose `op` multiplies with; null when there is no transpose.
static Value getTransposedWeights(onnx::MatMulOp op) {
  auto transpose = op.getB().getDefiningOp<onnx::TransposeOp>();
  return transpose && transpose.getPerm() == ArrayRef<int64_t>{1, 0} ? transpose.getData() : Value();
}

DequantizeOp qopt::getQuantizedWeights(onnx::MatMulOp op) {
  if (ReplaceColumnsOp kept = getKeptColumns(op))
    return kept.getInput().getDefiningOp<DequantizeOp>();
  Value weights = getTransposedWeights(op);
  return weights ? weights.getDefiningOp<DequantizeOp>() : DequantizeOp();
}

bool qopt::isPerChannel(DequantizeOp weights) {
  return weights && !weights.getGroupSize() && !weights.getFloat8() && weights.getScale().getType().getRank() == 1 &&
         weights.getScale().getType().getElementType().isF32() && weights.getCodes().getType().hasStaticShape();
}

ReplaceColumnsOp qopt::getKeptColumns(onnx::MatMulOp op) {
  Value weights = getTransposedWeights(op);
  return weights ? weights.getDefiningOp<ReplaceColumnsOp>() : ReplaceColumnsOp();
}
