//===- Emitter.h - Writing GPU kernels as if they were CUDA C++ ------------===//
//
// A builder that stands inside a gpu.func. Memory is raw: pointers are !llvm.ptr
// (device memory) or !llvm.ptr<3> (shared memory of the block). Integers are i32
// where nothing else is said; i64 is for offsets that may pass 2^31. Everything
// that code for a thread says is meant for that thread alone.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_EMITTER_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_EMITTER_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "qopt/Codegen/Host/ArithmeticBuilder.h"

namespace qopt::cuda {

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using Values = llvm::SmallVector<Value>;

/// Threads of a warp.
inline constexpr int64_t kWarp = 32;
/// Shared memory that every GPU gives a block without being asked.
inline constexpr int64_t kSharedBytes = 48 * 1024;
/// Name of the symbol where the dynamic shared memory of a block begins.
inline constexpr llvm::StringLiteral kSharedSymbol = "qopt_shared";

class Emitter : public ArithmeticBuilder {
public:
  using ArithmeticBuilder::ArithmeticBuilder;

  //===--------------------------------------------------------------------===//
  // Types and constants
  //===--------------------------------------------------------------------===//

  Type f32Type() { return getF32Type(); }
  Type i32Type() { return getI32Type(); }
  /// `lanes` of `element`; the element itself for one lane.
  Type vector(Type element, int64_t lanes);
  Type pointer(unsigned addressSpace = 0);

  Value i32(int64_t value) { return splat(getI32Type(), value); }
  Value i64(int64_t value) { return splat(getI64Type(), value); }
  Value f32(float value) { return splat(getF32Type(), value); }
  Value boolean(bool value);
  /// A constant of a scalar type, or a vector of equal lanes.
  Value splat(Type type, int64_t value);
  Value splat(Type type, double value);
  Value splat(Type type, float value) { return splat(type, static_cast<double>(value)); }
  Value splat(Type type, int value) { return splat(type, static_cast<int64_t>(value)); }

  //===--------------------------------------------------------------------===//
  // Arithmetic by element type, on scalars and vectors
  //===--------------------------------------------------------------------===//

  // Floats: one IEEE rounding each, never fused behind one's back. A number as second
  // operand takes the type of the first.
  using ArithmeticBuilder::add;
  using ArithmeticBuilder::mul;
  using ArithmeticBuilder::sub;
  /// Integers: unsigned.
  Value div(Value a, Value b);
  Value rem(Value a, Value b);
  Value add(Value a, int64_t b) { return add(a, splat(a.getType(), b)); }
  Value sub(Value a, int64_t b) { return sub(a, splat(a.getType(), b)); }
  Value mul(Value a, int64_t b) { return mul(a, splat(a.getType(), b)); }
  Value div(Value a, int64_t b) { return div(a, splat(a.getType(), b)); }
  Value rem(Value a, int64_t b) { return rem(a, splat(a.getType(), b)); }
  Value abs(Value a);
  Value sqrt(Value a);

  // Bits of integers.
  Value bitAnd(Value a, Value b);
  Value bitOr(Value a, Value b);
  Value bitXor(Value a, Value b);
  Value bitAnd(Value a, int64_t b) { return bitAnd(a, splat(a.getType(), b)); }
  Value bitOr(Value a, int64_t b) { return bitOr(a, splat(a.getType(), b)); }
  Value bitXor(Value a, int64_t b) { return bitXor(a, splat(a.getType(), b)); }
  Value shiftLeft(Value a, int64_t bits);
  /// Zeros come in from the left.
  Value shiftRight(Value a, int64_t bits);

  // Comparisons; integers signed, false where a float is NaN.
  using ArithmeticBuilder::equal;
  using ArithmeticBuilder::less;
  Value lessEqual(Value a, Value b);
  Value less(Value a, int64_t b) { return less(a, splat(a.getType(), b)); }
  Value equal(Value a, int64_t b) { return equal(a, splat(a.getType(), b)); }
  /// a < b of unsigned integers.
  Value below(Value a, Value b);
  /// Of i1.
  Value both(Value a, Value b) { return bitAnd(a, b); }
  Value either(Value a, Value b) { return bitOr(a, b); }
  Value negate(Value condition);

