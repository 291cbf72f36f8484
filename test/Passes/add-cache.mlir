// RUN: qopt-opt %s --split-input-file --qopt-add-cache | FileCheck %s
// RUN: qopt-opt %s --split-input-file --qopt-add-cache --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: qopt-opt %s --split-input-file --qopt-add-cache=cache-type=f16 | FileCheck %s --check-prefix=HALF
// RUN: not qopt-opt %s --split-input-file --qopt-add-cache=cache-type=i8 2>&1 | FileCheck %s --check-prefix=TYPE
// TYPE: error: expected a cache-type of f32 or f16 but got 'i8'
// HALF-LABEL: func.func @prefill(
// HALF-SAME:    memref<?x1x?x4xf16> {{{.*}}"cache.0.key"{{.*}}, %{{.*}}: memref<?x1x?x4xf16> {
// HALF:         qopt.cached_attention {{.*}} memref<?x1x?x4xf16>, memref<?x1x?x4xf16>, tensor<?xi64>) -> tensor<?x?x8xf32>
// HALF-LABEL: func.func @decode(
// HALF-SAME:    memref<?x1x?x4xf16>
//
// A decoder gets two more entry points, in which attention reads and fills a cache; the
// last layer behind its attention and the head see the last token only. Nothing is added
// where tokens may depend on each other in another way.

