//===- SimCodegen.h - Steps of making simulator code ----------------------===//
//
// Private to lib/Codegen/Sim: fields of a simulated thread and intrinsics that are
// arithmetic.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_SIM_SIMCODEGEN_H
#define QOPT_LIB_CODEGEN_SIM_SIMCODEGEN_H

#include "qopt/Codegen/Host/LlvmBuilder.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Runtime/SimAbi.h"

namespace qopt::sim {

/// The fields of QrtSimThread, in its order.
enum class Field { Api, Shared, SharedBytes, ThreadId, BlockId, BlockDim, GridDim, Lane, Warp };

/// Reads a field of the thread at `self`, or one of its three dimensions.
mlir::Value readField(host::LlvmBuilder &b, mlir::Value self, Field field, int64_t dimension = 0);

/// The computation of an llvm.nvvm.* intrinsic; nothing if it is not known.
std::optional<mlir::Value> expandIntrinsic(mlir::LLVM::CallIntrinsicOp call);

} // namespace qopt::sim

#endif // QOPT_LIB_CODEGEN_SIM_SIMCODEGEN_H
