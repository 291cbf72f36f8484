//===- Logits.cpp - Where the outputs of a model come from ----------------===//
//
// What exporters put behind the head changes logits one by one, or chooses among them.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Logits.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::onnx;

static bool isConstant(Value value) {
  while (isa_and_present<CastOp, IdentityOp>(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return matchConstant(value).has_value();
}

void qopt::walkBack(Value value, llvm::function_ref<bool(Value)> visit) {
  while (visit(value)) {
    Operation *op = value.getDefiningOp();
    if (!op)
      return;
    if (isa<CastOp, IdentityOp, TanhOp, ReshapeOp, SqueezeOp, UnsqueezeOp, ClipOp, SliceOp, GatherOp, DivOp, SubOp>(
            op)) {
      value = op->getOperand(0);
    } else if (isa<AddOp, MulOp>(op)) {
      // A bias or a factor; a residual connection is no way back.
      if (!isConstant(op->getOperand(0)) && !isConstant(op->getOperand(1)))
        return;
      value = op->getOperand(isConstant(op->getOperand(0)) ? 1 : 0);
    } else {
      return;
    }
  }
}

Operation *qopt::findProduct(Value value) {
  Operation *product = nullptr;
  walkBack(value, [&](Value at) {
    if (isa_and_present<MatMulOp, GemmOp, QuantizedProductOpInterface>(at.getDefiningOp()))
      product = at.getDefiningOp();
    return !product;
  });
  return product;
}

llvm::DenseSet<Operation *> qopt::findProducts(func::FuncOp function, ArrayRef<Role> roles) {
  llvm::DenseSet<Operation *> products;
  // Layers ask one by one, so this looks at the ends of blocks alone.
  for (Block &block : function.getBody())
    if (auto op = dyn_cast_or_null<func::ReturnOp>(block.empty() ? nullptr : &block.back()))
      for (auto [i, output] : llvm::enumerate(op.getOperands()))
        if (llvm::is_contained(roles, getResultRole(function, i)))
          if (Operation *product = findProduct(output))
            products.insert(product);
  return products;
}

bool qopt::isHead(Operation *layer) {
  auto name = getAttr<attrs::Layer>(layer);
  if (name && name.getValue() == "lm_head")
    return true;
  auto function = layer->getParentOfType<func::FuncOp>();
  return function && findProducts(function, {Role::Logits, Role::LastLogits}).contains(layer);
}
