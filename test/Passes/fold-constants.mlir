// RUN: qopt-opt %s --qopt-fold-constants=max-elements=8 | FileCheck %s
// Operators on small constants are computed, all others stay.

// CHECK-LABEL: @folds_chain
func.func @folds_chain() -> tensor<2xi64> {
  // CHECK-NEXT: %[[C:.*]] = onnx.Constant dense<[5, 10]> : tensor<2xi64>
  // CHECK-NEXT: return %[[C]]
  %a = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %b = onnx.Mul %a, %a : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %c = onnx.Add %b, %one : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  return %c : tensor<2xi64>
}

// CHECK-LABEL: @folds_into_the_type
func.func @folds_into_the_type() -> tensor<?xf32> {
  // CHECK: onnx.Constant dense<[0.000000e+00, 1.000000e+00, 2.000000e+00]> : tensor<3xf32>
  %start = onnx.Constant dense<0.0> : tensor<f32>
  %limit = onnx.Constant dense<3.0> : tensor<f32>
  %delta = onnx.Constant dense<1.0> : tensor<f32>
  %r = onnx.Range %start, %limit, %delta : (tensor<f32>, tensor<f32>, tensor<f32>) -> tensor<3xf32>
  %d = onnx.Abs %r : (tensor<3xf32>) -> tensor<3xf32>
  %e = onnx.Identity %d : (tensor<3xf32>) -> tensor<?xf32>
  return %e : tensor<?xf32>
}

// CHECK-LABEL: @keeps_big_results
func.func @keeps_big_results() -> tensor<3x3xf32> {
  // CHECK: onnx.Expand
  %a = onnx.Constant dense<1.0> : tensor<f32>
  %s = onnx.Constant dense<3> : tensor<2xi64>
  %b = onnx.Expand %a, %s : (tensor<f32>, tensor<2xi64>) -> tensor<3x3xf32>
  return %b : tensor<3x3xf32>
}

// CHECK-LABEL: @keeps_arguments
func.func @keeps_arguments(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: onnx.Add
  %a = onnx.Constant dense<1.0> : tensor<f32>
  %b = onnx.Add %x, %a : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  return %b : tensor<2xf32>
}

// CHECK-LABEL: @keeps_what_cannot_be_computed
func.func @keeps_what_cannot_be_computed() -> tensor<i64> {
  // CHECK: onnx.Div
  %a = onnx.Constant dense<1> : tensor<i64>
  %b = onnx.Constant dense<0> : tensor<i64>
  %c = onnx.Div %a, %b : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %c : tensor<i64>
}

// CHECK-LABEL: @keeps_casts_of_weights
func.func @keeps_casts_of_weights(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  // CHECK: onnx.Cast %{{.*}} {to = f32} : (tensor<2x2xf16>) -> tensor<2x2xf32>
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf16>
  %c = onnx.Cast %w {to = f32} : (tensor<2x2xf16>) -> tensor<2x2xf32>
  %y = onnx.MatMul %x, %c : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// What is no graph is left alone.
// CHECK-LABEL: func.func private @leaves_declarations
func.func private @leaves_declarations(tensor<2xi64>) -> tensor<2xi64>

// CHECK-LABEL: @leaves_blocks
func.func @leaves_blocks() -> tensor<2xi64> {
  %0 = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  cf.br ^next
^next:
  // CHECK: %[[SUM:.*]] = onnx.Add
  // CHECK: return %[[SUM]]
  %1 = onnx.Add %0, %0 : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %1 : tensor<2xi64>
}
