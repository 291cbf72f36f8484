// RUN: qopt-opt %s --split-input-file --qopt-raise-attention --cse | FileCheck %s
// RUN: qopt-opt %s --split-input-file --qopt-raise-attention=max-position=64 --cse | FileCheck %s --check-prefix=SHORT
// RUN: qopt-opt %s --split-input-file --qopt-raise-attention --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// Two query heads of 4 channels share one key and value head. What masks the scores
// is recognised by what it hides, not by how it is written.

// CHECK-LABEL: @causal
// CHECK-SAME: %[[Q:.*]]: tensor<?x?x8xf32>, %[[K:.*]]: tensor<?x?x4xf32>, %[[V:.*]]: tensor<?x?x4xf32>
// CHECK-NEXT: %[[Y:.*]] = onnx.Attention %[[Q]], %[[K]], %[[V]]
// CHECK-SAME: is_causal = 1 : i64, kv_num_heads = 1 : i64, q_num_heads = 2 : i64, scale = 5.000000e-01 : f32
// CHECK-SAME: (tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x8xf32>
// CHECK-NEXT: return %[[Y]]
func.func @causal(%q: tensor<?x?x8xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x4xf32>) -> tensor<?x?x8xf32> {
  // j <= i, as a mask that is added.
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axis0 = onnx.Constant dense<0> : tensor<1xi64>
  %axis1 = onnx.Constant dense<1> : tensor<1xi64>
  %s = onnx.Shape %q {start = 1 : i64, end = 2 : i64} : (tensor<?x?x8xf32>) -> tensor<1xi64>
  %length = onnx.Squeeze %s, %axis0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %i = onnx.Unsqueeze %range, %axis1 : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %j = onnx.Unsqueeze %range, %axis0 : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %keep = onnx.LessOrEqual %j, %i : (tensor<1x?xi64>, tensor<?x1xi64>) -> tensor<?x?xi1>
  %shown = onnx.Constant dense<0.0> : tensor<f32>
  %hidden = onnx.Constant dense<-3.40282347E+38> : tensor<f32>
  %mask = onnx.Where %keep, %shown, %hidden : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  // Heads; the factor 1 / sqrt(4) is split over queries and keys.
  %qs = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %ks = onnx.Constant dense<[0, 0, 1, 4]> : tensor<4xi64>
  %root = onnx.Constant dense<0.707106769> : tensor<f32>
  %q0 = onnx.Reshape %q, %qs : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %q1 = onnx.Transpose %q0 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  %q2 = onnx.Mul %q1, %root : (tensor<?x2x?x4xf32>, tensor<f32>) -> tensor<?x2x?x4xf32>
  %k0 = onnx.Reshape %k, %ks : (tensor<?x?x4xf32>, tensor<4xi64>) -> tensor<?x?x1x4xf32>
  %k1 = onnx.Transpose %k0 {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x?x1x4xf32>) -> tensor<?x1x4x?xf32>
  %k2 = onnx.Mul %k1, %root : (tensor<?x1x4x?xf32>, tensor<f32>) -> tensor<?x1x4x?xf32>
  %v0 = onnx.Reshape %v, %ks : (tensor<?x?x4xf32>, tensor<4xi64>) -> tensor<?x?x1x4xf32>
  %v1 = onnx.Transpose %v0 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x1x4xf32>) -> tensor<?x1x?x4xf32>
  %a = onnx.MatMul %q2, %k2 : (tensor<?x2x?x4xf32>, tensor<?x1x4x?xf32>) -> tensor<?x2x?x?xf32>
  %b = onnx.Add %a, %mask : (tensor<?x2x?x?xf32>, tensor<?x?xf32>) -> tensor<?x2x?x?xf32>
  %p = onnx.Softmax %b : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %o = onnx.MatMul %p, %v1 : (tensor<?x2x?x?xf32>, tensor<?x1x?x4xf32>) -> tensor<?x2x?x4xf32>
  %t = onnx.Transpose %o {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x2x?x4xf32>) -> tensor<?x?x2x4xf32>
  %ys = onnx.Constant dense<[0, 0, 8]> : tensor<3xi64>
  %y = onnx.Reshape %t, %ys : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Hidden tokens and -inf: rows that see nothing are NaN here, and guarded.
