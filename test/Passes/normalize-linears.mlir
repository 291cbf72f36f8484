// RUN: qopt-opt %s --mlir-disable-threading --pass-pipeline='builtin.module(func.func(qopt-normalize-linears))' | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-normalize-linears))' --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Functions are rewritten side by side, and arrays that their copies have no name for are numbered in the
// order in which they are made: by one thread here.
// Linears become MatMul with a constant [K, N] weight and an Add for the bias.

// CHECK-LABEL: func @transposed_weight
// CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
// CHECK: %[[W:.*]] = onnx.Constant dense_resource<transposed> : tensor<2x3xf32>
// CHECK: onnx.MatMul %[[X]], %[[W]] : (tensor<?x2xf32>, tensor<2x3xf32>)
// CHECK-NOT: onnx.Transpose
func.func @transposed_weight(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %0 = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %1 = onnx.MatMul %x, %0 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %1 : tensor<?x3xf32>
}

// CHECK-LABEL: func @tied_head
// CHECK: onnx.MatMul %{{.*}}, %{{.*}} {qopt.tied = "table"}
func.func @tied_head(%ids: tensor<?xi64>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense_resource<table> : tensor<3x2xf32>
  %0 = onnx.Gather %w, %ids : (tensor<3x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  %1 = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %2 = onnx.MatMul %0, %1 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %2 : tensor<?x3xf32>
}

// Weights of 16 bits are cast right before the product, wherever the cast was.

// CHECK-LABEL: func @half_weights
// CHECK: onnx.Constant dense_resource<transposed{{.*}}> : tensor<2x3xf16>
// CHECK: %[[A:.*]] = onnx.Cast %{{.*}} {to = f32} : (tensor<2x3xf16>) -> tensor<2x3xf32>
// CHECK: onnx.MatMul %{{.*}}, %[[A]]
// CHECK: %[[B:.*]] = onnx.Cast %{{.*}} {to = f32} : (tensor<2x3xf16>) -> tensor<2x3xf32>
// CHECK: onnx.MatMul %{{.*}}, %[[B]]
func.func @half_weights(%x: tensor<?x2xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf16>
  %0 = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf16>) -> tensor<2x3xf16>
  %1 = onnx.Cast %0 {to = f32} : (tensor<2x3xf16>) -> tensor<2x3xf32>
  %2 = onnx.MatMul %x, %1 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  %3 = onnx.Cast %w {to = f32} : (tensor<3x2xf16>) -> tensor<3x2xf32>
  %4 = onnx.Transpose %3 {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %5 = onnx.MatMul %x, %4 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %2, %5 : tensor<?x3xf32>, tensor<?x3xf32>
}

// CHECK-LABEL: func @gemm
// CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
// CHECK: %[[B:.*]] = onnx.Constant dense<[1.000000e+00, 2.000000e+00, 3.000000e+00]>
// CHECK: %[[P:.*]] = onnx.MatMul %[[X]], %{{.*}} : (tensor<?x2xf32>, tensor<2x3xf32>)
// CHECK: onnx.Add %[[P]], %[[B]]
func.func @gemm(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %b = onnx.Constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %0 = onnx.Gemm %x, %w, %b {transB = 1 : i64} : (tensor<?x2xf32>, tensor<3x2xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// REMARK: {{\[}}Missed{{\]}} linear {{.*}}this product is no linear layer and stays float: requires factors of 1 and an input that is not transposed, but got alpha = 2.0{{.*}}, beta = 1.0{{.*}}, transA = 0
// CHECK-LABEL: func @skips_gemm_with_factor
// CHECK: onnx.Gemm
func.func @skips_gemm_with_factor(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]> : tensor<2x3xf32>
  %0 = onnx.Gemm %x, %w {alpha = 2.0 : f32} : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// CHECK-LABEL: func @skips_weights_per_batch
// CHECK: onnx.MatMul
// REMARK: linear {{.*}}: expected weights [K, N] but got tensor<3x2x2xf32>
func.func @skips_weights_per_batch(%x: tensor<?x3x?x2xf32>) -> tensor<?x3x?x2xf32> {
  %w = onnx.Constant dense<0.5> : tensor<3x2x2xf32>
  %0 = onnx.MatMul %x, %w : (tensor<?x3x?x2xf32>, tensor<3x2x2xf32>) -> tensor<?x3x?x2xf32>
  return %0 : tensor<?x3x?x2xf32>
}

// CHECK-LABEL: func @skips_weights_before_input
// CHECK: onnx.MatMul
// REMARK: linear {{.*}}: the weights tensor<3x2xf32> are the first factor, not the second
func.func @skips_weights_before_input(%x: tensor<2x?xf32>) -> tensor<3x?xf32> {
  %w = onnx.Constant dense<0.5> : tensor<3x2xf32>
  %0 = onnx.MatMul %w, %x : (tensor<3x2xf32>, tensor<2x?xf32>) -> tensor<3x?xf32>
  return %0 : tensor<3x?xf32>
}

// CHECK-LABEL: func @skips_reshaped_weights
// CHECK: onnx.MatMul
// REMARK: linear {{.*}}: the weights go through 'onnx.Reshape' to tensor<2x3xf32>
// REMARK-NOT: remark:
func.func @skips_reshaped_weights(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense<0.5> : tensor<6xf32>
  %shape = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %0 = onnx.Reshape %w, %shape : (tensor<6xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  %1 = onnx.MatMul %x, %0 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %1 : tensor<?x3xf32>
}

// CHECK-LABEL: func @skips_dynamic_weight
// CHECK: onnx.Transpose
func.func @skips_dynamic_weight(%x: tensor<?x2xf32>, %w: tensor<3x2xf32>) -> tensor<?x3xf32> {
  %0 = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %1 = onnx.MatMul %x, %0 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %1 : tensor<?x3xf32>
}

{-#
  dialect_resources: {
    builtin: {
      table: "0x400000000000803F0000004000004040000080400000A0400000C040"
    }
  }
#-}
