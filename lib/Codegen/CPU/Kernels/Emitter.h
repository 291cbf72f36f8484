//===- Emitter.h - Writing kernel bodies as if they were C++ ---------------===//
//
// A builder whose operations read like expressions. Vectors have 16 lanes at every
// code level: LLVM makes one zmm or two ymm of them, and sums have one order.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CPU_KERNELS_EMITTER_H
#define QOPT_LIB_CODEGEN_CPU_KERNELS_EMITTER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Codegen/Host/ArithmeticBuilder.h"
#include "qopt/Codegen/Kernels.h"

namespace qopt::kernels {

using mlir::Value;
using mlir::ValueRange;
using Values = llvm::SmallVector<Value>;

/// Lanes of every vector.
inline constexpr int64_t kLanes = kColumns;
/// Roughly how many bytes a range of a cheap loop should touch.
inline constexpr int64_t kGrainBytes = 16384;
inline int64_t grainOfRows(int64_t rowBytes) {
  return std::max<int64_t>(1, kGrainBytes / std::max<int64_t>(rowBytes, 1));
}

class Emitter : public ArithmeticBuilder {
public:
  using ArithmeticBuilder::ArithmeticBuilder;

  mlir::VectorType vector(mlir::Type element, int64_t lanes = kLanes) { return mlir::VectorType::get(lanes, element); }

  // Constants.
  Value index(int64_t value);
  Value f32(float value);
  Value i32(int64_t value);
  Value i64(int64_t value);
  /// A vector of equal lanes.
  Value splat(float value);
  Value splatI32(int64_t value, int64_t lanes = kLanes);

  /// Of index values, unsigned.
  Value div(Value a, int64_t b);
  Value rem(Value a, int64_t b);
  Value div(Value a, Value b);
  Value rem(Value a, Value b);
  Value ceilDiv(Value a, int64_t b);
  Value minIndex(Value a, Value b);
  Value broadcast(Value scalar, int64_t lanes = kLanes);
  Value bitcast(Value value, mlir::Type type);
  /// The nearest f16, at most its largest number; and the same as f32.
  Value toHalf(Value vector);
  Value roundToHalf(Value vector);
  /// Sum and maximum of the lanes, in halves.
  Value sumLanes(Value vector);
  Value maxLanes(Value vector);
  /// The same floats, which LLVM does not look through: no instruction.
  Value fence(Value value);
  /// A call of an LLVM intrinsic.
  Value intrinsic(llvm::StringRef name, mlir::Type result, ValueRange operands);

  // Memory.
  Value dim(Value memref, int64_t i);
  Value load(Value memref, ValueRange indices);
  void store(Value value, Value memref, ValueRange indices);
  /// `lanes` elements along the last dimension; with valid < lanes the rest is zero
  /// (and is not stored).
  Value loadVector(Value memref, ValueRange indices, int64_t valid = kLanes, int64_t lanes = kLanes);
  void storeVector(Value vector, Value memref, ValueRange indices, int64_t valid = kLanes);
  /// Asks for memory that will be read soon.
  void prefetch(Value memref, ValueRange indices);
  /// Asks for the weights that come later in a stream, one of `streams` that are read at once,
  /// of which `row` is read now. The processor asks by itself only within a page of 4 KiB, and
  /// begins anew on each. `weights`: [blocks][rows][lanes]; at its end what follows it is asked
  /// for, which does no harm.
  void prefetchWeights(Value weights, Value block, Value row, int64_t streams);
  /// Memory of this iteration, on the stack.
  Value scratch(llvm::ArrayRef<int64_t> shape, mlir::Type element);

  // Control flow. Bounds are index values.
  void forLoop(Value begin, Value end, int64_t step, llvm::function_ref<void(Value)> body);
  Values forLoop(Value begin, Value end, int64_t step, ValueRange initial,
                 llvm::function_ref<Values(Value, ValueRange)> body);
  /// Covers [0, size) along a row with vectors: body(first element, elements).
  void chunks(int64_t size, llvm::function_ref<void(Value, int64_t)> body);
  Values chunks(int64_t size, ValueRange initial, llvm::function_ref<Values(Value, int64_t, ValueRange)> body);
  /// Iterations that may run in any order and at once. `scratch` is allowed inside.
  /// `grain`: how many are worth handing to another thread.
  void parallel(Value count, int64_t grain, llvm::function_ref<void(Value)> body);
  void ifThen(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = nullptr);
  /// Covers [begin, end) with pieces of the given sizes, largest first; the last size must be 1.
  void tiles(Value begin, Value end, llvm::ArrayRef<int64_t> sizes, llvm::function_ref<void(Value, int64_t)> body);

  /// Reports an index out of [0, size).
  void failIndex(Value index, Value size);

private:
  Value halves(Value vector, llvm::function_ref<Value(Value, Value)> combine);
};

} // namespace qopt::kernels

#endif // QOPT_LIB_CODEGEN_CPU_KERNELS_EMITTER_H
