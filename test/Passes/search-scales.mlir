// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-search-scales{calibration=%inputs/tokens.npy scheme=rtn-int4{group-size=2}})' --split-input-file --verify-diagnostics --remarks-filter=.* --remark-format=emitRemark | FileCheck %s
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(awq{scheme=gptq-int4})' 2>&1 | FileCheck %s --check-prefix=DATA
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(awq{scheme=int5})' 2>&1 | FileCheck %s --check-prefix=SCHEME
// DATA: error: awq: scheme "gptq-int4": expected one that rounds weights without calibration
// SCHEME: error: awq: scheme "int5": unknown scheme "int5"; there are float

// expected-error @below {{awq found nothing to do: expected a value whose scale can move into the weights that alone read it, but got none}}
module {
  func.func @nothing(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x2xf32> {
    %e = onnx.Constant dense<0.5> : tensor<8x2xf32>
    %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
    // expected-remark @below {{awq scales no weights of layer "o": its input comes from 'onnx.Gather'}}
    %x = onnx.Gather %e, %ids : (tensor<8x2xf32>, tensor<?x?xi64>) -> tensor<?x?x2xf32>
    %y = onnx.MatMul %x, %w {qopt.layer = "o"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
    return %y : tensor<?x?x2xf32>
  }
}

// -----

// The scale of the normalization moves into up and gate, that of up into down; gate reads what up does, but a factor
// does not pass what is made of it. The weights of queries are scaled, but not clipped.
// CHECK-LABEL: @mlp
// CHECK-NOT: qopt.observe
// CHECK: onnx.RMSNormalization
// CHECK: onnx.MatMul {{.*}} {qopt.layer = "up"}
// CHECK: onnx.MatMul {{.*}} {qopt.layer = "gate"}
// CHECK: onnx.MatMul {{.*}} {qopt.layer = "down"}
// CHECK: dialect_resources
func.func @mlp(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x2xf32> {
  %e = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [-1.0, 2.0], [1.0, -2.0], [1.0, 0.0], [2.0, 1.0]]> : tensor<8x2xf32>
  %s = onnx.Constant dense<[4.0, 9.0]> : tensor<2xf32>
  %u = onnx.Constant dense<[[1.0, 0.3], [0.25, 0.7]]> : tensor<2x2xf32>
  %g = onnx.Constant dense<[[-4.0, 1.0], [8.0, 2.0]]> : tensor<2x2xf32>
  %d = onnx.Constant dense<[[0.9, 1.0], [0.2, 2.0]]> : tensor<2x2xf32>
  %x = onnx.Gather %e, %ids : (tensor<8x2xf32>, tensor<?x?xi64>) -> tensor<?x?x2xf32>
  %n = onnx.RMSNormalization %x, %s : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  %a = onnx.MatMul %n, %u {qopt.layer = "up"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  %b = onnx.MatMul %n, %g {qopt.layer = "gate"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  %c = onnx.Swish %b : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %m = onnx.Mul %c, %a : (tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %y = onnx.MatMul %m, %d {qopt.layer = "down"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  return %y : tensor<?x?x2xf32>
}
