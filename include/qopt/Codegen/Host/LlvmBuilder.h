//===- LlvmBuilder.h - Pointers, structs and the runtime's functions ------===//
//
// Generated code reads structs of Abi.h by field and calls the runtime through its
// table of functions; both have names here, and no number is written twice.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_HOST_LLVMBUILDER_H
#define QOPT_CODEGEN_HOST_LLVMBUILDER_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qopt/Dialect/Qopt/Qopt.h"

namespace qopt::host {

/// The functions of QrtApi, in its order.
enum class ApiFunction { Allocate, Release, ParallelFor, Fail, Launch, Errors, Capability, TensorMap };

/// The fields of QrtTensor, of QrtLaunch (Runtime/Abi.h) and of the frame of a call, by
/// their place in getTensorType(), getLaunchType() and getFrameType().
enum class TensorField { Data, Type, Rank, Dims };
enum class LaunchField { Kernel, Grid, Block, SharedBytes, NumArgs };
enum class FrameField { Api, Context, Status };

class LlvmBuilder : public mlir::ImplicitLocOpBuilder {
public:
  LlvmBuilder(mlir::Location loc, const mlir::OpBuilder &at)
      : ImplicitLocOpBuilder(loc, at), pointer(mlir::LLVM::LLVMPointerType::get(loc.getContext())) {}

  mlir::LLVM::LLVMPointerType pointerType() const { return pointer; }
  mlir::Value i64(int64_t value);
  mlir::Value null();
  mlir::Value load(mlir::Type type, mlir::Value address);
  void store(mlir::Value value, mlir::Value address);
  mlir::Value stackSlot(mlir::Type type, int64_t count = 1);
  /// The address of field `i` of a struct at `address`.
  mlir::Value field(mlir::Type structType, mlir::Value address, int64_t i);
  template <typename Field, typename = std::enable_if_t<std::is_enum_v<Field>>>
  mlir::Value field(mlir::Type structType, mlir::Value address, Field which) {
    return field(structType, address, static_cast<int64_t>(which));
  }
  /// The address of element `i` of an array at `address`.
  mlir::Value element(mlir::Type elementType, mlir::Value address, int64_t i);
  mlir::Value element(mlir::Type elementType, mlir::Value address, mlir::Value i);
  mlir::Value toIndex(mlir::Value i64);
  mlir::Value toI64(mlir::Value index);
  /// Between a type and its conversion to LLVM.
  mlir::Value castTo(mlir::Value value, mlir::Type type);

  /// A dense row-major memref at `data`; `sizes` (i64) are those of the dynamic
  /// dimensions.
  mlir::Value memref(mlir::MemRefType type, mlir::Value data, mlir::ValueRange sizes);
  /// Where the first element of a memref is.
  mlir::Value addressOf(mlir::Value memref);
  /// The memref that the QrtTensor at `tensor` describes, and the description of one.
  mlir::Value readTensor(mlir::MemRefType type, mlir::Value tensor);
  void writeTensor(mlir::Value memref, int64_t elementType, mlir::Value tensor);

  /// Calls a function of the runtime with the context and `operands`.
  mlir::Value callApi(mlir::Value frame, ApiFunction function, mlir::ValueRange operands);
  mlir::Value loadStatus(mlir::Value frame);
  void storeStatus(mlir::Value frame, mlir::Value status);

private:
  mlir::LLVM::LLVMPointerType pointer;
};

/// {QrtApi *, QrtContext *, i64 status}.
mlir::LLVM::LLVMStructType getFrameType(mlir::MLIRContext *context);
/// QrtTensor.
mlir::LLVM::LLVMStructType getTensorType(mlir::MLIRContext *context);
/// QrtLaunch.
mlir::LLVM::LLVMStructType getLaunchType(mlir::MLIRContext *context);
/// The call frame of a function after lowerAbi: what `qopt.frame` marks in an entry point,
/// argument 0 of other functions; null where a function has none.
mlir::Value getFrame(mlir::func::FuncOp function);

} // namespace qopt::host

#endif // QOPT_CODEGEN_HOST_LLVMBUILDER_H
