//===- Kernel.h - What every kernel generator is given ---------------------===//
//
// A generator writes two things: the host body (size arithmetic and launches) with
// the Kernel itself, and the code of a GPU thread with the Emitter that launch()
// hands to its body:
//
//   Value rows = k.dim(0, 0);
//   k.launch({.grid = {rows}, .threads = 256}, {k.input(0), k.output(1), {k.toI32(rows)}},
//            [&](Emitter &t, ValueRange args) { ... t.load(t.f32Type(), t.at(args[0], ...)) ... });
//
// What the body uses must come from `args` or be made inside. The threads of a
// block are one-dimensional.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNEL_H
#define QOPT_LIB_CODEGEN_CUDA_KERNEL_H

#include "Emitter.h"
#include "KernelDeclaration.h"

namespace qopt::cuda {

struct Launch {
  Values grid;             ///< blocks in x, y, z: 1 to 3 values of i64
  int64_t threads = 256;   ///< per block
  int64_t sharedBytes = 0; ///< dynamic shared memory per block
  /// Blocks for which a multiprocessor must have registers.
  /// Left to itself, ptxas rather spills a few than let a block less run.
  int64_t blocksAtATime = 1;
  llvm::StringRef suffix = ""; ///< of the kernel's name, where a function launches several
  llvm::StringRef arch = "";   ///< what only it has; the launch must depend on capability()
};

/// What a launch passes on: an address, i32, i64 or f32. Memory that is passed must not
/// be written through two of the arguments.
struct Argument {
  Value value;
  bool readOnly = false; ///< nobody writes this memory during the launch
  bool mayAlias = false; ///< unlike what is said above
  bool isTensorMap = false;
};

/// Threads of a block of launchOver.
inline constexpr int64_t kLoopThreads = 256;

struct Kernel : Emitter, KernelDeclaration {
  /// The builder stands inside the function.
  Kernel(mlir::func::FuncOp function, const mlir::OpBuilder &builder)
      : Emitter(function.getLoc(), builder), KernelDeclaration(function) {}

  // Host code. Sizes are i64.
  Value dim(unsigned operand, unsigned dimension) { return dim(function.getArgument(operand), dimension); }
  Value dim(Value memref, unsigned dimension);
  /// The number of elements of an operand.
  Value elements(unsigned operand);
  Value ceilDiv(Value a, int64_t b) { return div(add(a, b - 1), b); }
  Value toI32(Value size) { return toInteger(size, getI32Type()); }
  /// Address of the first element.
  Value address(unsigned operand) { return address(function.getArgument(operand)); }
  Value address(Value memref);
  Argument input(unsigned operand) { return {address(operand), /*readOnly=*/true}; }
  Argument output(unsigned operand) { return {address(operand)}; }
  /// Where Emitter::fail writes to.
  Argument errors();
  /// QrtApi::capability (i64).
  Value capability();
  /// Memory as a matrix of `rows` (not 0) rows for Emitter::copyTensor, whose boxes have
  /// `boxRows` rows of 128 bytes.
  Argument tensorMap(Value memory, Value rows, int64_t rowBytes, int64_t boxRows);

  using ThreadBody = llvm::function_ref<void(Emitter &, ValueRange)>;
  void launch(const Launch &launch, llvm::ArrayRef<Argument> arguments, ThreadBody body);
  /// A thread for each i (i64) of [0, count): body(thread, arguments, i).
  void launchOver(Value count, llvm::ArrayRef<Argument> arguments,
                  llvm::function_ref<void(Emitter &, ValueRange, Value)> body, llvm::StringRef suffix = "");
};

// One generator per kernel; the file of each explains how it works.
mlir::LogicalResult emitGather(Kernel &k);
mlir::LogicalResult emitRmsNorm(Kernel &k);
mlir::LogicalResult emitRotary(Kernel &k);
mlir::LogicalResult emitQuantize(Kernel &k);
mlir::LogicalResult emitDynamicQuantize(Kernel &k);
mlir::LogicalResult emitSplitColumns(Kernel &k);
mlir::LogicalResult emitSplitColumnsAt(Kernel &k);
mlir::LogicalResult emitProduct(Kernel &k);
mlir::LogicalResult emitAttention(Kernel &k);
mlir::LogicalResult emitCachedAttention(Kernel &k);
mlir::LogicalResult emitCacheAppend(Kernel &k);

/// Lets the function of a group of kernels (Kernels.h) do all it can in one launch.
mlir::LogicalResult emitGroup(mlir::func::FuncOp function);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNEL_H
