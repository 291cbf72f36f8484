// RUN: qopt-opt %s --split-input-file --verify-diagnostics
//
// What kernels require, in the order of Verify.cpp.

func.func @type_of_operand(%x: memref<?x4xf16>, %w: memref<4xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{operand #0 must be tensor or contiguous memref of rank 2 of 32-bit float, but got 'memref<?x4xf16>'}}
  kernel.rms_norm ins(%x, %w : memref<?x4xf16>, memref<4xf32>) outs(%y : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @rank_of_operand(%x: memref<?x4xf32>, %w: memref<1x4xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{operand #1 must be tensor or contiguous memref of rank 1 of 32-bit float, but got 'memref<1x4xf32>'}}
  kernel.rms_norm ins(%x, %w : memref<?x4xf32>, memref<1x4xf32>) outs(%y : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @gaps_in_memory(%x: memref<?x4xf32, strided<[8, 1]>>, %w: memref<4xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{operand #0 must be tensor or contiguous memref of rank 2 of 32-bit float, but got 'memref<?x4xf32, strided<[8, 1]>>'}}
  kernel.rms_norm ins(%x, %w : memref<?x4xf32, strided<[8, 1]>>, memref<4xf32>) outs(%y : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @tensors_and_memory(%x: tensor<?x4xf32>, %w: memref<4xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{expected tensors throughout or memory throughout, but got 'tensor<?x4xf32>' and 'memref<4xf32>'}}
  kernel.rms_norm ins(%x, %w : tensor<?x4xf32>, memref<4xf32>) outs(%y : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @in_place(%x: memref<?x4xf32>, %w: memref<4xf32>) {
  // expected-error @below {{expected a destination apart from what is read, but operand 2 is both}}
  kernel.rms_norm ins(%x, %w : memref<?x4xf32>, memref<4xf32>) outs(%x : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @no_result_for_tensor(%x: tensor<?x4xf32>, %w: tensor<4xf32>) {
  // expected-error @below {{expected the number of tensor results (0) to be equal to the number of output tensors (1)}}
  kernel.rms_norm ins(%x, %w : tensor<?x4xf32>, tensor<4xf32>) outs(%x : tensor<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @product_inputs(%x: memref<?x?xf32>, %w: memref<1x4x16xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{requires known inputs, at least 1, but got [?]}}
  kernel.matmul_float ins(%x, %w : memref<?x?xf32>, memref<1x4x16xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @product_outputs(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x0xf32>) {
  // expected-error @below {{requires known outputs, at least 1, but got [0]}}
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x0xf32>)
  return
}

// -----

func.func @product_rows(%x: memref<3x4xf32>, %w: memref<1x4x16xf32>, %y: memref<2x8xf32>) {
  // expected-error @below {{expected as many rows in y as in x, but got 2 and 3}}
  kernel.matmul_float ins(%x, %w : memref<3x4xf32>, memref<1x4x16xf32>) outs(%y : memref<2x8xf32>)
  return
}

// -----

func.func @float_weights(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x24xf32>) {
  // expected-error @below {{expected weights [2, 4, 16], but got [1, 4, 16]}}
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x24xf32>)
  return
}

// -----

func.func @w8a16_weights(%x: memref<?x4xf32>, %w: memref<1x5x16xi8>, %s: memref<8xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected weights [1, 4, 16], but got [1, 5, 16]}}
  kernel.matmul_w8a16 ins(%x, %w, %s : memref<?x4xf32>, memref<1x5x16xi8>, memref<8xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a16_scales(%x: memref<?x4xf32>, %w: memref<1x4x16xi8>, %s: memref<16xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected scales [8], but got [16]}}
  kernel.matmul_w8a16 ins(%x, %w, %s : memref<?x4xf32>, memref<1x4x16xi8>, memref<16xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a16_zeros(%x: memref<?x4xf32>, %w: memref<1x4x16xi8>, %s: memref<8xf32>, %z: memref<1x1x16xi8>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected zeros of int8 in groups only}}
  kernel.matmul_w8a16 ins(%x, %w, %s : memref<?x4xf32>, memref<1x4x16xi8>, memref<8xf32>) zeros(%z : memref<1x1x16xi8>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a16_scales_of_groups(%x: memref<?x4xf32>, %w: memref<1x4x16xi8>, %s: memref<1x1x16xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected scales [N] of f32 where there are no groups, but got 'memref<1x1x16xf32>'}}
  kernel.matmul_w8a16 ins(%x, %w, %s : memref<?x4xf32>, memref<1x4x16xi8>, memref<1x1x16xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a16_groups(%x: memref<?x4xf32>, %w: memref<1x4x16xi8>, %s: memref<1x1x16xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected scales [1, 2, 16], but got [1, 1, 16]}}
  kernel.matmul_w8a16 ins(%x, %w, %s : memref<?x4xf32>, memref<1x4x16xi8>, memref<1x1x16xf32>) outs(%y : memref<?x8xf32>) {group_size = 3}
  return
}

// -----

func.func @w4a16_table_and_zeros(%x: memref<?x12xf32>, %w: memref<1x3x64xi8>, %s: memref<1x2x16xf16>, %z: memref<1x2x16xi8>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected zeros or a table, but got both}}
  kernel.matmul_w4a16 ins(%x, %w, %s : memref<?x12xf32>, memref<1x3x64xi8>, memref<1x2x16xf16>) zeros(%z : memref<1x2x16xi8>) outs(%y : memref<?x8xf32>) {group_size = 9, table = array<f32: 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0>}
  return
}

// -----

func.func @w4a16_steps(%x: memref<?x12xf32>, %w: memref<1x2x64xi8>, %s: memref<1x2x16xf16>, %z: memref<1x2x16xi8>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected weights [1, 3, 64], but got [1, 2, 64]}}
  kernel.matmul_w4a16 ins(%x, %w, %s : memref<?x12xf32>, memref<1x2x64xi8>, memref<1x2x16xf16>) zeros(%z : memref<1x2x16xi8>) outs(%y : memref<?x8xf32>) {group_size = 9}
  return
}

// -----

func.func @w4a16_scales(%x: memref<?x12xf32>, %w: memref<1x3x64xi8>, %s: memref<1x1x16xf16>, %z: memref<1x2x16xi8>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected scales [1, 2, 16], but got [1, 1, 16]}}
  kernel.matmul_w4a16 ins(%x, %w, %s : memref<?x12xf32>, memref<1x3x64xi8>, memref<1x1x16xf16>) zeros(%z : memref<1x2x16xi8>) outs(%y : memref<?x8xf32>) {group_size = 9}
  return
}

// -----

func.func @w4a16_zeros(%x: memref<?x12xf32>, %w: memref<1x3x64xi8>, %s: memref<1x2x16xf16>, %z: memref<1x3x16xi8>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected zeros [1, 2, 16], but got [1, 3, 16]}}
  kernel.matmul_w4a16 ins(%x, %w, %s : memref<?x12xf32>, memref<1x3x64xi8>, memref<1x2x16xf16>) zeros(%z : memref<1x3x16xi8>) outs(%y : memref<?x8xf32>) {group_size = 9}
  return
}

// -----

func.func @w4a8_scale_of_x(%x: memref<?x12xi8>, %xs: memref<?x1xf32>, %w: memref<1x3x64xi8>, %s: memref<1x2x16xf16>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected x_scale [?, 2], but got [?, 1]}}
  kernel.matmul_w4a8 ins(%x, %xs, %w, %s : memref<?x12xi8>, memref<?x1xf32>, memref<1x3x64xi8>, memref<1x2x16xf16>) outs(%y : memref<?x8xf32>) {group_size = 9 : i64, x_group_size = 9 : i64}
  return
}

// -----

func.func @w4a8_rows(%x: memref<3x12xi8>, %xs: memref<2x2xf32>, %w: memref<1x3x64xi8>, %s: memref<1x2x16xf16>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected as many rows in the scale of x as in x, but got 2 and 3}}
  kernel.matmul_w4a8 ins(%x, %xs, %w, %s : memref<3x12xi8>, memref<2x2xf32>, memref<1x3x64xi8>, memref<1x2x16xf16>) outs(%y : memref<?x8xf32>) {group_size = 9 : i64, x_group_size = 9 : i64}
  return
}

