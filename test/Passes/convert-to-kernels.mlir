// RUN: qopt-opt %s --qopt-convert-to-kernels | FileCheck %s
// RUN: qopt-opt %s --qopt-convert-to-kernels --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
//
// Every operator that a kernel fits becomes the operation of this kernel, on flattened
// operands.

// CHECK-LABEL: func.func @linear(
// CHECK-SAME:    %[[X:.*]]: tensor<?x?x4xf32>
func.func @linear(%x: tensor<?x?x4xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>) {
  %w = qopt.parameter "up.weight" dense<1.0> : tensor<4x8xf32>
  %v = qopt.parameter "gate.weight" dense<2.0> : tensor<4x8xf32>
  // CHECK: %[[ROWS:.*]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2]] : tensor<?x?x4xf32> into tensor<?x4xf32>
  // CHECK: %[[OUT:.*]] = tensor.empty(%{{.*}}) : tensor<?x8xf32>
  // CHECK: %[[Y:.*]] = kernel.matmul_float ins(%[[ROWS]], %{{.*}} : tensor<?x4xf32>, tensor<1x4x16xf32>) outs(%[[OUT]] : tensor<?x8xf32>) -> tensor<?x8xf32>
  // CHECK: tensor.expand_shape %[[Y]] {{\[\[}}0, 1], [2]]
  %0 = onnx.MatMul %x, %w : (tensor<?x?x4xf32>, tensor<4x8xf32>) -> tensor<?x?x8xf32>
  // CHECK: kernel.matmul_float
  %1 = onnx.MatMul %x, %v : (tensor<?x?x4xf32>, tensor<4x8xf32>) -> tensor<?x?x8xf32>
  return %0, %1 : tensor<?x?x8xf32>, tensor<?x?x8xf32>
}

// Weights of 16 bits stay so; a table that is the transposed weight is stored with it.
// CHECK-LABEL: func.func @half(
func.func @half(%ids: tensor<?xi64>) -> tensor<?x2xf32> {
  %t = qopt.parameter "table" dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf16>
  %w = qopt.parameter "head.weight" dense<[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]> : tensor<3x2xf16>
  // CHECK-NOT: onnx.Cast{{.*}}tensor<3x2xf16>
  // CHECK: %[[W:.*]] = qopt.parameter "head.weight.packed" {{.*}} : tensor<1x3x16xf16>
  // CHECK: kernel.gather ins(%[[W]], %{{.*}} : tensor<1x3x16xf16>, tensor<?xi64>) {{.*}} {rows = 2 : i64}
  // CHECK: kernel.matmul_float ins({{.*}} tensor<1x3x16xf16>)
  %0 = onnx.Gather %t, %ids : (tensor<2x3xf16>, tensor<?xi64>) -> tensor<?x3xf16>
  %1 = onnx.Cast %0 {to = f32} : (tensor<?x3xf16>) -> tensor<?x3xf32>
  %2 = onnx.Cast %w {to = f32} : (tensor<3x2xf16>) -> tensor<3x2xf32>
  %3 = onnx.MatMul %1, %2 : (tensor<?x3xf32>, tensor<3x2xf32>) -> tensor<?x2xf32>
  return %3 : tensor<?x2xf32>
}

