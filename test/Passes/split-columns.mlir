// RUN: qopt-opt %s --qopt-split-columns | FileCheck %s

// llm-int8 products get codes and outlier columns from one split per value and threshold.
// CHECK-LABEL: @splits
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<2x4xi8>, %[[V:.*]]: tensor<2xf32>)
// CHECK-NEXT: %[[Q:.*]], %[[S:.*]], %[[C:.*]] = qopt.split_columns %[[X]] {threshold = 6.000000e+00 : f32} : (tensor<?x4xf32>) -> (tensor<?x4xi8>, tensor<?xf32>, tensor<4xi32>)
// CHECK-NEXT: qopt.matmul_w8a8 %[[Q]], %[[S]], %[[W]], %[[V]] outliers(%[[X]]) columns(%[[C]]) {qopt.layer = "up"
// CHECK-NEXT: qopt.matmul_w8a8 %[[Q]], %[[S]], %[[W]], %[[V]] outliers(%[[X]]) columns(%[[C]]) {qopt.layer = "gate"
// CHECK-NEXT: return
func.func @splits(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.MatMul %x, %t {qopt.layer = "gate", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x2xf32>, tensor<?x2xf32>
}

// CHECK-LABEL: @skips_other_scheme
// CHECK: onnx.MatMul
func.func @skips_other_scheme(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "int8-dynamic">} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @default_threshold
// CHECK: qopt.split_columns {{.*}} {threshold = 6.000000e+00 : f32}
// CHECK: qopt.matmul_w8a8
func.func @default_threshold(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "llm-int8">} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_float_weights
// CHECK: onnx.MatMul
func.func @skips_float_weights(%x: tensor<?x4xf32>, %t: tensor<4x2xf32>) -> tensor<?x2xf32> {
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// Columns that calibration chose bring their own weights; equal lists share one split.
// CHECK-LABEL: @splits_at
// CHECK-SAME: (%[[X:[^:]*]]: tensor<?x4xf32>, %[[W:.*]]: tensor<2x4xi8>, %[[V:.*]]: tensor<2xf32>, %[[K:.*]]: tensor<2x2xf16>)
// CHECK-NEXT: %[[Q:.*]], %[[S:.*]], %[[O:.*]] = qopt.split_columns_at %[[X]] {columns = array<i32: 0, 3>} : (tensor<?x4xf32>) -> (tensor<?x4xi8>, tensor<?xf32>, tensor<?x2xf32>)
// CHECK-NEXT: qopt.matmul_w8a8 %[[Q]], %[[S]], %[[W]], %[[V]] outliers(%[[O]]) weights(%[[K]]) {qopt.layer = "up"
// CHECK-NEXT: qopt.matmul_w8a8 %[[Q]], %[[S]], %[[W]], %[[V]] outliers(%[[O]]) weights(%[[K]]) {qopt.layer = "gate"
// CHECK-NEXT: return
func.func @splits_at(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>, %k: tensor<2x2xf16>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %r = qopt.replace_columns %d, %k {columns = array<i32: 0, 3>} : (tensor<2x4xf32>, tensor<2x2xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %r {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %0 = onnx.MatMul %x, %t {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.MatMul %x, %t {qopt.layer = "gate", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x2xf32>, tensor<?x2xf32>
}

// Nothing was kept: qopt-quantize-matmul-w8a8 takes it.
// CHECK-LABEL: @skips_nothing_kept
// CHECK: onnx.MatMul
func.func @skips_nothing_kept(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %t = onnx.Transpose %d {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// CHECK-LABEL: @skips_kept_columns_of_another_scheme
// CHECK: onnx.MatMul
func.func @skips_kept_columns_of_another_scheme(%x: tensor<?x4xf32>, %w: tensor<2x4xi8>, %v: tensor<2xf32>, %k: tensor<2x1xf16>) -> tensor<?x2xf32> {
  %d = qopt.dequantize %w, %v : (tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x4xf32>
  %r = qopt.replace_columns %d, %k {columns = array<i32: 3>} : (tensor<2x4xf32>, tensor<2x1xf16>) -> tensor<2x4xf32>
  %t = onnx.Transpose %r {perm = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  %y = onnx.MatMul %x, %t {qopt.scheme = #qopt.scheme<kind = "int8-dynamic">} : (tensor<?x4xf32>, tensor<4x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
