//===- Kernel.h - The kernel dialect --------------------------------------===//
//
// How heavy operators are computed: an operation per kernel, and groups of them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_KERNEL_KERNEL_H
#define QOPT_DIALECT_KERNEL_KERNEL_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace qopt::kernel {

/// Output columns per block of packed weights.
inline constexpr int64_t kColumns = 16;
/// Inputs per step of packed int4 weights: 4 bytes of a column.
inline constexpr int64_t kInt4Step = 8;

/// Outlier columns of x are rounded to f16 in this unit, a power of two, so that nothing
/// is out of range. All targets add their products in f32 in the order of the columns, each
/// with one rounding, to the sum of the codes' products in the unit of the weights: with
/// all scales where weights were kept, else with the scale of x only.
inline constexpr float kOutlierUnit = 64;

/// What an operation can be in a group. In a stage they come in this order.
enum class KernelRole { None, Norm, Quantization, Product, Epilogue };

/// Where matmul_w8a8 has the weights of outlier columns: nowhere, in the codes (columns
/// found at run time, in a list), or kept apart (columns found by calibration).
enum class OutlierForm { None, Listed, Kept };

/// The shape that an operand of a kernel must have, `?` for sizes that do not matter.
struct OperandShape {
  llvm::StringRef name;
  llvm::SmallVector<int64_t> sizes;
};

class KernelOpInterface;
class ProductOpInterface;
class RmsNormOp;
class StageOp;

namespace detail {
mlir::LogicalResult verifyKernel(mlir::Operation *op);
void getKernelEffects(mlir::DestinationStyleOpInterface op,
                      llvm::SmallVectorImpl<mlir::SideEffects::EffectInstance<mlir::MemoryEffects::Effect>> &effects);
} // namespace detail

/// The memory behind views.
mlir::Value getMemory(mlir::Value value);
/// Whether a view is all of its memory in the same order.
bool isReshape(mlir::Value value);
/// Whether a loop accesses the operand exactly at its own indices.
bool isIdentity(mlir::linalg::GenericOp loop, mlir::OpOperand &operand);
/// Whether a loop covers all elements of its results and reads others either where it
/// writes or along the last dimension only, as a bias.
bool isElementwise(mlir::linalg::GenericOp loop);

} // namespace qopt::kernel

#include "qopt/Dialect/Kernel/KernelInterfaces.h.inc"
#include "qopt/Dialect/Kernel/KernelOpsDialect.h.inc"
#define GET_OP_CLASSES
#include "qopt/Dialect/Kernel/KernelOps.h.inc"

namespace qopt::kernel {

/// The type of the argument for an operand in the function of a kernel on memory.
mlir::MemRefType getFunctionType(KernelOpInterface kernel, unsigned operand);

/// How an operation of a group accesses memory, by the memory behind views.
struct MemoryAccess {
  llvm::SmallVector<mlir::Value, 4> whole;    ///< any element may be read; the input first
  llvm::SmallVector<mlir::Value, 4> elements; ///< read only where it is written
  llvm::SmallVector<mlir::Value, 4> written;
};
/// Of a kernel or an elementwise loop on memory.
MemoryAccess getMemoryAccess(mlir::Operation *op);
/// What an operation can be in a group: a kernel's role, Epilogue for an elementwise loop.
KernelRole getRole(mlir::Operation *op);

/// Whether two products can be in one stage: the same kernel on weights of one type.
bool areOfOneKind(ProductOpInterface a, ProductOpInterface b);

/// Registers how kernels on tensors become kernels on memory.
void registerBufferization(mlir::DialectRegistry &registry);

} // namespace qopt::kernel

#endif // QOPT_DIALECT_KERNEL_KERNEL_H