// CHECK-LABEL: @causal_and_padded
// CHECK-SAME: %[[TOKENS:.*]]: tensor<?x?xi64> {{.*}}%[[M:.*]]: tensor<?x?xi64>
// CHECK: %[[B:.*]] = onnx.Cast %[[M]] {to = i1}
// CHECK: %[[U:.*]] = onnx.Unsqueeze %[[B]]
// CHECK: onnx.Attention %{{.*}}, %{{.*}}, %{{.*}} mask(%[[U]]) {is_causal = 1
// CHECK-SAME: tensor<?x1x1x?xi1>) -> tensor<?x?x4xf32>
// CHECK-NEXT: return
func.func @causal_and_padded(%tokens: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}, %m: tensor<?x?xi64> {onnx.name = "attention_mask", qopt.role = #qopt.role<attention_mask>},
                             %q: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %axis0 = onnx.Constant dense<0> : tensor<1xi64>
  %axis1 = onnx.Constant dense<1> : tensor<1xi64>
  %axes12 = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %s = onnx.Shape %tokens {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %square = onnx.Concat %s, %s {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %ones = onnx.ConstantOfShape %square, dense<1> : tensor<1xi64> : (tensor<2xi64>) -> tensor<?x?xi64>
  %lower = onnx.Trilu %ones {upper = 0 : i64} : (tensor<?x?xi64>) -> tensor<?x?xi64>
  %m4 = onnx.Unsqueeze %m, %axes12 : (tensor<?x?xi64>, tensor<2xi64>) -> tensor<?x1x1x?xi64>
  %both = onnx.Mul %m4, %lower : (tensor<?x1x1x?xi64>, tensor<?x?xi64>) -> tensor<?x1x?x?xi64>
  %keep = onnx.Cast %both {to = i1} : (tensor<?x1x?x?xi64>) -> tensor<?x1x?x?xi1>
  %hidden = onnx.Constant dense<0xFF800000> : tensor<f32>
  %q1 = onnx.Unsqueeze %q, %axis1 : (tensor<?x?x4xf32>, tensor<1xi64>) -> tensor<?x1x?x4xf32>
  %k0 = onnx.Transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<?x?x4xf32>) -> tensor<?x4x?xf32>
  %k1 = onnx.Unsqueeze %k0, %axis1 : (tensor<?x4x?xf32>, tensor<1xi64>) -> tensor<?x1x4x?xf32>
  %v1 = onnx.Unsqueeze %v, %axis1 : (tensor<?x?x4xf32>, tensor<1xi64>) -> tensor<?x1x?x4xf32>
  %a = onnx.MatMul %q1, %k1 : (tensor<?x1x?x4xf32>, tensor<?x1x4x?xf32>) -> tensor<?x1x?x?xf32>
  %b = onnx.Where %keep, %a, %hidden : (tensor<?x1x?x?xi1>, tensor<?x1x?x?xf32>, tensor<f32>) -> tensor<?x1x?x?xf32>
  %p = onnx.Softmax %b : (tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  %nan = onnx.IsNaN %p : (tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xi1>
  %nothing = onnx.Constant dense<0.0> : tensor<f32>
  %guarded = onnx.Where %nan, %nothing, %p : (tensor<?x1x?x?xi1>, tensor<f32>, tensor<?x1x?x?xf32>) -> tensor<?x1x?x?xf32>
  %o = onnx.MatMul %guarded, %v1 : (tensor<?x1x?x?xf32>, tensor<?x1x?x4xf32>) -> tensor<?x1x?x4xf32>
  %y = onnx.Squeeze %o, %axis1 : (tensor<?x1x?x4xf32>, tensor<1xi64>) -> tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

// A window of two tokens is no mask of ours: it stays.
// CHECK-LABEL: @keeps_other_mask
// CHECK: %[[M:.*]] = onnx.Where
// CHECK: onnx.Attention %{{.*}}, %{{.*}}, %{{.*}} mask(%[[M]])
// CHECK-NOT: is_causal
func.func @keeps_other_mask(%q: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axis0 = onnx.Constant dense<0> : tensor<1xi64>
  %axis1 = onnx.Constant dense<1> : tensor<1xi64>
  %s = onnx.Shape %q {start = 1 : i64, end = 2 : i64} : (tensor<?x?x4xf32>) -> tensor<1xi64>
  %length = onnx.Squeeze %s, %axis0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %i = onnx.Unsqueeze %range, %axis1 : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %j = onnx.Unsqueeze %range, %axis0 : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %distance = onnx.Sub %i, %j : (tensor<?x1xi64>, tensor<1x?xi64>) -> tensor<?x?xi64>
  %near = onnx.LessOrEqual %distance, %one : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %before = onnx.GreaterOrEqual %distance, %zero : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %keep = onnx.And %near, %before : (tensor<?x?xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  %shown = onnx.Constant dense<0.0> : tensor<f32>
  %hidden = onnx.Constant dense<-1.0e9> : tensor<f32>
  %mask = onnx.Where %keep, %shown, %hidden : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %k1 = onnx.Transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<?x?x4xf32>) -> tensor<?x4x?xf32>
  %a = onnx.MatMul %q, %k1 : (tensor<?x?x4xf32>, tensor<?x4x?xf32>) -> tensor<?x?x?xf32>
  %b = onnx.Add %a, %mask : (tensor<?x?x?xf32>, tensor<?x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %b : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x?x?xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %y = onnx.Identity %o : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

// A window of a hundred tokens shows in no short sequence, and stays all the same.
// SHORT-LABEL: @keeps_long_window
// SHORT: onnx.Attention %{{.*}}, %{{.*}}, %{{.*}} {is_causal = 1
// CHECK-LABEL: @keeps_long_window
// CHECK: %[[M:.*]] = onnx.Where
// CHECK: onnx.Attention %{{.*}}, %{{.*}}, %{{.*}} mask(%[[M]])
// CHECK-NOT: is_causal
func.func @keeps_long_window(%q: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %window = onnx.Constant dense<100> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axis0 = onnx.Constant dense<0> : tensor<1xi64>
  %axis1 = onnx.Constant dense<1> : tensor<1xi64>
  %s = onnx.Shape %q {start = 1 : i64, end = 2 : i64} : (tensor<?x?x4xf32>) -> tensor<1xi64>
  %length = onnx.Squeeze %s, %axis0 : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %i = onnx.Unsqueeze %range, %axis1 : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %j = onnx.Unsqueeze %range, %axis0 : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %distance = onnx.Sub %i, %j : (tensor<?x1xi64>, tensor<1x?xi64>) -> tensor<?x?xi64>
  %near = onnx.LessOrEqual %distance, %window : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %before = onnx.GreaterOrEqual %distance, %zero : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %keep = onnx.And %near, %before : (tensor<?x?xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  %shown = onnx.Constant dense<0.0> : tensor<f32>
  %hidden = onnx.Constant dense<-1.0e9> : tensor<f32>
  %mask = onnx.Where %keep, %shown, %hidden : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %k1 = onnx.Transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<?x?x4xf32>) -> tensor<?x4x?xf32>
  %a = onnx.MatMul %q, %k1 : (tensor<?x?x4xf32>, tensor<?x4x?xf32>) -> tensor<?x?x?xf32>
  %b = onnx.Add %a, %mask : (tensor<?x?x?xf32>, tensor<?x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %b : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x?x?xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %y = onnx.Identity %o : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

// Probabilities that are changed before they mix the values.
// REMARK: {{\[}}Missed{{\]}} attention {{.*}}this softmax is in no attention: attention with a causal mask gives another result for 2 texts of 6 tokens after 3 earlier ones
// CHECK-LABEL: @skips_scaled_probabilities
// CHECK: onnx.Softmax
// CHECK-NOT: onnx.Attention
func.func @skips_scaled_probabilities(%q: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %k1 = onnx.Transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<?x?x4xf32>) -> tensor<?x4x?xf32>
  %a = onnx.MatMul %q, %k1 : (tensor<?x?x4xf32>, tensor<?x4x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %a : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %d = onnx.Mul %p, %two : (tensor<?x?x?xf32>, tensor<f32>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %d, %v : (tensor<?x?x?xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %o : tensor<?x?x4xf32>
}

// -----

// A softmax over the queries.
// REMARK: attention {{.*}}: the softmax is over dimension 1 of 3, not over the keys in the last one
// CHECK-LABEL: @skips_other_axis
// CHECK-NOT: onnx.Attention
// CHECK: %[[P:.*]] = onnx.Softmax %{{.*}} {axis = 1 : i64}
// CHECK-NEXT: %[[O:.*]] = onnx.MatMul %[[P]], %{{.*}}
// CHECK-NEXT: return %[[O]]
func.func @skips_other_axis(%q: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %k1 = onnx.Transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<?x?x4xf32>) -> tensor<?x4x?xf32>
  %a = onnx.MatMul %q, %k1 : (tensor<?x?x4xf32>, tensor<?x4x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %a {axis = 1 : i64} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x?x?xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %o : tensor<?x?x4xf32>
}

// -----

// What happens to the scores is not known.
// CHECK-LABEL: @skips_other_operator
// CHECK-NOT: onnx.Attention
// REMARK: attention {{.*}}: 'onnx.Softmax' lies between the scores and the softmax
func.func @skips_other_operator(%q: tensor<?x?x4xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %k1 = onnx.Transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<?x?x4xf32>) -> tensor<?x4x?xf32>
  %a = onnx.MatMul %q, %k1 : (tensor<?x?x4xf32>, tensor<?x4x?xf32>) -> tensor<?x?x?xf32>
  %s = onnx.Softmax %a : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %s : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x?x?xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %o : tensor<?x?x4xf32>
}

// -----

// Three heads of queries cannot share two of keys. Each has 4 channels.
// CHECK-LABEL: @skips_heads_without_groups
// CHECK-NOT: onnx.Attention
// REMARK: attention {{.*}}: 3 heads of queries are no groups of 2 heads of keys and 2 of values
func.func @skips_heads_without_groups(%q: tensor<?x3x?x4xf32>, %k: tensor<?x2x?x4xf32>, %v: tensor<?x2x?x4xf32>) -> tensor<?x3x?x4xf32> {
  %which = onnx.Constant dense<[0, 0, 1]> : tensor<3xi64>
  %k3 = onnx.Gather %k, %which {axis = 1 : i64} : (tensor<?x2x?x4xf32>, tensor<3xi64>) -> tensor<?x3x?x4xf32>
  %v3 = onnx.Gather %v, %which {axis = 1 : i64} : (tensor<?x2x?x4xf32>, tensor<3xi64>) -> tensor<?x3x?x4xf32>
  %k1 = onnx.Transpose %k3 {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x3x?x4xf32>) -> tensor<?x3x4x?xf32>
  %a = onnx.MatMul %q, %k1 : (tensor<?x3x?x4xf32>, tensor<?x3x4x?xf32>) -> tensor<?x3x?x?xf32>
  %p = onnx.Softmax %a : (tensor<?x3x?x?xf32>) -> tensor<?x3x?x?xf32>
  %o = onnx.MatMul %p, %v3 : (tensor<?x3x?x?xf32>, tensor<?x3x?x4xf32>) -> tensor<?x3x?x4xf32>
  return %o : tensor<?x3x?x4xf32>
}

// -----

// Two heads of queries, one of keys and one of values, of 4 channels each, lie in one product.
// CHECK-LABEL: @packed
// CHECK-SAME: %[[X:.*]]: tensor<?x?x16xf32>
// CHECK: %[[P:.*]] = onnx.Reshape %[[X]]
// CHECK: %[[Q0:.*]] = onnx.Slice %[[P]]
// CHECK: %[[Q1:.*]] = onnx.Reshape %[[Q0]], {{.*}} -> tensor<?x?x2x4xf32>
// CHECK: %[[K1:.*]] = onnx.Gather %[[P]]
// CHECK: %[[V0:.*]] = onnx.Slice %[[P]]
// CHECK: %[[V1:.*]] = onnx.Squeeze %[[V0]]
// CHECK: %[[Q:.*]] = onnx.Reshape %[[Q1]], {{.*}} -> tensor<?x?x8xf32>
// CHECK: %[[K:.*]] = onnx.Reshape %[[K1]], {{.*}} -> tensor<?x?x4xf32>
// CHECK: %[[V:.*]] = onnx.Reshape %[[V1]], {{.*}} -> tensor<?x?x4xf32>
// CHECK: onnx.Attention %[[Q]], %[[K]], %[[V]] {kv_num_heads = 1 : i64, q_num_heads = 2 : i64, scale = 1.000000e+00 : f32}
func.func @packed(%x: tensor<?x?x16xf32>) -> tensor<?x2x?x4xf32> {
  %shape = onnx.Constant dense<[0, 0, 1, 4, 4]> : tensor<5xi64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %three = onnx.Constant dense<3> : tensor<1xi64>
  %four = onnx.Constant dense<4> : tensor<1xi64>
  %key = onnx.Constant dense<2> : tensor<i64>
  %heads = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %parts = onnx.Reshape %x, %shape : (tensor<?x?x16xf32>, tensor<5xi64>) -> tensor<?x?x1x4x4xf32>
  %q0 = onnx.Slice %parts, %zero, %two axes(%three) : (tensor<?x?x1x4x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x1x2x4xf32>
  %q1 = onnx.Reshape %q0, %heads : (tensor<?x?x1x2x4xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %k0 = onnx.Gather %parts, %key {axis = 3 : i64} : (tensor<?x?x1x4x4xf32>, tensor<i64>) -> tensor<?x?x1x4xf32>
  %v0 = onnx.Slice %parts, %three, %four axes(%three) : (tensor<?x?x1x4x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x1x1x4xf32>
  %v1 = onnx.Squeeze %v0, %three : (tensor<?x?x1x1x4xf32>, tensor<1xi64>) -> tensor<?x?x1x4xf32>
  %q = onnx.Transpose %q1 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  %k = onnx.Transpose %k0 {perm = array<i64: 0, 2, 3, 1>} : (tensor<?x?x1x4xf32>) -> tensor<?x1x4x?xf32>
  %v = onnx.Transpose %v1 {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x1x4xf32>) -> tensor<?x1x?x4xf32>
  %a = onnx.MatMul %q, %k : (tensor<?x2x?x4xf32>, tensor<?x1x4x?xf32>) -> tensor<?x2x?x?xf32>
  %p = onnx.Softmax %a : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %o = onnx.MatMul %p, %v : (tensor<?x2x?x?xf32>, tensor<?x1x?x4xf32>) -> tensor<?x2x?x4xf32>
  return %o : tensor<?x2x?x4xf32>
}

// -----

// A softmax that mixes no values is of another kind and needs no reason.
// CHECK-LABEL: @ignores_router
// CHECK-NEXT: %[[P:.*]] = onnx.Softmax
// CHECK-NEXT: onnx.Mul %[[P]], %{{.*}}
// REMARK-NOT: remark:
func.func @ignores_router(%x: tensor<?x?x4xf32>, %y: tensor<?x?x4xf32>) -> tensor<?x?x4xf32> {
  %p = onnx.Softmax %x : (tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %o = onnx.Mul %p, %y : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %o : tensor<?x?x4xf32>
}

// -----

// What is no graph is left alone.
// CHECK-LABEL: @declared
func.func private @declared(tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
