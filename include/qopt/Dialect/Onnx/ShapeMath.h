//===- ShapeMath.h - The numbers that shapes are made of ------------------===//
//
// An operator says once how the shapes of its results follow from its operands
// (OperatorInterface::inferShapes), and what it does to the elements of small integer
// tensors (ShapeContentsInterface::inferContents). Who asks decides what the numbers are:
//
// - type inference knows constants, and all else is unknown (StaticShapes);
// - shape resolution knows the names of dimensions and computes with them (SymbolicShapes);
// - lowering makes index arithmetic of what only the run time knows.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_SHAPEMATH_H
#define QOPT_DIALECT_ONNX_SHAPEMATH_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Value.h"
#include <optional>

namespace qopt::onnx {

/// What ODS says of the nodes that an operator stands for.
struct OperatorForm {
  static constexpr int kAny = -1;
  int since; ///< operator set
  int minInputs, maxInputs, maxOutputs;
};

/// A dimension of a tensor, or an element of a small integer tensor.
struct Extent {
  enum Kind : uint8_t { Unknown, Constant, Symbol } kind = Unknown;
  /// The constant; of a symbol whatever its ShapeMath says: equal ones are equal numbers.
  int64_t value = 0;

  static Extent constant(int64_t value) { return {Constant, value}; }
  static Extent symbol(int64_t value) { return {Symbol, value}; }
  bool isKnown() const { return kind != Unknown; }
  bool isConstant() const { return kind == Constant; }
  bool isConstant(int64_t number) const { return kind == Constant && value == number; }
  /// Two unknown extents may differ.
  bool isSameAs(const Extent &other) const { return isKnown() && *this == other; }
  bool operator==(const Extent &other) const { return kind == other.kind && value == other.value; }
};

using Extents = llvm::SmallVector<Extent, 4>;

/// The dimensions and the element type of a result.
struct ResultShape {
  Extents dims;
  mlir::Type element;
};

class ShapeMath {
public:
  /// Longer tensors are data, not shapes.
  static constexpr int64_t kMaxContents = 64;

  virtual ~ShapeMath() = default;

  //===- What is known of operands -----------------------------------------===//

  virtual Extents dims(mlir::Value value) = 0;
  /// The elements of an integer tensor of rank 0 or 1, as far as they are known; nothing
  /// where nothing is known. An operator that computes elements asks this.
  virtual std::optional<Extents> contents(mlir::Value value) = 0;
  /// The same for an operand that decides about a shape: only its length must be known.
  virtual std::optional<Extents> readContents(mlir::Value value);
  /// The elements where all of them are constants; null values have none.
  std::optional<llvm::SmallVector<int64_t>> constants(mlir::Value value);

  //===- Results ------------------------------------------------------------===//

  mlir::LogicalResult addResult(Extents dims, mlir::Type element) {
    results.push_back({std::move(dims), element});
    return mlir::success();
  }
  /// A result of which only the rank is known, since the operands `what` are no constants.
  virtual mlir::LogicalResult addUnknown(int64_t rank, mlir::Type element, llvm::StringRef what) {
    return addResult(Extents(rank), element);
  }
  /// In the order of the results, once inferShapes() has run.
  llvm::SmallVector<ResultShape, 1> results;

  //===- Arithmetic ---------------------------------------------------------===//

  Extent add(Extent a, Extent b);
  Extent sub(Extent a, Extent b);
  Extent mul(Extent a, Extent b);
  /// Rounds to zero.
  Extent div(Extent a, Extent b);
  Extent min(Extent a, Extent b);
  Extent max(Extent a, Extent b);
  Extent product(llvm::ArrayRef<Extent> factors);
  /// A position counted from the end where it is negative.
  Extent fromEnd(Extent position, Extent size);
  /// `element` of a shape, where 0 stands for `copied`.
  Extent copyIfZero(Extent element, Extent copied);
  /// `element` of a shape, which is `rest` where it turns out to be -1.
  Extent restIfMinusOne(Extent element, Extent rest);
  std::optional<bool> isEqual(Extent a, Extent b);
  std::optional<bool> isLess(Extent a, Extent b);
  /// Whether a number is known to be at least 0.
  virtual bool isNonNegative(Extent extent) { return extent.isConstant() && extent.value >= 0; }

  //===- Demands ------------------------------------------------------------===//

  /// The size that two dimensions are broadcast to; fails where they cannot be.
  mlir::FailureOr<Extent> broadcast(Extent a, Extent b);
  mlir::FailureOr<Extents> broadcast(llvm::ArrayRef<Extent> a, llvm::ArrayRef<Extent> b);
  /// Fails, with the message that `parts` make up, where two sizes differ.
  template <typename... Parts>
  mlir::LogicalResult requireEqual(Extent a, Extent b, Parts &&...parts) {
    if (a.isSameAs(b))
      return mlir::success();
    if (a.isConstant() && b.isConstant())
      return error(std::forward<Parts>(parts)...);
    return checkEqual(a, b);
  }
  template <typename... Parts>
  mlir::LogicalResult error(Parts &&...parts) {
    if (std::optional<mlir::InFlightDiagnostic> diagnostic = startError())
      (*diagnostic << ... << std::forward<Parts>(parts));
    return mlir::failure();
  }

protected:
  enum class Arithmetic : uint8_t { Add, Sub, Mul, Div, Min, Max, Broadcast, FromEnd, CopyIfZero, RestIfMinusOne };

  /// What is left to compute when nothing folds: a constant stands second where order
  /// does not matter.
  virtual Extent compute(Arithmetic operation, Extent a, Extent b);
  /// Decisions about numbers that are not both constant.
  virtual std::optional<bool> compareEqual(Extent a, Extent b) { return std::nullopt; }
  virtual std::optional<bool> compareLess(Extent a, Extent b) { return std::nullopt; }
  /// Two sizes must be equal that are not known to be.
  virtual mlir::LogicalResult checkEqual(Extent a, Extent b) { return mlir::success(); }
  /// Nothing where nobody wants to know.
  virtual std::optional<mlir::InFlightDiagnostic> startError() { return std::nullopt; }
};

/// What types and constants say.
class StaticShapes : public ShapeMath {
public:
  /// Without a location failures are silent.
  explicit StaticShapes(std::optional<mlir::Location> loc) : loc(loc) {}

  Extents dims(mlir::Value value) override;
  std::optional<Extents> contents(mlir::Value value) override;
  /// The types of the results; fails where a dimension cannot be.
  mlir::LogicalResult getTypes(llvm::SmallVectorImpl<mlir::Type> &types);

protected:
  std::optional<mlir::InFlightDiagnostic> startError() override;

private:
  std::optional<mlir::Location> loc;
};

/// Whether a tensor of this type may hold a shape, or a part of one.
bool mayHoldShape(mlir::Type type);

/// An axis counted from the front. Those of verified operators are in range.
inline int64_t frontAxis(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

/// The rules that classes of operators share; OnnxBase.td uses them.
mlir::LogicalResult inferBroadcast(mlir::ValueRange operands, llvm::function_ref<mlir::Type()> element,
                                   ShapeMath &shapes);
mlir::LogicalResult inferReduction(mlir::Value data, mlir::Value axes, bool keepsDims, bool isNoopWithoutAxes,
                                   ShapeMath &shapes);
/// Passes may know more dimensions than inference does; never different ones.
bool areCompatible(mlir::TypeRange inferred, mlir::TypeRange actual);

} // namespace qopt::onnx

#endif // QOPT_DIALECT_ONNX_SHAPEMATH_H
