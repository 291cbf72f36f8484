//===- SimCodegen.h - Steps of making simulator code ----------------------===//
#ifndef QOPT_LIB_CODEGEN_SIM_SIMCODEGEN_H
#define QOPT_LIB_CODEGEN_SIM_SIMCODEGEN_H

#include "qopt/Codegen/Host/LlvmBuilder.h"
#include "qopt/Codegen/Sim.h"
#include "qopt/Runtime/SimAbi.h"

namespace qopt::sim {

/// On an operation that reads or writes the simulator's own structures: such
/// accesses are not the kernel's, and are not checked.
inline constexpr llvm::StringLiteral kOwnAccessAttr = attrs::SimOwn::getNameStr();

/// StringAttr on an nvvm operation: which one of its kernel it is, "shfl.sync #3".
/// Set before anything is optimized: two equal operations in two branches must not
/// become one that the lanes of both meet at.
inline constexpr llvm::StringLiteral kSiteAttr = attrs::Site::getNameStr();

/// The fields of QrtSimThread, in its order.
enum class Field { Api, Shared, SharedBytes, ThreadId, BlockId, BlockDim, GridDim, Lane, Warp };

/// Reads a field of the thread at `self`, or one of its three dimensions.
mlir::Value readField(host::LlvmBuilder &b, mlir::Value self, Field field, int64_t dimension = 0);

/// The computation of an llvm.nvvm.* intrinsic; nothing if it is not known.
std::optional<mlir::Value> expandIntrinsic(mlir::LLVM::CallIntrinsicOp call);

} // namespace qopt::sim

#endif // QOPT_LIB_CODEGEN_SIM_SIMCODEGEN_H
