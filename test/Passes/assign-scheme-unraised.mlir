// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4})' --verify-diagnostics --split-input-file
//
// A model that was not raised, and one without products of weights: nothing would be quantized, and nobody would see it.

// expected-error @below {{found no linear layer to quantize: none of the products with constant weights has a name; qopt-raise names them}}
module {
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x8xf32> {
    %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
    %0 = onnx.MatMul %x, %w : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
    return %0 : tensor<2x8xf32>
  }
}

// -----

// expected-error @below {{found no linear layer to quantize: no product has a constant matrix as its second factor}}
module {
  func.func @forward(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
    %0 = onnx.Relu %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
    return %0 : tensor<2x4xf32>
  }
}
