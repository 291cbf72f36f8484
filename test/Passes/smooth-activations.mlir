// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-smooth-activations{alpha=0 calibration=%inputs/tokens.npy})' --split-input-file --verify-diagnostics --remarks-filter=.* --remark-format=emitRemark | FileCheck %s
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(qopt-smooth-activations)' 2>&1 | FileCheck %s --check-prefix=NODATA
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(qopt-smooth-activations{alpha=1.5})' 2>&1 | FileCheck %s --check-prefix=ALPHA
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(smoothquant{alpha=half})' 2>&1 | FileCheck %s --check-prefix=WORD

// NODATA: error: requires calibration data
// ALPHA: error: smoothquant: expected an alpha between 0 and 1 but got 1.5
// WORD: expected an alpha between 0 and 1 but got half

// expected-error @below {{smoothquant found nothing to do: expected a normalization whose result linear layers alone read, but got 1 that it has to leave, the first the normalization in front of layer "o": its result also goes to 'func.return'}}
module {
  func.func @nothing(%x: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
    %s = onnx.Constant dense<[2.0, 3.0]> : tensor<2xf32>
    %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
    // expected-remark @below {{smoothquant leaves}}
    %n = onnx.RMSNormalization %x, %s : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %y = onnx.MatMul %n, %w {qopt.layer = "o"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    return %n, %y : tensor<?x2xf32>, tensor<?x2xf32>
  }
}

// -----

// With an alpha of 0 the largest weights of each input decide, 4 and 8: s = 1/4, 1/8.
// CHECK-LABEL: @smoothed
// CHECK-NOT: qopt.observe
// CHECK: onnx.RMSNormalization
// CHECK: onnx.MatMul {{.*}} {qopt.layer = "up"}
// CHECK: onnx.MatMul {{.*}} {qopt.layer = "gate"}
// The head and what is in front of it stay.
// CHECK: onnx.RMSNormalization
// CHECK: onnx.MatMul {{.*}} {qopt.layer = "lm_head"}
// CHECK-DAG: "0x400000000000804100009042"
// CHECK-DAG: "0x400000000000803E0000003D"
func.func @smoothed(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x1xf32>, tensor<?x?x1xf32>) {
  %e = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [-1.0, 2.0], [1.0, -2.0], [1.0, 0.0], [2.0, 1.0]]> : tensor<8x2xf32>
  %s = onnx.Constant dense<[4.0, 9.0]> : tensor<2xf32>
  %u = onnx.Constant dense<[[1.0], [0.25]]> : tensor<2x1xf32>
  %g = onnx.Constant dense<[[-4.0], [8.0]]> : tensor<2x1xf32>
  %x = onnx.Gather %e, %ids : (tensor<8x2xf32>, tensor<?x?xi64>) -> tensor<?x?x2xf32>
  %n = onnx.RMSNormalization %x, %s : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  %a = onnx.MatMul %n, %u {qopt.layer = "up"} : (tensor<?x?x2xf32>, tensor<2x1xf32>) -> tensor<?x?x1xf32>
  %b = onnx.MatMul %n, %g {qopt.layer = "gate"} : (tensor<?x?x2xf32>, tensor<2x1xf32>) -> tensor<?x?x1xf32>
  %c = onnx.Mul %a, %b : (tensor<?x?x1xf32>, tensor<?x?x1xf32>) -> tensor<?x?x1xf32>
  // expected-remark @below {{smoothquant leaves the normalization in front of the head}}
  %m = onnx.RMSNormalization %x, %s : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  %h = onnx.MatMul %m, %u {qopt.layer = "lm_head"} : (tensor<?x?x2xf32>, tensor<2x1xf32>) -> tensor<?x?x1xf32>
  return %c, %h : tensor<?x?x1xf32>, tensor<?x?x1xf32>
}
