// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{activations=float} head=float overrides=*.k_proj=skip})' --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s

// Which linears stay in float, and who wants it so. Quantized ones need no reason.
// CHECK-NOT: q_proj
// CHECK: {{\[}}Analysis{{\]}} linear {{.*}}layer "model.k_proj" of 16 weights stays float: override "*.k_proj=skip"
// CHECK: {{\[}}Analysis{{\]}} linear {{.*}}layer "lm_head" of 8 weights stays float: it is the head, whose scheme is an option, head
func.func @linears(%x: tensor<2x4xf32>) -> tensor<2x2xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x4xf32>
  %h = onnx.Constant dense<1.0> : tensor<4x2xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "model.q_proj"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %1 = onnx.MatMul %0, %w {qopt.layer = "model.k_proj"} : (tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<2x4xf32>
  %2 = onnx.MatMul %1, %h {qopt.layer = "lm_head"} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  return %2 : tensor<2x2xf32>
}
