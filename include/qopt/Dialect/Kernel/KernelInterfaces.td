//===- KernelInterfaces.td - What passes must know of a kernel ------------===//
//
// Grouping, outlining and the generators of products ask these questions of a kernel
// instead of listing operations.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_KERNEL_KERNELINTERFACES_TD
#define QOPT_DIALECT_KERNEL_KERNELINTERFACES_TD

include "mlir/IR/OpBase.td"

def Kernel_KernelOpInterface : OpInterface<"KernelOpInterface"> {
  let description = [{
    An operation that the code generators write as one function. Operand 0 is what it
    reads in the first place (x, q, a table); its results are destinations
    (DestinationStyleOpInterface), which come last and do not overlap what it reads.
  }];
  let cppNamespace = "::qopt::kernel";
  let methods = [
    InterfaceMethod<"What the kernel can be in a group (`kernel.group`).",
      "::qopt::kernel::KernelRole", "getRole">,
    InterfaceMethod<"The name of the function that holds only this kernel, one per shape and configuration.",
      "std::string", "getFunctionName">,
    InterfaceMethod<[{The shapes that the operands must have, in their order. Sizes on which the code does not
      depend are `?`: kernels that differ only in them share one function.}],
      "::llvm::SmallVector<::qopt::kernel::OperandShape>", "getOperandShapes">,
    InterfaceMethod<[{The destination of int8 codes; null for a kernel that does not quantize.}],
      "::mlir::Value", "getCodesInit", (ins), [{}], [{ return {}; }]>,
    InterfaceMethod<[{Whether element i of the operand is read only to compute element i of the destination:
      the two may then be computed piece by piece. Other operands are read as a whole.}],
      "bool", "isElementwise", (ins "::mlir::OpOperand &":$operand), [{}], [{
        return $_op.getRole() == ::qopt::kernel::KernelRole::Epilogue && operand.getOperandNumber() == 0;
      }]>,
    InterfaceMethod<[{Whether the operand is a cache: memory even where the others are tensors, and of which
      only a part is written.}],
      "bool", "isCache", (ins "::mlir::OpOperand &":$operand), [{}], [{ return false; }]>,
  ];
  let verify = [{ return ::qopt::kernel::detail::verifyKernel($_op); }];
}

def Kernel_ProductOpInterface : OpInterface<"ProductOpInterface", [Kernel_KernelOpInterface]> {
  let description = [{A product y [R, N] of rows x [R, K] with a packed weight.}];
  let cppNamespace = "::qopt::kernel";
  let methods = [
    InterfaceMethod<"The rows.", "::mlir::Value", "getX">,
    InterfaceMethod<"The packed weight.", "::mlir::Value", "getWeights">,
    InterfaceMethod<"The destination.", "::mlir::Value", "getY">,
  ];
  let extraSharedClassDeclaration = [{
    /// K, the inputs of each output.
    int64_t inputs() { return ::llvm::cast<::mlir::ShapedType>($_op.getX().getType()).getDimSize(1); }
    /// N, the columns of the result.
    int64_t columns() { return ::llvm::cast<::mlir::ShapedType>($_op.getY().getType()).getDimSize(1); }
  }];
}

#endif // QOPT_DIALECT_KERNEL_KERNELINTERFACES_TD
