// RUN: qopt-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func.func @values
func.func @values(%x: tensor<?x?x64xf32>) -> tensor<?x?x64xf32> {
  // CHECK: qopt.parameter "model.norm.weight" dense<1.000000e+00> : tensor<64xf32>
  %w = qopt.parameter "model.norm.weight" dense<1.0> : tensor<64xf32>
  // CHECK: qopt.observe %{{.*}} "q_proj" ["absmax", "hessian"] : tensor<?x?x64xf32>
  %0 = qopt.observe %x "q_proj" ["absmax", "hessian"] : tensor<?x?x64xf32>
  // CHECK: qopt.observe %{{.*}} "q_proj" ["absmax"] absmax(3.500000e+00)
  %1 = qopt.observe %0 "q_proj" ["absmax"] absmax(3.5) : tensor<?x?x64xf32>
  %s = qopt.parameter "scale" dense<0.5> : tensor<f32>
  // CHECK: qopt.quantize %{{.*}}, %{{.*}} : (tensor<?x?x64xf32>, tensor<f32>) -> tensor<?x?x64xi8>
  %2 = qopt.quantize %1, %s : (tensor<?x?x64xf32>, tensor<f32>) -> tensor<?x?x64xi8>
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}} : (tensor<?x?x64xi8>, tensor<f32>) -> tensor<?x?x64xf32>
  %3 = qopt.dequantize %2, %s : (tensor<?x?x64xi8>, tensor<f32>) -> tensor<?x?x64xf32>
  return %3 : tensor<?x?x64xf32>
}

// CHECK-LABEL: func.func @weights
func.func @weights(%c: tensor<8x64xi8>, %s: tensor<8xf32>, %p: tensor<8x32xi8>, %g: tensor<8x2xf16>, %z: tensor<8x2xi8>) {
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}} : (tensor<8x64xi8>, tensor<8xf32>) -> tensor<8x64xf32>
  %0 = qopt.dequantize %c, %s : (tensor<8x64xi8>, tensor<8xf32>) -> tensor<8x64xf32>
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}} {group_size = 32 : i64}
  %1 = qopt.dequantize %p, %g {group_size = 32} : (tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<8x64xf32>
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}}, %{{.*}} {group_size = 32 : i64}
  %2 = qopt.dequantize %p, %g, %z {group_size = 32} : (tensor<8x32xi8>, tensor<8x2xf16>, tensor<8x2xi8>) -> tensor<8x64xf32>
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}} {columns = 63 : i64, group_size = 32 : i64}
  %4 = qopt.dequantize %p, %g {columns = 63, group_size = 32} : (tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<8x63xf32>
  // CHECK: qopt.replace_columns %{{.*}}, %{{.*}} {columns = array<i32: 3, 17>} : (tensor<8x64xf32>, tensor<8x2xf16>) -> tensor<8x64xf32>
  %3 = qopt.replace_columns %0, %g {columns = array<i32: 3, 17>} : (tensor<8x64xf32>, tensor<8x2xf16>) -> tensor<8x64xf32>
  return
}

