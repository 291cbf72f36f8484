//===- WidenFloats.cpp - 16-bit models compute in f32 ---------------------===//
//
// A model exported in float16 or bfloat16 writes every operator in that type. What is
// worth keeping of it are the weights: they are most of the bytes. Everything else
// becomes f32 here, so that the rest of the compiler sees one kind of model, and results
// lose no more than the weights already have.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_WIDENFLOATS
#include "qopt/Passes/Passes.h.inc"

namespace {

bool isNarrow(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && (tensor.getElementType().isF16() || tensor.getElementType().isBF16());
}

/// Whether `value`, a constant matrix or its transpose, is read as weights only.
bool isWeight(Value value) {
  return llvm::all_of(value.getUses(), [](OpOperand &use) {
    Operation *user = use.getOwner();
    return isa<CastOp>(user) || (isa<MatMulOp, GemmOp>(user) && use.getOperandNumber() == 1) ||
           (isa<GatherOp>(user) && use.getOperandNumber() == 0) ||
           (isa<TransposeOp>(user) && isWeight(user->getResult(0)));
  });
}

/// The same numbers in f32, but for the lowest of the narrow type.
ElementsAttr widen(ElementsAttr value) {
  auto type = cast<RankedTensorType>(value.getShapedType());
  std::optional<std::vector<float>> floats = viewConstant(value).readAs<float>();
  if (!floats)
    return {};
  float lowest = APFloat::getLargest(cast<FloatType>(type.getElementType()).getFloatSemantics(), /*Negative=*/true)
                     .convertToDouble();
  llvm::replace(*floats, lowest, std::numeric_limits<float>::lowest());
  return DenseElementsAttr::get(type.clone(Float32Type::get(type.getContext())), ArrayRef(*floats));
}

class Widening {
public:
  explicit Widening(func::FuncOp function) : function(function), b(function.getContext()), f32(b.getF32Type()) {}

  /// Returns how many values are wide now.
  FailureOr<int64_t> run() {
    Block &block = function.front();
    b.setInsertionPointToStart(&block);
    for (BlockArgument argument : block.getArguments())
      if (isNarrow(argument.getType()))
        replaceByCast(argument);
    for (Operation &op : llvm::make_early_inc_range(block))
      if (failed(convert(&op)))
        return failure();
    return count;
  }

private:
  Value cast(Location loc, Value value, Type element) {
    auto type = mlir::cast<RankedTensorType>(value.getType());
    return CastOp::create(b, loc, type.clone(element), value, TypeAttr::get(element));
  }

  /// All other readers see `value` in f32.
  void replaceByCast(Value value) {
    Value wide = cast(value.getLoc(), value, f32);
    value.replaceAllUsesExcept(wide, wide.getDefiningOp());
    ++count;
  }

  LogicalResult convert(Operation *op) {
    b.setInsertionPointAfter(op);
    if (isa_and_present<QoptDialect>(op->getDialect())) // has been quantized already
      return success();
    if (op->getNumRegions() > 0)
      return op->emitOpError("has a region, but 16-bit floats are widened in operations without regions only");
    if (auto constant = dyn_cast<ConstantOp>(op))
      return convertConstant(constant);
    if (auto result = dyn_cast<func::ReturnOp>(op)) {
      convertReturn(result);
      return success();
    }
    bool readsWeight = op->getNumOperands() > 0 && isNarrow(op->getOperand(0).getType());
    if (isa<TransposeOp>(op) && readsWeight)
      return success();
    if (isa<GatherOp>(op) && readsWeight) {
      replaceByCast(op->getResult(0));
      return success();
    }
    if (auto castOp = dyn_cast<CastOp>(op); castOp && isa<Float16Type, BFloat16Type>(castOp.getTo()))
      castOp.setTo(f32);
    if (auto filled = dyn_cast<ConstantOfShapeOp>(op); filled && isNarrow(filled.getValue().getShapedType())) {
      ElementsAttr value = widen(filled.getValue());
      if (!value)
        return op->emitOpError("requires a value whose data are there");
      filled.setValueAttr(value);
    }
    b.setInsertionPoint(op);
    if (!isa<CastOp>(op))
      for (OpOperand &operand : op->getOpOperands())
        if (isNarrow(operand.get().getType()))
          operand.set(cast(op->getLoc(), operand.get(), f32));
    for (Value result : op->getResults())
      if (isNarrow(result.getType())) {
        result.setType(mlir::cast<RankedTensorType>(result.getType()).clone(f32));
        ++count;
      }
    if (isa<CastOp>(op) && op->getOperand(0).getType() == op->getResult(0).getType()) {
      op->replaceAllUsesWith(op->getOperands());
      op->erase();
    }
    return success();
  }

  LogicalResult convertConstant(ConstantOp op) {
    if (!isNarrow(op.getType()) || (mlir::cast<RankedTensorType>(op.getType()).getRank() == 2 && isWeight(op)))
      return success();
    ElementsAttr value = widen(op.getValue());
    if (!value)
      return op.emitOpError("requires a constant whose data are there");
    op.replaceAllUsesWith(ConstantOp::create(b, op.getLoc(), value).getResult());
    op.erase();
    ++count;
    return success();
  }

  void convertReturn(func::ReturnOp op) {
    b.setInsertionPoint(op);
    for (auto [operand, type] : llvm::zip(op->getOpOperands(), function.getResultTypes())) {
      if (isNarrow(type) && !isNarrow(operand.get().getType()))
        operand.set(cast(op.getLoc(), operand.get(), mlir::cast<RankedTensorType>(type).getElementType()));
    }
  }

  func::FuncOp function;
  OpBuilder b;
  Type f32;
  int64_t count = 0;
};

struct WidenFloats : impl::WidenFloatsBase<WidenFloats> {
  using Base::Base;

  void runOnOperation() override {
    if (!raise::isGraph(getOperation()))
      return;
    FailureOr<int64_t> count = Widening(getOperation()).run();
    if (failed(count))
      return signalPassFailure();
    numWidened += *count;
  }
};

} // namespace
} // namespace qopt
