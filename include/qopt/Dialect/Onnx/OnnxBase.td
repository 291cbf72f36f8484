//===- OnnxBase.td - What the definitions of ONNX operators share ---------===//
//
// The dialect, its constraints on operands and attributes, and the classes of
// operators. An operator states here what it accepts; ODS verifies it, the importer
// reads from it what a node may look like.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_ONNX_ONNXBASE_TD
#define QOPT_DIALECT_ONNX_ONNXBASE_TD

include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "qopt/Dialect/Onnx/OnnxInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let summary = "ONNX operators of language models";
  let description = [{
    The operators that exporters of Llama-type models emit, with ONNX's names and
    meaning, on ranked tensors. `?` stands for a dimension that is known at run
    time only. ONNX's `bool` is `i1`; signed integers are signless, unsigned ones
    are `ui8`, ....

    What the file says beside the operators is kept in attributes: `onnx.name` and
    `onnx.dims` (a name per dimension, empty where it has none) on arguments and
    results of functions, `onnx.scope` (the module path of the exporter) on
    operations. Another attribute of this name space is an error.
  }];
  let cppNamespace = "::qopt::onnx";
  let discardableAttrs = (ins
      "::mlir::StringAttr":$name,
      "::mlir::ArrayAttr":$dims,
      "::mlir::StringAttr":$scope);
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
  let hasConstantMaterializer = 1;
  let useDefaultAttributePrinterParser = 1;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

class Onnx_TensorOf<list<Type> elements, list<Pred> predicates = [], string what = "tensor">
    : RankedTensorOf<elements, predicates, what>;

def Onnx_Tensor : Onnx_TensorOf<[AnyFloat, AnyInteger]>;
def Onnx_Floats : Onnx_TensorOf<[AnyFloat]>;
def Onnx_Booleans : Onnx_TensorOf<[I1]>;
def Onnx_Integers : Onnx_TensorOf<[AnyInteger]>;
def Onnx_Indices : Onnx_TensorOf<[I32, I64]>;
def Onnx_Scalar : Onnx_TensorOf<[AnyFloat, AnyInteger], [HasAnyRankOfPred<[0, 1]>], "scalar or tensor of rank 1">;
def Onnx_Matrices : Onnx_TensorOf<[AnyFloat, AnyInteger], [HasRankGreaterOrEqualPred<2>], "tensor of rank 2 or more">;
def Onnx_Matrix : Onnx_TensorOf<[AnyFloat, AnyInteger], [HasAnyRankOfPred<[2]>], "tensor of rank 2">;
def Onnx_Heads : Onnx_TensorOf<[AnyFloat], [HasAnyRankOfPred<[3, 4]>], "tensor of rank 3 or 4">;
def Onnx_Cache : Onnx_TensorOf<[AnyFloat], [HasAnyRankOfPred<[4]>], "tensor of rank 4">;
def Onnx_Mask : Onnx_TensorOf<[AnyFloat, I1], [HasAnyRankOfPred<[0, 1, 2, 3, 4]>], "tensor of rank 4 or less">;
/// Integers that an operator reads as dimensions, axes or counts.
def Onnx_Shape : Onnx_TensorOf<[I32, I64], [HasAnyRankOfPred<[0, 1]>], "scalar or tensor of rank 1">;

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// ONNX has no boolean attributes: 0 or 1.
class Onnx_Flag<int default> : DefaultValuedAttr<ConfinedAttr<I64Attr, [IntIsOneOf<[0, 1]>]>, !cast<string>(default)>;

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

/// What a node of an operator may look like, as C++: read off its ODS definition.
class Onnx_Form<int since, dag arguments, dag results> {
  list<int> positions = !range(0, !size(arguments));
  list<int> operands = !filter(i, positions, !isa<TypeConstraint>(!getdagarg<Constraint>(arguments, i)));
  list<int> needed = !filter(i, operands, !not(!isa<Optional>(!getdagarg<Constraint>(arguments, i))));
  list<int> variadic = !filter(i, operands, !isa<Variadic>(!getdagarg<Constraint>(arguments, i)));
  list<int> variadicResults = !filter(i, !range(0, !size(results)), !isa<Variadic>(!getdagarg<Constraint>(results, i)));
  list<int> attributes = !filter(i, positions, !not(!isa<TypeConstraint>(!getdagarg<Constraint>(arguments, i))));
  list<int> required = !filter(i, attributes, !not(!or(!isa<OptionalAttr>(!getdagarg<Constraint>(arguments, i)),
                                                       !isa<DefaultValuedAttr>(!getdagarg<Constraint>(arguments, i)))));
  string maxInputs = !if(!empty(variadic), !cast<string>(!size(operands)), "::qopt::onnx::OperatorForm::kAny");
  string maxOutputs = !if(!empty(variadicResults), !cast<string>(!size(results)), "::qopt::onnx::OperatorForm::kAny");
  string declaration = "static ::qopt::onnx::OperatorForm getForm() { return {" # since # ", " # !size(needed) # ", "
      # maxInputs # ", " # maxOutputs # "}; }\n"
      # "static ::llvm::SmallVector<::llvm::StringRef> getRequiredAttributes() { return {"
      # !interleave(!foreach(i, required, "\"" # !getdagname(arguments, i) # "\""), ", ") # "}; }\n";
}

