// RUN: qopt-opt %s --qopt-rotate-activations --split-input-file --verify-diagnostics --remarks-filter=.* --remark-format=emitRemark | FileCheck %s
// RUN: not qopt-opt %s --split-input-file --pass-pipeline='builtin.module(qopt-rotate-activations{seed=-1})' 2>&1 | FileCheck %s --check-prefix=SEED
// SEED: error: rotate: expected a seed of at least 0 but got -1

// One space of two features: the table, what is added, what writes it (o) and reads it (v, up); and one of the single
// feature of each head, whose rotation is a sign. All numbers keep their magnitudes or become sums.
// CHECK-LABEL: @decoder
// CHECK-NOT: dense<
// CHECK: onnx.Gather
// CHECK: onnx.RMSNormalization
// CHECK: onnx.Attention
// CHECK: onnx.RMSNormalization
// CHECK: return
func.func @decoder(%ids: tensor<?x?xi64>) -> tensor<?x?x3xf32> {
  %e = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf16>
  %p = onnx.Constant dense<[0.5, 1.5]> : tensor<2xf32>
  %s = onnx.Constant dense_resource<ones> : tensor<2xf32>
  %v = onnx.Constant dense<[[1.0, 0.0], [0.0, 2.0]]> : tensor<2x2xf32>
  %b = onnx.Constant dense<[0.25, 0.75]> : tensor<2xf32>
  %o = onnx.Constant dense<[[3.0, 0.0], [0.0, 1.0]]> : tensor<2x2xf32>
  %u = onnx.Constant dense<[[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]> : tensor<2x3xf32>
  %rows = onnx.Gather %e, %ids : (tensor<2x2xf16>, tensor<?x?xi64>) -> tensor<?x?x2xf16>
  %wide = onnx.Cast %rows {to = f32} : (tensor<?x?x2xf16>) -> tensor<?x?x2xf32>
  %x = onnx.Add %wide, %p : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  %n = onnx.RMSNormalization %x, %s : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  %w = onnx.MatMul %n, %v {qopt.layer = "v"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  %biased = onnx.Add %w, %b : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  %q = onnx.MatMul %n, %v {qopt.layer = "q"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  %a = onnx.Attention %q, %q, %biased {is_causal = 1 : i64, kv_num_heads = 2 : i64, q_num_heads = 2 : i64} : (tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %y = onnx.MatMul %a, %o {qopt.layer = "o"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
  %z = onnx.Add %x, %y : (tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
  %m = onnx.RMSNormalization %z, %s : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  %h = onnx.MatMul %m, %u {qopt.layer = "up"} : (tensor<?x?x2xf32>, tensor<2x3xf32>) -> tensor<?x?x3xf32>
  return %h : tensor<?x?x3xf32>
}
{-# dialect_resources: { builtin: { ones: "0x040000000000803F0000803F" } } #-}

// -----

// expected-error @below {{rotate found nothing to do: expected activations between products with constant weights, with nothing but sums and normalizations of scale 1 on the way, but got 5 that it has to leave, the first the 2 features in front of layer "a": a normalization has a scale that is not folded into weights}}
module {
  func.func @nothing(%x: tensor<?x?x2xf32>, %w: tensor<2x2xf32>, %past: tensor<1x1x?x2xf32>, %i: tensor<?x?x2xf32>) -> (tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<1x1x?x2xf32>, tensor<1x1x?x2xf32>) {
    %s = onnx.Constant dense<[2.0, 1.0]> : tensor<2xf32>
    %ones = onnx.Constant dense<1.0> : tensor<2xf32>
    %c = onnx.Constant dense<1.0> : tensor<2x2xf32>
    // expected-remark @below {{a normalization has a scale that is not folded into weights}}
    %n = onnx.RMSNormalization %x, %s : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
    %a = onnx.MatMul %n, %c {qopt.layer = "a"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
    // expected-remark @below {{they come from 'onnx.Sigmoid'}}
    %g = onnx.Sigmoid %a : (tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
    %m = onnx.RMSNormalization %g, %ones : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
    %b = onnx.MatMul %m, %c {qopt.layer = "b"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
    %d = onnx.MatMul %x, %w : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
    // expected-remark @below {{its values are kept by the caller}}
    %y, %k, %v = onnx.Attention %a, %a, %b past_key(%past) past_value(%past) {kv_num_heads = 1 : i64, q_num_heads = 1 : i64} : (tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<1x1x?x2xf32>, tensor<1x1x?x2xf32>) -> (tensor<?x?x2xf32>, tensor<1x1x?x2xf32>, tensor<1x1x?x2xf32>)
    // expected-remark @below {{its values come from an input of the model}}
    %z = onnx.Attention %a, %a, %i {kv_num_heads = 1 : i64, q_num_heads = 1 : i64} : (tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
    %e = onnx.MatMul %x, %c {qopt.layer = "e"} : (tensor<?x?x2xf32>, tensor<2x2xf32>) -> tensor<?x?x2xf32>
    // expected-remark @below {{its result goes to 'func.return'}}
    %f = onnx.Attention %a, %a, %e {kv_num_heads = 1 : i64, q_num_heads = 1 : i64} : (tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>) -> tensor<?x?x2xf32>
    return %d, %b, %y, %z, %f, %k, %v : tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>, tensor<1x1x?x2xf32>, tensor<1x1x?x2xf32>
  }
}
