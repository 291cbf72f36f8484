//===- GraphFacts.cpp - What a raised graph says about its model ----------===//
//
// Sizes that an exporter often leaves out of the files beside the model.
//
//===----------------------------------------------------------------------===//
#include "GraphFacts.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;

int64_t qopt::countWeights(func::FuncOp function) {
  llvm::DenseSet<Attribute> seen;
  int64_t weights = 0;
  function.walk([&](onnx::ConstantOp op) {
    ShapedType type = op.getValue().getShapedType();
    if (isa<FloatType>(type.getElementType()) && seen.insert(op.getValue()).second)
      weights += type.getNumElements();
  });
  return weights;
}

int64_t qopt::countPositions(func::FuncOp function) {
  int64_t positions = 0;
  function.walk([&](onnx::RotaryEmbeddingOp op) {
    auto table = dyn_cast<RankedTensorType>(op.getCosCache().getType());
    if (op.getPositionIds() && table && table.getRank() == 2 && !table.isDynamicDim(0))
      positions = positions ? std::min(positions, table.getDimSize(0)) : table.getDimSize(0);
  });
  return positions;
}

int64_t qopt::findVocabularySize(func::FuncOp function) {
  for (auto [i, result] : llvm::enumerate(function.getResultTypes())) {
    Role role = getResultRole(function, i);
    auto type = dyn_cast<RankedTensorType>(result);
    if ((role == Role::Logits || role == Role::LastLogits) && type && !type.isDynamicDim(type.getRank() - 1))
      return type.getShape().back();
  }
  return 0;
}
