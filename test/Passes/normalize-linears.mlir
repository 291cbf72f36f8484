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

// CHECK-LABEL: func @gemm_with_factors
// CHECK-SAME: %[[X:.*]]: tensor<2x?xf32>
// CHECK-DAG: %[[ALPHA:.*]] = onnx.Constant dense<2.000000e+00>
// CHECK-DAG: %[[BETA:.*]] = onnx.Constant dense<5.000000e-01>
// CHECK-DAG: %[[T:.*]] = onnx.Transpose %[[X]]
// CHECK-DAG: %[[P:.*]] = onnx.MatMul %[[T]], %{{.*}} : (tensor<?x2xf32>, tensor<2x3xf32>)
// CHECK-DAG: %[[Y:.*]] = onnx.Mul %[[P]], %[[ALPHA]]
// CHECK-DAG: %[[B:.*]] = onnx.Mul %{{.*}}, %[[BETA]]
// CHECK: onnx.Add %[[Y]], %[[B]]
func.func @gemm_with_factors(%x: tensor<2x?xf32>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]> : tensor<2x3xf32>
  %b = onnx.Constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
  %0 = onnx.Gemm %x, %w, %b {alpha = 2.0 : f32, beta = 0.5 : f32, transA = 1 : i64} : (tensor<2x?xf32>, tensor<2x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// CHECK-LABEL: func @weights_of_one_batch
// CHECK: onnx.MatMul %{{.*}}, %{{.*}} : (tensor<1x?x2xf32>, tensor<2x3xf32>) -> tensor<1x?x3xf32>
func.func @weights_of_one_batch(%x: tensor<1x?x2xf32>) -> tensor<1x?x3xf32> {
  %w = onnx.Constant dense<[[[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]]> : tensor<1x2x3xf32>
  %0 = onnx.MatMul %x, %w : (tensor<1x?x2xf32>, tensor<1x2x3xf32>) -> tensor<1x?x3xf32>
  return %0 : tensor<1x?x3xf32>
}

// One product, whose columns are those of one head after the other.
// CHECK-LABEL: func @weights_of_heads
// CHECK: %[[W:.*]] = onnx.Constant dense_resource
// CHECK: onnx.MatMul %{{.*}}, %[[W]] : (tensor<1x?x2xf32>, tensor<2x6xf32>) -> tensor<1x?x6xf32>
// CHECK: onnx.Reshape
// CHECK: onnx.Transpose
func.func @weights_of_heads(%x: tensor<1x1x?x2xf32>) -> tensor<1x3x?x2xf32> {
  %w = onnx.Constant dense<[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]], [[9.0, 10.0], [11.0, 12.0]]]> : tensor<3x2x2xf32>
  %0 = onnx.MatMul %x, %w : (tensor<1x1x?x2xf32>, tensor<3x2x2xf32>) -> tensor<1x3x?x2xf32>
  return %0 : tensor<1x3x?x2xf32>
}

// CHECK-LABEL: func @weights_of_heads_in_a_batch_of_one
// CHECK: onnx.MatMul {{.*}} : (tensor<1x?x2xf32>, tensor<2x6xf32>) -> tensor<1x?x6xf32>
func.func @weights_of_heads_in_a_batch_of_one(%x: tensor<1x1x?x2xf32>) -> tensor<1x3x?x2xf32> {
  %w = onnx.Constant dense<[[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]], [[9.0, 10.0], [11.0, 12.0]]]]> : tensor<1x3x2x2xf32>
  %0 = onnx.MatMul %x, %w : (tensor<1x1x?x2xf32>, tensor<1x3x2x2xf32>) -> tensor<1x3x?x2xf32>
  return %0 : tensor<1x3x?x2xf32>
}