// -----

func.func @w4a8_groups_of_x(%x: memref<?x64xi8>, %xs: memref<?x16xf32>, %w: memref<1x8x64xi8>, %s: memref<1x1x16xf16>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected groups of x as large as those of the weights, 64, or a multiple of 8 that divides them, but got 4}}
  kernel.matmul_w4a8 ins(%x, %xs, %w, %s : memref<?x64xi8>, memref<?x16xf32>, memref<1x8x64xi8>, memref<1x1x16xf16>) outs(%y : memref<?x8xf32>) {group_size = 64 : i64, x_group_size = 4 : i64}
  return
}

// -----

func.func @w8a8_weights(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x6x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected weights [1, 2, 64], but got [1, 6, 64]}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x6x64xi8>, memref<16xi32>, memref<8xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_correction(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<8xi32>, %s: memref<8xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected correction [16], but got [8]}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<8xi32>, memref<8xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_scales(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<6xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected scales [8], but got [6]}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<6xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_scale_per_row(%x: memref<3x6xi8>, %xs: memref<2xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected as many rows in the scale of x as in x, but got 2 and 3}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<3x6xi8>, memref<2xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_both_forms(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<?x6xf32>, %l: memref<6xi32>, %k: memref<1x?x16xf16>, %n: memref<1xi32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected columns or weights of outliers, but got both}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<?x6xf32>) columns(%l : memref<6xi32>) weights(%k, %n : memref<1x?x16xf16>, memref<1xi32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_only_outliers(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<?x6xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected outliers together with their columns or their weights, but got only one}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<?x6xf32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_only_columns(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %l: memref<6xi32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected outliers together with their columns or their weights, but got only one}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) columns(%l : memref<6xi32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_outliers(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<?x2xf32>, %l: memref<6xi32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected outliers [?, 6], but got [?, 2]}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<?x2xf32>) columns(%l : memref<6xi32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_columns(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<?x6xf32>, %l: memref<2xi32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected outlier columns [6], but got [2]}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<?x6xf32>) columns(%l : memref<2xi32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_kept_weights(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<?x?xf32>, %k: memref<2x?x16xf16>, %n: memref<1xi32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected outlier weights [1, ?, 16], but got [2, ?, 16]}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<?x?xf32>) weights(%k, %n : memref<2x?x16xf16>, memref<1xi32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_count(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<?x?xf32>, %k: memref<1x?x16xf16>, %n: memref<2xi32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected outlier count [1], but got [2]}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<?x?xf32>) weights(%k, %n : memref<1x?x16xf16>, memref<2xi32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_kept_columns(%x: memref<?x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<?x3xf32>, %k: memref<1x2x16xf16>, %n: memref<1xi32>, %y: memref<?x8xf32>) {
  // expected-error @below {{expected as many outlier columns in outliers as in weights, but got 3 and 2}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<?x3xf32>) weights(%k, %n : memref<1x2x16xf16>, memref<1xi32>) outs(%y : memref<?x8xf32>)
  return
}

// -----

func.func @w8a8_outlier_rows(%x: memref<3x6xi8>, %xs: memref<?xf32>, %w: memref<1x2x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>, %o: memref<2x6xf32>, %l: memref<6xi32>, %y: memref<3x8xf32>) {
  // expected-error @below {{expected as many rows in outliers as in x, but got 2 and 3}}
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<3x6xi8>, memref<?xf32>, memref<1x2x64xi8>, memref<16xi32>, memref<8xf32>) outliers(%o : memref<2x6xf32>) columns(%l : memref<6xi32>) outs(%y : memref<3x8xf32>)
  return
}

