//===- Outline.h - Functions of kernels, groups and loops -----------------===//
//
// Code is generated function by function. These make a private function of an operation on
// memory and a call of it where the operation was; equal kernels, and equal groups, share
// one.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_KERNEL_OUTLINE_H
#define QOPT_DIALECT_KERNEL_OUTLINE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "qopt/Dialect/Kernel/Kernel.h"

namespace qopt::kernel {

/// Emits a diagnostic unless a kernel is on memory, as bufferization leaves it.
mlir::LogicalResult expectMemory(KernelOpInterface kernel);

/// To the function getFunctionName(), which holds the kernel on its arguments. Sizes on which
/// the code does not depend are unknown in it.
mlir::func::CallOp outline(KernelOpInterface kernel, mlir::SymbolTable &symbols);
/// To the function getFunctionName(), which holds the group on its arguments.
mlir::func::CallOp outline(GroupOp group, mlir::SymbolTable &symbols);
/// To a new function `name`. Arguments are all that the operation uses but constants, which
/// are made again inside.
mlir::func::CallOp outlineLoop(mlir::Operation *loop, const llvm::Twine &name, mlir::SymbolTable &symbols);

/// Before the group, each of its operations as a call of its own function: what a target does
/// that does not compute the group in one go. Returns what values and operations of the group
/// are outside of it; operations are calls there.
mlir::IRMapping callOneByOne(GroupOp group, mlir::SymbolTable &symbols);
/// The calls of callOneByOne() take the place of every group. Equal loops, which groups often
/// have, share a function.
mlir::LogicalResult inlineGroups(mlir::ModuleOp module);
/// Equal functions become one: for what outlineLoop() has made.
mlir::LogicalResult shareEqualFunctions(mlir::ModuleOp module);

} // namespace qopt::kernel

#endif // QOPT_DIALECT_KERNEL_OUTLINE_H
