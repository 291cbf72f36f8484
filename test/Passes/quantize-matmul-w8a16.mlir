// RUN: qopt-opt %s --qopt-quantize-matmul-w8a16 | FileCheck %s

// Float activations times int8 weights, with the scheme int8-weights or none at all.
// CHECK-LABEL: @rewrites
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<2x4xi8>, %[[V:.*]]: tensor<2xf32>)
// CHECK-NEXT: qopt.matmul_w8a16 %[[X]], %[[W]], %[[V]] {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "int8-weights">} :
// CHECK-NEXT: qopt.matmul_w8a16 %[[X]], %[[W]], %[[V]] :
// CHECK-NEXT: return
func.func @rewrites(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x2xf32>, tensor<?x2xf32>
}

// CHECK-LABEL: @skips_quantized_activations
// CHECK: onnx.MatMul
func.func @skips_quantized_activations(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_groups
// CHECK: onnx.MatMul
func.func @skips_groups(%x: tensor<?x4xf32>, %w: tensor<2x2xi8>, %v: tensor<2x2xf16>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v {group_size = 2} : (tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_unknown_columns
// CHECK: onnx.MatMul
func.func @skips_unknown_columns(%x: tensor<2x?xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<2x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t : (tensor<2x?xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}