// -----

func.func @codes_width(%x: memref<?x?xf32>, %c: memref<?x4xi8>, %s: memref<?xf32>) {
  // expected-error @below {{requires known row size, at least 1, but got [?]}}
  kernel.dynamic_quantize ins(%x : memref<?x?xf32>) outs(%c, %s : memref<?x4xi8>, memref<?xf32>)
  return
}

// -----

func.func @codes_shape(%x: memref<?x4xf32>, %c: memref<?x5xi8>, %s: memref<?xf32>) {
  // expected-error @below {{expected codes [?, 4], but got [?, 5]}}
  kernel.dynamic_quantize ins(%x : memref<?x4xf32>) outs(%c, %s : memref<?x5xi8>, memref<?xf32>)
  return
}

// -----

func.func @codes_rows(%x: memref<3x4xf32>, %c: memref<2x4xi8>, %s: memref<?xf32>) {
  // expected-error @below {{expected as many rows in codes as in x, but got 2 and 3}}
  kernel.dynamic_quantize ins(%x : memref<3x4xf32>) outs(%c, %s : memref<2x4xi8>, memref<?xf32>)
  return
}

// -----

func.func @codes_scale(%x: memref<3x4xf32>, %c: memref<?x4xi8>, %s: memref<2xf32>) {
  // expected-error @below {{expected as many rows in scale as in x, but got 2 and 3}}
  kernel.dynamic_quantize ins(%x : memref<3x4xf32>) outs(%c, %s : memref<?x4xi8>, memref<2xf32>)
  return
}

