//===- DeviceOps.h - Calls of the simulator in place of operations --------===//
//
// One builder for both steps that make such calls: operations of many threads, and
// checks of memory.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_SIM_DEVICEOPS_H
#define QOPT_LIB_CODEGEN_SIM_DEVICEOPS_H

#include "SimCodegen.h"

namespace qopt::sim {

/// The functions of QrtSimApi, in its order.
enum class ApiFunction {
  Trap,
  Barrier,
  SyncWarp,
  Shuffle,
  Vote,
  Reduce,
  LoadMatrix,
  Mma,
  CopyAsync,
  Commit,
  Wait,
  InitBarrier,
  FenceBarriers,
  Arrive,
  WaitPhase,
  CopyTensor,
  FenceProducts,
  MultiplyAsync,
  CommitProducts,
  WaitProducts
};

/// What the lowerings of operations in one kernel share.
struct DeviceOpBuilder {
  explicit DeviceOpBuilder(mlir::LLVM::LLVMFuncOp function);

  mlir::Value call(host::LlvmBuilder &b, ApiFunction which, mlir::ValueRange operands, mlir::Type result = {});
  mlir::Value i32(host::LlvmBuilder &b, int64_t value);
  /// The address of a constant that lives as long as the code.
  mlir::Value constant(host::LlvmBuilder &b, llvm::StringRef name, llvm::StringRef data);
  /// The name of an operation that others must meet.
  mlir::Value site(host::LlvmBuilder &b, mlir::Operation *op);

  mlir::Value toBits(host::LlvmBuilder &b, mlir::Value value);
  mlir::Value fromBits(host::LlvmBuilder &b, mlir::Value bits, mlir::Type type);
  /// Memory of the thread for words that go to and come from the simulator.
  mlir::Value slot(mlir::Value &cached, int64_t words);
  mlir::Value loadWord(host::LlvmBuilder &b, mlir::Value slot, int64_t i);
  void storeWords(host::LlvmBuilder &b, mlir::ValueRange values, mlir::Value slot, int64_t first = 0);
  /// A struct of registers, or the only one.
  mlir::Value packWords(host::LlvmBuilder &b, mlir::Value slot, int64_t first, mlir::Type type);

  mlir::LLVM::LLVMFuncOp function;
  mlir::Value self, api, matrixSlot, mmaSlot, leftSlot, sumsSlot;

private:
  llvm::StringRef defineBytes(llvm::StringRef name, llvm::StringRef data);

  host::LlvmBuilder top;
  llvm::DenseMap<mlir::StringAttr, llvm::StringRef> sites; // to symbols
  unsigned numConstants = 0;
};

/// What only sm_90a has; failure for operations that are not known.
mlir::LogicalResult lowerAsyncOp(DeviceOpBuilder &kernel, mlir::Operation *op);

} // namespace qopt::sim

#endif // QOPT_LIB_CODEGEN_SIM_DEVICEOPS_H
