// RUN: qopt-opt %s --qopt-raise-quantized | FileCheck %s
// RUN: qopt-opt %s --qopt-raise-quantized=dequantize=true | FileCheck %s --check-prefix=FLOAT

// Blocks of inputs: unsigned codes of 4 bits in groups.
// CHECK-LABEL: func @blocks
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>
// CHECK-DAG: %[[C:.*]] = qopt.parameter "weight.codes" {{.*}} : tensor<2x2xi8>
// CHECK-DAG: %[[S:.*]] = qopt.parameter "weight.scale" {{.*}} : tensor<2x2xf32>
// CHECK: %[[W:.*]] = qopt.dequantize %[[C]], %[[S]] {group_size = 2 : i64}
// CHECK: %[[T:.*]] = onnx.Transpose %[[W]]
// CHECK: onnx.MatMul %[[X]], %[[T]]
// FLOAT-LABEL: func @blocks
// FLOAT-NOT: qopt.
// FLOAT: %[[T:.*]] = onnx.Transpose
// FLOAT: onnx.MatMul %{{.*}}, %[[T]]
func.func @blocks(%x: tensor<?x4xf32>) -> tensor<?x2xf32> {
  %s = onnx.Constant dense<[[0.5, 1.0], [2.0, 0.25]]> : tensor<2x2xf32>
  %i = onnx.Constant dense<[[1, 2, 3, 4], [-8, 7, 0, 5]]> : tensor<2x4xi4>
  %w = onnx.DequantizeLinear %i, %s {axis = 1 : i64, block_size = 2 : i64, to = f32} : (tensor<2x4xi4>, tensor<2x2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Activations with one scale are codes of the product, too; their rounding goes with --dequantize.
// CHECK-LABEL: func @activations
// CHECK: %[[Q:.*]] = qopt.quantize %{{.*}}, %{{.*}}
// CHECK: %[[A:.*]] = qopt.dequantize %[[Q]], %{{.*}}
// CHECK: onnx.MatMul %[[A]], %{{.*}}
// FLOAT-LABEL: func @activations
// FLOAT-SAME: %[[X:.*]]: tensor<?x2xf32>
// FLOAT: onnx.MatMul %[[X]], %{{.*}}
func.func @activations(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %q = onnx.QuantizeLinear %x, %s {to = i8} : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xi8>
  %a = onnx.DequantizeLinear %q, %s {to = f32} : (tensor<?x2xi8>, tensor<f32>) -> tensor<?x2xf32>
  %c = onnx.Constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %w = onnx.DequantizeLinear %c, %s {to = f32} : (tensor<2x2xi8>, tensor<f32>) -> tensor<2x2xf32>
  %y = onnx.MatMul %a, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// What only rearranges rounded activations comes before the rounding.
// CHECK-LABEL: func @rearranged_activations
// CHECK: %[[T:.*]] = onnx.Transpose %{{.*}} -> tensor<?x2xf32>
// CHECK: %[[Q:.*]] = qopt.quantize %[[T]], %{{.*}}
// CHECK: %[[A:.*]] = qopt.dequantize %[[Q]], %{{.*}}
// CHECK: onnx.MatMul %[[A]], %{{.*}}
func.func @rearranged_activations(%x: tensor<2x?xf32>) -> tensor<?x2xf32> {
  %s = onnx.Constant dense<0.5> : tensor<f32>
  %q = onnx.QuantizeLinear %x, %s {to = i8} : (tensor<2x?xf32>, tensor<f32>) -> tensor<2x?xi8>
  %a = onnx.DequantizeLinear %q, %s {to = f32} : (tensor<2x?xi8>, tensor<f32>) -> tensor<2x?xf32>
  %t = onnx.Transpose %a {perm = array<i64: 1, 0>} : (tensor<2x?xf32>) -> tensor<?x2xf32>
  %c = onnx.Constant dense<[[1, 2], [3, -4]]> : tensor<2x2xi8>
  %w = onnx.DequantizeLinear %c, %s {to = f32} : (tensor<2x2xi8>, tensor<f32>) -> tensor<2x2xf32>
  %y = onnx.MatMul %t, %w : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Of a table, rows are looked up as codes.
// CHECK-LABEL: func @rows
// CHECK: onnx.Gather
// CHECK-SAME: xf32>
// FLOAT-LABEL: func @rows
// FLOAT: onnx.Gather
func.func @rows(%ids: tensor<?xi64>) -> tensor<?x2xf32> {
  %c = onnx.Constant dense<[[1, 2], [3, -4], [5, 6]]> : tensor<3x2xi8>
  %s = onnx.Constant dense<[0.5, 1.0, 2.0]> : tensor<3xf32>
  %w = onnx.DequantizeLinear %c, %s {axis = 0 : i64, to = f32} : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %y = onnx.Gather %w, %ids {axis = 0 : i64} : (tensor<3x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
