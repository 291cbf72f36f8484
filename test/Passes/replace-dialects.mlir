// RUN: qopt-opt %s --qopt-replace-dialects --split-input-file --verify-diagnostics | FileCheck %s
//
// Constants and checks become MLIR's own operations, attributes of ours go, and what has no such form is named.

// CHECK-LABEL: func.func @f(%{{.*}}: tensor<2xf32>, %{{.*}}: i1, %{{.*}}: i64) -> tensor<2xf32> {
//       CHECK: %[[W:.*]] = arith.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xf32>
//       CHECK: cf.assert %{{.*}}, "requires equal sizes"
//       CHECK: return %[[W]]
func.func @f(%x: tensor<2xf32> {onnx.name = "x"}, %same: i1, %n: i64) -> (tensor<2xf32> {onnx.name = "y"}) {
  %w = qopt.parameter "w" dense<[1.0, 2.0]> : tensor<2xf32>
  qopt.require %same, shape_mismatch(%n, %n)
  return %w : tensor<2xf32>
}

// -----

func.func @refuses_operator(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @below {{has no form in MLIR's dialects}}
  %0 = onnx.Relu %x : (tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