// -----

func.func @codes_groups(%x: memref<?x6xf32>, %c: memref<?x6xi8>, %s: memref<?x3xf32>) {
  // expected-error @below {{expected scale [?, 2], but got [?, 3]}}
  kernel.dynamic_quantize ins(%x : memref<?x6xf32>) outs(%c, %s : memref<?x6xi8>, memref<?x3xf32>) {group_size = 4 : i64}
  return
}

// -----

func.func @codes_group_size(%x: memref<?x6xf32>, %c: memref<?x6xi8>, %s: memref<?x3xf32>) {
  // expected-error @below {{attribute 'group_size' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  kernel.dynamic_quantize ins(%x : memref<?x6xf32>) outs(%c, %s : memref<?x6xi8>, memref<?x3xf32>) {group_size = 0 : i64}
  return
}

// -----

func.func @split_columns_list(%x: memref<?x4xf32>, %c: memref<?x4xi8>, %s: memref<?xf32>, %l: memref<5xi32>) {
  // expected-error @below {{expected columns [4], but got [5]}}
  kernel.split_columns ins(%x : memref<?x4xf32>) outs(%c, %s, %l : memref<?x4xi8>, memref<?xf32>, memref<5xi32>) {threshold = 6.0 : f32}
  return
}

// -----

func.func @split_columns_at_rows(%x: memref<3x4xf32>, %l: memref<2xi32>, %c: memref<?x4xi8>, %s: memref<?xf32>, %o: memref<2x2xf32>) {
  // expected-error @below {{expected as many rows in outliers as in x, but got 2 and 3}}
  kernel.split_columns_at ins(%x, %l : memref<3x4xf32>, memref<2xi32>) outs(%c, %s, %o : memref<?x4xi8>, memref<?xf32>, memref<2x2xf32>)
  return
}

// -----

func.func @split_columns_at_columns(%x: memref<?x4xf32>, %l: memref<2xi32>, %c: memref<?x4xi8>, %s: memref<?xf32>, %o: memref<?x3xf32>) {
  // expected-error @below {{expected as many columns in outliers as in columns, but got 3 and 2}}
  kernel.split_columns_at ins(%x, %l : memref<?x4xf32>, memref<2xi32>) outs(%c, %s, %o : memref<?x4xi8>, memref<?xf32>, memref<?x3xf32>)
  return
}

// -----