/// An operator that ONNX has `since` this operator set. What its results look like, its
/// static method `inferShapes` says; `rule` is the definition of that method where a class
/// of operators shares one.
class Onnx_Op<string mnemonic, int sinceSet, list<Trait> traits = []>
    : Op<Onnx_Dialect, mnemonic, !listconcat(traits, [Pure, Onnx_OperatorInterface, InferTypeOpAdaptorWithIsCompatible])> {
  int since = sinceSet;
  code rule = "";
  let extraClassDeclaration = Onnx_Form<since, arguments, results>.declaration # [{
    static ::llvm::LogicalResult inferShapes(Adaptor op, ::qopt::onnx::ShapeMath &shapes);
  }];
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context, ::std::optional<::mlir::Location> loc,
                                                      Adaptor op, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      ::qopt::onnx::StaticShapes shapes(loc);
      return ::mlir::success(::mlir::succeeded(inferShapes(op, shapes)) && ::mlir::succeeded(shapes.getTypes(types)));
    }
    bool $cppClass::isCompatibleReturnTypes(::mlir::TypeRange inferred, ::mlir::TypeRange actual) {
      return ::qopt::onnx::areCompatible(inferred, actual);
    }
  }] # rule;
}

/// The operands broadcast to one shape; elements of type `element`, which is an expression
/// on `op` and `context`.
class Onnx_ElementwiseOp<string mnemonic, int since, list<Trait> traits, code element>
    : Onnx_Op<mnemonic, since, !listconcat([Onnx_Elementwise], traits)> {
  let rule = [{
    ::llvm::LogicalResult $cppClass::inferShapes(Adaptor op, ::qopt::onnx::ShapeMath &shapes) {
      [[maybe_unused]] auto operandType = [&] { return ::mlir::getElementTypeOrSelf(op.getOperands()[0].getType()); };
      [[maybe_unused]] auto booleanType = [&] { return ::mlir::IntegerType::get(op.getOperands()[0].getContext(), 1); };
      return ::qopt::onnx::inferBroadcast(op.getOperands(), [&]() -> ::mlir::Type { return }] # element # [{; }, shapes);
    }
  }];
}

/// One tensor in, one of the same shape out.
class Onnx_UnaryOp<string mnemonic, int since, string what, Type operand = Onnx_Tensor, Type result = operand,
                   code element = "operandType()", list<Trait> traits = []>
    : Onnx_ElementwiseOp<mnemonic, since, traits, element> {
  let summary = what;
  let arguments = (ins operand:$input);
  let results = (outs result:$output);
  let assemblyFormat = [{$input attr-dict `:` functional-type(operands, results)}];
}
class Onnx_FloatOp<string mnemonic, int since, string what> : Onnx_UnaryOp<mnemonic, since, what, Onnx_Floats>;
class Onnx_FloatTestOp<string mnemonic, int since, string what>
    : Onnx_UnaryOp<mnemonic, since, what, Onnx_Floats, Onnx_Booleans, "booleanType()">;

/// Two tensors of one element type, broadcast to one shape.
class Onnx_BinaryOp<string mnemonic, int since, string what, list<Trait> traits = [], Type operand = Onnx_Tensor,
                    Type result = operand, code element = "operandType()">
    : Onnx_ElementwiseOp<mnemonic, since, traits, element> {
  let summary = what # ", with broadcasting";
  let arguments = (ins operand:$lhs, operand:$rhs);
  let results = (outs result:$output);
  let assemblyFormat = [{$lhs `,` $rhs attr-dict `:` functional-type(operands, results)}];
}
class Onnx_ArithmeticOp<string mnemonic, int since, string what, list<Trait> traits = []>
    : Onnx_BinaryOp<mnemonic, since, what, !listconcat([Onnx_SameElements<>], traits)>;
class Onnx_LogicalOp<string mnemonic, int since, string what, list<Trait> traits = []>
    : Onnx_BinaryOp<mnemonic, since, what, traits, Onnx_Booleans>;
class Onnx_CompareOp<string mnemonic, int since, string what, list<Trait> traits = []>
    : Onnx_BinaryOp<mnemonic, since, what, !listconcat([Onnx_SameElements<>], traits), Onnx_Tensor, Onnx_Booleans,
                    "booleanType()">;

/// One tensor or more, of one element type, broadcast to one shape.
class Onnx_VariadicOp<string mnemonic, int since, string what>
    : Onnx_ElementwiseOp<mnemonic, since, [Onnx_SameElements<>, Onnx_ShapeContents], "operandType()"> {
  let summary = what # ", with broadcasting";
  let arguments = (ins Variadic<Onnx_Tensor>:$inputs);
  let results = (outs Onnx_Tensor:$output);
  let assemblyFormat = [{$inputs attr-dict `:` functional-type(operands, results)}];
}

class Onnx_ReduceOp<string mnemonic, string what, list<Trait> traits = []> : Onnx_Op<mnemonic, 1, traits> {
  let summary = what # " over axes";
  let description = [{
    Without `axes`: over all dimensions, or none with `noop_with_empty_axes`.
  }];
  let arguments = (ins Onnx_Tensor:$data, Optional<Onnx_Shape>:$axes, Onnx_Flag<1>:$keepdims,
                       Onnx_Flag<0>:$noop_with_empty_axes);
  let results = (outs Onnx_Tensor:$reduced);
  let assemblyFormat = [{$data (`,` $axes^)? attr-dict `:` functional-type(operands, results)}];
  let rule = [{
    ::llvm::LogicalResult $cppClass::inferShapes(Adaptor op, ::qopt::onnx::ShapeMath &shapes) {
      return ::qopt::onnx::inferReduction(op.getData(), op.getAxes(), op.getKeepdims(), op.getNoopWithEmptyAxes(), shapes);
    }
  }];
}

#endif // QOPT_DIALECT_ONNX_ONNXBASE_TD
