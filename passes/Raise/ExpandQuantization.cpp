//===- ExpandQuantization.cpp - Rounding that is left becomes arithmetic ---------===//
//
// Codes that no product takes are integers on the way from QuantizeLinear to
// DequantizeLinear: they become i32 there, and both become the elementwise operators that
// ONNX defines them by. Directly behind each other they are rounding of floats.
//
//===----------------------------------------------------------------------===//
#include "Raising.h"
#include "StoredValues.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;
using namespace qopt::onnx;

namespace qopt {
#define GEN_PASS_DEF_EXPANDQUANTIZATION
#include "qopt/Passes/Passes.h.inc"

namespace {

/// Element types that generated code does not compute with.
bool isCodeType(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto integer = tensor ? dyn_cast<IntegerType>(tensor.getElementType()) : IntegerType();
  return integer && integer.getWidth() > 1 && integer.getWidth() <= 16;
}

class Expansion {
public:
  explicit Expansion(func::FuncOp function) : function(function), b(function.getContext()) {}

  /// Codes that neither a product nor a look-up of rows has a kernel for.
  void expandCodes() {
    for (DequantizeOp op : llvm::make_early_inc_range(function.getOps<DequantizeOp>())) {
      auto isTable = [](OpOperand &use) { return isa<GatherOp>(use.getOwner()) && use.getOperandNumber() == 0; };
      if (op->use_empty() || (isPerChannel(op) && llvm::all_of(op->getUses(), isTable)))
        continue;
      b.setInsertionPoint(op);
      reference::Quiet quiet(op.getContext());
      reference::Slice slice;
      FailureOr<reference::Tensor> values = failure();
      if (matchConstant(op.getCodes()))
        values = slice.get(op.getResult());
      Value floats;
      if (succeeded(values))
        floats = createFloats(b, op.getLoc(), values->type.getShape(),
                              std::vector<float>(values->floats.begin(), values->floats.end()), "dequantized");
      else if (typeOf(op.getScale()).getRank() == 0 && !op.getGroupSize())
        floats = MulOp::create(b, op.getLoc(), op.getType(),
                               raise::castTo(b, op.getLoc(), op.getCodes(), b.getF32Type()), op.getScale());
      if (floats)
        op.getResult().replaceAllUsesWith(floats);
    }
  }

  LogicalResult run() {
    SmallVector<Operation *> found;
    for (Operation &op : function.front())
      if (isa<QuantizeLinearOp, DequantizeLinearOp>(op))
        found.push_back(&op);
    if (found.empty())
      return success();
    for (Operation *op : found) {
      b.setInsertionPoint(op);
      auto quantize = dyn_cast<QuantizeLinearOp>(op);
      if (failed(quantize ? expand(quantize) : expand(cast<DequantizeLinearOp>(op))))
        return failure();
    }
    for (Operation *op : llvm::reverse(found))
      if (op->use_empty())
        op->erase();
    return retype();
  }

private:
  /// A scale or zero point as f32 that is broadcast to x; fails, diagnosed, where none is.
  FailureOr<Value> spread(Operation *op, Value x, Value value, int64_t axis, int64_t block) {
    RankedTensorType type = typeOf(value);
    if (std::optional<ConstantView> view = matchConstant(value); view && !isa<FloatType>(type.getElementType())) {
      auto ints = view->readAs<int64_t>();
      if (!ints)
        return op->emitOpError("requires zero points whose data are there");
      std::vector<float> floats(ints->begin(), ints->end());
      value = ConstantOp::create(b, op->getLoc(), DenseElementsAttr::get(type.clone(b.getF32Type()), ArrayRef(floats)));
    } else if (auto source = value.getDefiningOp<CastOp>();
               source && isCodeType(type) && typeOf(source.getInput()).getElementType().isF32()) {
      value = source.getInput();
    }
    value = raise::castTo(b, op->getLoc(), value, b.getF32Type());
    if (block)
      return op->emitOpError("has blocks along an axis of a value that is no constant: not supported");
    if (raise::isSingle(value))
      return raise::toScalar(b, op->getLoc(), value);
    int64_t rank = typeOf(x).getRank();
    axis = axis < 0 ? axis + rank : axis;
    SmallVector<int64_t> shape(rank, 1), type1(rank, 1);
    shape[axis] = -1;
    type1[axis] = type.getDimSize(0);
    return ReshapeOp::create(b, op->getLoc(), RankedTensorType::get(type1, b.getF32Type()), value,
                             raise::createInts(b, op->getLoc(), shape), /*allowzero=*/0)
        .getResult();
  }