func.func @norm_width(%x: memref<?x?xf32>, %w: memref<4xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{requires known row size, at least 1, but got [?]}}
  kernel.rms_norm ins(%x, %w : memref<?x?xf32>, memref<4xf32>) outs(%y : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @norm_weight(%x: memref<?x4xf32>, %w: memref<5xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{expected weight [4], but got [5]}}
  kernel.rms_norm ins(%x, %w : memref<?x4xf32>, memref<5xf32>) outs(%y : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @norm_result(%x: memref<?x4xf32>, %w: memref<4xf32>, %y: memref<?x5xf32>) {
  // expected-error @below {{expected y [?, 4], but got [?, 5]}}
  kernel.rms_norm ins(%x, %w : memref<?x4xf32>, memref<4xf32>) outs(%y : memref<?x5xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @norm_rows(%x: memref<3x4xf32>, %w: memref<4xf32>, %y: memref<2x4xf32>) {
  // expected-error @below {{expected as many rows in y as in x, but got 2 and 3}}
  kernel.rms_norm ins(%x, %w : memref<3x4xf32>, memref<4xf32>) outs(%y : memref<2x4xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @rotary_heads(%x: memref<?x?x?x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<?x?xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{requires known heads, at least 1, but got [?]}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x?x4xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_head_size(%x: memref<?x?x2x?xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<?x?xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{requires known head size, at least 1, but got [?]}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x2x?xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_dim(%x: memref<?x?x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<?x?xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected an even rotary_dim from 2 to the head size 4, but got 6}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x2x4xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 6}
  return
}

// -----

func.func @rotary_cos(%x: memref<?x?x2x4xf32>, %c: memref<16x3xf32>, %s: memref<16x2xf32>, %p: memref<?x?xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected cos [?, 2], but got [16, 3]}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x2x4xf32>, memref<16x3xf32>, memref<16x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_sin(%x: memref<?x?x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x3xf32>, %p: memref<?x?xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected sin [?, 2], but got [16, 3]}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x2x4xf32>, memref<16x2xf32>, memref<16x3xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_tables(%x: memref<?x?x2x4xf32>, %c: memref<16x2xf32>, %s: memref<8x2xf32>, %p: memref<?x?xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many table rows in sin as in cos, but got 8 and 16}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x2x4xf32>, memref<16x2xf32>, memref<8x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_tables_without_positions(%x: memref<?x?x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected cos [?, ?, 2], but got [16, 2]}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x2x4xf32>, memref<16x2xf32>, memref<16x2xf32>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_result(%x: memref<?x?x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<?x?xi64>, %y: memref<?x?x2x5xf32>) {
  // expected-error @below {{expected y [?, ?, 2, 4], but got [?, ?, 2, 5]}}
  kernel.rotary ins(%x, %c, %s : memref<?x?x2x4xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x?x2x5xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_sequences(%x: memref<3x?x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<?x?xi64>, %y: memref<2x?x2x4xf32>) {
  // expected-error @below {{expected as many sequences in y as in x, but got 2 and 3}}
  kernel.rotary ins(%x, %c, %s : memref<3x?x2x4xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<2x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_tokens(%x: memref<?x3x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<?x?xi64>, %y: memref<?x2x2x4xf32>) {
  // expected-error @below {{expected as many tokens in y as in x, but got 2 and 3}}
  kernel.rotary ins(%x, %c, %s : memref<?x3x2x4xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<?x?xi64>) outs(%y : memref<?x2x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_positions(%x: memref<3x?x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<2x?xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many sequences in positions as in x, but got 2 and 3}}
  kernel.rotary ins(%x, %c, %s : memref<3x?x2x4xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<2x?xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @rotary_position_tokens(%x: memref<?x3x2x4xf32>, %c: memref<16x2xf32>, %s: memref<16x2xf32>, %p: memref<?x2xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many tokens in positions as in x, but got 2 and 3}}
  kernel.rotary ins(%x, %c, %s : memref<?x3x2x4xf32>, memref<16x2xf32>, memref<16x2xf32>) positions(%p : memref<?x2xi64>) outs(%y : memref<?x?x2x4xf32>) {rotary_dim = 4}
  return
}

// -----

func.func @gather_width(%d: memref<32x4xf32>, %i: memref<?xi64>, %y: memref<?x?xf32>) {
  // expected-error @below {{requires known row size, at least 1, but got [?]}}
  kernel.gather ins(%d, %i : memref<32x4xf32>, memref<?xi64>) outs(%y : memref<?x?xf32>)
  return
}

// -----

func.func @gather_element(%d: memref<32x4xf32>, %i: memref<?xi64>, %y: memref<?x4xf16>) {
  // expected-error @below {{expected y of the element type of data, 'f32', but got 'f16'}}
  kernel.gather ins(%d, %i : memref<32x4xf32>, memref<?xi64>) outs(%y : memref<?x4xf16>)
  return
}

// -----

func.func @gather_data(%d: memref<32x5xf32>, %i: memref<?xi64>, %y: memref<?x4xf32>) {
  // expected-error @below {{expected data [32, 4], but got [32, 5]}}
  kernel.gather ins(%d, %i : memref<32x5xf32>, memref<?xi64>) outs(%y : memref<?x4xf32>)
  return
}

// -----

func.func @gather_packed(%d: memref<3x4x16xf32>, %i: memref<?xi64>, %y: memref<?x4xf32>) {
  // expected-error @below {{expected data [2, 4, 16], but got [3, 4, 16]}}
  kernel.gather ins(%d, %i : memref<3x4x16xf32>, memref<?xi64>) outs(%y : memref<?x4xf32>) {rows = 32}
  return
}

// -----

func.func @gather_scaled(%d: memref<32x4xf16>, %s: memref<32xf32>, %i: memref<?xi64>, %y: memref<?x4xf32>) {
  // expected-error @below {{expected codes of 'i8' and y of 'f32', but got 'f16' and 'f32'}}
  kernel.gather ins(%d, %i : memref<32x4xf16>, memref<?xi64>) scales(%s : memref<32xf32>) outs(%y : memref<?x4xf32>)
  return
}

// -----

func.func @gather_scales(%d: memref<2x4x16xi8>, %s: memref<32xf32>, %i: memref<?xi64>, %y: memref<?x4xf32>) {
  // expected-error @below {{expected scales [31], but got [32]}}
  kernel.gather ins(%d, %i : memref<2x4x16xi8>, memref<?xi64>) scales(%s : memref<32xf32>) outs(%y : memref<?x4xf32>) {rows = 31}
  return
}

// -----

func.func @gather_rows(%d: memref<32x4xf32>, %i: memref<3xi64>, %y: memref<2x4xf32>) {
  // expected-error @below {{expected as many rows in y as in indices, but got 2 and 3}}
  kernel.gather ins(%d, %i : memref<32x4xf32>, memref<3xi64>) outs(%y : memref<2x4xf32>)
  return
}

// -----

func.func @gather_no_rows(%d: memref<32x4xf32>, %i: memref<?xi64>, %y: memref<?x4xf32>) {
  // expected-error @below {{attribute 'rows' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  kernel.gather ins(%d, %i : memref<32x4xf32>, memref<?xi64>) outs(%y : memref<?x4xf32>) {rows = 0}
  return
}

// -----

func.func @attention_heads(%q: memref<?x?x?x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{requires known heads, at least 1, but got [?]}}
  kernel.attention ins(%q, %k, %v : memref<?x?x?x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @attention_head_size(%q: memref<?x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x?xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{requires known head sizes, at least 1, but got [?]}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x?xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @attention_groups(%q: memref<?x?x3x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected query heads in groups of key heads, but got 3 and 2}}
  kernel.attention ins(%q, %k, %v : memref<?x?x3x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @attention_softcap(%q: memref<?x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected a softcap of at least 0, but got -1.000000e+00}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) outs(%y : memref<?x?x2x4xf32>) {softcap = -1.0 : f32}
  return
}

// -----

func.func @attention_keys(%q: memref<?x?x2x4xf32>, %k: memref<?x?x2x5xf32>, %v: memref<?x?x2x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected keys [?, ?, 2, 4], but got [?, ?, 2, 5]}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x5xf32>, memref<?x?x2x4xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @attention_values(%q: memref<?x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x1x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected values [?, ?, 2, 4], but got [?, ?, 1, 4]}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x1x4xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @attention_result(%q: memref<?x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %y: memref<?x?x2x5xf32>) {
  // expected-error @below {{expected y [?, ?, 2, 4], but got [?, ?, 2, 5]}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) outs(%y : memref<?x?x2x5xf32>)
  return
}

// -----

func.func @attention_sequences(%q: memref<3x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<2x?x2x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many sequences in values as in q, but got 2 and 3}}
  kernel.attention ins(%q, %k, %v : memref<3x?x2x4xf32>, memref<?x?x2x4xf32>, memref<2x?x2x4xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @attention_queries(%q: memref<?x3x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %y: memref<?x2x2x4xf32>) {
  // expected-error @below {{expected as many queries in y as in q, but got 2 and 3}}
  kernel.attention ins(%q, %k, %v : memref<?x3x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) outs(%y : memref<?x2x2x4xf32>)
  return
}

// -----

func.func @attention_tokens(%q: memref<?x?x2x4xf32>, %k: memref<?x3x2x4xf32>, %v: memref<?x2x2x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many tokens in values as in keys, but got 2 and 3}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x3x2x4xf32>, memref<?x2x2x4xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @attention_offset(%q: memref<?x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{requires causal where there is an offset}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) outs(%y : memref<?x?x2x4xf32>) {offset}
  return
}

// -----

func.func @mask_sequences(%q: memref<3x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %m: memref<2x1x1x?xi1>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many sequences in the mask as in q, but got 2 and 3}}
  kernel.attention ins(%q, %k, %v : memref<3x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) mask(%m : memref<2x1x1x?xi1>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @mask_heads(%q: memref<?x?x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %m: memref<?x3x1x?xi1>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many heads in the mask as in q, but got 3 and 2}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) mask(%m : memref<?x3x1x?xi1>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @mask_queries(%q: memref<?x3x2x4xf32>, %k: memref<?x?x2x4xf32>, %v: memref<?x?x2x4xf32>, %m: memref<?x1x2x?xi1>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many queries in the mask as in q, but got 2 and 3}}
  kernel.attention ins(%q, %k, %v : memref<?x3x2x4xf32>, memref<?x?x2x4xf32>, memref<?x?x2x4xf32>) mask(%m : memref<?x1x2x?xi1>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @mask_tokens(%q: memref<?x?x2x4xf32>, %k: memref<?x3x2x4xf32>, %v: memref<?x?x2x4xf32>, %m: memref<?x1x1x2xi1>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected as many tokens in the mask as in keys, but got 2 and 3}}
  kernel.attention ins(%q, %k, %v : memref<?x?x2x4xf32>, memref<?x3x2x4xf32>, memref<?x?x2x4xf32>) mask(%m : memref<?x1x1x2xi1>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @cached_keys_type(%q: memref<?x?x2x4xf32>, %k: memref<?x2x?x4xbf16>, %v: memref<?x2x?x4xf32>, %p: memref<1xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{operand #1 must be contiguous memref of rank 4 of 32-bit float or 16-bit float, but got 'memref<?x2x?x4xbf16>'}}
  kernel.cached_attention ins(%q, %k, %v, %p : memref<?x?x2x4xf32>, memref<?x2x?x4xbf16>, memref<?x2x?x4xf32>, memref<1xi64>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @cached_types(%q: memref<?x?x2x4xf32>, %k: memref<?x2x?x4xf16>, %v: memref<?x2x?x4xf32>, %p: memref<1xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected caches of one type, but got 'memref<?x2x?x4xf16>' and 'memref<?x2x?x4xf32>'}}
  kernel.cached_attention ins(%q, %k, %v, %p : memref<?x?x2x4xf32>, memref<?x2x?x4xf16>, memref<?x2x?x4xf32>, memref<1xi64>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @cached_keys(%q: memref<?x?x2x4xf32>, %k: memref<?x2x?x5xf32>, %v: memref<?x2x?x4xf32>, %p: memref<1xi64>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected keys [?, 2, ?, 4], but got [?, 2, ?, 5]}}
  kernel.cached_attention ins(%q, %k, %v, %p : memref<?x?x2x4xf32>, memref<?x2x?x5xf32>, memref<?x2x?x4xf32>, memref<1xi64>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @cached_past(%q: memref<3x?x2x4xf32>, %k: memref<?x2x?x4xf32>, %v: memref<?x2x?x4xf32>, %p: memref<2xi64>, %y: memref<3x?x2x4xf32>) {
  // expected-error @below {{expected past [3], but got [2]}}
  kernel.cached_attention ins(%q, %k, %v, %p : memref<3x?x2x4xf32>, memref<?x2x?x4xf32>, memref<?x2x?x4xf32>, memref<2xi64>) outs(%y : memref<3x?x2x4xf32>)
  return
}

// -----

func.func @append_heads(%x: memref<?x?x?x4xf32>, %p: memref<1xi64>, %c: memref<?x2x?x4xf32>) {
  // expected-error @below {{requires known heads, at least 1, but got [?]}}
  kernel.cache_append ins(%x, %p : memref<?x?x?x4xf32>, memref<1xi64>) outs(%c : memref<?x2x?x4xf32>)
  return
}

// -----

func.func @append_head_size(%x: memref<?x?x2x?xf32>, %p: memref<1xi64>, %c: memref<?x2x?x4xf32>) {
  // expected-error @below {{requires known head size, at least 1, but got [?]}}
  kernel.cache_append ins(%x, %p : memref<?x?x2x?xf32>, memref<1xi64>) outs(%c : memref<?x2x?x4xf32>)
  return
}

// -----

func.func @cached_slopes(%q: memref<?x?x2x4xf32>, %k: memref<?x2x?x4xf32>, %v: memref<?x2x?x4xf32>, %p: memref<?xi64>, %s: memref<3xf32>, %y: memref<?x?x2x4xf32>) {
  // expected-error @below {{expected slopes [2], but got [3]}}
  kernel.cached_attention ins(%q, %k, %v, %p : memref<?x?x2x4xf32>, memref<?x2x?x4xf32>, memref<?x2x?x4xf32>, memref<?xi64>) slopes(%s : memref<3xf32>) outs(%y : memref<?x?x2x4xf32>)
  return
}

// -----

func.func @append_past(%x: memref<3x?x2x4xf32>, %p: memref<2xi64>, %c: memref<?x2x?x4xf32>) {
  // expected-error @below {{expected past [3], but got [2]}}
  kernel.cache_append ins(%x, %p : memref<3x?x2x4xf32>, memref<2xi64>) outs(%c : memref<?x2x?x4xf32>)
  return
}

// -----

func.func @append_cache(%x: memref<?x?x2x4xf32>, %p: memref<1xi64>, %c: memref<?x4x?x2xf32>) {
  // expected-error @below {{expected cache [?, 2, ?, 4], but got [?, 4, ?, 2]}}
  kernel.cache_append ins(%x, %p : memref<?x?x2x4xf32>, memref<1xi64>) outs(%c : memref<?x4x?x2xf32>)
  return
}

// -----

func.func @append_sequences(%x: memref<3x?x2x4xf32>, %p: memref<1xi64>, %c: memref<2x2x?x4xf32>) {
  // expected-error @below {{expected as many sequences in cache as in x, but got 2 and 3}}
  kernel.cache_append ins(%x, %p : memref<3x?x2x4xf32>, memref<1xi64>) outs(%c : memref<2x2x?x4xf32>)
  return
}
