//===- OnnxInterfaces.td - What is known of every ONNX operator -----------===//
//
// The questions that importer, shape resolution, raising and lowering ask about an
// operator. Each is answered once, beside the operator.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_ONNXINTERFACES_TD
#define QOPT_DIALECT_ONNX_ONNXINTERFACES_TD

include "mlir/IR/OpBase.td"

//===----------------------------------------------------------------------===//
// Traits
//===----------------------------------------------------------------------===//

class Onnx_Trait<string name> : NativeOpTrait<name> {
  let cppNamespace = "::qopt::onnx";
}

/// An element of the result depends on the elements at the same place of the operands,
/// which are broadcast to one shape.
def Onnx_Elementwise : Onnx_Trait<"Elementwise">;

/// The result has the elements of the first operand, each of them once, in another order
/// or shape.
def Onnx_Rearranges : Onnx_Trait<"Rearranges">;

/// What it computes is an activation of its own, no other form of its operands: what raising
/// looks for in front of a result ends here.
def Onnx_MakesActivation : Onnx_Trait<"MakesActivation">;

/// The operands from the first one on, or from another one on, have one element type.
class Onnx_SameElements<int first = 0> : ParamNativeOpTrait<"SameElementsFrom", !cast<string>(first)> {
  let cppNamespace = "::qopt::onnx";
}

//===----------------------------------------------------------------------===//
// Interfaces
//===----------------------------------------------------------------------===//

def Onnx_OperatorInterface : OpInterface<"OperatorInterface"> {
  let description = [{
    An ONNX operator: which nodes of a file it stands for, and how the shapes of its
    results follow from its operands. Implemented by all operations of the dialect: the
    form comes from their ODS definition, the shape rule is their `inferShapes`.
  }];
  let cppNamespace = "::qopt::onnx";
  let methods = [
    StaticInterfaceMethod<"How many inputs and outputs a node has, and since when.",
      "::qopt::onnx::OperatorForm", "getForm">,
    StaticInterfaceMethod<"The attributes without which there is no operation.",
      "::llvm::SmallVector<::llvm::StringRef>", "getRequiredAttributes">,
    InterfaceMethod<[{
      Gives `shapes` the dimensions and element types of all results. Fails where the
      operands contradict each other; `shapes` decides whether anybody is told.
    }], "::llvm::LogicalResult", "inferShapes", (ins "::qopt::onnx::ShapeMath &":$shapes), [{
      return ConcreteOp::inferShapes(typename ConcreteOp::Adaptor($_op), shapes);
    }]>,
  ];
}

def Onnx_ShapeContentsInterface : OpInterface<"ShapeContentsInterface"> {
  let description = [{
    An operator that exporters compute shapes with: what it does to the elements of small
    integer tensors, as far as they are known.
  }];
  let cppNamespace = "::qopt::onnx";
  let methods = [
    InterfaceMethod<"The elements of the first result; nothing where nothing is known of them.",
      "::std::optional<::qopt::onnx::Extents>", "inferContents", (ins "::qopt::onnx::ShapeMath &":$shapes)>,
    InterfaceMethod<"The elements of any result, for operators with several.",
      "::std::optional<::qopt::onnx::Extents>", "inferContentsOf",
      (ins "unsigned":$result, "::qopt::onnx::ShapeMath &":$shapes), /*methodBody=*/[{}], /*defaultImplementation=*/[{
        return result == 0 ? $_op.inferContents(shapes) : ::std::nullopt;
      }]>,
  ];
}
/// The same, for lists of traits: the operation defines the method.
def Onnx_ShapeContents : DeclareOpInterfaceMethods<Onnx_ShapeContentsInterface>;
def Onnx_ShapeContentsOfEach : DeclareOpInterfaceMethods<Onnx_ShapeContentsInterface, ["inferContentsOf"]>;

#endif // QOPT_DIALECT_ONNX_ONNXINTERFACES_TD
