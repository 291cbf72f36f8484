// RUN: qopt-opt %s --qopt-quantize-matmul-w8a8 | FileCheck %s

// Codes times codes where both sides are dequantized; a shared scale per token for int8-dynamic.
// CHECK-LABEL: @static
// CHECK-SAME: (%[[Q:.*]]: tensor<?x4xi8>, %[[S:.*]]: tensor<f32>, %[[W:.*]]: tensor<2x4xi8>, %[[V:.*]]: tensor<2xf32>)
// CHECK-NEXT: %[[Y:.*]] = qopt.matmul_w8a8 %[[Q]], %[[S]], %[[W]], %[[V]] {qopt.layer = "up"} :
// CHECK-NEXT: return %[[Y]]
func.func @static(%q: tensor<?x4xi8>, %s: tensor<f32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %x = qopt.dequantize %q, %s : (tensor<?x4xi8>, tensor<f32>) -> tensor<?x4xf32>
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.layer = "up"} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @dynamic
// CHECK-SAME: (%[[X:[^:]*]]: tensor<1x?x4xf32>
// CHECK-NEXT: %[[Q:.*]], %[[S:.*]] = qopt.dynamic_quantize %[[X]] : (tensor<1x?x4xf32>) -> (tensor<1x?x4xi8>, tensor<1x?xf32>)
// CHECK-NEXT: qopt.matmul_w8a8 %[[Q]], %[[S]], {{.*}}"up"
// CHECK-NEXT: qopt.matmul_w8a8 %[[Q]], %[[S]], {{.*}}"gate"
// CHECK-NEXT: return
func.func @dynamic(%x: tensor<1x?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> (tensor<1x?x2xf32>, tensor<1x?x2xf32>) {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "int8-dynamic">} : (tensor<1x?x4xf32>, tensor<4x2xf32>) -> tensor<1x?x2xf32>
  %1 = onnx.MatMul %x, %t {qopt.layer = "gate", qopt.scheme = #qopt.scheme<kind = "int8-dynamic">} : (tensor<1x?x4xf32>, tensor<4x2xf32>) -> tensor<1x?x2xf32>
  return %0, %1 : tensor<1x?x2xf32>, tensor<1x?x2xf32>
}

// llm-int8 where calibration found no outlier column.
// CHECK-LABEL: @nothing_kept
// CHECK: qopt.dynamic_quantize
// CHECK: qopt.matmul_w8a8
func.func @nothing_kept(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_dynamic_outliers
// CHECK: onnx.MatMul
func.func @skips_dynamic_outliers(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_kept_columns
// CHECK: onnx.MatMul
func.func @skips_kept_columns(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>, %k: tensor<2x1xf16>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %r = qopt.replace_columns %d, %k {columns = array<i32: 3>} : (tensor<2x4xf32>, tensor<2x1xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %r {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_float_activations
// CHECK: onnx.MatMul
func.func @skips_float_activations(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_float_weights
// CHECK: onnx.MatMul
func.func @skips_float_weights(%q: tensor<?x4xi8>, %s: tensor<f32>, %t: tensor<4x2xf32>) -> tensor<?x2xf32> {
  %x = qopt.dequantize %q, %s : (tensor<?x4xi8>, tensor<f32>) -> tensor<?x4xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_groups
// CHECK: onnx.MatMul
func.func @skips_groups(%q: tensor<?x4xi8>, %s: tensor<f32>, %w: tensor<2x2xi8>, %v: tensor<2x2xf16>) -> tensor<?x2xf32> {
  %x = qopt.dequantize %q, %s : (tensor<?x4xi8>, tensor<f32>) -> tensor<?x4xf32>
  %d = qopt.dequantize %w, %v {group_size = 2} : (tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_untransposed
// CHECK: onnx.MatMul
func.func @skips_untransposed(%q: tensor<?x4xi8>, %s: tensor<f32>, %w: tensor<4x4xi8>, %v: tensor<4xf32>) -> tensor<?x4xf32> {
  %x = qopt.dequantize %q, %s : (tensor<?x4xi8>, tensor<f32>) -> tensor<?x4xf32>
  %d = qopt.dequantize %w, %v : (tensor<4x4xi8>, tensor<4xf32>) -> tensor<4x4xf32>
  %y = onnx.MatMul %x, %d : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
