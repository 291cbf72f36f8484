//===- Passes.td - qopt's passes ------------------------------------------===//
//
// One file per pass under passes/<phase>/, named as the def; one test under
// test/Passes, named as the flag without "qopt-".
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_PASSES_TD
#define QOPT_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Raise: exporters' decompositions become the standard operators
//===----------------------------------------------------------------------===//

//===----------------------------------------------------------------------===//
// Quantize: schemes, observers, calibration, rewriting
//===----------------------------------------------------------------------===//

def AssignScheme : Pass<"qopt-assign-scheme", "::mlir::func::FuncOp"> {
  let summary = "Mark every linear layer with the scheme it will get";
  let description = [{
    A linear is an `onnx.MatMul` whose second operand is a constant matrix and that
    carries a layer name (`qopt.layer`). The head is left in float unless `head` is set.

    ```mlir
    %1 = onnx.MatMul %0, %w {qopt.layer = "model.layers.0.mlp.up_proj"} : ...
    ```
    ==>
    ```mlir
    %1 = onnx.MatMul %0, %w {qopt.layer = "model.layers.0.mlp.up_proj", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : ...
    ```
    Expects: layer names. Ensures: every linear has a scheme.
  }];
  let options = [
    Option<"scheme", "scheme", "std::string", /*default=*/"\"float\"", "float, int8-weights, int8-static, int8-dynamic, llm-int8, rtn-int4 or gptq-int4">,
    Option<"groupSize", "group-size", "int64_t", /*default=*/"128", "Inputs per scale of the int4 schemes; -1: a whole row">,
    Option<"symmetric", "symmetric", "bool", /*default=*/"true", "int4 codes around a fixed zero point">,
    Option<"threshold", "threshold", "double", /*default=*/"6.0", "Magnitude from which llm-int8 keeps a column in float">,
    Option<"head", "head", "bool", /*default=*/"false", "Quantize the output layer too">,
  ];
  let statistics = [Statistic<"numLinears", "linears", "Linear layers marked">];
  let dependentDialects = ["::qopt::QoptDialect"];
}

//===----------------------------------------------------------------------===//
// Lower: from operators to kernels
//===----------------------------------------------------------------------===//

#endif // QOPT_PASSES_PASSES_TD
