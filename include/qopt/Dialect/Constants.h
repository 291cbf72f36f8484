//===- Constants.h - Looking at constant data -----------------------------===//
//
// Constants come in several forms: the resource of a mapped file, elements in the
// attribute, one element that stands for all. Here they are told apart, once, and
// their lengths are checked; whoever wants numbers asks a ConstantView.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_CONSTANTS_H
#define QOPT_DIALECT_CONSTANTS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include "qopt/Support/ElementType.h"
#include <optional>
#include <vector>

namespace qopt {

struct DeferredConstant;

/// The elements of a constant. It is a view: the data belong to the MLIR context, or to
/// the mapped file of the model.
struct ConstantView {
  mlir::ElementsAttr value;
  mlir::ShapedType type;
  /// Of the parameter, else the key of the resource, else empty.
  llvm::StringRef name;
  /// The elements as they lie in memory: one of a splat, bits where `isPacked`, none
  /// where a resource has no data or `deferred` tells how they are made.
  llvm::ArrayRef<char> bytes;
  /// Of a constant that is made when it is written (DeferredData.h), else null.
  const DeferredConstant *deferred = nullptr;
  /// `bytes` holds one element that stands for all.
  bool isSplat = false;
  /// `bytes` holds booleans as bits, or integers of 2 or 4 bits side by side, as ONNX does:
  /// the first in the low bits.
  bool isPacked = false;

  int64_t numElements() const { return type.getNumElements(); }
  /// Bytes of one element that is not packed.
  int64_t elementBytes() const;
  /// Bytes that all elements take, neither packed nor as a splat.
  int64_t expandedBytes() const { return numElements() * elementBytes(); }
  /// The bits of one of several integers in a byte.
  unsigned packedBits(int64_t index) const {
    unsigned width = type.getElementTypeBitWidth(), perByte = 8 / width;
    return (static_cast<unsigned char>(bytes[index / perByte]) >> (index % perByte * width)) & ((1u << width) - 1);
  }
  /// Whether the data are there and have the right length: always in an attribute, and
  /// in a resource if the file that was read is in order. Deferred data count as there.
  bool isComplete() const;
  /// Whether all elements, of one byte each, lie between these. Deferred data are not made
  /// for the answer: it is no unless it is known.
  bool isWithin(int smallest, int largest) const;

  /// All elements in row-major order as numbers of type T: float of f32, f16 and bf16;
  /// double of every float; int64_t of every integer (i1 is 0 or 1). Nothing for other
  /// types and where the data are not complete.
  template <typename T>
  std::optional<std::vector<T>> readAs() const;

  /// The elements where they lie, for elements of sizeof(T) bytes; nothing for a splat, where
  /// data are packed, deferred or not complete, and where they are not aligned for T.
  template <typename T>
  std::optional<llvm::ArrayRef<T>> viewAs() const {
    bool isAligned = reinterpret_cast<uintptr_t>(bytes.data()) % alignof(T) == 0;
    if (isSplat || isPacked || deferred || !isAligned || elementBytes() != sizeof(T) || !isComplete())
      return std::nullopt;
    return llvm::ArrayRef<T>(reinterpret_cast<const T *>(bytes.data()), numElements());
  }

  /// A copy of all elements, splats and bits written out: expandedBytes(). The data must
  /// be complete. Deferred data that cannot be made are zeros, after a diagnostic.
  std::vector<char> expanded() const;
};

/// A view of the elements of `value`, whose type has a static shape of integers or floats.
ConstantView viewConstant(mlir::ElementsAttr value);

/// The constant that `value` is: the result of `qopt.parameter`, or of an operation that
/// folds to a constant. Nothing for other values. Data may be missing: see isComplete().
std::optional<ConstantView> matchConstant(mlir::Value value);

/// The same, or the constant of f16 or bf16 whose cast to f32 `value` is: the form of
/// weights that a model keeps in 16 bits.
std::optional<ConstantView> matchWeight(mlir::Value value);

/// Whether the matrix `columns` [K, V] is `rows` [V, K] transposed, bit by bit. False where
/// data are missing, splats or bits.
bool isTransposed(const ConstantView &rows, const ConstantView &columns);

/// The ElementType of elements of an MLIR type: integers without sign are signed, i1 is
/// bool. Nothing for types that the runtime does not take.
std::optional<ElementType> toElementType(mlir::Type element);

} // namespace qopt

#endif // QOPT_DIALECT_CONSTANTS_H
