// RUN: qopt-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(qopt-widen-floats))' | FileCheck %s

// Values of 16-bit floats become f32; weights and the model's own types stay.

// CHECK-LABEL: func @layer
// CHECK-SAME: (%[[IDS:.*]]: tensor<?xi64>, %[[PAST:.*]]: tensor<?x4xf16>) -> tensor<?x4xf16>
// CHECK-DAG: %[[WIDE_PAST:.*]] = onnx.Cast %[[PAST]] {to = f32}
// CHECK-DAG: %[[TABLE:.*]] = onnx.Constant dense_resource<table> : tensor<3x4xf16>
// CHECK-DAG: %[[NORM:.*]] = onnx.Constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]> : tensor<4xf32>
// CHECK: %[[ROWS:.*]] = onnx.Gather %[[TABLE]], %[[IDS]] : {{.*}} -> tensor<?x4xf16>
// CHECK: %[[X:.*]] = onnx.Cast %[[ROWS]] {to = f32}
// CHECK: %[[Y:.*]] = onnx.Mul %[[X]], %[[NORM]] : {{.*}} -> tensor<?x4xf32>
// CHECK: %[[W:.*]] = onnx.Cast %{{.*}} {to = f32} : (tensor<4x4xf16>) -> tensor<4x4xf32>
// CHECK: %[[P:.*]] = onnx.MatMul %[[Y]], %[[W]] : {{.*}} -> tensor<?x4xf32>
// CHECK: %[[S:.*]] = onnx.Add %[[P]], %[[WIDE_PAST]]
// CHECK: %[[R:.*]] = onnx.Cast %[[S]] {to = f16}
// CHECK: return %[[R]]
func.func @layer(%ids: tensor<?xi64>, %past: tensor<?x4xf16>) -> tensor<?x4xf16> {
  %table = onnx.Constant dense_resource<table> : tensor<3x4xf16>
  %norm = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf16>
  %w = onnx.Constant dense<2.0> : tensor<4x4xf16>
  %0 = onnx.Gather %table, %ids : (tensor<3x4xf16>, tensor<?xi64>) -> tensor<?x4xf16>
  %1 = onnx.Mul %0, %norm : (tensor<?x4xf16>, tensor<4xf16>) -> tensor<?x4xf16>
  %2 = onnx.MatMul %1, %w : (tensor<?x4xf16>, tensor<4x4xf16>) -> tensor<?x4xf16>
  %3 = onnx.Add %2, %past : (tensor<?x4xf16>, tensor<?x4xf16>) -> tensor<?x4xf16>
  return %3 : tensor<?x4xf16>
}

// -----

// A norm computed in f32, as exporters write it: the casts around it go.

// CHECK-LABEL: func @casts
// CHECK: %[[X:.*]] = onnx.Cast %arg0 {to = f32} : (tensor<?xbf16>) -> tensor<?xf32>
// CHECK: %[[Y:.*]] = onnx.Sqrt %[[X]]
// CHECK: onnx.Cast %[[Y]] {to = bf16}
func.func @casts(%x: tensor<?xbf16>) -> tensor<?xbf16> {
  %0 = onnx.Cast %x {to = f32} : (tensor<?xbf16>) -> tensor<?xf32>
  %1 = onnx.Sqrt %0 : (tensor<?xf32>) -> tensor<?xf32>
  %2 = onnx.Cast %1 {to = bf16} : (tensor<?xf32>) -> tensor<?xbf16>
  return %2 : tensor<?xbf16>
}

// -----

// The lowest number of f16 hides scores; it must stay the lowest.

// CHECK-LABEL: func @mask
// CHECK: onnx.Constant dense<-3.40282347E+38> : tensor<f32>
// CHECK: onnx.ConstantOfShape %arg1, dense<-3.40282347E+38> : tensor<1xf32>
func.func @mask(%hidden: tensor<?xi1>, %shape: tensor<1xi64>) -> tensor<?xf16> {
  %lowest = onnx.Constant dense<-65504.0> : tensor<f16>
  %0 = onnx.ConstantOfShape %shape, dense<-65504.0> : tensor<1xf16> : (tensor<1xi64>) -> tensor<?xf16>
  %1 = onnx.Where %hidden, %lowest, %0 : (tensor<?xi1>, tensor<f16>, tensor<?xf16>) -> tensor<?xf16>
  return %1 : tensor<?xf16>
}

// -----

// CHECK-LABEL: func @integers_stay
// CHECK-NEXT: %[[S:.*]] = onnx.Add %{{.*}}, %{{.*}} : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
// CHECK-NEXT: return %[[S]]
func.func @integers_stay(%x: tensor<?xi64>) -> tensor<?xi64> {
  %0 = onnx.Add %x, %x : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  return %0 : tensor<?xi64>
}

// -----

// What has been quantized keeps its 16-bit scales.

// CHECK-LABEL: func @quantized
// CHECK: qopt.parameter "s" dense<5.000000e-01> : tensor<2x1xf16>
// CHECK-NOT: onnx.Cast
func.func @quantized(%x: tensor<?x4xf32>) -> tensor<?x2xf32> {
  %w = qopt.parameter "w" dense<1> : tensor<2x2xi8>
  %s = qopt.parameter "s" dense<0.5> : tensor<2x1xf16>
  %0 = qopt.matmul_w4a16 %x, %w, %s {group_size = 4 : i64} : (tensor<?x4xf32>, tensor<2x2xi8>, tensor<2x1xf16>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
