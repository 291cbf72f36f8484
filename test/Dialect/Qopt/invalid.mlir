// RUN: qopt-opt %s --split-input-file --verify-diagnostics

func.func @observe_name(%x: tensor<4xf32>) {
  // expected-error @below {{requires a non-empty name}}
  %r = qopt.observe %x "" ["absmax"] : tensor<4xf32>
  return
}

// -----

func.func @observe_nothing(%x: tensor<4xf32>) {
  // expected-error @below {{requires at least one statistic}}
  %r = qopt.observe %x "l" [] : tensor<4xf32>
  return
}

// -----

func.func @observe_unknown(%x: tensor<4xf32>) {
  // expected-error @below {{expected statistic "absmax", "column-absmax" or "hessian" but got "mean"}}
  %r = qopt.observe %x "l" ["mean"] : tensor<4xf32>
  return
}

// -----

func.func @quantize_scale(%x: tensor<4xf32>, %s: tensor<4xf32>) {
  // expected-error @below {{expected a scale of rank 0 but got rank 1}}
  %r = qopt.quantize %x, %s : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xi8>
  return
}

// -----

func.func @quantize_shape(%x: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error @below {{inferred type(s) 'tensor<4xi8>' are incompatible with return type(s) of operation 'tensor<5xi8>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = qopt.quantize %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<5xi8>
  return
}

// -----

func.func @dynamic_rank(%x: tensor<f32>) {
  // expected-error @below {{operand #0 must be tensor of rank 1 or more of 32-bit float values, but got 'tensor<f32>'}}
  %r, %s = qopt.dynamic_quantize %x : (tensor<f32>) -> (tensor<i8>, tensor<f32>)
  return
}

// -----

func.func @dynamic_shape(%x: tensor<2x4xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x4xi8>', 'tensor<2xf32>' are incompatible with return type(s) of operation 'tensor<2x5xi8>', 'tensor<2xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r, %s = qopt.dynamic_quantize %x : (tensor<2x4xf32>) -> (tensor<2x5xi8>, tensor<2xf32>)
  return
}

// -----

func.func @dynamic_scale(%x: tensor<2x4xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x4xi8>', 'tensor<2xf32>' are incompatible with return type(s) of operation 'tensor<2x4xi8>', 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r, %s = qopt.dynamic_quantize %x : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<3xf32>)
  return
}

// -----

func.func @split_threshold(%x: tensor<2x4xf32>) {
  // expected-error @below {{requires a threshold above 0}}
  %r, %s, %k = qopt.split_columns %x {threshold = 0.0 : f32} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<4xi32>)
  return
}

// -----

func.func @split_at_nothing(%x: tensor<2x4xf32>) {
  // expected-error @below {{requires at least one column}}
  %r, %s, %o = qopt.split_columns_at %x {columns = array<i32>} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2x0xf32>)
  return
}

// -----

func.func @split_at_order(%x: tensor<2x4xf32>) {
  // expected-error @below {{expected strictly rising columns in [0, 4) but got 1, 1}}
  %r, %s, %o = qopt.split_columns_at %x {columns = array<i32: 1, 1>} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2x2xf32>)
  return
}

// -----

func.func @split_at_range(%x: tensor<2x4xf32>) {
  // expected-error @below {{expected strictly rising columns in [0, 4) but got 1, 4}}
  %r, %s, %o = qopt.split_columns_at %x {columns = array<i32: 1, 4>} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2x2xf32>)
  return
}

// -----

func.func @split_at_unknown_width(%x: tensor<2x?xf32>) {
  // expected-error @below {{requires a known number of input columns}}
  %r, %s, %o = qopt.split_columns_at %x {columns = array<i32: 1>} : (tensor<2x?xf32>) -> (tensor<2x?xi8>, tensor<2xf32>, tensor<2x1xf32>)
  return
}

// -----

func.func @split_at_outliers(%x: tensor<2x4xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x4xi8>', 'tensor<2xf32>', 'tensor<2x1xf32>' are incompatible with return type(s) of operation 'tensor<2x4xi8>', 'tensor<2xf32>', 'tensor<2x2xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r, %s, %o = qopt.split_columns_at %x {columns = array<i32: 1>} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2x2xf32>)
  return
}

// -----