  /// round(x / scale) + zero within the type's range, as f32.
  FailureOr<Value> codesOf(QuantizeLinearOp op) {
    Location loc = op.getLoc();
    auto integer = dyn_cast<IntegerType>(op.getTo());
    if (!integer)
      return op.emitOpError("gives codes of ") << op.getTo() << ": not supported";
    double low = integer.isUnsigned() ? 0 : -std::ldexp(1.0, integer.getWidth() - 1);
    double high = std::ldexp(1.0, integer.getWidth() - !integer.isUnsigned()) - 1;
    Value x = raise::castTo(b, loc, op.getX(), b.getF32Type());
    FailureOr<Value> scale = spread(op, x, op.getYScale(), op.getAxis(), op.getBlockSize());
    if (failed(scale))
      return failure();
    Type type = x.getType();
    Value y = RoundOp::create(b, loc, type, DivOp::create(b, loc, type, x, *scale));
    if (op.getYZeroPoint()) {
      FailureOr<Value> zero = spread(op, x, op.getYZeroPoint(), op.getAxis(), op.getBlockSize());
      if (failed(zero))
        return failure();
      if (getConstantScalar(*zero) != 0)
        y = AddOp::create(b, loc, type, y, *zero);
    }
    return ClipOp::create(b, loc, type, y, raise::scalarConstant(b, loc, static_cast<float>(low)),
                          raise::scalarConstant(b, loc, static_cast<float>(high)))
        .getResult();
  }

  LogicalResult expand(QuantizeLinearOp op) {
    bool isRead = !llvm::all_of(op->getUsers(), [](Operation *user) { return isa<DequantizeLinearOp>(user); });
    FailureOr<Value> y = codesOf(op);
    if (failed(y))
      return failure();
    rounded[op.getY()] = *y;
    if (isRead)
      op.getY().replaceUsesWithIf(raise::castTo(b, op.getLoc(), *y, b.getI32Type()),
                                  [](OpOperand &use) { return !isa<DequantizeLinearOp>(use.getOwner()); });
    return success();
  }

  LogicalResult expand(DequantizeLinearOp op) {
    Location loc = op.getLoc();
    Value x = rounded.lookup(op.getX());
    if (!x)
      x = raise::castTo(b, loc, op.getX(), b.getF32Type());
    FailureOr<Value> scale = spread(op, x, op.getXScale(), op.getAxis(), op.getBlockSize());
    if (failed(scale))
      return failure();
    Type type = x.getType();
    if (op.getXZeroPoint()) {
      FailureOr<Value> zero = spread(op, x, op.getXZeroPoint(), op.getAxis(), op.getBlockSize());
      if (failed(zero))
        return failure();
      if (getConstantScalar(*zero) != 0)
        x = SubOp::create(b, loc, type, x, *zero);
    }
    Value y = MulOp::create(b, loc, type, x, *scale);
    op.getY().replaceAllUsesWith(raise::castTo(b, loc, y, op.getTo()));
    return success();
  }

  /// What moves codes moves i32 now.
  LogicalResult retype() {
    for (Operation &op : llvm::make_early_inc_range(function.front())) {
      if (!isa_and_present<OnnxDialect>(op.getDialect()) || isa<ConstantOp>(op))
        continue;
      bool readsWide = llvm::any_of(op.getOperands(), [](Value value) {
        auto type = dyn_cast<RankedTensorType>(value.getType());
        return type && type.getElementType().isInteger(32);
      });
      auto castOp = dyn_cast<CastOp>(op);
      if (castOp && isCodeType(castOp.getOutput().getType()) && castOp->use_empty()) {
        op.erase();
        continue;
      }
      if (!castOp && readsWide)
        for (Value result : op.getResults())
          if (isCodeType(result.getType()))
            result.setType(typeOf(result).clone(b.getI32Type()));
    }
    auto result = cast<func::ReturnOp>(function.front().getTerminator());
    b.setInsertionPoint(result);
    for (auto [operand, type] : llvm::zip(result->getOpOperands(), function.getResultTypes()))
      if (operand.get().getType() != type) {
        Type element = cast<RankedTensorType>(type).getElementType();
        if (typeOf(operand.get()).getElementType().isF32())
          return result.emitOpError("cannot return codes of type ") << element;
        operand.set(raise::castTo(b, result.getLoc(), operand.get(), element));
      }
    return success();
  }

  func::FuncOp function;
  OpBuilder b;
  llvm::DenseMap<Value, Value> rounded;
};

struct ExpandQuantization : impl::ExpandQuantizationBase<ExpandQuantization> {
  using Base::Base;

  void runOnOperation() override {
    if (!raise::isGraph(getOperation()))
      return;
    Expansion expansion(getOperation());
    if (codes)
      expansion.expandCodes();
    if (failed(expansion.run()))
      signalPassFailure();
  }
};

} // namespace
} // namespace qopt