// What every head reads of its own is one row, where the results are summed.
// CHECK-LABEL: func @sum_of_heads
// CHECK-SAME: %[[X:.*]]: tensor<?x3x?x2xf32>
// CHECK: %[[T:.*]] = onnx.Transpose %[[X]] {perm = array<i64: 0, 2, 1, 3>}
// CHECK: %[[R:.*]] = onnx.Reshape %[[T]], {{.*}} -> tensor<?x?x6xf32>
// CHECK: onnx.MatMul %[[R]], %{{.*}} : (tensor<?x?x6xf32>, tensor<6x4xf32>) -> tensor<?x?x4xf32>
// CHECK-NOT: onnx.ReduceSum
func.func @sum_of_heads(%x: tensor<?x3x?x2xf32>) -> tensor<?x?x4xf32> {
  %w = onnx.Constant dense<0.5> : tensor<3x2x4xf32>
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.MatMul %x, %w : (tensor<?x3x?x2xf32>, tensor<3x2x4xf32>) -> tensor<?x3x?x4xf32>
  %1 = onnx.ReduceSum %0, %axes {keepdims = 0 : i64} : (tensor<?x3x?x4xf32>, tensor<1xi64>) -> tensor<?x?x4xf32>
  return %1 : tensor<?x?x4xf32>
}

// CHECK-LABEL: func @weights_of_one_batch_before_input
// CHECK: onnx.MatMul %{{.*}}, %{{.*}} : (tensor<?x?x2xf32>, tensor<2x3xf32>) -> tensor<?x?x3xf32>
func.func @weights_of_one_batch_before_input(%x: tensor<?x2x?xf32>) -> tensor<?x3x?xf32> {
  %w = onnx.Constant dense<0.5> : tensor<1x3x2xf32>
  %0 = onnx.MatMul %w, %x : (tensor<1x3x2xf32>, tensor<?x2x?xf32>) -> tensor<?x3x?xf32>
  return %0 : tensor<?x3x?xf32>
}

// CHECK-LABEL: func @skips_weights_per_batch
// CHECK: onnx.MatMul
// REMARK: linear {{.*}}: expected weights [K, N] but got tensor<3x2x2xf32>
func.func @skips_weights_per_batch(%x: tensor<?x3x?x2xf32>) -> tensor<?x3x?x2xf32> {
  %w = onnx.Constant dense<0.5> : tensor<3x2x2xf32>
  %0 = onnx.MatMul %x, %w : (tensor<?x3x?x2xf32>, tensor<3x2x2xf32>) -> tensor<?x3x?x2xf32>
  return %0 : tensor<?x3x?x2xf32>
}

// CHECK-LABEL: func @weights_before_input
// CHECK: %[[T:.*]] = onnx.Transpose
// CHECK: %[[P:.*]] = onnx.MatMul %[[T]], %{{.*}} : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
// CHECK: onnx.Transpose %[[P]]
func.func @weights_before_input(%x: tensor<2x?xf32>) -> tensor<3x?xf32> {
  %w = onnx.Constant dense<0.5> : tensor<3x2xf32>
  %0 = onnx.MatMul %w, %x : (tensor<3x2xf32>, tensor<2x?xf32>) -> tensor<3x?xf32>
  return %0 : tensor<3x?xf32>
}

// CHECK-LABEL: func @skips_reshaped_weights
// CHECK: onnx.MatMul
// REMARK: linear {{.*}}: the weights go through 'onnx.Reshape' to tensor<2x3xf32>
// REMARK: linear {{.*}}: the weights go through 'onnx.Expand' to tensor<?x2x3xf32>
// REMARK-NOT: remark:
func.func @skips_reshaped_weights(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense<0.5> : tensor<6xf32>
  %shape = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %0 = onnx.Reshape %w, %shape : (tensor<6xf32>, tensor<2xi64>) -> tensor<2x3xf32>
  %1 = onnx.MatMul %x, %0 : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %1 : tensor<?x3xf32>
}

// Parts of a packed product that a transpose brings to the front are taken before it.

