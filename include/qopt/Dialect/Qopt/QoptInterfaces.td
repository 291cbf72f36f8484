//===- QoptInterfaces.td - What passes must know of a quantized product ---===//
//
// Verification and reports ask these questions of a product instead of listing operations.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_QOPTINTERFACES_TD
#define QOPT_DIALECT_QOPT_QOPTINTERFACES_TD

include "mlir/IR/OpBase.td"

def Qopt_QuantizedProductOpInterface : OpInterface<"QuantizedProductOpInterface"> {
  let description = [{
    What a linear with quantized weights becomes: a matrix product that reads codes.
  }];
  let cppNamespace = "::qopt";
  let methods = [
    InterfaceMethod<"What is multiplied with the weights: floats, or codes.", "::mlir::Value", "getInput">,
    InterfaceMethod<"The scale of the codes that are multiplied; null for floats.", "::mlir::Value", "getInputScale",
                    (ins), /*methodBody=*/"", "return ::mlir::Value();">,
    InterfaceMethod<"How the input was quantized, as far as that can be seen.",
                    "::std::optional<::qopt::ActivationMethod>", "getActivationMethod">,
    InterfaceMethod<"The codes of the weights, a row per output.", "::mlir::Value", "getWeightCodes">,
    InterfaceMethod<"The scales of these codes.", "::mlir::Value", "getWeightScales">,
    InterfaceMethod<"The zero points of these codes; null where all are in the middle.", "::mlir::Value",
                    "getWeightZeros", (ins), /*methodBody=*/"", "return ::mlir::Value();">,
    InterfaceMethod<"The weights that were kept in float; null where none were.", "::mlir::Value", "getKeptWeights",
                    (ins), /*methodBody=*/"", "return ::mlir::Value();">];
}

#endif // QOPT_DIALECT_QOPT_QOPTINTERFACES_TD
