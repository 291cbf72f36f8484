//===- Standalone.td - The dialect and the pass of an accelerator ---------===//
//
// Its operation answers what qopt's interface of quantized products asks, so that code
// which reads qopt's products reads it too.
//
//===----------------------------------------------------------------------===//
#ifndef STANDALONE_TD
#define STANDALONE_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Pass/PassBase.td"
include "qopt/Dialect/Qopt/QoptInterfaces.td"

def Standalone_Dialect : Dialect {
  let name = "standalone";
  let summary = "What an accelerator computes";
  let cppNamespace = "::standalone";
}

def Standalone_MatmulOp : Op<Standalone_Dialect, "matmul", [Pure, Qopt_QuantizedProductOpInterface]> {
  let summary = "float activations [T, K] times int4 weights [N, K], two codes in a byte";
  let arguments = (ins AnyRankedTensor:$input, AnyRankedTensor:$weight_codes, AnyRankedTensor:$weight_scales,
                       Optional<AnyRankedTensor>:$weight_zeros, I64Attr:$group_size);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $input `,` $weight_codes `scaled` $weight_scales (`from` $weight_zeros^)? `by` $group_size attr-dict
    `:` functional-type(operands, results)
  }];
  // What else the interface asks are the accessors of the operands.
  let extraClassDeclaration = [{
    ::std::optional<::qopt::ActivationMethod> getActivationMethod() { return ::qopt::ActivationMethod::Float; }
  }];
}

def ConvertMatmul : Pass<"standalone-convert-matmul"> {
  let summary = "Give qopt's int4 products to the accelerator";
  let dependentDialects = ["::standalone::StandaloneDialect"];
}

#endif // STANDALONE_TD