// CHECK-LABEL: func @parts_in_front
// CHECK-SAME: %[[X:.*]]: tensor<?x?x2x4x8xf32>
// CHECK: %[[P:.*]]:2 = onnx.Split %[[X]] {axis = 2 : i64, num_outputs = 2 : i64} : (tensor<?x?x2x4x8xf32>) -> (tensor<?x?x1x4x8xf32>, tensor<?x?x1x4x8xf32>)
// CHECK: %[[A:.*]] = onnx.Squeeze %[[P]]#0, %{{.*}} -> tensor<?x?x4x8xf32>
// CHECK: %[[AT:.*]] = onnx.Transpose %[[A]] {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x8xf32>) -> tensor<?x4x?x8xf32>
// CHECK: %[[C:.*]] = onnx.Gather %[[X]], %{{.*}} {axis = 2 : i64} : (tensor<?x?x2x4x8xf32>, tensor<i64>) -> tensor<?x?x4x8xf32>
// CHECK: %[[CT:.*]] = onnx.Transpose %[[C]] {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x8xf32>) -> tensor<?x4x?x8xf32>
// CHECK: return %[[AT]], %[[CT]]
func.func @parts_in_front(%x: tensor<?x?x2x4x8xf32>) -> (tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>) {
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<i64>
  %0 = onnx.Transpose %x {perm = array<i64: 2, 0, 3, 1, 4>} : (tensor<?x?x2x4x8xf32>) -> tensor<2x?x4x?x8xf32>
  %1:2 = onnx.Split %0 {axis = 0 : i64, num_outputs = 2 : i64} : (tensor<2x?x4x?x8xf32>) -> (tensor<1x?x4x?x8xf32>, tensor<1x?x4x?x8xf32>)
  %2 = onnx.Squeeze %1#0, %axis : (tensor<1x?x4x?x8xf32>, tensor<1xi64>) -> tensor<?x4x?x8xf32>
  %3 = onnx.Gather %0, %last {axis = 0 : i64} : (tensor<2x?x4x?x8xf32>, tensor<i64>) -> tensor<?x4x?x8xf32>
  return %2, %3 : tensor<?x4x?x8xf32>, tensor<?x4x?x8xf32>
}

// CHECK-LABEL: func @parts_by_added_dimension
// CHECK-SAME: %[[X:.*]]: tensor<?x?x3x8xf32>
// CHECK: %[[P:.*]] = onnx.Gather %[[X]], %{{.*}} {axis = 2 : i64} : (tensor<?x?x3x8xf32>, tensor<i64>) -> tensor<?x?x8xf32>
// CHECK-NEXT: return %[[P]]
func.func @parts_by_added_dimension(%x: tensor<?x?x3x8xf32>) -> tensor<?x?x8xf32> {
  %first = onnx.Constant dense<0> : tensor<1xi64>
  %axis = onnx.Constant dense<-2> : tensor<1xi64>
  %which = onnx.Constant dense<1> : tensor<i64>
  %0 = onnx.Unsqueeze %x, %first : (tensor<?x?x3x8xf32>, tensor<1xi64>) -> tensor<1x?x?x3x8xf32>
  %1 = onnx.Transpose %0 {perm = array<i64: 3, 1, 2, 0, 4>} : (tensor<1x?x?x3x8xf32>) -> tensor<3x?x?x1x8xf32>
  %2 = onnx.Squeeze %1, %axis : (tensor<3x?x?x1x8xf32>, tensor<1xi64>) -> tensor<3x?x?x8xf32>
  %3 = onnx.Gather %2, %which {axis = 0 : i64} : (tensor<3x?x?x8xf32>, tensor<i64>) -> tensor<?x?x8xf32>
  return %3 : tensor<?x?x8xf32>
}

// CHECK-LABEL: func @skips_repeated_weights
// CHECK: onnx.Expand
func.func @skips_repeated_weights(%x: tensor<?x?x2xf32>, %shape: tensor<3xi64>) -> tensor<?x?x3xf32> {
  %w = onnx.Constant dense<0.5> : tensor<2x3xf32>
  %0 = onnx.Expand %w, %shape : (tensor<2x3xf32>, tensor<3xi64>) -> tensor<?x2x3xf32>
  %1 = onnx.MatMul %x, %0 : (tensor<?x?x2xf32>, tensor<?x2x3xf32>) -> tensor<?x?x3xf32>
  return %1 : tensor<?x?x3xf32>
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
