// RUN: qopt-opt %s --pass-pipeline='builtin.module(rtn-int4{group-size=2 activations=float})' | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(int8-dynamic)' | FileCheck %s --check-prefix=INT8
// RUN: qopt-opt %s --pass-pipeline='builtin.module(rtn-int4{group-size=2 activations=float overrides=model.layers.1.up_proj=int8-weights})' | FileCheck %s --check-prefix=OVERRIDE

// Two layers with one weight have one array of codes, unless their schemes differ.
// CHECK-LABEL: @forward
// CHECK: %[[CODES:.*]] = qopt.parameter "model.layers.0.up_proj.weight.codes"
// CHECK: %[[SCALE:.*]] = qopt.parameter "model.layers.0.up_proj.weight.scale"
// CHECK: %[[ZEROS:.*]] = qopt.parameter "model.layers.0.up_proj.weight.zeros"
// CHECK-NOT: qopt.parameter
// CHECK: qopt.matmul_w4a16 %{{.*}}, %[[CODES]], %[[SCALE]], %[[ZEROS]]
// CHECK: qopt.matmul_w4a16 %{{.*}}, %[[CODES]], %[[SCALE]], %[[ZEROS]]
// INT8-LABEL: @forward
// INT8-COUNT-2: qopt.parameter
// INT8-NOT: qopt.parameter
// OVERRIDE-LABEL: @forward
// OVERRIDE-DAG: qopt.parameter "model.layers.0.up_proj.weight.codes"
// OVERRIDE-DAG: qopt.parameter "model.layers.1.up_proj.weight.codes"
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0, 3.0, 4.0], [-1.0, 2.0, -3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [1.0, -1.0, 1.0, -1.0]]> : tensor<4x4xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "model.layers.0.up_proj"} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.MatMul %0, %w {qopt.layer = "model.layers.1.up_proj"} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}