// CHECK-LABEL: func.func @int4(
func.func @int4(%x: tensor<2x5xf32>) -> tensor<2x8xf32> {
  %w = qopt.parameter "up.weight" dense<3> : tensor<8x3xi8>
  %s = qopt.parameter "up.scale" dense<1.0> : tensor<8x2xf16>
  %z = qopt.parameter "up.zero" dense<7> : tensor<8x2xi8>
  // Groups of 4 and 1 inputs take a step of 8 each; zero points of 7 go into the scales.
  // CHECK: qopt.parameter "up.weight.int4_g4" {{.*}} : tensor<1x2x64xi8>
  // CHECK: qopt.parameter "up.scale.int4_g4" {{.*}} : tensor<1x2x16xf16>
  // CHECK-NOT: up.zero
  // CHECK: kernel.matmul_w4a16 ins({{.*}}) outs(%{{.*}} : tensor<2x8xf32>) {group_size = 4 : i64}
  %0 = qopt.matmul_w4a16 %x, %w, %s, %z {group_size = 4} : (tensor<2x5xf32>, tensor<8x3xi8>, tensor<8x2xf16>, tensor<8x2xi8>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// Codes and scales of activations by groups; the weights are packed as for float activations.
// CHECK-LABEL: func.func @int4_int8(
func.func @int4_int8(%x: tensor<?x2x20xf32>) -> tensor<?x2x8xf32> {
  %w = qopt.parameter "up.weight" dense<3> : tensor<8x10xi8>
  %s = qopt.parameter "up.scale" dense<1.0> : tensor<8x2xf16>
  // CHECK: %[[Q:.*]]:2 = kernel.dynamic_quantize ins(%{{.*}} : tensor<?x20xf32>) outs(%{{.*}}, %{{.*}} : tensor<?x20xi8>, tensor<?x3xf32>) {group_size = 8 : i64}
  %q, %t = qopt.dynamic_quantize %x {group_size = 8} : (tensor<?x2x20xf32>) -> (tensor<?x2x20xi8>, tensor<?x2x3xf32>)
  // CHECK: %[[W:.*]] = qopt.parameter "up.weight.int4_g16" {{.*}} : tensor<1x3x64xi8>
  // CHECK: kernel.matmul_w4a8 ins(%{{.*}}, %{{.*}}, %[[W]], %{{.*}} : tensor<?x20xi8>, tensor<?x3xf32>, tensor<1x3x64xi8>, tensor<1x2x16xf16>) outs(%{{.*}} : tensor<?x8xf32>) {group_size = 16 : i64, x_group_size = 8 : i64}
  %0 = qopt.matmul_w4a8 %q, %t, %w, %s {group_size = 16, x_group_size = 8} : (tensor<?x2x20xi8>, tensor<?x2x3xf32>, tensor<8x10xi8>, tensor<8x2xf16>) -> tensor<?x2x8xf32>
  return %0 : tensor<?x2x8xf32>
}

// CHECK-LABEL: func.func @int8(
func.func @int8(%x: tensor<?x?x4xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x8xf32>) {
  %w = qopt.parameter "up.weight" dense<3> : tensor<8x4xi8>
  %s = qopt.parameter "up.scale" dense<1.0> : tensor<8xf32>
  // CHECK: %[[SPLIT:.*]]:3 = kernel.split_columns ins(%[[FLAT:.*]] : tensor<?x4xf32>) {{.*}} {threshold = 6.000000e+00 : f32}
  %codes, %scale, %columns = qopt.split_columns %x {threshold = 6.0 : f32} : (tensor<?x?x4xf32>) -> (tensor<?x?x4xi8>, tensor<?x?xf32>, tensor<4xi32>)
  // CHECK: qopt.parameter "up.weight.dot" {{.*}} : tensor<1x1x64xi8>
  // CHECK: qopt.parameter "up.weight.correction" {{.*}} : tensor<16xi32>
  // CHECK: kernel.matmul_w8a8 ins(%{{.*}} : tensor<?x4xi8>, tensor<?xf32>, {{.*}}) outliers(%{{.*}} : tensor<?x4xf32>) columns(%{{.*}} : tensor<4xi32>)
  %0 = qopt.matmul_w8a8 %codes, %scale, %w, %s outliers(%x) columns(%columns) : (tensor<?x?x4xi8>, tensor<?x?xf32>, tensor<8x4xi8>, tensor<8xf32>, tensor<?x?x4xf32>, tensor<4xi32>) -> tensor<?x?x8xf32>
  // CHECK: qopt.parameter "up.weight.columns" {{.*}} : tensor<1x4x16xi8>
  // CHECK: kernel.matmul_w8a16
  %1 = qopt.matmul_w8a16 %x, %w, %s : (tensor<?x?x4xf32>, tensor<8x4xi8>, tensor<8xf32>) -> tensor<?x?x8xf32>
  return %0, %1 : tensor<?x?x8xf32>, tensor<?x?x8xf32>
}

// Outlier columns that calibration has found are listed, and their weights are packed.
// CHECK-LABEL: func.func @kept_columns(
func.func @kept_columns(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %w = qopt.parameter "up.weight" dense<3> : tensor<8x4xi8>
  %s = qopt.parameter "up.scale" dense<1.0> : tensor<8xf32>
  %k = qopt.parameter "up.outliers" dense<1.0> : tensor<8x2xf16>
  %l = qopt.parameter "down.outliers" dense<1.0> : tensor<8x1xf16>
  // CHECK: onnx.Constant dense<[0, 3]> : tensor<2xi32>
  // CHECK: kernel.split_columns_at ins(%{{.*}} : tensor<?x4xf32>, tensor<2xi32>) outs(%{{.*}} : tensor<?x4xi8>, tensor<?xf32>, tensor<?x2xf32>)
  %q, %t, %o = qopt.split_columns_at %x {columns = array<i32: 0, 3>} : (tensor<?x4xf32>) -> (tensor<?x4xi8>, tensor<?xf32>, tensor<?x2xf32>)
  // CHECK: qopt.parameter "up.outliers.packed" {{.*}} : tensor<1x2x16xf16>
  // CHECK: kernel.matmul_w8a8 {{.*}} outliers(%{{.*}} : tensor<?x2xf32>) weights(%{{.*}}, %{{.*}} : tensor<1x2x16xf16>, tensor<1xi32>)
  %0 = qopt.matmul_w8a8 %q, %t, %w, %s outliers(%o) weights(%k) : (tensor<?x4xi8>, tensor<?xf32>, tensor<8x4xi8>, tensor<8xf32>, tensor<?x2xf32>, tensor<8x2xf16>) -> tensor<?x8xf32>
  // CHECK: kernel.split_columns_at
  %r, %u, %p = qopt.split_columns_at %y {columns = array<i32: 2>} : (tensor<?x4xf32>) -> (tensor<?x4xi8>, tensor<?xf32>, tensor<?x1xf32>)
  // CHECK: kernel.matmul_w8a8 {{.*}} weights(%{{.*}}, %{{.*}} : tensor<1x1x16xf16>, tensor<1xi32>)
  %1 = qopt.matmul_w8a8 %r, %u, %w, %s outliers(%p) weights(%l) : (tensor<?x4xi8>, tensor<?xf32>, tensor<8x4xi8>, tensor<8xf32>, tensor<?x1xf32>, tensor<8x1xf16>) -> tensor<?x8xf32>
  return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: func.func @decoder(
func.func @decoder(%ids: tensor<?x?xi64>, %positions: tensor<?x?xi64>, %mask: tensor<?x1x1x?xi1>,
                   %cos: tensor<16x2xf32>, %sin: tensor<16x2xf32>) -> tensor<?x?x8xf32> {
  %table = qopt.parameter "embedding" dense<1.0> : tensor<32x8xf32>
  %scale = qopt.parameter "norm" dense<1.0> : tensor<8xf32>
  // CHECK: kernel.gather
  %0 = onnx.Gather %table, %ids : (tensor<32x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  // CHECK: kernel.rms_norm {{.*}} {epsilon = 9.99999974E-6 : f32}
  %norm = onnx.RMSNormalization %0, %scale : (tensor<?x?x8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  // CHECK: kernel.layer_norm {{.*}} bias({{.*}}) outs({{.*}}) {epsilon = 9.99999974E-6 : f32}
  %1, %mean, %deviation = onnx.LayerNormalization %norm, %scale, %scale : (tensor<?x?x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<?x?x8xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>)
  // CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0], [1], [2, 3]]
  // CHECK: kernel.rotary {{.*}} positions(%{{.*}} : tensor<?x?xi64>) outs(%{{.*}} : tensor<?x?x2x4xf32>) {rotary_dim = 4 : i64}
  %2 = onnx.RotaryEmbedding %1, %cos, %sin, %positions {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<16x2xf32>, tensor<16x2xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  // CHECK: qopt.require
  // CHECK: kernel.attention {{.*}} mask(%{{.*}} : tensor<?x1x1x?xi1>) {{.*}} {causal}
  %3 = onnx.Attention %2, %1, %1 mask(%mask) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x1x1x?xi1>) -> tensor<?x?x8xf32>
  return %3 : tensor<?x?x8xf32>
}

// Earlier keys come first; queries then count from the end of the keys, so that there must be as many new ones.
// CHECK-LABEL: func.func @cached(
func.func @cached(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %past: tensor<?x2x?x4xf32>) -> (tensor<?x?x8xf32>, tensor<?x2x?x4xf32>) {
  // CHECK: qopt.require
  // CHECK: %[[NEW:.*]] = onnx.Transpose %{{.*}} {perm = array<i64: 0, 2, 1, 3>}
  // CHECK: %[[ALL:.*]] = onnx.Concat %arg2, %[[NEW]] {axis = 2 : i64}
  // CHECK: kernel.attention {{.*}} {causal, kv_heads_first, offset}
  // CHECK: return %{{.*}}, %[[ALL]]
  %y, %keys, %values = onnx.Attention %q, %k, %k past_key(%past) past_value(%past) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64}
      : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) -> (tensor<?x?x8xf32>, tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>)
  return %y, %keys : tensor<?x?x8xf32>, tensor<?x2x?x4xf32>
}

// CHECK-LABEL: func.func @more_keys_than_queries(
// REMARK: 'onnx.Attention' runs as a loop: requires as many new keys as queries where tokens do not see later ones
func.func @more_keys_than_queries(%q: tensor<1x2x8xf32>, %k: tensor<1x3x8xf32>, %past: tensor<1x2x?x4xf32>) -> tensor<1x2x8xf32> {
  // CHECK-NOT: kernel.attention
  // CHECK: onnx.Attention
  %y, %keys, %values = onnx.Attention %q, %k, %k past_key(%past) past_value(%past) {is_causal = 1 : i64, q_num_heads = 2 : i64, kv_num_heads = 2 : i64}
      : (tensor<1x2x8xf32>, tensor<1x3x8xf32>, tensor<1x3x8xf32>, tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>) -> (tensor<1x2x8xf32>, tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>)
  return %y : tensor<1x2x8xf32>
}

// Attention whose result becomes codes, as a whole or in part, says so.
// CHECK-LABEL: func.func @codes(
func.func @codes(%x: tensor<?x?x6xf32>, %cache: memref<?x1x?x6xf32>, %past: tensor<1xi64>) -> (tensor<?x?x6xi8>, tensor<?x?x6xi8>) {
  // CHECK: kernel.attention {{.*}} {causal, in_order}
  %0 = onnx.Attention %x, %x, %x {is_causal = 1 : i64, q_num_heads = 1 : i64, kv_num_heads = 1 : i64} : (tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>) -> tensor<?x?x6xf32>
  %codes, %scale = qopt.dynamic_quantize %0 : (tensor<?x?x6xf32>) -> (tensor<?x?x6xi8>, tensor<?x?xf32>)
  // CHECK: kernel.cache_append ins({{.*}}) outs(%[[CACHE:.*]] : memref<?x1x?x6xf32>)
  // CHECK: kernel.cache_append ins({{.*}}) outs(%[[CACHE]] : memref<?x1x?x6xf32>)
  // CHECK: kernel.cached_attention ins(%{{.*}}, %[[CACHE]], %[[CACHE]], %{{.*}} : {{.*}} {in_order}
  %1 = qopt.cached_attention %x, %x, %x, %cache, %cache, %past : (tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, memref<?x1x?x6xf32>, memref<?x1x?x6xf32>, tensor<1xi64>) -> tensor<?x?x6xf32>
  %start = onnx.Constant dense<-1> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %last = onnx.Slice %1, %start, %end axes(%axis) : (tensor<?x?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x6xf32>
  %codes_2, %scale_2 = qopt.dynamic_quantize %last : (tensor<?x?x6xf32>) -> (tensor<?x?x6xi8>, tensor<?x?xf32>)
  return %codes, %codes_2 : tensor<?x?x6xi8>, tensor<?x?x6xi8>
}

// A weight that is no constant is packed when the program runs.
// CHECK-LABEL: func.func @packs_argument(
// CHECK-SAME: %{{.*}}: tensor<2x4xf32>, %[[W:.*]]: tensor<4x24xf32>
func.func @packs_argument(%x: tensor<2x4xf32>, %w: tensor<4x24xf32>) -> tensor<2x24xf32> {
  // CHECK: %[[ZEROS:.*]] = onnx.Constant dense<0.000000e+00> : tensor<4x8xf32>
  // CHECK: %[[WIDE:.*]] = onnx.Concat %[[W]], %[[ZEROS]] {axis = 1 : i64}
  // CHECK: %[[BLOCKS:.*]] = tensor.expand_shape %[[WIDE]] {{.*}} into tensor<4x2x16xf32>
  // CHECK: onnx.Transpose %[[BLOCKS]] {perm = array<i64: 1, 0, 2>} : (tensor<4x2x16xf32>) -> tensor<2x4x16xf32>
  // CHECK: kernel.matmul_float
  %0 = onnx.MatMul %x, %w : (tensor<2x4xf32>, tensor<4x24xf32>) -> tensor<2x24xf32>
  return %0 : tensor<2x24xf32>
}

// A head tied to the embedding is stored once, packed.
// CHECK-LABEL: func.func @tied(
func.func @tied(%ids: tensor<2xi64>) -> tensor<2x3xf32> {
  %table = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %head = qopt.parameter "head" dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf32>
  // CHECK-NOT: onnx.Constant
  // CHECK: qopt.parameter "head.packed" [[DATA:dense_resource<.*>]] : tensor<1x2x16xf32>
  // CHECK: kernel.gather {{.*}} {rows = 3 : i64}
  // CHECK: qopt.parameter "head.packed" [[DATA]] : tensor<1x2x16xf32>
  // CHECK: kernel.matmul_float
  %0 = onnx.Gather %table, %ids : (tensor<3x2xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  %1 = onnx.MatMul %0, %head : (tensor<2x2xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// A table of codes is read as its product reads it, or as it is where there is none.
// CHECK-LABEL: func.func @tied_codes(
func.func @tied_codes(%ids: tensor<2xi64>) -> (tensor<2x3xf32>, tensor<2x2xf32>) {
  %codes = qopt.parameter "head.codes" dense<[[1, 2], [3, 4], [5, 6]]> : tensor<3x2xi8>
  %other = qopt.parameter "other.codes" dense<[[1, 2], [3, 4], [5, 7]]> : tensor<3x2xi8>
  %scale = qopt.parameter "head.scale" dense<[0.5, 1.0, 2.0]> : tensor<3xf32>
  // CHECK-NOT: qopt.dequantize
  // CHECK: %[[DATA:.*]] = qopt.parameter "head.codes.columns" {{.*}} : tensor<1x2x16xi8>
  // CHECK: kernel.gather ins(%[[DATA]], {{.*}}) scales({{.*}} : tensor<3xf32>) {{.*}} {rows = 3 : i64}
  // CHECK: kernel.matmul_w8a16
  // CHECK: kernel.gather ins(%{{.*}} : tensor<3x2xi8>, tensor<2xi64>) scales({{.*}} : tensor<3xf32>) outs(%{{.*}} : tensor<2x2xf32>) -> tensor<2x2xf32>
  %table = qopt.dequantize %codes, %scale : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %0 = onnx.Gather %table, %ids : (tensor<3x2xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  %1 = qopt.matmul_w8a16 %0, %codes, %scale : (tensor<2x2xf32>, tensor<3x2xi8>, tensor<3xf32>) -> tensor<2x3xf32>
  %rows = qopt.dequantize %other, %scale : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
  %2 = onnx.Gather %rows, %ids : (tensor<3x2xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  return %1, %2 : tensor<2x3xf32>, tensor<2x2xf32>
}

// CHECK-LABEL: func.func @skips_table_of_other_numbers(
func.func @skips_table_of_other_numbers(%ids: tensor<2xi64>) -> tensor<2x3xf32> {
  %table = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, -6.0]]> : tensor<3x2xf32>
  %head = qopt.parameter "head" dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf32>
  // CHECK: kernel.gather ins(%{{.*}} : tensor<3x2xf32>, tensor<2xi64>) outs(%{{.*}} : tensor<2x2xf32>) -> tensor<2x2xf32>
  %0 = onnx.Gather %table, %ids : (tensor<3x2xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  %1 = onnx.MatMul %0, %head : (tensor<2x2xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// REMARK: {{\[}}Missed{{\]}} kernel {{.*}}'onnx.MatMul' runs as a loop: requires a weight of known size but got tensor<4x?xf32>
// CHECK-LABEL: func.func @skips_weight_of_unknown_size(
func.func @skips_weight_of_unknown_size(%x: tensor<2x4xf32>, %w: tensor<4x?xf32>) -> tensor<2x?xf32> {
  // CHECK-NEXT: onnx.MatMul
  %0 = onnx.MatMul %x, %w : (tensor<2x4xf32>, tensor<4x?xf32>) -> tensor<2x?xf32>
  return %0 : tensor<2x?xf32>
}

// CHECK-LABEL: func.func @skips_axis(
func.func @skips_axis(%x: tensor<4x8xf32>, %i: tensor<2xi64>) -> tensor<4x2xf32> {
  // CHECK-NEXT: onnx.Gather
  %0 = onnx.Gather %x, %i {axis = 1 : i64} : (tensor<4x8xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}

// REMARK: kernel {{.*}}'onnx.RMSNormalization' runs as a loop: requires the last axis of 2 but got 0
// CHECK-LABEL: func.func @skips_norm_of_other_axis(
func.func @skips_norm_of_other_axis(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  // CHECK-NEXT: onnx.RMSNormalization
  %0 = onnx.RMSNormalization %x, %s {axis = 0 : i64} : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// REMARK: kernel {{.*}}'qopt.matmul_w8a16' runs as a loop: requires constant codes [N, K] of i8
// CHECK-LABEL: func.func @skips_codes_that_are_no_constant(
func.func @skips_codes_that_are_no_constant(%x: tensor<2x4xf32>, %w: tensor<8x4xi8>, %s: tensor<8xf32>) -> tensor<2x8xf32> {
  // CHECK-NEXT: qopt.matmul_w8a16
  %0 = qopt.matmul_w8a16 %x, %w, %s : (tensor<2x4xf32>, tensor<8x4xi8>, tensor<8xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// REMARK: kernel {{.*}}'qopt.dynamic_quantize' runs as a loop: requires rows of known size but got tensor<2x?xf32>
// CHECK-LABEL: func.func @skips_rows_of_unknown_size(
func.func @skips_rows_of_unknown_size(%x: tensor<2x?xf32>) -> (tensor<2x?xi8>, tensor<2xf32>) {
  // CHECK-NEXT: qopt.dynamic_quantize
  %0, %1 = qopt.dynamic_quantize %x : (tensor<2x?xf32>) -> (tensor<2x?xi8>, tensor<2xf32>)
  return %0, %1 : tensor<2x?xi8>, tensor<2xf32>
}

// REMARK: kernel {{.*}}'onnx.RotaryEmbedding' runs as a loop: requires known features that are a multiple of known heads
// CHECK-LABEL: func.func @skips_heads_that_do_not_divide(
func.func @skips_heads_that_do_not_divide(%x: tensor<1x2x8xf32>, %cos: tensor<16x1xf32>, %p: tensor<1x2xi64>) -> tensor<1x2x8xf32> {
  // CHECK-NEXT: onnx.RotaryEmbedding
  %0 = onnx.RotaryEmbedding %x, %cos, %cos, %p {num_heads = 3 : i64} : (tensor<1x2x8xf32>, tensor<16x1xf32>, tensor<16x1xf32>, tensor<1x2xi64>) -> tensor<1x2x8xf32>
  return %0 : tensor<1x2x8xf32>
}
