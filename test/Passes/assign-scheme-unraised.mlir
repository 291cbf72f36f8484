// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4})' --verify-diagnostics | FileCheck %s
//
// A model that was not raised: nothing would be quantized, and nobody would see it.

// expected-warning @below {{none of the products with constant weights has a name, so none is quantized; qopt-raise names them}}
module {
  // CHECK: onnx.MatMul
  // CHECK-NOT: qopt.scheme
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x8xf32> {
    %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
    %0 = onnx.MatMul %x, %w : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
    return %0 : tensor<2x8xf32>
  }
}