func.func @split_at_codes(%x: tensor<2x4xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x4xi8>', 'tensor<2xf32>', 'tensor<2x1xf32>' are incompatible with return type(s) of operation 'tensor<2x3xi8>', 'tensor<2xf32>', 'tensor<2x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r, %s, %o = qopt.split_columns_at %x {columns = array<i32: 1>} : (tensor<2x4xf32>) -> (tensor<2x3xi8>, tensor<2xf32>, tensor<2x1xf32>)
  return
}

// -----

func.func @replace_columns_static(%w: tensor<?x4xf32>, %v: tensor<2x1xf16>) {
  // expected-error @below {{operand #0 must be static matrix of 32-bit float values, but got 'tensor<?x4xf32>'}}
  %r = qopt.replace_columns %w, %v {columns = array<i32: 1>} : (tensor<?x4xf32>, tensor<2x1xf16>) -> tensor<?x4xf32>
  return
}

// -----

func.func @replace_columns_result(%w: tensor<2x4xf32>, %v: tensor<2x1xf16>) {
  // expected-error @below {{inferred type(s) 'tensor<2x4xf32>' are incompatible with return type(s) of operation 'tensor<2x5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = qopt.replace_columns %w, %v {columns = array<i32: 1>} : (tensor<2x4xf32>, tensor<2x1xf16>) -> tensor<2x5xf32>
  return
}

// -----

func.func @replace_columns_values(%w: tensor<2x4xf32>, %v: tensor<2x1xf16>) {
  // expected-error @below {{expected 2x2 values but got 'tensor<2x1xf16>'}}
  %r = qopt.replace_columns %w, %v {columns = array<i32: 1, 2>} : (tensor<2x4xf32>, tensor<2x1xf16>) -> tensor<2x4xf32>
  return
}

// -----

func.func @split_columns(%x: tensor<2x4xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x4xi8>', 'tensor<2xf32>', 'tensor<4xi32>' are incompatible with return type(s) of operation 'tensor<2x4xi8>', 'tensor<2xf32>', 'tensor<2xi32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r, %s, %k = qopt.split_columns %x {threshold = 6.0 : f32} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2xi32>)
  return
}

// -----

func.func @group_size(%c: tensor<8x32xi8>, %s: tensor<8x1xf16>) {
  // expected-error @below {{expected a group size in [1, 64] but got 65}}
  %r = qopt.dequantize %c, %s {group_size = 65} : (tensor<8x32xi8>, tensor<8x1xf16>) -> tensor<8x64xf32>
  return
}

// -----

