// RUN: qopt-opt %s --qopt-split-products | FileCheck %s

// An offset of each output is subtracted behind the product, times the sum of the inputs.
// CHECK-LABEL: func @offset_of_outputs
// CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>, %[[C:.*]]: tensor<3x2xi8>
// CHECK: %[[W:.*]] = qopt.dequantize %[[C]]
// CHECK: %[[T:.*]] = onnx.Transpose %[[W]]
// CHECK: %[[P:.*]] = onnx.MatMul %[[X]], %[[T]] {qopt.layer = "up"}
// CHECK: %[[SUM:.*]] = onnx.ReduceSum %[[X]]
// CHECK: %[[O:.*]] = onnx.Mul %[[SUM]], %{{.*}} : (tensor<?x1xf32>, tensor<3xf32>)
// CHECK: onnx.Sub %[[P]], %[[O]]
func.func @offset_of_outputs(%x: tensor<?x2xf32>, %c: tensor<3x2xi8>, %s: tensor<3xf32>) -> tensor<?x3xf32> {
  %d = qopt.dequantize %c, %s : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %o = onnx.Constant dense<[[1.0], [2.0], [3.0]]> : tensor<3x1xf32>
  %w = onnx.Sub %d, %o : (tensor<3x2xf32>, tensor<3x1xf32>) -> tensor<3x2xf32>
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %y = onnx.MatMul %x, %t {qopt.layer = "up"} : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// Two matrices are two products with one name.
// CHECK-LABEL: func @two_matrices
// CHECK-COUNT-2: onnx.MatMul %{{.*}} {qopt.layer = "up"}
// CHECK: onnx.Add
func.func @two_matrices(%x: tensor<?x2xf32>, %a: tensor<3x2xi8>, %b: tensor<3x2xi8>, %s: tensor<3xf32>) -> tensor<?x3xf32> {
  %d = qopt.dequantize %a, %s : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %e = qopt.dequantize %b, %s : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %w = onnx.Add %d, %e : (tensor<3x2xf32>, tensor<3x2xf32>) -> tensor<3x2xf32>
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %y = onnx.MatMul %x, %t {qopt.layer = "up"} : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