// CHECK-LABEL: func.func @products
func.func @products(%x: tensor<?x64xf32>, %w: tensor<8x64xi8>, %ws: tensor<8xf32>, %p: tensor<8x32xi8>, %g: tensor<8x2xf16>) {
  // CHECK: qopt.dynamic_quantize %{{.*}} : (tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?xf32>)
  %c, %s = qopt.dynamic_quantize %x : (tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?xf32>)
  // CHECK: qopt.matmul_w8a8 %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} :
  %0 = qopt.matmul_w8a8 %c, %s, %w, %ws : (tensor<?x64xi8>, tensor<?xf32>, tensor<8x64xi8>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: qopt.split_columns %{{.*}} {threshold = 6.000000e+00 : f32}
  %d, %t, %columns = qopt.split_columns %x {threshold = 6.0 : f32} : (tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?xf32>, tensor<64xi32>)
  // CHECK: qopt.matmul_w8a8 %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} outliers(%{{.*}}) columns(%{{.*}}) :
  %1 = qopt.matmul_w8a8 %d, %t, %w, %ws outliers(%x) columns(%columns) : (tensor<?x64xi8>, tensor<?xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<?x64xf32>, tensor<64xi32>) -> tensor<?x8xf32>
  // CHECK: qopt.split_columns_at %{{.*}} {columns = array<i32: 3, 17>} : (tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xf32>)
  %e, %u, %outliers = qopt.split_columns_at %x {columns = array<i32: 3, 17>} : (tensor<?x64xf32>) -> (tensor<?x64xi8>, tensor<?xf32>, tensor<?x2xf32>)
  // CHECK: qopt.matmul_w8a8 %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} outliers(%{{.*}}) weights(%{{.*}}) :
  %4 = qopt.matmul_w8a8 %e, %u, %w, %ws outliers(%outliers) weights(%g) : (tensor<?x64xi8>, tensor<?xf32>, tensor<8x64xi8>, tensor<8xf32>, tensor<?x2xf32>, tensor<8x2xf16>) -> tensor<?x8xf32>
  // CHECK: qopt.matmul_w8a16
  %2 = qopt.matmul_w8a16 %x, %w, %ws : (tensor<?x64xf32>, tensor<8x64xi8>, tensor<8xf32>) -> tensor<?x8xf32>
  // CHECK: qopt.matmul_w4a16 %{{.*}}, %{{.*}}, %{{.*}} {group_size = 32 : i64}
  %3 = qopt.matmul_w4a16 %x, %p, %g {group_size = 32 : i64} : (tensor<?x64xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func.func @small_weights
func.func @small_weights(%x: tensor<?x64xf32>, %w: tensor<8x64xi8>, %ws: tensor<8xf32>, %p: tensor<8x32xi8>, %g: tensor<8x2xf16>, %z: tensor<8x2xi8>, %f: tensor<8x2xf32>) {
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}} {float8} : (tensor<8x64xi8>, tensor<8xf32>) -> tensor<8x64xf32>
  %0 = qopt.dequantize %w, %ws {float8} : (tensor<8x64xi8>, tensor<8xf32>) -> tensor<8x64xf32>
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}}, %{{.*}} {bytes, group_size = 32 : i64}
  %1 = qopt.dequantize %w, %g, %z {bytes, group_size = 32} : (tensor<8x64xi8>, tensor<8x2xf16>, tensor<8x2xi8>) -> tensor<8x64xf32>
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}}, %{{.*}} {group_size = 32 : i64} : (tensor<8x32xi8>, tensor<8x2xf16>, tensor<8x2xf32>) -> tensor<8x64xf32>
  %2 = qopt.dequantize %p, %g, %f {group_size = 32} : (tensor<8x32xi8>, tensor<8x2xf16>, tensor<8x2xf32>) -> tensor<8x64xf32>
  // CHECK: qopt.dequantize %{{.*}}, %{{.*}} {group_size = 32 : i64, table = array<f32: 0.000000e+00, 1.000000e+00
  %3 = qopt.dequantize %p, %g {group_size = 32, table = array<f32: 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0>} : (tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<8x64xf32>
  // CHECK: qopt.matmul_w8a16 %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {group_size = 32 : i64}
  %4 = qopt.matmul_w8a16 %x, %w, %g, %z {group_size = 32} : (tensor<?x64xf32>, tensor<8x64xi8>, tensor<8x2xf16>, tensor<8x2xi8>) -> tensor<?x8xf32>
  // CHECK: qopt.matmul_w4a16 %{{.*}}, %{{.*}}, %{{.*}} {group_size = 32 : i64, table = array<f32: 0.000000e+00
  %5 = qopt.matmul_w4a16 %x, %p, %g {group_size = 32, table = array<f32: 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0>} : (tensor<?x64xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<?x8xf32>
  return
}

// CHECK-LABEL: func.func @integer_groups
func.func @integer_groups(%x: tensor<?x3x70xf32>, %p: tensor<8x35xi8>, %g: tensor<8x3xf16>, %z: tensor<8x3xi8>) {
  // CHECK: qopt.dynamic_quantize %{{.*}} {group_size = 16 : i64} : (tensor<?x3x70xf32>) -> (tensor<?x3x70xi8>, tensor<?x3x5xf32>)
  %c, %s = qopt.dynamic_quantize %x {group_size = 16} : (tensor<?x3x70xf32>) -> (tensor<?x3x70xi8>, tensor<?x3x5xf32>)
  // CHECK: qopt.matmul_w4a8 %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {group_size = 32 : i64, x_group_size = 16 : i64} :
  %0 = qopt.matmul_w4a8 %c, %s, %p, %g {group_size = 32, x_group_size = 16} : (tensor<?x3x70xi8>, tensor<?x3x5xf32>, tensor<8x35xi8>, tensor<8x3xf16>) -> tensor<?x3x8xf32>
  // CHECK: qopt.matmul_w4a8 %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {group_size = 32 : i64, x_group_size = 16 : i64} :
  %1 = qopt.matmul_w4a8 %c, %s, %p, %g, %z {group_size = 32, x_group_size = 16} : (tensor<?x3x70xi8>, tensor<?x3x5xf32>, tensor<8x35xi8>, tensor<8x3xf16>, tensor<8x3xi8>) -> tensor<?x3x8xf32>
  return
}

// CHECK-LABEL: func.func @cached_attention
func.func @cached_attention(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %v: tensor<?x?x16xf32>, %keys: memref<?x4x?x8xf32>, %values: memref<?x4x?x4xf32>, %past: tensor<1xi64>) {
  // CHECK: qopt.cached_attention %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} :
  %0 = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x16xf32>, memref<?x4x?x8xf32>, memref<?x4x?x4xf32>, tensor<1xi64>) -> tensor<?x?x32xf32>
  // CHECK: qopt.cached_attention {{.*}} {scale = 5.000000e-01 : f32, softcap = 3.000000e+01 : f32}
  %1 = qopt.cached_attention %q, %k, %v, %keys, %values, %past {scale = 0.5 : f32, softcap = 30.0 : f32} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x16xf32>, memref<?x4x?x8xf32>, memref<?x4x?x4xf32>, tensor<1xi64>) -> tensor<?x?x32xf32>
  return
}

