// RUN: qopt-opt %s --qopt-tie-embedding --split-input-file | FileCheck %s
// RUN: qopt-opt %s --qopt-tie-embedding --qopt-quantize-weights --split-input-file | FileCheck %s --check-prefix=CODES

// Both are read from one weight, whose codes then serve both.
// CHECK-LABEL: @tied
// CHECK: %[[W:.*]] = onnx.Constant {{.*}}tensor<2x3xf32>
// CHECK: %[[ROWS:.*]] = onnx.Transpose %[[W]] {perm = array<i64: 1, 0>}
// CHECK: onnx.Gather %[[ROWS]], %arg0
// CHECK: onnx.MatMul %{{.*}}, %[[W]]
// CODES-LABEL: @tied
// CODES: %[[TABLE:.*]] = qopt.dequantize %{{.*}}, %{{.*}} : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
// CODES: onnx.Gather %[[TABLE]], %arg0
// CODES: %[[COLUMNS:.*]] = onnx.Transpose %[[TABLE]]
// CODES: onnx.MatMul %{{.*}}, %[[COLUMNS]]
func.func @tied(%ids: tensor<1x?xi64>) -> tensor<1x?x3xf32> {
  %table = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %x = onnx.Gather %table, %ids : (tensor<3x2xf32>, tensor<1x?xi64>) -> tensor<1x?x2xf32>
  %w = onnx.Constant dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf32>
  %y = onnx.MatMul %x, %w {qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<1x?x2xf32>, tensor<2x3xf32>) -> tensor<1x?x3xf32>
  return %y : tensor<1x?x3xf32>
}

// -----

// Of 16 bits: the cast behind the rows goes.
// CHECK-LABEL: @half
// CHECK: %[[H:.*]] = onnx.Constant {{.*}}tensor<2x3xf16>
// CHECK: %[[W:.*]] = onnx.Cast %[[H]]
// CHECK: %[[ROWS:.*]] = onnx.Transpose %[[W]]
// CHECK: %[[X:.*]] = onnx.Gather %[[ROWS]], %arg0 {{.*}} -> tensor<1x?x2xf32>
// CHECK: onnx.MatMul %[[X]], %[[W]]
func.func @half(%ids: tensor<1x?xi64>) -> tensor<1x?x3xf32> {
  %table = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf16>
  %h = onnx.Gather %table, %ids : (tensor<3x2xf16>, tensor<1x?xi64>) -> tensor<1x?x2xf16>
  %x = onnx.Cast %h {to = f32} : (tensor<1x?x2xf16>) -> tensor<1x?x2xf32>
  %c = onnx.Constant dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf16>
  %w = onnx.Cast %c {to = f32} : (tensor<2x3xf16>) -> tensor<2x3xf32>
  %y = onnx.MatMul %x, %w {qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "int8-dynamic">} : (tensor<1x?x2xf32>, tensor<2x3xf32>) -> tensor<1x?x3xf32>
  return %y : tensor<1x?x3xf32>
}

// -----

// Not where one number differs, and not where the head has other codes than rows.
// CHECK-LABEL: @other
// CHECK: %[[TABLE:.*]] = onnx.Constant {{.*}}tensor<3x2xf32>
// CHECK: onnx.Gather %[[TABLE]], %arg0
// CHECK-NOT: onnx.Transpose
// CHECK: return
// CODES-LABEL: @other
func.func @other(%ids: tensor<1x?xi64>) -> tensor<1x?x3xf32> {
  %table = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]> : tensor<3x2xf32>
  %x = onnx.Gather %table, %ids : (tensor<3x2xf32>, tensor<1x?xi64>) -> tensor<1x?x2xf32>
  %w = onnx.Constant dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf32>
  %y = onnx.MatMul %x, %w {qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<1x?x2xf32>, tensor<2x3xf32>) -> tensor<1x?x3xf32>
  return %y : tensor<1x?x3xf32>
}

// -----

// CHECK-LABEL: @int4
// CHECK: %[[TABLE:.*]] = onnx.Constant {{.*}}tensor<3x2xf32>
// CHECK: onnx.Gather %[[TABLE]], %arg0
// CHECK-NOT: onnx.Transpose
// CHECK: return
// CODES-LABEL: @int4
func.func @int4(%ids: tensor<1x?xi64>) -> tensor<1x?x3xf32> {
  %table = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %x = onnx.Gather %table, %ids : (tensor<3x2xf32>, tensor<1x?xi64>) -> tensor<1x?x2xf32>
  %w = onnx.Constant dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf32>
  %y = onnx.MatMul %x, %w {qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2>} : (tensor<1x?x2xf32>, tensor<2x3xf32>) -> tensor<1x?x3xf32>
  return %y : tensor<1x?x3xf32>
}
