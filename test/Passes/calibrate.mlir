// RUN: qopt-opt %s --split-input-file --verify-diagnostics --pass-pipeline='builtin.module(qopt-calibrate{reference=true batch-size=2 calibration=%inputs/tokens.npy})' | FileCheck %s
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(qopt-calibrate)' 2>&1 | FileCheck %s --check-prefix=NODATA
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(qopt-calibrate{calibration=%s})' 2>&1 | FileCheck %s --check-prefix=NOTNPY
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(qopt-calibrate{calibration=%inputs/tokens.npy batch-size=-1})' 2>&1 | FileCheck %s --check-prefix=BATCH

// tokens.npy holds [[1,2,3,4,5,6],[0,3,1,7,2,2],[5,5,4,0,6,1],[7,3,2,6,1,4]].
// NODATA: error: requires calibration data
// NOTNPY: calibrate.mlir: is not a .npy file
// BATCH: error: expected a batch size of at least 0 but got -1

// The largest magnitude that is looked up is 60 (token 7); the second linear sees it through
// int8 weights that hold 1 and 0.5 exactly.
// CHECK-LABEL: @ranges
// CHECK: qopt.observe {{.*}} "up" ["absmax"] absmax(6.000000e+01)
// CHECK: qopt.observe {{.*}} "down" ["absmax"] absmax(3.000000e+01)
func.func @ranges(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x1xf32> {
  %e = onnx.Constant dense<[[1.0], [2.0], [-30.0], [4.0], [5.0], [6.0], [-7.0], [-60.0], [1000.0]]> : tensor<9x1xf32>
  %u = onnx.Constant dense<-0.5> : tensor<1x1xf32>
  %x = onnx.Gather %e, %ids : (tensor<9x1xf32>, tensor<?x?xi64>) -> tensor<?x?x1xf32>
  %a = qopt.observe %x "up" ["absmax"] : tensor<?x?x1xf32>
  %b = onnx.MatMul %a, %u {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "int8-static", observer = absmax>} : (tensor<?x?x1xf32>, tensor<1x1xf32>) -> tensor<?x?x1xf32>
  %c = qopt.observe %b "down" ["absmax"] : tensor<?x?x1xf32>
  %d = onnx.MatMul %c, %u {qopt.layer = "down", qopt.scheme = #qopt.scheme<kind = "int8-static", observer = absmax>} : (tensor<?x?x1xf32>, tensor<1x1xf32>) -> tensor<?x?x1xf32>
  return %d : tensor<?x?x1xf32>
}

// -----

// Weights on a grid of 16 steps survive GPTQ: codes 0, 15, 8 and 4 of scale 1, around zero point 8.
// CHECK-LABEL: @gptq
// CHECK-SAME: (%[[IDS:.*]]: tensor<?x?xi64>
// CHECK: %[[X:.*]] = onnx.Gather
// CHECK: %[[C:.*]] = qopt.parameter "up.weight.codes" dense_resource<up.weight.codes> : tensor<1x2xi8>
// CHECK: %[[S:.*]] = qopt.parameter "up.weight.scale" dense_resource<up.weight.scale> : tensor<1x1xf16>
// CHECK: %[[D:.*]] = qopt.dequantize %[[C]], %[[S]] {group_size = 4 : i64} : (tensor<1x2xi8>, tensor<1x1xf16>) -> tensor<1x4xf32>
// CHECK: %[[T:.*]] = onnx.Transpose %[[D]] {perm = array<i64: 1, 0>} : (tensor<1x4xf32>) -> tensor<4x1xf32>
// CHECK-NOT: qopt.observe
// CHECK: onnx.MatMul %[[X]], %[[T]]
// CHECK: up.weight.codes: "0x40000000F048"
// CHECK: up.weight.scale: "0x40000000003C"
func.func @gptq(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x1xf32> {
  %e = onnx.Constant dense<[[1.0, 0.0, 0.0, 0.5], [0.0, 2.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [2.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 3.0, 0.0], [0.0, 1.0, 0.0, 2.0], [1.0, 0.0, 2.0, 0.0]]> : tensor<8x4xf32>
  %u = onnx.Constant dense<[[-8.0], [7.0], [0.0], [-4.0]]> : tensor<4x1xf32>
  %x = onnx.Gather %e, %ids : (tensor<8x4xf32>, tensor<?x?xi64>) -> tensor<?x?x4xf32>
  %a = qopt.observe %x "up" ["hessian"] : tensor<?x?x4xf32>
  %b = onnx.MatMul %a, %u {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 4>} : (tensor<?x?x4xf32>, tensor<4x1xf32>) -> tensor<?x?x1xf32>
  return %b : tensor<?x?x1xf32>
}

// -----

// Column 1 holds -6, column 3 nothing of 6 or more: it keeps its weight and leaves the scale to the others.
// CHECK-LABEL: @outliers
// CHECK: %[[X:.*]] = onnx.Gather
// CHECK: %[[C:.*]] = qopt.parameter "up.weight.codes" dense_resource<up.weight.codes{{.*}}> : tensor<1x4xi8>
// CHECK: %[[S:.*]] = qopt.parameter "up.weight.scale" dense_resource<up.weight.scale{{.*}}> : tensor<1xf32>
// CHECK: %[[D:.*]] = qopt.dequantize %[[C]], %[[S]] : (tensor<1x4xi8>, tensor<1xf32>) -> tensor<1x4xf32>
// CHECK: %[[K:.*]] = qopt.parameter "up.weight.outliers" dense_resource<up.weight.outliers> : tensor<1x1xf16>
// CHECK: %[[R:.*]] = qopt.replace_columns %[[D]], %[[K]] {columns = array<i32: 1>} : (tensor<1x4xf32>, tensor<1x1xf16>) -> tensor<1x4xf32>
// CHECK: %[[T:.*]] = onnx.Transpose %[[R]] {perm = array<i64: 1, 0>}
// CHECK-NOT: qopt.observe
// CHECK: onnx.MatMul %[[X]], %[[T]]
// CHECK: up.weight.codes{{.*}}: "0x400000007F0081C0"
// CHECK: up.weight.outliers: "0x400000000064"
func.func @outliers(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x1xf32> {
  %e = onnx.Constant dense<[[1.0, 0.0, 0.0, 0.5], [0.0, -6.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0], [2.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 5.9], [0.0, 0.0, 3.0, 0.0], [0.0, 1.0, 0.0, 2.0], [1.0, 0.0, 2.0, 0.0]]> : tensor<8x4xf32>
  %u = onnx.Constant dense<[[2.0], [1024.0], [-2.0], [-1.0]]> : tensor<4x1xf32>
  %x = onnx.Gather %e, %ids : (tensor<8x4xf32>, tensor<?x?xi64>) -> tensor<?x?x4xf32>
  %a = qopt.observe %x "up" ["column-absmax"] : tensor<?x?x4xf32>
  %b = onnx.MatMul %a, %u {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<?x?x4xf32>, tensor<4x1xf32>) -> tensor<?x?x1xf32>
  return %b : tensor<?x?x1xf32>
}

// -----

// A moving average depends on the batches, so there can be only one size of them.
func.func @rejects_two_batch_sizes(%ids: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x1xf32> {
  %e = onnx.Constant dense<1.0> : tensor<8x4xf32>
  %u = onnx.Constant dense<1.0> : tensor<4x1xf32>
  %v = onnx.Constant dense<1.0> : tensor<1x1xf32>
  %x = onnx.Gather %e, %ids : (tensor<8x4xf32>, tensor<?x?xi64>) -> tensor<?x?x4xf32>
  %a = qopt.observe %x "up" ["absmax"] : tensor<?x?x4xf32>
  %b = onnx.MatMul %a, %u {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "int8-static", batchSize = 2>} : (tensor<?x?x4xf32>, tensor<4x1xf32>) -> tensor<?x?x1xf32>
  // expected-error @below {{expected one batch size for all layers, but layer "down" asks for 4 and others for 2}}
  %c = onnx.MatMul %b, %v {qopt.layer = "down", qopt.scheme = #qopt.scheme<kind = "int8-static", batchSize = 4>} : (tensor<?x?x1xf32>, tensor<1x1xf32>) -> tensor<?x?x1xf32>
  return %c : tensor<?x?x1xf32>
}

// -----

// Nothing to observe, nothing to run.
// CHECK-LABEL: @skips_unobserved
// CHECK-SAME:  (%[[X:.*]]: tensor<2x4xf32>
// CHECK-NEXT:  return %[[X]]
func.func @skips_unobserved(%x: tensor<2x4xf32> {onnx.name = "pixels"}) -> tensor<2x4xf32> {
  return %x : tensor<2x4xf32>
}

// -----

// expected-error @below {{no calibration values can be made for input "pixels" (argument 0, role other)}}
func.func @rejects_unknown_inputs(%x: tensor<2x4xf32> {onnx.name = "pixels"}) -> tensor<2x4xf32> {
  %0 = qopt.observe %x "a" ["absmax"] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

// expected-error@unknown {{expected indices in [-7, 6] but got 7}}
func.func @rejects_token_out_of_range(%ids: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x1xf32> {
  %e = onnx.Constant dense<[[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [7.0]]> : tensor<7x1xf32>
  %x = onnx.Gather %e, %ids : (tensor<7x1xf32>, tensor<?x?xi64>) -> tensor<?x?x1xf32>
  // expected-error @below {{calibration of "up": }}
  %a = qopt.observe %x "up" ["absmax"] : tensor<?x?x1xf32>
  return %a : tensor<?x?x1xf32>
}
