//===- Cuda.h - From lowered IR to PTX and machine code of NVIDIA GPUs -----===//
//
// What `qopt-lower` leaves is common to all targets: entry functions that do size
// arithmetic and call functions of kernels, groups and loops. For CUDA these callees get
// host bodies that launch kernels; the kernels are gpu.funcs in one gpu.module of the
// same module. The entry functions stay as they are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CODEGEN_CUDA_H
#define QOPT_CODEGEN_CUDA_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"
#include <string>
#include <vector>

namespace qopt {

/// The gpu.module that holds all kernels.
inline constexpr llvm::StringLiteral kKernelsModule = "kernels";

/// Gives every private function that holds a kernel, a group or loops on memrefs a host
/// body of size arithmetic and `gpu.launch_func`s. Operands of launches
/// are device addresses (!llvm.ptr, of the first element), i32, i64 and f32; sizes of
/// grids and blocks are index values. A gpu.func knows its block size
/// (known_block_size) and its dynamic shared memory (`qopt.shared_bytes`), which begins
/// at the external global `qopt_shared`; one with `qopt.arch` is launched only where
/// QrtApi::capability allows it. Emits a diagnostic on a kernel or group that is not alone
/// in its function, a kernel that has no generator and loops that no kernel can be made of.
mlir::LogicalResult emitCudaKernels(mlir::ModuleOp module);

/// Writes what the pipeline `qopt-ptx` leaves as PTX for `chip` ("sm_80", "sm_90a", ...) in
/// the oldest version of PTX that has this chip. Needs no CUDA toolkit: nothing refers
/// to libdevice. The same input gives the same text. Emits a diagnostic on failure.
mlir::FailureOr<std::string> translateToPtx(mlir::ModuleOp module, llvm::StringRef chip);

/// What ptxas says of a kernel.
struct KernelResources {
  int64_t registers = 0;           ///< per thread
  int64_t spilledBytes = 0;        ///< stored and loaded, per thread
  int64_t stackBytes = 0;          ///< per thread
  int64_t sharedBytes = 0;         ///< static ones, per block
  bool serializesProducts = false; ///< each wgmma waits for the one before (C7510 and its like)
};

struct Cubin {
  std::vector<char> bytes; ///< an ELF file
  llvm::StringMap<KernelResources> kernels;
};

/// The path of ptxas: the first of $PATH, $CUDA_HOME/bin, /usr/local/cuda/bin that
/// has one; empty if none does.
std::string findPtxas();

/// Assembles PTX with ptxas for one chip. Emits a diagnostic at `loc`, with ptxas's
/// words, on failure.
mlir::FailureOr<Cubin> compileCubin(mlir::Location loc, llvm::StringRef ptx, llvm::StringRef chip);

/// Reads what `ptxas -v` writes.
llvm::StringMap<KernelResources> parseResources(llvm::StringRef output);

} // namespace qopt

#endif // QOPT_CODEGEN_CUDA_H
