//===- KernelGroup.td - Sequences of kernels that may run as one ----------===//
//
// Included by KernelOps.td.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_KERNEL_KERNELGROUP_TD
#define QOPT_DIALECT_KERNEL_KERNELGROUP_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_GroupOp : Op<Kernel_Dialect, "group", [
    IsolatedFromAbove, RecursiveMemoryEffects, SingleBlock, NoTerminator]> {
  let summary = "a sequence of kernels that a target may compute in one go";
  let description = [{
    Stages, one after another, on memory. Whatever a target does, what is in memory
    afterwards must be what the operations leave there in the order in which they stand;
    arguments marked `scratch` are memory that nobody else reads, so it need not be
    written.

    ```mlir
    kernel.group(%x = %0 : memref<?x4xf32>, %n = %1 scratch : memref<?x4xf32>, ...) {
      kernel.stage preparation {
        kernel.rms_norm ins(%x, %g : memref<?x4xf32>, memref<4xf32>) outs(%n : memref<?x4xf32>) {epsilon = 1.0e-05 : f32}
      } products {
        kernel.matmul_float ins(%n, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x8xf32>)
        kernel.matmul_float ins(%n, %v : memref<?x4xf32>, memref<1x4x16xf32>) outs(%z : memref<?x8xf32>)
      } epilogue {
        linalg.generic {...} ins(%y, %z : memref<?x8xf32>, memref<?x8xf32>) outs(%a : memref<?x8xf32>) {...}
      }
    }
    ```

    Constraints:

    - the body holds stages, before them only constants and reshapes of arguments;
    - scratch is memory;
    - in a stage no operation writes what another one reads as a whole, but for the
      preparation, which makes the row that the products read;
    - a stage behind the first one quantizes what the stage before it leaves.
  }];
  let arguments = (ins Variadic<AnyType>:$inputs, DenseI64ArrayAttr:$scratch);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// The stages, in order.
    ::llvm::SmallVector<::qopt::kernel::StageOp, 4> getStages();
    ::mlir::Block::BlockArgListType getArguments() { return getBody().getArguments(); }
    /// Whether nobody reads the memory behind `value` afterwards.
    bool isScratch(::mlir::Value value);
    /// The function that holds only this group: the first product's, and "_group".
    std::string getFunctionName();
  }];
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$inputs, "::llvm::ArrayRef<int64_t>":$scratch)>];
}

def Kernel_StageOp : Op<Kernel_Dialect, "stage", [
    HasParent<"::qopt::kernel::GroupOp">, RecursiveMemoryEffects, SingleBlock, NoTerminator]> {
  let summary = "products of one input, what prepares it, and what is done with their results";
  let description = [{
    Constraints:

    - `preparation`: at most a norm, then at most a quantization of what it makes;
    - `products`: at least one; all are of one kind and have one input, which is what the
      preparation makes, if there is one;
    - `epilogue`: elementwise loops and kernels, each of what products or an operation
      before it have made.
  }];
  let regions = (region AnyRegion:$preparation, SizedRegion<1>:$products, AnyRegion:$epilogue);
  let assemblyFormat = [{(`preparation` $preparation^)? `products` $products (`epilogue` $epilogue^)? attr-dict}];
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    /// Null where there is none.
    ::qopt::kernel::RmsNormOp getNorm();
    /// Null where there is none.
    ::qopt::kernel::KernelOpInterface getQuantization();
    ::llvm::SmallVector<::qopt::kernel::ProductOpInterface> getProductOps();
    /// Kernels and elementwise linalg.generic.
    ::llvm::SmallVector<::mlir::Operation *> getSteps();
    /// All operations, in order.
    ::llvm::SmallVector<::mlir::Operation *> getOperationsInOrder();
    /// What the stage reads in the first place: x of the norm, the quantization or the products.
    ::mlir::Value getInput();
  }];
}

#endif // QOPT_DIALECT_KERNEL_KERNELGROUP_TD
