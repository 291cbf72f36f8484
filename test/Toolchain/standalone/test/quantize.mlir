// A float product goes through a scheme of qopt and then to the accelerator.
// RUN: standalone-opt %s --pass-pipeline='builtin.module(qopt-raise,rtn-int4{group-size=32 activations=float head=same},standalone-convert-matmul)' | FileCheck %s

// CHECK-LABEL: @forward
// CHECK: %[[Y:.*]] = standalone.matmul {{.*}} by 32 {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 32
// CHECK: return %[[Y]]
func.func @forward(%x: tensor<4x64xf32>) -> tensor<4x8xf32> {
  %w = onnx.Constant dense<0.5> : tensor<64x8xf32>
  %y = onnx.MatMul %x, %w {qopt.layer = "up"} : (tensor<4x64xf32>, tensor<64x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
