//===- Kernel.h - What every kernel generator is given ---------------------===//
//
// A generator writes two things: the host body (size arithmetic and launches) with
// the Kernel itself, and the code of a GPU thread with the Emitter that launch()
// hands to its body:
//
//   Value rows = k.dim(op.getX(), 0);
//   k.launch({.grid = {rows}, .threads = 256}, {k.input(op.getX()), k.output(op.getY()), {k.toI32(rows)}},
//            [&](Emitter &t, ValueRange args) { ... t.load(t.f32Type(), t.at(args[0], ...)) ... });
//
// What the body uses must come from `args` or be made inside. The threads of a
// block are one-dimensional. What the operation's verifier has checked is not checked again.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_KERNEL_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_KERNEL_H

#include "Emitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "qopt/Dialect/Kernel/Kernel.h"

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

/// The builder of the host's body of one function.
struct Kernel : Emitter {
  /// The builder stands inside the function.
  Kernel(mlir::func::FuncOp function, const mlir::OpBuilder &builder)
      : Emitter(function.getLoc(), builder), function(function) {}

  mlir::func::FuncOp function;

  // Host code. Sizes are i64.
  Value dim(Value memref, unsigned dimension);
  Value ceilDiv(Value a, int64_t b) { return div(add(a, b - 1), b); }
  Value toI32(Value size) { return toInteger(size, getI32Type()); }
  /// Address of the first element.
  Value address(Value memref);
  Argument input(Value memref) { return {address(memref), /*readOnly=*/true}; }
  Argument output(Value memref) { return {address(memref)}; }
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

// One generator per kernel, and one for all products; the file of each explains how it works.
void emit(Kernel &k, kernel::ProductOpInterface op);
void emit(Kernel &k, kernel::QuantizeOp op);
void emit(Kernel &k, kernel::DynamicQuantizeOp op);
void emit(Kernel &k, kernel::SplitColumnsOp op);
void emit(Kernel &k, kernel::SplitColumnsAtOp op);
void emit(Kernel &k, kernel::RmsNormOp op);
void emit(Kernel &k, kernel::LayerNormOp op);
void emit(Kernel &k, kernel::RotaryOp op);
void emit(Kernel &k, kernel::GatherOp op);
void emit(Kernel &k, kernel::AttentionOp op);
void emit(Kernel &k, kernel::CachedAttentionOp op);
void emit(Kernel &k, kernel::CacheAppendOp op);

/// Lets a function do all it can of a group in one launch. The operations of the group also
/// stand before it as calls (kernel::callOneByOne), `outside` as that returns it; those that
/// are needed stay, the group goes.
void emitGroup(kernel::GroupOp group, const mlir::IRMapping &outside);

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_KERNEL_H
