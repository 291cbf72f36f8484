// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-round-int8)' | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-round-int8{weights=tensor inputs=tensor zero-point=true})' | FileCheck %s --check-prefix=ZERO
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-round-int8{threshold=6 skip=lm_*})' | FileCheck %s --check-prefix=SPLIT
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-round-int8{skip=*})' 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(round-int8{inputs=column})' 2>&1 | FileCheck %s --check-prefix=WORD
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(round-int8{threshold=-1})' 2>&1 | FileCheck %s --check-prefix=NUMBER

// A scale for each token and for each output: 127 and 254 are the largest codes. The head stays.
// CHECK-LABEL: @forward
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>
// CHECK: %[[W:.*]] = onnx.Constant dense_resource<[[ROUNDED:.*]]> : tensor<2x2xf32>
// CHECK: %[[A:.*]] = onnx.Abs %[[X]]
// CHECK: %[[M:.*]] = onnx.ReduceMax %[[A]], {{.*}} -> tensor<?x1xf32>
// CHECK: onnx.Mul %[[M]]
// CHECK: onnx.Where
// CHECK: onnx.Div %[[X]]
// CHECK: onnx.Round
// CHECK: onnx.Clip
// CHECK: %[[Q:.*]] = onnx.Mul
// CHECK: %[[Y:.*]] = onnx.MatMul %[[Q]], %[[W]] {qopt.layer = "up"}
// CHECK: onnx.MatMul %[[Y]], %{{.*}} {qopt.layer = "lm_head"}
// 127, 0, 1, 254
// CHECK-DAG: [[ROUNDED]]: "0x400000000000FE42000000000000803F00007E43"

// One scale for all, from the smallest number to the largest.
// ZERO: onnx.ReduceMin {{.*}} -> tensor<1x1xf32>
// ZERO: onnx.ReduceMax {{.*}} -> tensor<1x1xf32>
// ZERO: onnx.Clip
// ZERO: onnx.Sub
// ZERO: onnx.MatMul

// Features with an outlier are multiplied with the weights as they were.
// SPLIT: func.func @forward(%[[X:.*]]: tensor<?x2xf32>)
// SPLIT: onnx.ReduceMax {{.*}} -> tensor<1x2xf32>
// SPLIT: onnx.GreaterOrEqual
// SPLIT: %[[O:.*]] = onnx.Mul %[[X]]
// SPLIT: %[[E:.*]] = onnx.MatMul %[[O]], %[[W:.*]] : (tensor<?x2xf32>
// SPLIT: onnx.Sub %[[X]], %[[O]]
// SPLIT: %[[I:.*]] = onnx.MatMul {{.*}} {qopt.layer = "up"}
// SPLIT: onnx.Add %[[I]], %[[E]]
// SPLIT: onnx.MatMul {{.*}} {qopt.layer = "lm_head"}

// NONE: error: round-int8 found nothing to do: expected a linear layer, but got 2 that it has to leave, the first layer "up": skip names it
// WORD: expected inputs "row" or "tensor" but got "column"
// NUMBER: expected a threshold of at least 0 but got -1
func.func @forward(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = onnx.Constant dense<[[127.0, 0.6], [1.4, 254.0]]> : tensor<2x2xf32>
  %h = onnx.Constant dense<[[1.0, 0.6], [1.4, 3.0]]> : tensor<2x2xf32>
  %y = onnx.MatMul %x, %w {qopt.layer = "up"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %z = onnx.MatMul %y, %h {qopt.layer = "lm_head"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %z : tensor<?x2xf32>
}
