// RUN: qopt-opt %s --qopt-insert-observers --split-input-file --verify-diagnostics | FileCheck %s

// Linears that read the same value and need the same statistic share an observer.
// CHECK-LABEL: @group
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>)
// CHECK: %[[H:.*]] = qopt.observe %[[X]] "q" ["hessian"] : tensor<2x4xf32>
// CHECK: onnx.MatMul %[[H]], {{.*}}"q"
// CHECK: onnx.MatMul %[[H]], {{.*}}"k"
// CHECK: %[[A:.*]] = qopt.observe %[[X]] "v" ["absmax"] : tensor<2x4xf32>
// CHECK: onnx.MatMul %[[A]], {{.*}}"v"
// CHECK-NOT: qopt.observe
// CHECK: onnx.MatMul %[[X]], {{.*}}"w"
func.func @group(%x: tensor<2x4xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "q", qopt.scheme = #qopt.scheme<kind = "gptq-int4">} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %1 = onnx.MatMul %x, %w {qopt.layer = "k", qopt.scheme = #qopt.scheme<kind = "gptq-int4">} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %2 = onnx.MatMul %x, %w {qopt.layer = "v", qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %3 = onnx.MatMul %x, %w {qopt.layer = "w", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %0, %1, %2, %3 : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>
}

// llm-int8 needs data only where calibration chooses its outlier columns; those with different thresholds share that.
// CHECK-LABEL: @columns
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>)
// CHECK: %[[O:.*]] = qopt.observe %[[X]] "q" ["column-absmax"] : tensor<2x4xf32>
// CHECK: onnx.MatMul %[[O]], {{.*}}"q"
// CHECK: onnx.MatMul %[[O]], {{.*}}"k"
// CHECK: onnx.MatMul %[[X]], {{.*}}"v"
func.func @columns(%x: tensor<2x4xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "q", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %1 = onnx.MatMul %x, %w {qopt.layer = "k", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 3.0, outliers = static>} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %2 = onnx.MatMul %x, %w {qopt.layer = "v", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %0, %1, %2 : tensor<2x8xf32>, tensor<2x8xf32>, tensor<2x8xf32>
}

// A second run finds the observers of the first.
// CHECK-LABEL: @skips_observed
// CHECK: qopt.observe
// CHECK-NOT: qopt.observe
// CHECK: return
func.func @skips_observed(%x: tensor<2x4xf32>) -> tensor<2x8xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
  %o = qopt.observe %x "q" ["hessian"] : tensor<2x4xf32>
  %0 = onnx.MatMul %o, %w {qopt.layer = "q", qopt.scheme = #qopt.scheme<kind = "gptq-int4">} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// Those that want another range of the same value do not share.
// CHECK-LABEL: @rules
// CHECK-SAME: (%[[X:.*]]: tensor<2x4xf32>)
// CHECK: qopt.observe %[[X]] "q" ["absmax"]
// CHECK: qopt.observe %[[X]] "k" ["absmax"]
// CHECK-NOT: qopt.observe
// CHECK: return
func.func @rules(%x: tensor<2x4xf32>) -> (tensor<2x8xf32>, tensor<2x8xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "q", qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %1 = onnx.MatMul %x, %w {qopt.layer = "k", qopt.scheme = #qopt.scheme<kind = "int8-static", observer = absmax>} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %0, %1 : tensor<2x8xf32>, tensor<2x8xf32>
}

// -----

func.func @rejects_no_scheme(%x: tensor<2x4xf32>) -> tensor<2x8xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
  // expected-error @below {{'onnx.MatMul' op requires a scheme for layer "q" (qopt-assign-scheme)}}
  %0 = onnx.MatMul %x, %w {qopt.layer = "q"} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}
