// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-raise-swish))' | FileCheck %s

// x * sigmoid(alpha * x), also with the sigmoid spelled out.

// CHECK-LABEL: func @sigmoid
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>
// CHECK: %[[S:.*]] = onnx.Swish %[[X]] :
// CHECK: return %[[S]]
func.func @sigmoid(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Sigmoid %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul %x, %0 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// CHECK-LABEL: func @scaled
// CHECK: onnx.Swish %{{.*}} {alpha = 1.702000e+00 : f32}
func.func @scaled(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %alpha = onnx.Constant dense<1.702> : tensor<f32>
  %0 = onnx.Mul %alpha, %x : (tensor<f32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Sigmoid %0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Mul %1, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}

// CHECK-LABEL: func @spelled_out
// CHECK: onnx.Swish
func.func @spelled_out(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %0 = onnx.Neg %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Exp %0 : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Add %one, %1 : (tensor<f32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = onnx.Div %one, %2 : (tensor<f32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %4 = onnx.Mul %x, %3 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %4 : tensor<?x4xf32>
}

// A gate by another value.
// CHECK-LABEL: func @skips_other_gate
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>, %[[Y:.*]]: tensor<?x4xf32>)
// CHECK-NEXT: %[[S:.*]] = onnx.Sigmoid %[[Y]]
// CHECK-NEXT: onnx.Mul %[[X]], %[[S]]
func.func @skips_other_gate(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Sigmoid %y : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Mul %x, %0 : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}