  // Conversions to a type of as many lanes.
  /// Integer to integer, signed.
  Value toInteger(Value value, Type type);
  /// Signed integer or float to float (to nearest even).
  Value toFloat(Value value, Type type);
  /// A scalar f32 to the nearest f16, at most its largest number.
  Value toHalf(Value value);
  Value bitcast(Value value, Type type);
  /// Bytes of two i32 as one: digit i (hexadecimal, from the right) of `selector` is the
  /// number of byte i, 0..3 of `low` or 4..7 of `high`.
  Value permuteBytes(Value low, Value high, int64_t selector);

  // Vectors.
  Value broadcast(Value scalar, int64_t lanes);
  Value extract(Value vector, int64_t lane);
  Value insert(Value scalar, Value vector, int64_t lane);
  /// Two or more scalars as one vector.
  Value pack(ValueRange scalars);

  // Approximate functions of the hardware, two units in the last place or so; f32.
  Value exp2Approx(Value x);
  Value rsqrtApprox(Value x);
  Value reciprocalApprox(Value x);
  /// A call of an LLVM intrinsic; a null result type for none.
  Value intrinsic(llvm::StringRef name, Type result, ValueRange operands);

  //===--------------------------------------------------------------------===//
  // Memory
  //===--------------------------------------------------------------------===//

  /// base + index elements of `element`; the index is i32 or i64.
  Value at(Value base, Type element, Value index);
  Value at(Value base, Type element, int64_t index);
  /// base + row * width elements, counted in i64.
  Value row(Value base, Type element, Value row, int64_t width);
  /// Aligned to `alignment` bytes, by default to the size of the type.
  Value load(Type type, Value pointer, int64_t alignment = 0);
  void store(Value value, Value pointer, int64_t alignment = 0);
  /// Byte `offset` of the block's dynamic shared memory.
  Value shared(int64_t offset = 0);

  /// Most elements of `bytes` bytes, up to 16 bytes, that divide rows of `width`
  /// elements: what one aligned load can take.
  static int64_t lanesOf(int64_t width, int64_t bytes);

  //===--------------------------------------------------------------------===//
  // Threads
  //===--------------------------------------------------------------------===//

  Value thread(); ///< in a block of one dimension
  Value block(unsigned dimension = 0);
  Value lane();
  Value warp();
  /// All threads of the block have come here, and see each other's memory.
  void barrier();
  /// The same among the threads of a warp.
  void warpBarrier();

  // Exchange within a warp, all 32 lanes; f32 or i32.
  Value shuffleXor(Value value, int64_t mask);
  Value shuffleUp(Value value, int64_t distance); ///< the lane's own value at the edge
  Value shuffleFrom(Value value, Value lane);
  /// Sum and maximum over groups of `lanes` (a power of two) lanes, in each of them.
  Value warpSum(Value value, int64_t lanes = kWarp);
  Value warpMax(Value value, int64_t lanes = kWarp);
  /// A bit for every lane where the condition holds.
  Value ballot(Value condition);
  /// Maximum over a block of `threads` (a multiple of 32) threads, in each of them.
  /// `scratch`: 4 bytes of shared memory per warp, free again after the next barrier.
  Value blockMax(Value value, int64_t threads, Value scratch);

  //===--------------------------------------------------------------------===//
  // Copies and products of the tensor cores (sm_80)
  //===--------------------------------------------------------------------===//

  /// Starts a copy of 4, 8 or 16 bytes from device to shared memory, both aligned to
  /// that. With `condition` false zeros are written and nothing is read.
  void copyAsync(Value shared, Value global, int64_t bytes, Value condition = Value());
  void commitCopies();
  /// Until at most `pending` commits are unfinished.
  void waitCopies(int64_t pending);

  /// Matrices 8x8 of 16 bits (or 8x16 of 8): lane i gives the address of row i % 8 of
  /// matrix i / 8 (of 1, 2 or 4) in shared memory; one i32 per matrix.
  Values loadMatrices(Value row, int64_t count, bool transposed = false);

