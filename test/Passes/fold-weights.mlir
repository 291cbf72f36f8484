// RUN: qopt-opt %s --qopt-fold-weights | FileCheck %s

// W + B A of an adapter is one weight.
// CHECK-LABEL: func @adapter
// CHECK: %[[W:.*]] = onnx.Constant dense_resource<q_proj.weight{{.*}}> : tensor<2x2xf32>
// CHECK-NEXT: %[[Y:.*]] = onnx.MatMul %{{.*}}, %[[W]]
// CHECK-NEXT: return %[[Y]]
func.func @adapter(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = onnx.Constant dense_resource<q_proj.weight> : tensor<2x2xf32>
  %a = onnx.Constant dense<[[1.0], [2.0]]> : tensor<2x1xf32>
  %b = onnx.Constant dense<[[3.0, 4.0]]> : tensor<1x2xf32>
  %d = onnx.MatMul %a, %b : (tensor<2x1xf32>, tensor<1x2xf32>) -> tensor<2x2xf32>
  %s = onnx.Add %w, %d : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = onnx.MatMul %x, %s : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// What a file has in another layout is left to normalize-linears.
// CHECK-LABEL: func @keeps_transpose
// CHECK: onnx.Transpose
func.func @keeps_transpose(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = onnx.Constant dense_resource<q_proj.weight> : tensor<2x2xf32>
  %t = onnx.Transpose %w {perm = array<i64: 1, 0>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = onnx.MatMul %x, %t : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

{-# dialect_resources: { builtin: { q_proj.weight: "0x040000000000803F000000400000404000008040" } } #-}
