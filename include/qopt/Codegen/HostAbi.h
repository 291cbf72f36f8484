//===- HostAbi.h - How lowered functions talk to the runtime --------------===//
//
// Names and attributes shared by the passes that produce functions on memrefs,
// the kernel generators and the host code generator, which turns them into
// calls through QrtApi.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_HOSTABI_H
#define QOPT_CODEGEN_HOSTABI_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Runtime/Abi.h"
#include <vector>

namespace mlir::gpu {
class GPUFuncOp;
}

namespace qopt {

/// `@qrt_errors() -> !llvm.ptr`: the address of the QrtErrorRecord of this call, in
/// the memory of the device.
inline constexpr llvm::StringLiteral kErrorsFunction = "qrt_errors";

/// `@qrt_capability() -> i64`: QrtApi::capability.
inline constexpr llvm::StringLiteral kCapabilityFunction = "qrt_capability";
/// `@qrt_tensor_map(!llvm.ptr data, i64 rows, i64 rowBytes, i64 boxRows) -> !llvm.ptr`:
/// QrtApi::tensorMap, into memory of the caller. Only to be passed to launches.
inline constexpr llvm::StringLiteral kTensorMapFunction = "qrt_tensor_map";

/// The kernels of all gpu.modules of `module`, in the order of the module's kernel
/// table.
std::vector<mlir::gpu::GPUFuncOp> listKernels(mlir::ModuleOp module);

/// Make `qopt.fail` and `qopt.require`; `a` and `b` are integers of at most 64 bits, or
/// indices.
void emitFail(mlir::OpBuilder &builder, mlir::Location loc, RuntimeError error, mlir::Value a, mlir::Value b);
void emitRequire(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value condition, RuntimeError error, mlir::Value a,
                 mlir::Value b);

} // namespace qopt

#endif // QOPT_CODEGEN_HOSTABI_H
