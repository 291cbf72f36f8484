// RUN: qopt-opt %s --split-input-file --qopt-assign-roles | FileCheck %s
//
// What an input or output is shows in what the graph does with it, whatever its name.

// A decoder whose names say nothing, with a mask, positions, a cache and all outputs.
// CHECK-LABEL: func.func @decoder(
// CHECK-SAME:    tensor<?x?xi64> {onnx.name = "input.1", qopt.role = #qopt.role<token_ids>}
// CHECK-SAME:    tensor<?x?xi64> {onnx.name = "input.2", qopt.role = #qopt.role<attention_mask>}
// CHECK-SAME:    tensor<?x?xi64> {onnx.name = "input.3", qopt.role = #qopt.role<position_ids>}
// CHECK-SAME:    tensor<?x2x?x4xf32> {onnx.name = "input.4", qopt.role = #qopt.role<past_key>}
// CHECK-SAME:    tensor<?x2x?x4xf32> {onnx.name = "input.5", qopt.role = #qopt.role<past_value>}
// CHECK-SAME:    -> (tensor<?x?x16xf32> {qopt.role = #qopt.role<logits>}
// CHECK-SAME:    tensor<?x?x8xf32> {qopt.role = #qopt.role<hidden_states>}
// CHECK-SAME:    tensor<?x2x?x4xf32> {qopt.role = #qopt.role<present_key>}
// CHECK-SAME:    tensor<?x2x?x4xf32> {qopt.role = #qopt.role<present_value>}
func.func @decoder(%ids: tensor<?x?xi64> {onnx.name = "input.1"}, %shown: tensor<?x?xi64> {onnx.name = "input.2"},
                   %positions: tensor<?x?xi64> {onnx.name = "input.3"},
                   %past_k: tensor<?x2x?x4xf32> {onnx.name = "input.4"}, %past_v: tensor<?x2x?x4xf32> {onnx.name = "input.5"})
    -> (tensor<?x?x16xf32>, tensor<?x?x8xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %w = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %head = onnx.Constant dense<0.25> : tensor<8x16xf32>
  %frequencies = onnx.Constant dense<0.5> : tensor<1x4x1xf32>
  %bias = onnx.Constant dense<0.5> : tensor<16xf32>
  %shape = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %flat = onnx.Constant dense<[0, 0, 8]> : tensor<3xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %lowest = onnx.Constant dense<-1.0e9> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32>

  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %p = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %h = onnx.Reshape %p, %shape : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %new = onnx.Transpose %h {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>

  %counted = onnx.Cast %positions {to = f32} : (tensor<?x?xi64>) -> tensor<?x?xf32>
  %row = onnx.Unsqueeze %counted, %one : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<?x1x?xf32>
  %angles = onnx.MatMul %frequencies, %row : (tensor<1x4x1xf32>, tensor<?x1x?xf32>) -> tensor<?x4x?xf32>
  %turned = onnx.Transpose %angles {perm = array<i64: 0, 2, 1>} : (tensor<?x4x?xf32>) -> tensor<?x?x4xf32>
  %cos = onnx.Cos %turned : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %cos4 = onnx.Unsqueeze %cos, %one : (tensor<?x?x4xf32>, tensor<1xi64>) -> tensor<?x1x?x4xf32>
  %q = onnx.Mul %new, %cos4 : (tensor<?x2x?x4xf32>, tensor<?x1x?x4xf32>) -> tensor<?x2x?x4xf32>

  %keys = onnx.Concat %past_k, %q {axis = 2 : i64} : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %values = onnx.Concat %past_v, %new {axis = 2 : i64} : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %kt = onnx.Transpose %keys {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x2x?x4xf32>) -> tensor<?x2x4x?xf32>
  %scores = onnx.MatMul %q, %kt : (tensor<?x2x?x4xf32>, tensor<?x2x4x?xf32>) -> tensor<?x2x?x?xf32>
  %bits = onnx.Cast %shown {to = i1} : (tensor<?x?xi64>) -> tensor<?x?xi1>
  %bits4 = onnx.Unsqueeze %bits, %axes : (tensor<?x?xi1>, tensor<2xi64>) -> tensor<?x1x1x?xi1>
  %hidden = onnx.Where %bits4, %zero, %lowest : (tensor<?x1x1x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x1x1x?xf32>
  %masked = onnx.Add %scores, %hidden : (tensor<?x2x?x?xf32>, tensor<?x1x1x?xf32>) -> tensor<?x2x?x?xf32>
  %weights = onnx.Softmax %masked : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %mixed = onnx.MatMul %weights, %values : (tensor<?x2x?x?xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %m = onnx.Transpose %mixed {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x2x?x4xf32>) -> tensor<?x?x2x4xf32>
  %y = onnx.Reshape %m, %flat : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %sum = onnx.Add %x, %y : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %product = onnx.MatMul %sum, %head : (tensor<?x?x8xf32>, tensor<8x16xf32>) -> tensor<?x?x16xf32>
  %logits = onnx.Add %product, %bias : (tensor<?x?x16xf32>, tensor<16xf32>) -> tensor<?x?x16xf32>
  return %logits, %sum, %keys, %values : tensor<?x?x16xf32>, tensor<?x?x8xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>
}

// -----

// The standard operators say it themselves; i32 of rank 1 will do for tokens.
// CHECK-LABEL: func.func @operators(
// CHECK-SAME:    tensor<?xi32> {qopt.role = #qopt.role<token_ids>}
// CHECK-SAME:    tensor<?x?x?x?xf32> {qopt.role = #qopt.role<attention_bias>}
// CHECK-SAME:    tensor<1x?xi64> {qopt.role = #qopt.role<position_ids>}
// CHECK-SAME:    tensor<1x1x?x8xf32> {qopt.role = #qopt.role<past_key>}
// CHECK-SAME:    tensor<1x1x?x8xf32> {qopt.role = #qopt.role<past_value>}
// CHECK-SAME:    -> (tensor<?x8xf32> {qopt.role = #qopt.role<hidden_states>}
// CHECK-SAME:    tensor<1x1x?x8xf32> {qopt.role = #qopt.role<present_key>}, tensor<1x1x?x8xf32> {qopt.role = #qopt.role<present_value>})
func.func @operators(%a: tensor<?xi32>, %b: tensor<?x?x?x?xf32>, %c: tensor<1x?xi64>, %d: tensor<1x1x?x8xf32>, %e: tensor<1x1x?x8xf32>)
    -> (tensor<?x8xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32>) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %cos = onnx.Constant dense<0.5> : tensor<32x4xf32>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %x = onnx.Gather %table, %a : (tensor<16x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
  %x3 = onnx.Unsqueeze %x, %zero : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<1x?x8xf32>
  %q = onnx.RotaryEmbedding %x3, %cos, %cos, %c {num_heads = 1 : i64} : (tensor<1x?x8xf32>, tensor<32x4xf32>, tensor<32x4xf32>, tensor<1x?xi64>) -> tensor<1x?x8xf32>
  %y, %k, %v = onnx.Attention %q, %q, %x3 mask(%b) past_key(%d) past_value(%e) {q_num_heads = 1 : i64, kv_num_heads = 1 : i64} : (tensor<1x?x8xf32>, tensor<1x?x8xf32>, tensor<1x?x8xf32>, tensor<?x?x?x?xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32>) -> (tensor<1x?x8xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32>)
  %z = onnx.Squeeze %y, %zero : (tensor<1x?x8xf32>, tensor<1xi64>) -> tensor<?x8xf32>
  return %z, %k, %v : tensor<?x8xf32>, tensor<1x1x?x8xf32>, tensor<1x1x?x8xf32>
}

// -----

// Three inputs choose rows of tables. Only one table has as many rows as there are logits;
// of the others a name tells. The logits are those of the last token.
// CHECK-LABEL: func.func @learned_positions(
// CHECK-SAME:    {onnx.name = "position", qopt.role = #qopt.role<position_ids>}
// CHECK-SAME:    {onnx.name = "segment", qopt.role = #qopt.role<token_types>}
// CHECK-SAME:    {onnx.name = "x", qopt.role = #qopt.role<token_ids>}
// CHECK-SAME:    -> (tensor<?x1x16xf32> {qopt.role = #qopt.role<last_logits>})
func.func @learned_positions(%a: tensor<?x?xi64> {onnx.name = "position"}, %b: tensor<?x?xi64> {onnx.name = "segment"}, %c: tensor<?x?xi64> {onnx.name = "x"})
    -> tensor<?x1x16xf32> {
  %words = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %places = onnx.Constant dense<1.0> : tensor<64x8xf32>
  %segments = onnx.Constant dense<1.0> : tensor<2x8xf32>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %head = onnx.Constant dense<0.25> : tensor<8x16xf32>
  %x = onnx.Gather %words, %c : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Gather %places, %a : (tensor<64x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %z = onnx.Gather %segments, %b : (tensor<2x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %xy = onnx.Add %x, %y : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %xyz = onnx.Add %xy, %z : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %row = onnx.Gather %xyz, %last {axis = 1 : i64} : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x1x8xf32>
  %logits = onnx.MatMul %row, %head : (tensor<?x1x8xf32>, tensor<8x16xf32>) -> tensor<?x1x16xf32>
  return %logits : tensor<?x1x16xf32>
}

// -----

// Embeddings from outside: the head alone tells how wide logits are. A mask that is counted
// to positions is still a mask.
// CHECK-LABEL: func.func @embedded(
// CHECK-SAME:    tensor<?x?x8xf32> {qopt.role = #qopt.role<embeddings>}
// CHECK-SAME:    tensor<?x?xi64> {qopt.role = #qopt.role<attention_mask>}
// CHECK-SAME:    -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<hidden_states>}, tensor<?x?x12xf32> {qopt.role = #qopt.role<logits>})
func.func @embedded(%x: tensor<?x?x8xf32>, %shown: tensor<?x?xi64>) -> (tensor<?x?x8xf32>, tensor<?x?x12xf32>) {
  %head = onnx.Constant dense<0.25> : tensor<8x12xf32>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %cos = onnx.Constant dense<0.5> : tensor<32x4xf32>
  %w = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %counts = onnx.CumSum %shown, %one : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi64>
  %p = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %q = onnx.RotaryEmbedding %p, %cos, %cos, %counts {num_heads = 1 : i64} : (tensor<?x?x8xf32>, tensor<32x4xf32>, tensor<32x4xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %bits = onnx.Cast %shown {to = i1} : (tensor<?x?xi64>) -> tensor<?x?xi1>
  %mask = onnx.Unsqueeze %bits, %axes : (tensor<?x?xi1>, tensor<2xi64>) -> tensor<?x1x1x?xi1>
  %y = onnx.Attention %q, %q, %p mask(%mask) {q_num_heads = 1 : i64, kv_num_heads = 1 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x1x1x?xi1>) -> tensor<?x?x8xf32>
  %logits = onnx.MatMul %y, %head : (tensor<?x?x8xf32>, tensor<8x12xf32>) -> tensor<?x?x12xf32>
  return %y, %logits : tensor<?x?x8xf32>, tensor<?x?x12xf32>
}

// -----

// What the graph does not use, names tell.
// CHECK-LABEL: func.func @by_name(
// CHECK-SAME:    {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}
// CHECK-SAME:    {onnx.name = "attention_mask", qopt.role = #qopt.role<attention_mask>}
// CHECK-SAME:    {onnx.name = "position_ids", qopt.role = #qopt.role<position_ids>}
// CHECK-SAME:    {onnx.name = "past_key_values.0.key", qopt.role = #qopt.role<past_key>}
// CHECK-SAME:    {onnx.name = "past_key_values.0.value", qopt.role = #qopt.role<past_value>}
// CHECK-SAME:    {onnx.name = "present.0.key", qopt.role = #qopt.role<present_key>}
func.func @by_name(%a: tensor<?x?xi64> {onnx.name = "input_ids"}, %b: tensor<?x?xf32> {onnx.name = "attention_mask"},
                   %c: tensor<?x?xi32> {onnx.name = "position_ids"}, %d: tensor<?x2x4xf32> {onnx.name = "past_key_values.0.key"},
                   %e: tensor<?x2x4xf32> {onnx.name = "past_key_values.0.value"}) -> (tensor<2x2x4xf32> {onnx.name = "present.0.key"}) {
  %k = onnx.Constant dense<0.5> : tensor<2x2x4xf32>
  return %k : tensor<2x2x4xf32>
}

// -----

// What is nothing of a decoder: a name does not make it so.
// CHECK-LABEL: func.func @classifier(
// CHECK-SAME:    tensor<?x3x8x8xf32> {onnx.name = "input_ids", qopt.role = #qopt.role<other>}
// CHECK-SAME:    tensor<?x?xf32> {onnx.name = "position_ids", qopt.role = #qopt.role<other>}
// CHECK-SAME:    -> (tensor<?x10xf32> {onnx.name = "logits", qopt.role = #qopt.role<other>})
func.func @classifier(%pixels: tensor<?x3x8x8xf32> {onnx.name = "input_ids"}, %p: tensor<?x?xf32> {onnx.name = "position_ids"})
    -> (tensor<?x10xf32> {onnx.name = "logits"}) {
  %w = onnx.Constant dense<0.5> : tensor<192x10xf32>
  %shape = onnx.Constant dense<[-1, 192]> : tensor<2xi64>
  %x = onnx.Reshape %pixels, %shape : (tensor<?x3x8x8xf32>, tensor<2xi64>) -> tensor<?x192xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x192xf32>, tensor<192x10xf32>) -> tensor<?x10xf32>
  return %y : tensor<?x10xf32>
}

// -----

// Hidden states are no logits, whatever they are called.
// CHECK-LABEL: func.func @skips_hidden_states(
// CHECK-SAME:    -> (tensor<?x?x8xf32> {onnx.name = "y", qopt.role = #qopt.role<hidden_states>})
func.func @skips_hidden_states(%ids: tensor<?x?xi64>) -> (tensor<?x?x8xf32> {onnx.name = "y"}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %w = onnx.Constant dense<0.5> : tensor<8x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Roles that are given stay; private functions are no models.
// CHECK-LABEL: func.func @keeps_given(
// CHECK-SAME:    %{{.*}}: tensor<?x?xi64> {qopt.role = #qopt.role<other>}
// CHECK-SAME:    %{{.*}}: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>}
// CHECK-LABEL: func.func private @skips_private(%{{[a-z0-9]+}}: tensor<?x?xi64>) -> tensor<?x?x8xf32> {
// CHECK-NEXT:    onnx.Constant
// CHECK-NEXT:    onnx.Gather
// CHECK-NEXT:    return
func.func @keeps_given(%a: tensor<?x?xi64> {qopt.role = #qopt.role<other>}, %b: tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>}) -> tensor<?x?x8xf32> {
  %y = call @skips_private(%a) : (tensor<?x?xi64>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
func.func private @skips_private(%ids: tensor<?x?xi64>) -> tensor<?x?x8xf32> {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  return %x : tensor<?x?x8xf32>
}

// -----

// A number from which row on logits are computed, and what is added to scores; a bias that is multiplied is none,
// and truth values that hide keys are no more one than those that show them are.
// CHECK-LABEL: func.func @biases(
// CHECK-SAME:    {qopt.role = #qopt.role<token_ids>}
// CHECK-SAME:    {qopt.role = #qopt.role<logits_to_keep>}
// CHECK-SAME:    {qopt.role = #qopt.role<attention_bias>}
// CHECK-SAME:    {qopt.role = #qopt.role<other>}
// CHECK-SAME:    {qopt.role = #qopt.role<attention_bias>}
// CHECK-SAME:    {qopt.role = #qopt.role<other>}
func.func @biases(%ids: tensor<?x?xi64>, %keep: tensor<i64>, %added: tensor<?x?x?xf32>, %times: tensor<?x?x?xf32>, %shows: tensor<?x?x?xi1>, %hides: tensor<?x?x?xi1>)
    -> tensor<?x?x16xf32> {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %head = onnx.Constant dense<0.25> : tensor<8x16xf32>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %low = onnx.Constant dense<-1.0e9> : tensor<f32>
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %k = onnx.Transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %s0 = onnx.MatMul %x, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %s1 = onnx.Add %s0, %added : (tensor<?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %product = onnx.Mul %times, %low : (tensor<?x?x?xf32>, tensor<f32>) -> tensor<?x?x?xf32>
  %s2 = onnx.Add %s1, %product : (tensor<?x?x?xf32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %s3 = onnx.Where %shows, %s2, %low : (tensor<?x?x?xi1>, tensor<?x?x?xf32>, tensor<f32>) -> tensor<?x?x?xf32>
  %s4 = onnx.Where %hides, %low, %s3 : (tensor<?x?x?xi1>, tensor<f32>, tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %s4 : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %y = onnx.MatMul %p, %x : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %minus = onnx.Neg %keep : (tensor<i64>) -> tensor<i64>
  %start = onnx.Unsqueeze %minus, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %rows = onnx.Slice %y, %start, %end axes(%one) : (tensor<?x?x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x8xf32>
  %logits = onnx.MatMul %rows, %head : (tensor<?x?x8xf32>, tensor<8x16xf32>) -> tensor<?x?x16xf32>
  return %logits : tensor<?x?x16xf32>
}