// CHECK-LABEL: func.func @scheme
// CHECK-SAME: #qopt.scheme<kind = "llm-int8", threshold = 4.0>
// CHECK-SAME: #qopt.scheme<kind = "llm-int8", threshold = 1.0e-05, outliers = static>
// CHECK-SAME: #qopt.scheme<kind = "int8-static", observer = "moving-average", batchSize = 2>
// CHECK-SAME: #qopt.scheme<kind = "gptq-int4", groupSize = 32, sym = false>
// Defaults are not written.
// CHECK-SAME: e = #qopt.scheme<kind = "llm-int8">
func.func @scheme() attributes {a = #qopt.scheme<kind = "llm-int8", threshold = 4.0>, b = #qopt.scheme<kind = "llm-int8", outliers = static, threshold = 0.00001>, c = #qopt.scheme<kind = "int8-static", observer = "moving-average", batchSize = 2>, d = #qopt.scheme<kind = "gptq-int4", groupSize = 32, sym = false>, e = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = dynamic>} {
  return
}

// CHECK-LABEL: func.func @checks(
// CHECK-SAME:    %{{.*}}: i64 {qopt.role = #qopt.role<other>}
func.func @checks(%ok: i1, %a: i64, %b: i64 {qopt.role = #qopt.role<other>}) {
  // CHECK: qopt.require %{{.*}}, shape_mismatch(%{{.*}}, %{{.*}})
  qopt.require %ok, shape_mismatch(%a, %b)
  scf.if %ok {
    // CHECK: qopt.fail index_out_of_range(%{{.*}}, %{{.*}})
    qopt.fail index_out_of_range(%a, %b)
  }
  return
}

// CHECK-LABEL: func.func @layers(
func.func @layers(%a: memref<?xf32>, %b: memref<?xf32>, %ok: i1, %z: i64) {
  // CHECK: qopt.repeat 2 as %[[LAYER:.*]] {
  // CHECK-NEXT: qopt.select %[[LAYER]] of %{{.*}}, %{{.*}} : memref<?xf32>
  // CHECK-NEXT: qopt.require
  // CHECK-NEXT: }
  qopt.repeat 2 as %layer {
    %0 = qopt.select %layer of %a, %b : memref<?xf32>
    qopt.require %ok, shape_mismatch(%z, %z)
  }
  // CHECK: qopt.repeat 1 as %{{.*}} {
  // CHECK-NEXT: }
  qopt.repeat 1 as %layer {
  }
  return
}
