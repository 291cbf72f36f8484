//===- ArithmeticBuilder.h - Operations by element type --------------------===//
//
// What the kernel emitters of all targets have in common.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_HOST_ARITHMETICBUILDER_H
#define QOPT_CODEGEN_HOST_ARITHMETICBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace qopt {

/// Operands are integers, index values or floats; scalars or vectors of them.
class ArithmeticBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value add(Value a, Value b) { return byElement<mlir::arith::AddFOp, mlir::arith::AddIOp>(a, b); }
  Value sub(Value a, Value b) { return byElement<mlir::arith::SubFOp, mlir::arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return byElement<mlir::arith::MulFOp, mlir::arith::MulIOp>(a, b); }
  /// a * b + c in one rounding. Not vector.fma: LLVM may compute that in two steps, at
  /// half the speed.
  Value fma(Value a, Value b, Value c) { return mlir::math::FmaOp::create(*this, a, b, c); }
  /// Integers signed; false where a float is NaN.
  Value less(Value a, Value b) {
    return compare(mlir::arith::CmpFPredicate::OLT, mlir::arith::CmpIPredicate::slt, a, b);
  }
  Value equal(Value a, Value b) {
    return compare(mlir::arith::CmpFPredicate::OEQ, mlir::arith::CmpIPredicate::eq, a, b);
  }
  /// Of floats: b where either is NaN. Of integers: signed.
  Value max(Value a, Value b) { return select(less(b, a), a, b); }
  Value min(Value a, Value b) { return select(less(a, b), a, b); }
  Value select(Value condition, Value a, Value b) { return createOrFold<mlir::arith::SelectOp>(condition, a, b); }
  /// Lanes first, first + 1, ... of one or, counting on, of two vectors.
  Value shuffle(Value a, Value b, llvm::ArrayRef<int64_t> lanes) {
    return mlir::vector::ShuffleOp::create(*this, a, b, lanes);
  }

  // Functions of f32 that have the same bits on all targets.
  /// e^x to about one unit in the last place; 0 below -87, meant for x <= 0 but right
  /// up to 88.
  Value exp(Value x);
  Value tanh(Value x);

protected:
  static bool isFloat(Value value) { return llvm::isa<mlir::FloatType>(mlir::getElementTypeOrSelf(value)); }
  template <typename FloatOp, typename IntegerOp>
  Value byElement(Value a, Value b) {
    return isFloat(a) ? createOrFold<FloatOp>(a, b) : createOrFold<IntegerOp>(a, b);
  }
  Value compare(mlir::arith::CmpFPredicate floats, mlir::arith::CmpIPredicate integers, Value a, Value b) {
    return isFloat(a) ? createOrFold<mlir::arith::CmpFOp>(floats, a, b)
                      : createOrFold<mlir::arith::CmpIOp>(integers, a, b);
  }
};

} // namespace qopt

#endif // QOPT_CODEGEN_HOST_ARITHMETICBUILDER_H