func.func @group_codes(%c: tensor<8x64xi8>, %s: tensor<8x2xf16>) {
  // expected-error @below {{expected 8x32 bytes of codes but got 'tensor<8x64xi8>'}}
  %r = qopt.dequantize %c, %s {group_size = 32, columns = 64} : (tensor<8x64xi8>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

func.func @group_scales(%c: tensor<8x32xi8>, %s: tensor<8x3xf16>) {
  // expected-error @below {{expected 2 scales for each of 8 rows in groups of 32, but got 'tensor<8x3xf16>'}}
  %r = qopt.dequantize %c, %s {group_size = 32} : (tensor<8x32xi8>, tensor<8x3xf16>) -> tensor<8x64xf32>
  return
}

// -----

func.func @group_zeros(%c: tensor<8x32xi8>, %s: tensor<8x2xf16>, %z: tensor<8xi8>) {
  // expected-error @below {{requires zeros of the shape of scale}}
  %r = qopt.dequantize %c, %s, %z {group_size = 32} : (tensor<8x32xi8>, tensor<8x2xf16>, tensor<8xi8>) -> tensor<8x64xf32>
  return
}

// -----

func.func @group_result(%c: tensor<?x32xi8>, %s: tensor<8x2xf16>) {
  // expected-error @below {{requires a static matrix of codes in groups}}
  %r = qopt.dequantize %c, %s {group_size = 32} : (tensor<?x32xi8>, tensor<8x2xf16>) -> tensor<?x64xf32>
  return
}

// -----

func.func @group_odd(%c: tensor<8x32xi8>, %s: tensor<8x2xf16>) {
  // expected-error @below {{inferred type(s) 'tensor<8x64xf32>' are incompatible with return type(s) of operation 'tensor<8x63xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = qopt.dequantize %c, %s {group_size = 32} : (tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<8x63xf32>
  return
}

// -----

func.func @group_columns(%c: tensor<8x32xi8>, %s: tensor<8x2xf16>) {
  // expected-error @below {{attribute 'columns' failed to satisfy constraint}}
  %r = qopt.dequantize %c, %s {group_size = 32, columns = 0} : (tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

func.func @zeros_without_groups(%c: tensor<8x64xi8>, %s: tensor<8xf32>, %z: tensor<8xi8>) {
  // expected-error @below {{requires group_size with zeros, columns, table or bytes}}
  %r = qopt.dequantize %c, %s, %z : (tensor<8x64xi8>, tensor<8xf32>, tensor<8xi8>) -> tensor<8x64xf32>
  return
}

// -----

func.func @columns_without_groups(%c: tensor<8x64xi8>, %s: tensor<8xf32>) {
  // expected-error @below {{requires group_size with zeros, columns, table or bytes}}
  %r = qopt.dequantize %c, %s {columns = 64} : (tensor<8x64xi8>, tensor<8xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @dequantize_shape(%c: tensor<8x64xi8>, %s: tensor<8xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<8x64xf32>' are incompatible with return type(s) of operation 'tensor<8x32xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = qopt.dequantize %c, %s : (tensor<8x64xi8>, tensor<8xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @dequantize_scale(%c: tensor<8x64xi8>, %s: tensor<64xf32>) {
  // expected-error @below {{expected a scale of rank 0 or one per row of codes, but got 'tensor<64xf32>'}}
  %r = qopt.dequantize %c, %s : (tensor<8x64xi8>, tensor<64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @product_columns(%x: tensor<2x32xf32>, %w: tensor<8x64xi8>, %s: tensor<8xf32>) {
  // expected-error @below {{expected x with 64 columns but got 'tensor<2x32xf32>'}}
  %r = qopt.matmul_w8a16 %x, %w, %s : (tensor<2x32xf32>, tensor<8x64xi8>, tensor<8xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @product_result(%x: tensor<2x64xf32>, %w: tensor<8x64xi8>, %s: tensor<8xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x8xf32>' are incompatible with return type(s) of operation 'tensor<2x9xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = qopt.matmul_w8a16 %x, %w, %s : (tensor<2x64xf32>, tensor<8x64xi8>, tensor<8xf32>) -> tensor<2x9xf32>
  return
}

// -----

func.func @w8a8_result(%x: tensor<?x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<f32>) {
  // expected-error @below {{inferred type(s) 'tensor<?x8xf32>' are incompatible with return type(s) of operation 'tensor<2x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s : (tensor<?x64xi8>, tensor<f32>, tensor<8x64xi8>, tensor<8xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w4a16_result(%x: tensor<2x64xf32>, %w: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{inferred type(s) 'tensor<2x8xf32>' are incompatible with return type(s) of operation 'tensor<2x64xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = qopt.matmul_w4a16 %x, %w, %g {group_size = 32 : i64} : (tensor<2x64xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<2x64xf32>
  return
}

// -----

func.func @product_rank(%x: tensor<f32>, %w: tensor<8x64xi8>, %s: tensor<8xf32>) {
  // expected-error @below {{operand #0 must be tensor of rank 1 or more of 32-bit float values, but got 'tensor<f32>'}}
  %r = qopt.matmul_w8a16 %x, %w, %s : (tensor<f32>, tensor<8x64xi8>, tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @product_static(%x: tensor<2x64xf32>, %w: tensor<?x64xi8>, %s: tensor<?xf32>) {
  // expected-error @below {{operand #1 must be static matrix of 8-bit signless integer values, but got 'tensor<?x64xi8>'}}
  %r = qopt.matmul_w8a16 %x, %w, %s : (tensor<2x64xf32>, tensor<?x64xi8>, tensor<?xf32>) -> tensor<2x?xf32>
  return
}

// -----

func.func @table_with_zeros(%p: tensor<8x32xi8>, %g: tensor<8x2xf16>, %z: tensor<8x2xi8>) {
  // expected-error @below {{requires codes without zeros where there is a table or float8}}
  %r = qopt.dequantize %p, %g, %z {group_size = 32, table = array<f32: 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0>} : (tensor<8x32xi8>, tensor<8x2xf16>, tensor<8x2xi8>) -> tensor<8x64xf32>
  return
}

// -----

func.func @float8_of_four_bits(%p: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{requires codes of four bits with table, columns or zeros of f32, of eight with float8}}
  %r = qopt.dequantize %p, %g {group_size = 32, float8} : (tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

func.func @bytes_without_groups(%w: tensor<8x64xi8>, %s: tensor<8xf32>) {
  // expected-error @below {{requires group_size with zeros, columns, table or bytes}}
  %r = qopt.dequantize %w, %s {bytes} : (tensor<8x64xi8>, tensor<8xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @short_table(%p: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{attribute 'table' failed to satisfy constraint}}
  %r = qopt.dequantize %p, %g {group_size = 32, table = array<f32: 1.0, 2.0>} : (tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// -----

func.func @product_groups(%x: tensor<2x64xf32>, %w: tensor<8x64xi8>, %s: tensor<8x2xf16>) {
  // expected-error @below {{expected 4 scales for each of 8 rows in groups of 16, but got 'tensor<8x2xf16>'}}
  %r = qopt.matmul_w8a16 %x, %w, %s {group_size = 16} : (tensor<2x64xf32>, tensor<8x64xi8>, tensor<8x2xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @product_zeros(%x: tensor<2x64xf32>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %z: tensor<8xi8>) {
  // expected-error @below {{requires group_size with zeros or scales of f16}}
  %r = qopt.matmul_w8a16 %x, %w, %s, %z : (tensor<2x64xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<8xi8>) -> tensor<2x8xf32>
  return
}

// -----

func.func @product_scales(%x: tensor<2x64xf32>, %w: tensor<8x64xi8>, %s: tensor<7xf32>) {
  // expected-error @below {{expected 8 weight scales but got 'tensor<7xf32>'}}
  %r = qopt.matmul_w8a16 %x, %w, %s : (tensor<2x64xf32>, tensor<8x64xi8>, tensor<7xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_scale(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<3xf32>) {
  // expected-error @below {{expected x_scale of rank 0 or one per row of x, but got 'tensor<3xf32>'}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s : (tensor<2x64xi8>, tensor<3xf32>, tensor<8x64xi8>, tensor<8xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_pair(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %o: tensor<2x64xf32>) {
  // expected-error @below {{requires outliers together with either columns or weights}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s outliers(%o) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<2x64xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_outliers(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %o: tensor<2x32xf32>, %k: tensor<64xi32>) {
  // expected-error @below {{requires outliers of the shape of x}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s outliers(%o) columns(%k) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<2x32xf32>, tensor<64xi32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_columns(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %o: tensor<2x64xf32>, %k: tensor<32xi32>) {
  // expected-error @below {{requires one entry of columns per column of x}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s outliers(%o) columns(%k) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<2x64xf32>, tensor<32xi32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_both(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %o: tensor<2x64xf32>, %k: tensor<64xi32>, %v: tensor<8x64xf16>) {
  // expected-error @below {{requires outliers together with either columns or weights}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s outliers(%o) columns(%k) weights(%v) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<2x64xf32>, tensor<64xi32>, tensor<8x64xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_weights_alone(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %v: tensor<8x3xf16>) {
  // expected-error @below {{requires outliers together with either columns or weights}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s weights(%v) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<8x3xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_weights_static(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %o: tensor<2x?xf32>, %v: tensor<8x?xf16>) {
  // expected-error @below {{operand #5 must be static matrix of 16-bit float or 32-bit float values, but got 'tensor<8x?xf16>'}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s outliers(%o) weights(%v) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<2x?xf32>, tensor<8x?xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_weights_rows(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %o: tensor<2x3xf32>, %v: tensor<7x3xf16>) {
  // expected-error @below {{expected outlier weights of 8 rows but got 'tensor<7x3xf16>'}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s outliers(%o) weights(%v) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<2x3xf32>, tensor<7x3xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w8a8_weights_columns(%x: tensor<2x64xi8>, %w: tensor<8x64xi8>, %s: tensor<8xf32>, %t: tensor<2xf32>, %o: tensor<2x64xf32>, %v: tensor<8x3xf16>) {
  // expected-error @below {{expected outliers of 3 columns and the rows of x, but got 'tensor<2x64xf32>'}}
  %r = qopt.matmul_w8a8 %x, %t, %w, %s outliers(%o) weights(%v) : (tensor<2x64xi8>, tensor<2xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<2x64xf32>, tensor<8x3xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w4a16_static(%x: tensor<2x64xf32>, %w: tensor<?x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{operand #1 must be static matrix of 8-bit signless integer values, but got 'tensor<?x32xi8>'}}
  %r = qopt.matmul_w4a16 %x, %w, %g {group_size = 32 : i64} : (tensor<2x64xf32>, tensor<?x32xi8>, tensor<8x2xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w4a16_columns(%x: tensor<2x?xf32>, %w: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{requires x with a known number of columns}}
  %r = qopt.matmul_w4a16 %x, %w, %g {group_size = 32 : i64} : (tensor<2x?xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @quantize_group(%x: tensor<2x64xf32>) {
  // expected-error @below {{expected a group size in [1, 64] but got 65}}
  %c, %s = qopt.dynamic_quantize %x {group_size = 65} : (tensor<2x64xf32>) -> (tensor<2x64xi8>, tensor<2x1xf32>)
  return
}

// -----

func.func @quantize_columns(%x: tensor<2x?xf32>) {
  // expected-error @below {{requires a known number of input columns where there are groups}}
  %c, %s = qopt.dynamic_quantize %x {group_size = 32} : (tensor<2x?xf32>) -> (tensor<2x?xi8>, tensor<2x?xf32>)
  return
}

// -----

func.func @quantize_scales(%x: tensor<2x64xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<2x64xi8>', 'tensor<2x2xf32>' are incompatible with return type(s) of operation 'tensor<2x64xi8>', 'tensor<2xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %c, %s = qopt.dynamic_quantize %x {group_size = 32} : (tensor<2x64xf32>) -> (tensor<2x64xi8>, tensor<2xf32>)
  return
}

// -----

func.func @w4a8_columns(%x: tensor<2x?xi8>, %t: tensor<2x2xf32>, %w: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{requires x with a known number of columns}}
  %r = qopt.matmul_w4a8 %x, %t, %w, %g {group_size = 32, x_group_size = 32} : (tensor<2x?xi8>, tensor<2x2xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w4a8_groups(%x: tensor<2x64xi8>, %t: tensor<2x2xf32>, %w: tensor<8x32xi8>, %g: tensor<8x3xf16>) {
  // expected-error @below {{expected 2 scales for each of 8 rows in groups of 32, but got 'tensor<8x3xf16>'}}
  %r = qopt.matmul_w4a8 %x, %t, %w, %g {group_size = 32, x_group_size = 32} : (tensor<2x64xi8>, tensor<2x2xf32>, tensor<8x32xi8>, tensor<8x3xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w4a8_x_groups(%x: tensor<2x64xi8>, %t: tensor<2x16xf32>, %w: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{expected groups of x of 32 inputs, or a multiple of 8 that divides 32, but got 4}}
  %r = qopt.matmul_w4a8 %x, %t, %w, %g {group_size = 32, x_group_size = 4} : (tensor<2x64xi8>, tensor<2x16xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<2x8xf32>
  return
}

// -----

func.func @w4a8_x_scale(%x: tensor<?x64xi8>, %t: tensor<?x2xf32>, %w: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // expected-error @below {{expected 4 scales for each row of x in groups of 16, but got 'tensor<?x2xf32>'}}
  %r = qopt.matmul_w4a8 %x, %t, %w, %g {group_size = 32, x_group_size = 16} : (tensor<?x64xi8>, tensor<?x2xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<?x8xf32>
  return
}

// -----

func.func @cache_heads(%q: tensor<1x2x64xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x?x9x8xf32>, %values: memref<1x4x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{operand #3 must be dense cache of rank 4 of 32-bit float or 16-bit float values, with known heads and head size, but got 'memref<1x?x9x8xf32>'}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x64xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>, memref<1x?x9x8xf32>, memref<1x4x9x8xf32>, tensor<1xi64>) -> tensor<1x2x64xf32>
  return
}

// -----

func.func @cache_layout(%q: tensor<1x2x64xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x4x9x8xf32, strided<[576, 144, 16, 1]>>, %values: memref<1x4x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{operand #3 must be dense cache}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x64xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>, memref<1x4x9x8xf32, strided<[576, 144, 16, 1]>>, memref<1x4x9x8xf32>, tensor<1xi64>) -> tensor<1x2x64xf32>
  return
}

// -----

func.func @caches_differ(%q: tensor<1x2x64xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x4x9x8xf32>, %values: memref<1x2x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{requires caches of as many heads, but got}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x64xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>, memref<1x4x9x8xf32>, memref<1x2x9x8xf32>, tensor<1xi64>) -> tensor<1x2x64xf32>
  return
}

// -----

func.func @cache_past(%q: tensor<1x2x64xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x4x9x8xf32>, %values: memref<1x4x9x8xf32>, %past: tensor<2xi64>) {
  // expected-error @below {{expected a past_length for each row, or one for all, but got 'tensor<2xi64>'}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x64xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>, memref<1x4x9x8xf32>, memref<1x4x9x8xf32>, tensor<2xi64>) -> tensor<1x2x64xf32>
  return
}

// -----

func.func @cache_rank(%q: tensor<2x64xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x4x9x8xf32>, %values: memref<1x4x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{operand #0 must be tensor of rank 3 of 32-bit float values, but got 'tensor<2x64xf32>'}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<2x64xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>, memref<1x4x9x8xf32>, memref<1x4x9x8xf32>, tensor<1xi64>) -> tensor<2x64xf32>
  return
}

// -----

func.func @cache_queries(%q: tensor<1x2x48xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x4x9x8xf32>, %values: memref<1x4x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{expected q of a multiple of 32 columns but got 'tensor<1x2x48xf32>'}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x48xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>, memref<1x4x9x8xf32>, memref<1x4x9x8xf32>, tensor<1xi64>) -> tensor<1x2x48xf32>
  return
}

// -----

func.func @cache_keys(%q: tensor<1x2x64xf32>, %k: tensor<1x2x24xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x4x9x8xf32>, %values: memref<1x4x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{expected k of 32 columns but got 'tensor<1x2x24xf32>'}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x64xf32>, tensor<1x2x24xf32>, tensor<1x2x32xf32>, memref<1x4x9x8xf32>, memref<1x4x9x8xf32>, tensor<1xi64>) -> tensor<1x2x64xf32>
  return
}

// -----

func.func @cache_values(%q: tensor<1x2x64xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x16xf32>, %keys: memref<1x4x9x8xf32>, %values: memref<1x4x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{expected v of 32 columns but got 'tensor<1x2x16xf32>'}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x64xf32>, tensor<1x2x32xf32>, tensor<1x2x16xf32>, memref<1x4x9x8xf32>, memref<1x4x9x8xf32>, tensor<1xi64>) -> tensor<1x2x64xf32>
  return
}

// -----

func.func @cache_result(%q: tensor<1x2x64xf32>, %k: tensor<1x2x32xf32>, %v: tensor<1x2x32xf32>, %keys: memref<1x4x9x8xf32>, %values: memref<1x4x9x8xf32>, %past: tensor<1xi64>) {
  // expected-error @below {{inferred type(s) 'tensor<1x2x64xf32>' are incompatible with return type(s) of operation 'tensor<1x2x32xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<1x2x64xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>, memref<1x4x9x8xf32>, memref<1x4x9x8xf32>, tensor<1xi64>) -> tensor<1x2x32xf32>
  return
}

// -----

func.func @repeat_nothing() {
  // expected-error @below {{attribute 'count' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  qopt.repeat 0 as %layer {
  }
  return
}

// -----

func.func @repeat_nested(%ok: i1) {
  scf.if %ok {
    // expected-error @below {{may only stand in the top block of a function}}
    qopt.repeat 2 as %layer {
    }
  }
  return
}

// -----

func.func @repeat_argument() {
  // expected-error @below {{expected a body with one argument, an index}}
  "qopt.repeat"() <{count = 2 : i64}> ({
  ^bb0(%layer: i64):
  }) : () -> ()
  return
}

// -----

func.func @select_number(%i: index, %a: memref<4xf32>) {
  // expected-error @below {{expected the number of the layer in a qopt.repeat}}
  %0 = qopt.select %i of %a : memref<4xf32>
  return
}

// -----

func.func @select_count(%a: memref<4xf32>) {
  qopt.repeat 2 as %layer {
    // expected-error @below {{expected a value for each of 2 layers but got 3}}
    %0 = qopt.select %layer of %a, %a, %a : memref<4xf32>
  }
  return
}

// -----

func.func @select_types(%a: memref<4xf32>, %b: memref<?xf32>) {
  qopt.repeat 2 as %layer {
    // expected-error @below {{expected values of type 'memref<4xf32>' but got 'memref<?xf32>'}}
    %0 = "qopt.select"(%layer, %a, %b) : (index, memref<4xf32>, memref<?xf32>) -> memref<4xf32>
  }
  return
}