// CHECK-LABEL: func.func @forward(
// CHECK:         onnx.Attention
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME:    %[[IDS:.*]]: tensor<?x?xi64> {onnx.dims = ["batch", "sequence"], onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>},
// CHECK-SAME:    %[[PAST:.*]]: tensor<?xi64> {onnx.dims = ["batch"], onnx.name = "past_length", qopt.role = #qopt.role<past_length>},
// CHECK-SAME:    %[[KEYS:.*]]: memref<?x1x?x4xf32> {onnx.dims = ["batch", "", "capacity", ""], onnx.name = "cache.0.key", qopt.role = #qopt.role<key_cache>},
// CHECK-SAME:    %[[VALUES:.*]]: memref<?x1x?x4xf32> {{.*}}"cache.0.value", qopt.role = #qopt.role<value_cache>})
// CHECK-SAME:    -> (tensor<?x1x16xf32> {onnx.dims = ["batch", "", ""], onnx.name = "logits", qopt.role = #qopt.role<last_logits>})
// CHECK:         %[[BEFORE:.*]] = onnx.Unsqueeze %[[PAST]]
// CHECK:         %[[RANGE:.*]] = onnx.Range
// CHECK:         %[[COUNTED:.*]] = onnx.Unsqueeze %[[RANGE]]
// CHECK:         %[[POSITIONS:.*]] = onnx.Add %[[COUNTED]], %[[BEFORE]] : (tensor<1x?xi64>, tensor<?x1xi64>) -> tensor<?x?xi64>
// CHECK:         %[[X:.*]] = onnx.Gather
// CHECK:         %[[LASTX:.*]] = onnx.Slice %[[X]],
// CHECK:         onnx.RotaryEmbedding {{.*}}, %[[POSITIONS]]
// CHECK:         %[[Y:.*]] = qopt.cached_attention %{{.*}}, %{{.*}}, %{{.*}}, %[[KEYS]], %[[VALUES]], %[[PAST]] {scale = 5.000000e-01 : f32} :
// CHECK:         %[[LAST:.*]] = onnx.Slice %[[Y]],
// CHECK:         %[[SUM:.*]] = onnx.Add %[[LASTX]], %[[LAST]]
// CHECK:         %[[LOGITS:.*]] = onnx.MatMul %[[SUM]],
// CHECK-NEXT:    %[[ROW:.*]] = tensor.cast %[[LOGITS]] : tensor<?x?x16xf32> to tensor<?x1x16xf32>
// CHECK-NEXT:    return %[[ROW]]
// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    %{{.*}}: tensor<?x1xi64> {onnx.dims = ["batch", ""], onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}
// CHECK-NOT:     onnx.Slice
// CHECK:         %[[POSITIONS:.*]] = onnx.Unsqueeze %{{.*}} : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
// CHECK:         onnx.RotaryEmbedding {{.*}}, %[[POSITIONS]] {{.*}} -> tensor<?x?x8xf32>
// CHECK:         qopt.cached_attention
func.func @forward(%ids: tensor<?x?xi64> {onnx.dims = ["b", "s"], onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>},
                   %shown: tensor<?x?xi64> {onnx.dims = ["b", "s"], onnx.name = "attention_mask", qopt.role = #qopt.role<attention_mask>})
    -> (tensor<?x?x16xf32> {onnx.dims = ["b", "s", ""], onnx.name = "logits", qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %wk = onnx.Constant dense<0.5> : tensor<8x4xf32>
  %head = onnx.Constant dense<0.25> : tensor<8x16xf32>
  %cos = onnx.Constant dense<0.5> : tensor<32x2xf32>
  %sin = onnx.Constant dense<0.25> : tensor<32x2xf32>
  %zeros = onnx.Constant dense<0> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %bits = onnx.Cast %shown {to = i1} : (tensor<?x?xi64>) -> tensor<?x?xi1>
  %mask = onnx.Unsqueeze %bits, %axes : (tensor<?x?xi1>, tensor<2xi64>) -> tensor<?x1x1x?xi1>
  %shape = onnx.Shape %ids {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %length = onnx.Squeeze %shape, %zeros : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %positions = onnx.Unsqueeze %range, %zeros : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %k = onnx.MatMul %x, %wk : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32>
  %q = onnx.RotaryEmbedding %x, %cos, %sin, %positions {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<32x2xf32>, tensor<32x2xf32>, tensor<1x?xi64>) -> tensor<?x?x8xf32>
  %r = onnx.RotaryEmbedding %k, %cos, %sin, %positions {num_heads = 1 : i64} : (tensor<?x?x4xf32>, tensor<32x2xf32>, tensor<32x2xf32>, tensor<1x?xi64>) -> tensor<?x?x4xf32>
  %y = onnx.Attention %q, %r, %k mask(%mask) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 1 : i64, scale = 0.5 : f32} : (tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x1x1x?xi1>) -> tensor<?x?x8xf32>
  %sum = onnx.Add %x, %y : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %logits = onnx.MatMul %sum, %head : (tensor<?x?x8xf32>, tensor<8x16xf32>) -> tensor<?x?x16xf32>
  return %logits : tensor<?x?x16xf32>
}

// -----

// Quantized, with position_ids and an exporter's own cache. Which columns LLM.int8 leaves
// in float is up to all tokens of a call, so the codes are made for all.
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME:    role<token_ids>}, %{{.*}}: tensor<1xi64> {onnx.dims = [""], {{.*}}role<past_length>}, %{{.*}}role<key_cache>}, %{{.*}}role<value_cache>}) -> (tensor<?x1x16xf32>
// CHECK:         %[[Y:.*]] = qopt.cached_attention
// CHECK:         %[[LASTY:.*]] = onnx.Slice %[[Y]]
// CHECK:         %[[CODES:.*]], %[[SCALE:.*]], %[[COLUMNS:.*]] = qopt.split_columns %[[Y]]
// CHECK:         %[[LASTSCALE:.*]] = onnx.Slice %[[SCALE]],
// CHECK:         %[[LASTCODES:.*]] = onnx.Slice %[[CODES]],
// CHECK:         qopt.matmul_w8a8 %[[LASTCODES]], %[[LASTSCALE]], %{{.*}}, %{{.*}} outliers(%[[LASTY]]) columns(%[[COLUMNS]])
// CHECK-LABEL: func.func @decode(
// CHECK-NOT:     onnx.Slice
// CHECK:         %[[Y:.*]] = qopt.cached_attention
// CHECK:         %[[CODES:.*]], %[[SCALE:.*]], %[[COLUMNS:.*]] = qopt.split_columns %[[Y]]
// CHECK-NOT:     onnx.Slice
// CHECK:         qopt.matmul_w8a8 %[[CODES]], %[[SCALE]], %{{.*}}, %{{.*}} outliers(%[[Y]]) columns(%[[COLUMNS]])
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}, %shown: tensor<?x?xi64> {onnx.name = "attention_mask", qopt.role = #qopt.role<attention_mask>},
                   %positions: tensor<?x?xi64> {onnx.name = "position_ids", qopt.role = #qopt.role<position_ids>},
                   %past_keys: tensor<?x2x?x4xf32> {onnx.name = "past_key_values.0.key", qopt.role = #qopt.role<past_key>},
                   %past_halves: tensor<?x2x?x4xf16> {onnx.name = "past_key_values.0.value", qopt.role = #qopt.role<past_value>})
    -> (tensor<?x?x16xf32> {onnx.name = "logits", qopt.role = #qopt.role<logits>}, tensor<?x2x?x4xf32> {onnx.name = "present.0.key", qopt.role = #qopt.role<present_key>}, tensor<?x2x?x4xf16> {onnx.name = "present.0.value", qopt.role = #qopt.role<present_value>}) {
  %past_values = onnx.Cast %past_halves {to = f32} : (tensor<?x2x?x4xf16>) -> tensor<?x2x?x4xf32>
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %w = qopt.parameter "o.codes" dense<1> : tensor<16x8xi8>
  %s = qopt.parameter "o.scale" dense<0.5> : tensor<16xf32>
  %cos = onnx.Constant dense<0.5> : tensor<32x2xf32>
  %sin = onnx.Constant dense<0.25> : tensor<32x2xf32>
  %axes = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %bits = onnx.Cast %shown {to = i1} : (tensor<?x?xi64>) -> tensor<?x?xi1>
  %mask = onnx.Unsqueeze %bits, %axes : (tensor<?x?xi1>, tensor<2xi64>) -> tensor<?x1x1x?xi1>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %q = onnx.RotaryEmbedding %x, %cos, %sin, %positions {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<32x2xf32>, tensor<32x2xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y, %keys, %values = onnx.Attention %q, %q, %x mask(%mask) past_key(%past_keys) past_value(%past_values) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x1x1x?xi1>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> (tensor<?x?x8xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>)
  %c, %t, %columns = qopt.split_columns %y {threshold = 6.0 : f32} : (tensor<?x?x8xf32>) -> (tensor<?x?x8xi8>, tensor<?x?xf32>, tensor<8xi32>)
  %logits = qopt.matmul_w8a8 %c, %t, %w, %s outliers(%y) columns(%columns) : (tensor<?x?x8xi8>, tensor<?x?xf32>, tensor<16x8xi8>, tensor<16xf32>, tensor<?x?x8xf32>, tensor<8xi32>) -> tensor<?x?x16xf32>
  %halves = onnx.Cast %values {to = f16} : (tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf16>
  return %logits, %keys, %halves : tensor<?x?x16xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf16>
}

// -----

// Given columns: the codes of a token are its own affair, so only the last one's are made.
// CHECK-LABEL: func.func @prefill(
// CHECK:         %[[Y:.*]] = qopt.cached_attention
// CHECK:         %[[LAST:.*]] = onnx.Slice %[[Y]]
// CHECK:         %[[CODES:.*]], %[[SCALE:.*]], %[[OUTLIERS:.*]] = qopt.split_columns_at %[[LAST]] {{.*}} -> (tensor<?x?x8xi8>, tensor<?x?xf32>, tensor<?x?x2xf32>)
// CHECK:         qopt.matmul_w8a8 %[[CODES]], %[[SCALE]], %{{.*}}, %{{.*}} outliers(%[[OUTLIERS]]) weights(%{{.*}}) {{.*}} -> tensor<?x?x16xf32>
// CHECK-LABEL: func.func @decode(
// CHECK-NOT:     onnx.Slice
// CHECK:         %[[Y:.*]] = qopt.cached_attention
// CHECK-NEXT:    %[[CODES:.*]], %[[SCALE:.*]], %[[OUTLIERS:.*]] = qopt.split_columns_at %[[Y]]
// CHECK-NEXT:    qopt.matmul_w8a8 %[[CODES]], %[[SCALE]], %{{.*}}, %{{.*}} outliers(%[[OUTLIERS]]) weights(%{{.*}})
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x16xf32> {onnx.name = "logits", qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %w = qopt.parameter "o.codes" dense<1> : tensor<16x8xi8>
  %s = qopt.parameter "o.scale" dense<0.5> : tensor<16xf32>
  %k = qopt.parameter "o.outliers" dense<0.5> : tensor<16x2xf16>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %c, %t, %o = qopt.split_columns_at %y {columns = array<i32: 1, 5>} : (tensor<?x?x8xf32>) -> (tensor<?x?x8xi8>, tensor<?x?xf32>, tensor<?x?x2xf32>)
  %logits = qopt.matmul_w8a8 %c, %t, %w, %s outliers(%o) weights(%k) : (tensor<?x?x8xi8>, tensor<?x?xf32>, tensor<16x8xi8>, tensor<16xf32>, tensor<?x?x2xf32>, tensor<16x2xf16>) -> tensor<?x?x16xf32>
  return %logits : tensor<?x?x16xf32>
}

// -----

// REMARK: {{\[}}Missed{{\]}} cache {{.*}}the model gets no key-value cache: the mask tensor<?x1x?x?xi1> of this attention does not just hide padding, and keys by their distance from a query
// A mask of its own for every query: a sliding window, perhaps.
// CHECK-LABEL: func.func @forward(
// CHECK:         %[[Y:.*]] = onnx.Attention
// CHECK-NEXT:    return %[[Y]]
// CHECK-NOT:   func.func
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}, %mask: tensor<?x1x?x?xi1> {onnx.name = "window"}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x mask(%mask) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x1x?x?xi1>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// REMARK: {{\[}}Analysis{{\]}} cache {{.*}}: this attention is not causal, so tokens see later ones
// Every token sees every other.
// CHECK-LABEL: func.func @forward(
// CHECK:         %[[Y:.*]] = onnx.Attention
// CHECK-NEXT:    return %[[Y]]
// CHECK-NOT:   func.func
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x {q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Positions from 1 on.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    %[[PAST:[a-z0-9]*]]: tensor<?xi64>
// CHECK:         %[[POSITIONS:.*]] = onnx.Unsqueeze %[[PAST]]
// CHECK:         %[[NEXT:.*]] = onnx.Add %[[POSITIONS]],
// CHECK:         onnx.RotaryEmbedding {{.*}}, %[[NEXT]]
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}, %positions: tensor<?x?xi64> {onnx.name = "position_ids", qopt.role = #qopt.role<position_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %cos = onnx.Constant dense<0.5> : tensor<32x2xf32>
  %one = onnx.Constant dense<1> : tensor<i64>
  %next = onnx.Add %positions, %one : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi64>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %q = onnx.RotaryEmbedding %x, %cos, %cos, %next {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<32x2xf32>, tensor<32x2xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %q, %q, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Learned positions: rows of a table, for each text then.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @prefill(
// CHECK:         %[[POSITIONS:.*]] = onnx.Add {{.*}} -> tensor<?x?xi64>
// CHECK:         %[[LEARNED:.*]] = onnx.Gather %{{.*}}, %[[POSITIONS]] : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
// CHECK:         onnx.Add %{{.*}}, %[[LEARNED]]
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %zeros = onnx.Constant dense<0> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %shape = onnx.Shape %ids {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %length = onnx.Squeeze %shape, %zeros : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %p = onnx.Gather %table, %range : (tensor<16x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %e = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %x = onnx.Add %e, %p : (tensor<?x?x8xf32>, tensor<?x8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// REMARK: cache {{.*}}: 'onnx.ReduceMean' is not known to compute each token's row from the same token's alone
// An operation that is not known to treat tokens alone: here it mixes them.
// CHECK-LABEL: func.func @forward(
// CHECK:         %[[Y:.*]] = onnx.Attention
// CHECK-NEXT:    return %[[Y]]
// CHECK-NOT:   func.func
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %mean = onnx.ReduceMean %x, %axis : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x1x8xf32>
  %z = onnx.Sub %x, %mean : (tensor<?x?x8xf32>, tensor<?x1x8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %z, %z, %z {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// REMARK: cache {{.*}}: expected token ids [batch, sequence] for any sequence but got tensor<1x4xi64>
// One length only.
// CHECK-LABEL: func.func @forward(
// CHECK:         %[[Y:.*]] = onnx.Attention
// CHECK-NEXT:    return %[[Y]]
// CHECK-NOT:   func.func
func.func @forward(%ids: tensor<1x4xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<1x4x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<1x4xi64>) -> tensor<1x4x8xf32>
  %y = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<1x4x8xf32>, tensor<1x4x8xf32>, tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  return %y : tensor<1x4x8xf32>
}

// -----

// Other functions are left alone.
// CHECK-LABEL: func.func @stage(
// CHECK:         %[[Y:.*]] = onnx.Attention
// CHECK-NEXT:    return %[[Y]]
// CHECK-NOT:   func.func
func.func @stage(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Attention as the exporter wrote it.
// REMARK: {{\[}}Missed{{\]}} cache {{.*}}: there is no onnx.Attention
// CHECK-LABEL: func.func @forward(
// CHECK-NOT:   func.func
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %k = onnx.Transpose %x {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %s = onnx.MatMul %x, %k : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %s : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %y = onnx.MatMul %p, %x : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Queries, keys and values of one product, and columns in groups: each token alone.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @decode(
// CHECK:         %[[GROUPS:.*]] = onnx.Reshape
// CHECK:         %[[PARTS:.*]]:3 = onnx.Split
// CHECK:         qopt.cached_attention %[[PARTS]]#0, %[[PARTS]]#1, %[[PARTS]]#2
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %scale = onnx.Constant dense<0.5> : tensor<16x2xf32>
  %w = onnx.Constant dense<0.5> : tensor<8x24xf32>
  %split = onnx.Constant dense<8> : tensor<3xi64>
  %wide = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %each = onnx.Constant dense<[0, 0, 2, 1]> : tensor<4xi64>
  %flat = onnx.Constant dense<[0, 0, 8]> : tensor<3xi64>
  %e = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %s = onnx.Gather %scale, %ids : (tensor<16x2xf32>, tensor<?x?xi64>) -> tensor<?x?x2xf32>
  %g = onnx.Reshape %e, %wide : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %f = onnx.Reshape %s, %each : (tensor<?x?x2xf32>, tensor<4xi64>) -> tensor<?x?x2x1xf32>
  %m = onnx.Mul %g, %f : (tensor<?x?x2x4xf32>, tensor<?x?x2x1xf32>) -> tensor<?x?x2x4xf32>
  %x = onnx.Reshape %m, %flat : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %p = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x24xf32>) -> tensor<?x?x24xf32>
  %q:3 = onnx.Split %p, %split {axis = -1 : i64} : (tensor<?x?x24xf32>, tensor<3xi64>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>)
  %y = onnx.Attention %q#0, %q#1, %q#2 {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// REMARK: cache {{.*}}: 'onnx.Reshape' is not known to compute each token's row from the same token's alone
// Rows of which the sequence is no dimension any more.
// CHECK-LABEL: func.func @forward(
// CHECK-NOT:   func.func
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %other = onnx.Constant dense<[0, -1, 16]> : tensor<3xi64>
  %back = onnx.Constant dense<[0, -1, 8]> : tensor<3xi64>
  %e = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %p = onnx.Reshape %e, %other : (tensor<?x?x8xf32>, tensor<3xi64>) -> tensor<?x?x16xf32>
  %x = onnx.Reshape %p, %back : (tensor<?x?x16xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// An input that only this call has.
// REMARK: {{\[}}Missed{{\]}} cache {{.*}}: input 1 is still used by 'onnx.Add'
// CHECK-LABEL: func.func @forward(
// CHECK-NOT:   func.func
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}, %more: tensor<?x?x8xf32> {onnx.name = "more"}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %z = onnx.Add %x, %more : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %z, %z, %z {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// A window: each query sees the last three keys.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @decode(
// CHECK:         qopt.cached_attention {{.*}} {window = 3 : i64}
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %zeros = onnx.Constant dense<0> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %ones = onnx.Constant dense<1> : tensor<1xi64>
  %width = onnx.Constant dense<3> : tensor<i64>
  %shape = onnx.Shape %ids {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %length = onnx.Squeeze %shape, %zeros : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %keys = onnx.Unsqueeze %range, %zeros : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %queries = onnx.Unsqueeze %range, %ones : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %distance = onnx.Sub %queries, %keys : (tensor<?x1xi64>, tensor<1x?xi64>) -> tensor<?x?xi64>
  %near = onnx.Less %distance, %width : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x mask(%near) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// ALiBi, of which a long text shows no more than a short one, in a window that is longer than what is tried.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @decode(
// CHECK:         %[[SLOPES:.*]] = onnx.Constant dense<[5.000000e-01, 2.500000e-01]> : tensor<2xf32>
// CHECK:         qopt.cached_attention {{.*}} slopes(%[[SLOPES]]) {window = 501 : i64}
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %zeros = onnx.Constant dense<0> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %ones = onnx.Constant dense<1> : tensor<1xi64>
  %width = onnx.Constant dense<500> : tensor<i64>
  %slopes = onnx.Constant dense<[[[-0.5]], [[-0.25]]]> : tensor<2x1x1xf32>
  %hidden = onnx.Constant dense<-1.0e30> : tensor<f32>
  %shape = onnx.Shape %ids {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %length = onnx.Squeeze %shape, %zeros : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %keys = onnx.Unsqueeze %range, %zeros : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %queries = onnx.Unsqueeze %range, %ones : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %distance = onnx.Sub %queries, %keys : (tensor<?x1xi64>, tensor<1x?xi64>) -> tensor<?x?xi64>
  %near = onnx.LessOrEqual %distance, %width : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %float = onnx.Cast %distance {to = f32} : (tensor<?x?xi64>) -> tensor<?x?xf32>
  %bias = onnx.Mul %float, %slopes : (tensor<?x?xf32>, tensor<2x1x1xf32>) -> tensor<2x?x?xf32>
  %mask = onnx.Where %near, %bias, %hidden : (tensor<?x?xi1>, tensor<2x?x?xf32>, tensor<f32>) -> tensor<2x?x?xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x mask(%mask) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<2x?x?xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Heads before tokens, and keys that an exporter repeats for the heads of queries, behind its own past.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @decode(
// CHECK-SAME:    memref<?x2x?x2xf32> {{.*}}"cache.0.key"
// CHECK:         %[[K:.*]] = onnx.Transpose {{.*}} -> tensor<?x?x2x2xf32>
// CHECK:         %[[ROWS:.*]] = onnx.Reshape %[[K]], {{.*}} -> tensor<?x?x4xf32>
// CHECK:         qopt.cached_attention %{{[0-9]+}}, %[[ROWS]], %{{[0-9]+}}, %{{.*}} -> tensor<?x?x8xf32>
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>},
                   %past: tensor<?x2x?x2xf32> {onnx.name = "past_key_values.0.key", qopt.role = #qopt.role<past_key>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %w = onnx.Constant dense<0.5> : tensor<8x4xf32>
  %q4 = onnx.Constant dense<[0, 0, 4, 2]> : tensor<4xi64>
  %k4 = onnx.Constant dense<[0, 0, 2, 2]> : tensor<4xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %twice = onnx.Constant dense<[1, 1, 2, 1, 1]> : tensor<5xi64>
  %all = onnx.Constant dense<[0, 4, -1, 2]> : tensor<4xi64>
  %flat = onnx.Constant dense<[0, 0, 8]> : tensor<3xi64>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %q = onnx.Reshape %x, %q4 : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x4x2xf32>
  %qh = onnx.Transpose %q {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x4x2xf32>) -> tensor<?x4x?x2xf32>
  %p = onnx.MatMul %x, %w : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32>
  %k = onnx.Reshape %p, %k4 : (tensor<?x?x4xf32>, tensor<4xi64>) -> tensor<?x?x2x2xf32>
  %kh = onnx.Transpose %k {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x2xf32>) -> tensor<?x2x?x2xf32>
  %both = onnx.Concat %past, %kh {axis = -2 : i64} : (tensor<?x2x?x2xf32>, tensor<?x2x?x2xf32>) -> tensor<?x2x?x2xf32>
  %apart = onnx.Unsqueeze %both, %two : (tensor<?x2x?x2xf32>, tensor<1xi64>) -> tensor<?x2x1x?x2xf32>
  %wide = onnx.Expand %apart, %twice : (tensor<?x2x1x?x2xf32>, tensor<5xi64>) -> tensor<?x2x2x?x2xf32>
  %kk = onnx.Reshape %wide, %all : (tensor<?x2x2x?x2xf32>, tensor<4xi64>) -> tensor<?x4x?x2xf32>
  %y = onnx.Attention %qh, %kk, %kk {is_causal = 1 : i64} : (tensor<?x4x?x2xf32>, tensor<?x4x?x2xf32>, tensor<?x4x?x2xf32>) -> tensor<?x4x?x2xf32>
  %t = onnx.Transpose %y {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x4x?x2xf32>) -> tensor<?x?x4x2xf32>
  %z = onnx.Reshape %t, %flat : (tensor<?x?x4x2xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  return %z : tensor<?x?x8xf32>
}

// -----

// Types of tokens are 0, and the exporter's own last row is the last row.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @prefill(
// CHECK:         %[[TYPES:.*]] = onnx.Sub %[[IDS:.*]], %[[IDS]]
// CHECK:         onnx.Gather %{{.*}}, %[[TYPES]]
// CHECK:         %[[LAST:.*]] = onnx.Slice
// CHECK:         %[[ROW:.*]] = onnx.Gather %[[LAST]], {{.*}} -> tensor<?x8xf32>
// CHECK:         onnx.Unsqueeze %[[ROW]], {{.*}} -> tensor<?x1x8xf32>
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>},
                   %types: tensor<?x?xi64> {onnx.name = "token_type_ids", qopt.role = #qopt.role<token_types>}) -> (tensor<?x8xf32> {qopt.role = #qopt.role<last_logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %last = onnx.Constant dense<-1> : tensor<i64>
  %e = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %t = onnx.Gather %table, %types : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %x = onnx.Add %e, %t : (tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %row = onnx.Gather %y, %last {axis = 1 : i64} : (tensor<?x?x8xf32>, tensor<i64>) -> tensor<?x8xf32>
  return %row : tensor<?x8xf32>
}

// -----

// The same of a row that keeps its dimension.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @prefill(
// CHECK-SAME:    -> (tensor<?x1x8xf32>
// CHECK:         %[[LAST:.*]] = onnx.Slice
// CHECK:         %[[ROW:.*]] = onnx.Gather %[[LAST]], {{.*}} -> tensor<?x1x8xf32>
// CHECK:         return %[[ROW]]
// CHECK-LABEL: func.func @decode(
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x1x8xf32> {qopt.role = #qopt.role<last_logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %row = onnx.Gather %y, %last {axis = 1 : i64} : (tensor<?x?x8xf32>, tensor<1xi64>) -> tensor<?x1x8xf32>
  return %row : tensor<?x1x8xf32>
}

// -----

// A score of one more key without a value, which onnx.Attention does not have.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @decode(
// CHECK-NOT:     onnx.Softmax
// CHECK:         %[[SINKS:.*]] = onnx.Reshape {{.*}} : (tensor<1x2x1x1xf32>, tensor<1xi64>) -> tensor<2xf32>
// CHECK:         qopt.cached_attention {{.*}} sinks(%[[SINKS]]) {scale = 5.000000e-01 : f32, window = 3 : i64}
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %sinks = onnx.Constant dense<[[[[0.5]], [[-1.5]]]]> : tensor<1x2x1x1xf32>
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %hidden = onnx.Constant dense<-1.0e9> : tensor<f32>
  %seen = onnx.Constant dense<0.0> : tensor<f32>
  %zeros = onnx.Constant dense<0> : tensor<1xi64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %ones = onnx.Constant dense<1> : tensor<1xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64>
  %width = onnx.Constant dense<3> : tensor<i64>
  %split = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %flat = onnx.Constant dense<[0, 0, 8]> : tensor<3xi64>
  %batch = onnx.Shape %ids {start = 0 : i64, end = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %shape = onnx.Shape %ids {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %length = onnx.Squeeze %shape, %zeros : (tensor<1xi64>, tensor<1xi64>) -> tensor<i64>
  %range = onnx.Range %zero, %length, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %keys = onnx.Unsqueeze %range, %zeros : (tensor<?xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %queries = onnx.Unsqueeze %range, %ones : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %distance = onnx.Sub %queries, %keys : (tensor<?x1xi64>, tensor<1x?xi64>) -> tensor<?x?xi64>
  %near = onnx.Less %distance, %width : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %behind = onnx.GreaterOrEqual %distance, %zero : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi1>
  %both = onnx.And %near, %behind : (tensor<?x?xi1>, tensor<?x?xi1>) -> tensor<?x?xi1>
  %mask = onnx.Where %both, %seen, %hidden : (tensor<?x?xi1>, tensor<f32>, tensor<f32>) -> tensor<?x?xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %h = onnx.Reshape %x, %split : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %q = onnx.Transpose %h {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  %k = onnx.Transpose %q {perm = array<i64: 0, 1, 3, 2>} : (tensor<?x2x?x4xf32>) -> tensor<?x2x4x?xf32>
  %products = onnx.MatMul %q, %k : (tensor<?x2x?x4xf32>, tensor<?x2x4x?xf32>) -> tensor<?x2x?x?xf32>
  %scaled = onnx.Mul %products, %half : (tensor<?x2x?x?xf32>, tensor<f32>) -> tensor<?x2x?x?xf32>
  %scores = onnx.Add %scaled, %mask : (tensor<?x2x?x?xf32>, tensor<?x?xf32>) -> tensor<?x2x?x?xf32>
  %sizes = onnx.Concat %batch, %ones, %shape, %ones {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %column = onnx.Expand %sinks, %sizes : (tensor<1x2x1x1xf32>, tensor<4xi64>) -> tensor<?x2x?x1xf32>
  %more = onnx.Concat %scores, %column {axis = -1 : i64} : (tensor<?x2x?x?xf32>, tensor<?x2x?x1xf32>) -> tensor<?x2x?x?xf32>
  %p = onnx.Softmax %more : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %fewer = onnx.Slice %p, %zeros, %minus axes(%minus) : (tensor<?x2x?x?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x2x?x?xf32>
  %mixed = onnx.MatMul %fewer, %q : (tensor<?x2x?x?xf32>, tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32>
  %t = onnx.Transpose %mixed {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x2x?x4xf32>) -> tensor<?x?x2x4xf32>
  %z = onnx.Reshape %t, %flat : (tensor<?x?x2x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  return %z : tensor<?x?x8xf32>
}

// -----

// A norm of heads that lie in the place of tokens.
// CHECK-LABEL: func.func @forward(
// CHECK-LABEL: func.func @decode(
// CHECK:         %[[NORM:.*]] = onnx.RMSNormalization {{.*}} -> tensor<?x?x2x4xf32>
// CHECK:         %[[Q:.*]] = onnx.Reshape %[[NORM]], {{.*}} -> tensor<?x?x8xf32>
// CHECK:         qopt.cached_attention %[[Q]],
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>}) {
  %table = onnx.Constant dense<1.0> : tensor<16x8xf32>
  %scale = onnx.Constant dense<0.5> : tensor<4xf32>
  %apart = onnx.Constant dense<[0, -1, 4]> : tensor<3xi64>
  %back = onnx.Constant dense<[0, -1, 8]> : tensor<3xi64>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %heads = onnx.Reshape %x, %apart : (tensor<?x?x8xf32>, tensor<3xi64>) -> tensor<?x?x4xf32>
  %norm = onnx.RMSNormalization %heads, %scale : (tensor<?x?x4xf32>, tensor<4xf32>) -> tensor<?x?x4xf32>
  %q = onnx.Reshape %norm, %back : (tensor<?x?x4xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  %y = onnx.Attention %q, %x, %x {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// No decoder at all, and no function with a body.
// REMARK: {{\[}}Analysis{{\]}} cache {{.*}}: no input holds token ids
// REMARK-NOT: remark:
// CHECK-LABEL: func.func @forward(
// CHECK-NOT:   func.func
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func.func private @forward(
// CHECK-NOT:   func.func
func.func private @forward(tensor<?x8xf32>) -> tensor<?x8xf32>