  /// a m16xk32 (4 i32), b k32xn8 (2 i32), c m16xn8 (4 i32): a b + c.
  Values mmaS8(ValueRange a, ValueRange b, ValueRange c);
  /// a m16xk16 (4 vector<2xf16>), b k16xn8 (2 vector<2xf16>), c m16xn8 (4 f32).
  Values mmaF16(ValueRange a, ValueRange b, ValueRange c);
  /// a m16xk8 (4 i32: f32 whose low 13 bits are zero), b k8xn8 (2 i32), c m16xn8 (4 f32).
  Values mmaTf32(ValueRange a, ValueRange b, ValueRange c);

  //===--------------------------------------------------------------------===//
  // Copies and products of sm_90a
  //===--------------------------------------------------------------------===//

  /// Makes 8 bytes of shared memory a barrier: a phase of it ends when `count` arrivals
  /// and all bytes that were expected have come.
  void initBarrier(Value barrier, int64_t count);
  /// Barriers that this thread has made are there for all who meet it at a barrier(),
  /// and for copies.
  void fenceBarriers();
  void arrive(Value barrier);
  /// The phase takes `bytes` more bytes; then arrives.
  void arriveExpecting(Value barrier, int64_t bytes);
  /// Until the phase of this parity (i32, the first phase: 0) has ended.
  void waitPhase(Value barrier, Value parity);
  /// Starts to copy the box at byte x of row y (i32) of the matrix of a tensor map to
  /// shared memory (1024-byte aligned); its bytes come to `barrier`.
  void copyTensor(Value shared, Value map, Value x, Value y, Value barrier);

  /// How wgmma finds its right operand: rows of 128 bytes as copyTensor leaves them; the
  /// next 32 bytes of all rows are 2 more.
  Value matrixDescriptor(Value shared);
  /// To be done before the first of a group of products, when registers are as they
  /// should be.
  void fenceProducts();
  /// Starts sums (+)= a b; all four warps of 128 threads do the same. a m64xk32 of s8 or
  /// m64xk16 of f16 (4 i32, of which a warp has 16 rows as in mma); b (k x n) is described,
  /// n twice the number of sums; sums i32 or f32: word 4j + i is that of mma's n-tile j.
  /// Until a wait the results only go to further products.
  Values multiplyAsync(ValueRange a, Value descriptor, ValueRange sums, bool addsToSums = true);
  void commitProducts();
  /// The sums when at most `pending` commits are unfinished. `operands`: all `a` that are
  /// free from now on.
  Values waitProducts(int64_t pending, ValueRange sums, ValueRange operands);
  /// What the threads of this group of four warps have from now on, of those that the
  /// block got when it began (a multiple of 8; the same for all, 65536 by the launch).
  void setRegisters(int64_t count, bool isMore);

  //===--------------------------------------------------------------------===//
  // Control flow; bounds are i32 or i64, both of one type
  //===--------------------------------------------------------------------===//

  using Body = llvm::function_ref<void(Value)>;
  using CarryingBody = llvm::function_ref<Values(Value, ValueRange)>;
  void forLoop(Value begin, Value end, Value step, Body body);
  void forLoop(Value begin, Value end, int64_t step, Body body);
  Values forLoop(Value begin, Value end, Value step, ValueRange initial, CarryingBody body);
  Values forLoop(Value begin, Value end, int64_t step, ValueRange initial, CarryingBody body);
  void ifThen(Value condition, llvm::function_ref<void()> then, llvm::function_ref<void()> otherwise = nullptr);
  /// While `condition` of the carried values holds.
  Values whileLoop(ValueRange initial, llvm::function_ref<Value(ValueRange)> condition,
                   llvm::function_ref<Values(ValueRange)> body);
  Values ifElse(Value condition, llvm::function_ref<Values()> then, llvm::function_ref<Values()> otherwise);

  /// The first error of the launch wins: {code, a, b} to the record that `errors`
  /// (what Kernel::errors() gave) points to. `a` and `b` are i32 or i64.
  void fail(Value errors, Value code, Value a, Value b);
  void fail(Value errors, int64_t code, Value a, Value b) { fail(errors, i64(code), a, b); }

private:
  Value reduceLanes(Value value, int64_t lanes, llvm::function_ref<Value(Value, Value)> combine);
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_EMITTER_H
