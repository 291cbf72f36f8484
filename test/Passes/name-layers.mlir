// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-name-layers))' | FileCheck %s

// Where a layer's name comes from, in order of trust.

// CHECK-LABEL: func @names
func.func @names(%x: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %w = onnx.Constant dense_resource<model.layers.0.mlp.up_proj.weight> : tensor<4x4xf32>
  %v = onnx.Constant dense<1.0> : tensor<4x4xf32>
  // The module path in the metadata.
  // CHECK: onnx.MatMul {{.*}}qopt.layer = "model.layers.7.self_attn.q_proj"
  %0 = onnx.MatMul %x, %v {onnx.scope = "model.layers.7.self_attn.q_proj"} : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  // The path in the node's name.
  // CHECK: onnx.MatMul {{.*}}qopt.layer = "model.layers.0.self_attn.k_proj"
  %1 = onnx.MatMul %0, %v : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32> loc("/model/layers.0/self_attn/k_proj/MatMul_1")
  // The name of the weight.
  // CHECK: onnx.MatMul {{.*}}qopt.layer = "model.layers.0.mlp.up_proj"
  %2 = onnx.MatMul %1, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32> loc("MatMul_12")
  // A name that is taken, and nothing else to go by.
  // CHECK: onnx.MatMul {{.*}}qopt.layer = "linear_0"
  %3 = onnx.MatMul %2, %v {onnx.scope = "model.layers.7.self_attn.q_proj"} : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  // The product of two activations is no layer.
  // CHECK: onnx.MatMul
  // CHECK-NOT: qopt.layer
  %4 = onnx.MatMul %3, %x : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %4 : tensor<?x?x4xf32>
}

// The place in the decoder.
// CHECK-LABEL: func @decoder_layer
func.func @decoder_layer(%x: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x4xf32>
  // CHECK: qopt.layer = "model.layers.0.self_attn.q_proj"
  %q = onnx.MatMul %x, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  // CHECK: qopt.layer = "model.layers.0.self_attn.k_proj"
  %k = onnx.MatMul %x, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  // CHECK: qopt.layer = "model.layers.0.self_attn.v_proj"
  %v = onnx.MatMul %x, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  %a = onnx.Attention %q, %k, %v {q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  // CHECK: qopt.layer = "model.layers.0.self_attn.o_proj"
  %o = onnx.MatMul %a, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  // CHECK: qopt.layer = "model.layers.0.mlp.gate_proj"
  %g = onnx.MatMul %o, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  // CHECK: qopt.layer = "model.layers.0.mlp.up_proj"
  %u = onnx.MatMul %o, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  %s = onnx.Swish %g : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %m = onnx.Mul %s, %u : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  // CHECK: qopt.layer = "model.layers.0.mlp.down_proj"
  %d = onnx.MatMul %m, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  %n = onnx.Add %d, %o : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  // CHECK: qopt.layer = "lm_head"
  %l = onnx.MatMul %n, %w : (tensor<?x?x4xf32>, tensor<4x4xf32>) -> tensor<?x?x4xf32>
  return %l : tensor<?x?x4xf32>
}

// The head is what logits come out of, however they are cut and shaped: the keys that leave from such a product are none.
// CHECK-LABEL: func @head
func.func @head(%x: tensor<1x?x4xf32>) -> (tensor<1x?x2x2xf32> {qopt.role = #qopt.role<present_key>},
                                           tensor<?x2xf32> {qopt.role = #qopt.role<logits>}) {
  %w = onnx.Constant dense<1.0> : tensor<4x4xf32>
  %heads = onnx.Constant dense<[0, 0, 2, 2]> : tensor<4xi64>
  %cap = onnx.Constant dense<30.0> : tensor<f32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %end = onnx.Constant dense<2> : tensor<1xi64>
  // CHECK: qopt.layer = "linear_0"
  %k = onnx.MatMul %x, %w : (tensor<1x?x4xf32>, tensor<4x4xf32>) -> tensor<1x?x4xf32>
  %present = onnx.Reshape %k, %heads : (tensor<1x?x4xf32>, tensor<4xi64>) -> tensor<1x?x2x2xf32>
  // CHECK: qopt.layer = "lm_head"
  %l = onnx.MatMul %k, %w : (tensor<1x?x4xf32>, tensor<4x4xf32>) -> tensor<1x?x4xf32>
  %d = onnx.Div %l, %cap : (tensor<1x?x4xf32>, tensor<f32>) -> tensor<1x?x4xf32>
  %s = onnx.Slice %d, %zero, %end axes(%end) : (tensor<1x?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?x2xf32>
  %q = onnx.Squeeze %s, %zero : (tensor<1x?x2xf32>, tensor<1xi64>) -> tensor<?x2xf32>
  return %present, %q : tensor<1x?x2x2xf32>, tensor<?x2xf32>
}

{-#
  dialect_resources: {
    builtin: {
      model.layers.0.mlp.up_proj.weight: "0x400000000000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F"
    }
  }
#-}
