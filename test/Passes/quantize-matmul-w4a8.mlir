// RUN: qopt-opt %s --qopt-quantize-matmul-w4a8 | FileCheck %s

// int8 activations by groups times int4 weights; products that share an input and its groups share the codes.
// CHECK-LABEL: @rewrites
// CHECK-SAME: (%[[X:[^:]*]]: tensor<1x?x32xf32>, %[[W:.*]]: tensor<2x16xi8>, %[[V:.*]]: tensor<2x2xf16>)
// CHECK-NEXT: %[[P:.*]], %[[R:.*]] = qopt.dynamic_quantize %[[X]] {group_size = 8 : i64} : (tensor<1x?x32xf32>) -> (tensor<1x?x32xi8>, tensor<1x?x4xf32>)
// CHECK-NEXT: %[[Q:.*]], %[[S:.*]] = qopt.dynamic_quantize %[[X]] {group_size = 16 : i64} : (tensor<1x?x32xf32>) -> (tensor<1x?x32xi8>, tensor<1x?x2xf32>)
// CHECK-NEXT: qopt.matmul_w4a8 %[[Q]], %[[S]], %[[W]], %[[V]] {group_size = 16 : i64, qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 16, activations = int8, activationGroupSize = 16>, x_group_size = 16 : i64} :
// CHECK-NEXT: qopt.matmul_w4a8 %[[Q]], %[[S]], %[[W]], %[[V]] {group_size = 16 : i64, qopt.layer = "gate", {{.*}}, x_group_size = 16 : i64} :
// CHECK-NEXT: qopt.matmul_w4a8 %[[P]], %[[R]], %[[W]], %[[V]] {group_size = 16 : i64, qopt.layer = "small", {{.*}}, x_group_size = 8 : i64} :
// CHECK-NEXT: return
func.func @rewrites(%x: tensor<1x?x32xf32>, %w: tensor<2x16xi8>, %v: tensor<2x2xf16>) -> (tensor<1x?x2xf32>, tensor<1x?x2xf32>, tensor<1x?x2xf32>) {
  %d = qopt.dequantize %w, %v {group_size = 16} : (tensor<2x16xi8>, tensor<2x2xf16>) -> tensor<2x32xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x32xf32>) -> tensor<32x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 16, activations = int8, activationGroupSize = 16>} : (tensor<1x?x32xf32>, tensor<32x2xf32>) -> tensor<1x?x2xf32>
  %1 = onnx.MatMul %x, %t {qopt.layer = "gate", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 16, activations = int8>} : (tensor<1x?x32xf32>, tensor<32x2xf32>) -> tensor<1x?x2xf32>
  %2 = onnx.MatMul %x, %t {qopt.layer = "small", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 16, activations = int8, activationGroupSize = 8>} : (tensor<1x?x32xf32>, tensor<32x2xf32>) -> tensor<1x?x2xf32>
  return %0, %1, %2 : tensor<1x?x2xf32>, tensor<1x?x2xf32>, tensor<1x?x2xf32>
}

// CHECK-LABEL: @rewrites_zeros
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x3xf32>, %[[W:.*]]: tensor<2x2xi8>, %[[V:.*]]: tensor<2x1xf16>, %[[Z:.*]]: tensor<2x1xi8>)
// CHECK-NEXT: %[[Q:.*]], %[[S:.*]] = qopt.dynamic_quantize %[[X]] {group_size = 3 : i64}
// CHECK-NEXT: qopt.matmul_w4a8 %[[Q]], %[[S]], %[[W]], %[[V]], %[[Z]] {group_size = 3 : i64,
func.func @rewrites_zeros(%x: tensor<?x3xf32>, %w: tensor<2x2xi8>, %v: tensor<2x1xf16>, %z: tensor<2x1xi8>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v, %z {columns = 3, group_size = 3} : (tensor<2x2xi8>, tensor<2x1xf16>, tensor<2x1xi8>) -> tensor<2x3xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 3, activations = int8>} : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_float_activations
// CHECK: onnx.MatMul
// CHECK: onnx.MatMul
func.func @skips_float_activations(%x: tensor<?x4xf32>, %w: tensor<2x2xi8>, %v: tensor<2x2xf16>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %d = qopt.dequantize %w, %v {group_size = 2} : (tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x2xf32>, tensor<?x2xf32>
}

// CHECK-LABEL: @skips_channels
// CHECK: onnx.MatMul
func.func @skips_channels(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "rtn-int4", activations = int8>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_odd_groups
// CHECK: onnx.MatMul
func.func @skips_odd_groups(%x: tensor<?x4xf32>, %w: tensor<2x2xi8>, %v: tensor<2x1xf16>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v {group_size = 4} : (tensor<2x2xi8>, tensor<2x1xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 4, activations = int8, activationGroupSize = 2>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_broadcast
// CHECK: onnx.MatMul
func.func @skips_broadcast(%x: tensor<4xf32>, %w: tensor<2x2xi8>, %v: tensor<2x1xf16>) -> tensor<?xf32> {
  %d = qopt.dequantize %w, %v {group_size = 4} : (tensor<2x2xi8>, tensor<2x1xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 4, activations = int8>} : (tensor<4xf32>, tensor<4x2xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
