// RUN: qopt-opt %s --qopt-expand-quantization --split-input-file --verify-diagnostics | FileCheck %s

// Rounding of floats.
// CHECK-LABEL: func @rounds
// CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
// CHECK: %[[D:.*]] = onnx.Div %[[X]], %[[S:.*]] :
// CHECK: %[[R:.*]] = onnx.Round %[[D]]
// CHECK: %[[C:.*]] = onnx.Clip %[[R]] min(%{{.*}}) max(%{{.*}})
// CHECK: onnx.Mul %[[C]], %[[S]]
func.func @rounds(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %q = onnx.QuantizeLinear %x, %s {to = i8} : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xi8>
  %y = onnx.DequantizeLinear %q, %s {to = f32} : (tensor<?x2xi8>, tensor<f32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Codes that are read in between are i32.
// CHECK-LABEL: func @moves
// CHECK: onnx.Transpose %{{.*}} : (tensor<?x2xi32>) -> tensor<2x?xi32>
func.func @moves(%x: tensor<?x2xf32>) -> tensor<2x?xf32> {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %q = onnx.QuantizeLinear %x, %s {to = ui8} : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xui8>
  %t = onnx.Transpose %q {perm = array<i64: 1, 0>} : (tensor<?x2xui8>) -> tensor<2x?xui8>
  %y = onnx.DequantizeLinear %t, %s {to = f32} : (tensor<2x?xui8>, tensor<f32>) -> tensor<2x?xf32>
  return %y : tensor<2x?xf32>
}

// -----

func.func @blocks(%x: tensor<?x4xf32>, %s: tensor<?x2xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{has blocks along an axis of a value that is no constant: not supported}}
  %q = onnx.QuantizeLinear %x, %s {axis = 1 : i64, block_size = 2 : i64, to = i8} : (tensor<?x4xf32>, tensor<?x2xf32>) -> tensor<?x4xi8>
  %y = onnx.DequantizeLinear %q, %s {axis = 1 : i64, block_size = 2 : i64, to = f32} : (tensor<?x4xi8>, tensor<?x2xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
