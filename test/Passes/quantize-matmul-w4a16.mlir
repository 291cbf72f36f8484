// RUN: qopt-opt %s --qopt-quantize-matmul-w4a16 | FileCheck %s

// Float activations times int4 weights in groups, with and without zero points.
// CHECK-LABEL: @rewrites
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<2x2xi8>, %[[V:.*]]: tensor<2x2xf16>)
// CHECK-NEXT: qopt.matmul_w4a16 %[[X]], %[[W]], %[[V]] {group_size = 2 : i64, qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 2>} :
// CHECK-NEXT: return
func.func @rewrites(%x: tensor<?x4xf32>, %w: tensor<2x2xi8>, %v: tensor<2x2xf16>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v {group_size = 2} : (tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 2>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// CHECK-LABEL: @rewrites_zeros
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x3xf32>, %[[W:.*]]: tensor<2x2xi8>, %[[V:.*]]: tensor<2x2xf16>, %[[Z:.*]]: tensor<2x2xi8>)
// CHECK-NEXT: qopt.matmul_w4a16 %[[X]], %[[W]], %[[V]], %[[Z]] {group_size = 2 : i64} :
func.func @rewrites_zeros(%x: tensor<?x3xf32>, %w: tensor<2x2xi8>, %v: tensor<2x2xf16>, %z: tensor<2x2xi8>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v, %z {columns = 3, group_size = 2} : (tensor<2x2xi8>, tensor<2x2xf16>, tensor<2x2xi8>) -> tensor<2x3xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %0 = onnx.MatMul %x, %t : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_channels
// CHECK: onnx.MatMul
func.func @skips_channels(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_integer_activations
// CHECK: onnx.MatMul
func.func @skips_integer_activations(%x: tensor<?x4xf32>, %w: tensor<2x2xi8>, %v: tensor<2x2xf16>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v {group_size = 2} : (tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2, activations = int8>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_other_use
// CHECK: qopt.dequantize
// CHECK: qopt.matmul_w4a16
func.func @skips_other_use(%x: tensor<?x4xf32>, %w: tensor<2x2xi8>, %v: tensor<2x2xf16>) -> (tensor<?x2xf32>, tensor<4x2xf32>) {
  %d = qopt.dequantize %w, %v {group_size = 2} : (tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y, %t : tensor<?x2xf32>, tensor<4x2xf32>
}
