// RUN: qopt-opt %s --verify-roundtrip | FileCheck %s
//
// Every kernel on memory and on tensors, with all optional operands.

// CHECK-LABEL: func.func @products
func.func @products(%x: memref<?x6xf32>, %c: memref<?x6xi8>, %y: memref<?x20xf32>, %s: memref<20xf32>, %one: memref<f32>, %rows: memref<?xf32>,
                    %f: memref<2x6x16xf32>, %h: memref<2x6x16xbf16>, %i: memref<2x6x16xi8>,
                    %q: memref<2x2x64xi8>, %g: memref<2x2x16xf16>, %z: memref<2x2x16xi8>,
                    %p: memref<?x2xf32>, %d: memref<2x2x64xi8>, %k: memref<32xi32>, %l: memref<6xi32>, %o: memref<?x?xf32>, %w: memref<2x?x16xf16>, %n: memref<1xi32>) {
  // CHECK: kernel.matmul_float ins(%{{.*}}, %{{.*}} : memref<?x6xf32>, memref<2x6x16xf32>) outs(%{{.*}} : memref<?x20xf32>)
  kernel.matmul_float ins(%x, %f : memref<?x6xf32>, memref<2x6x16xf32>) outs(%y : memref<?x20xf32>)
  // CHECK: kernel.matmul_float ins(%{{.*}}, %{{.*}} : memref<?x6xf32>, memref<2x6x16xbf16>)
  kernel.matmul_float ins(%x, %h : memref<?x6xf32>, memref<2x6x16xbf16>) outs(%y : memref<?x20xf32>)
  // CHECK: kernel.matmul_w8a16
  kernel.matmul_w8a16 ins(%x, %i, %s : memref<?x6xf32>, memref<2x6x16xi8>, memref<20xf32>) outs(%y : memref<?x20xf32>)
  // CHECK: kernel.matmul_w8a16 ins(%{{.*}}) zeros(%{{.*}} : memref<2x2x16xi8>) outs(%{{.*}}) {group_size = 4 : i64}
  kernel.matmul_w8a16 ins(%x, %i, %g : memref<?x6xf32>, memref<2x6x16xi8>, memref<2x2x16xf16>) zeros(%z : memref<2x2x16xi8>) outs(%y : memref<?x20xf32>) {group_size = 4 : i64}
  // CHECK: kernel.matmul_w8a16 ins(%{{.*}}) outs(%{{.*}}) {float8}
  kernel.matmul_w8a16 ins(%x, %i, %s : memref<?x6xf32>, memref<2x6x16xi8>, memref<20xf32>) outs(%y : memref<?x20xf32>) {float8}
  // CHECK: kernel.matmul_w4a16 ins(%{{.*}}) outs(%{{.*}}) {group_size = 4 : i64, table = array<f32: 0.000000e+00, 1.000000e+00
  kernel.matmul_w4a16 ins(%x, %q, %g : memref<?x6xf32>, memref<2x2x64xi8>, memref<2x2x16xf16>) outs(%y : memref<?x20xf32>) {group_size = 4 : i64, table = array<f32: 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0>}
  // CHECK: kernel.matmul_w4a16 ins(%{{.*}}, %{{.*}}, %{{.*}} : {{.*}}) zeros(%{{.*}} : memref<2x2x16xi8>) outs(%{{.*}} : memref<?x20xf32>) {group_size = 4 : i64}
  kernel.matmul_w4a16 ins(%x, %q, %g : memref<?x6xf32>, memref<2x2x64xi8>, memref<2x2x16xf16>) zeros(%z : memref<2x2x16xi8>) outs(%y : memref<?x20xf32>) {group_size = 4 : i64}
  // CHECK: kernel.matmul_w4a8 ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : {{.*}}) zeros(%{{.*}} : memref<2x2x16xi8>) outs(%{{.*}} : memref<?x20xf32>) {group_size = 4 : i64, x_group_size = 4 : i64}
  kernel.matmul_w4a8 ins(%c, %p, %q, %g : memref<?x6xi8>, memref<?x2xf32>, memref<2x2x64xi8>, memref<2x2x16xf16>) zeros(%z : memref<2x2x16xi8>) outs(%y : memref<?x20xf32>) {group_size = 4 : i64, x_group_size = 4 : i64}
  // CHECK: kernel.matmul_w8a8
  kernel.matmul_w8a8 ins(%c, %one, %d, %k, %s : memref<?x6xi8>, memref<f32>, memref<2x2x64xi8>, memref<32xi32>, memref<20xf32>) outs(%y : memref<?x20xf32>)
  // CHECK: kernel.matmul_w8a8 {{.*}} outliers(%{{.*}} : memref<?x6xf32>) columns(%{{.*}} : memref<6xi32>) outs(
  kernel.matmul_w8a8 ins(%c, %rows, %d, %k, %s : memref<?x6xi8>, memref<?xf32>, memref<2x2x64xi8>, memref<32xi32>, memref<20xf32>)
      outliers(%x : memref<?x6xf32>) columns(%l : memref<6xi32>) outs(%y : memref<?x20xf32>)
  // CHECK: kernel.matmul_w8a8 {{.*}} outliers(%{{.*}} : memref<?x?xf32>) weights(%{{.*}}, %{{.*}} : memref<2x?x16xf16>, memref<1xi32>) outs(
  kernel.matmul_w8a8 ins(%c, %rows, %d, %k, %s : memref<?x6xi8>, memref<?xf32>, memref<2x2x64xi8>, memref<32xi32>, memref<20xf32>)
      outliers(%o : memref<?x?xf32>) weights(%w, %n : memref<2x?x16xf16>, memref<1xi32>) outs(%y : memref<?x20xf32>)
  return
}

// CHECK-LABEL: func.func @quantization
func.func @quantization(%x: tensor<?x4xf32>, %one: tensor<f32>, %c: tensor<?x4xi8>, %s: tensor<?xf32>, %sg: tensor<?x2xf32>, %l: tensor<4xi32>, %m: tensor<?xi32>, %o: tensor<?x?xf32>) {
  // CHECK: %{{.*}} = kernel.quantize ins(%{{.*}}, %{{.*}} : tensor<?x4xf32>, tensor<f32>) outs(%{{.*}} : tensor<?x4xi8>) -> tensor<?x4xi8>
  %0 = kernel.quantize ins(%x, %one : tensor<?x4xf32>, tensor<f32>) outs(%c : tensor<?x4xi8>) -> tensor<?x4xi8>
  // CHECK: %{{.*}}:2 = kernel.dynamic_quantize ins(%{{.*}} : tensor<?x4xf32>) outs(%{{.*}}, %{{.*}} : tensor<?x4xi8>, tensor<?xf32>) -> tensor<?x4xi8>, tensor<?xf32>
  %1:2 = kernel.dynamic_quantize ins(%x : tensor<?x4xf32>) outs(%c, %s : tensor<?x4xi8>, tensor<?xf32>) -> tensor<?x4xi8>, tensor<?xf32>
  // CHECK: %{{.*}}:2 = kernel.dynamic_quantize {{.*}} tensor<?x2xf32>) {group_size = 2 : i64} -> tensor<?x4xi8>, tensor<?x2xf32>
  %g:2 = kernel.dynamic_quantize ins(%x : tensor<?x4xf32>) outs(%c, %sg : tensor<?x4xi8>, tensor<?x2xf32>) {group_size = 2 : i64} -> tensor<?x4xi8>, tensor<?x2xf32>
  // CHECK: %{{.*}}:3 = kernel.split_columns {{.*}} {threshold = 6.000000e+00 : f32} ->
  %2:3 = kernel.split_columns ins(%x : tensor<?x4xf32>) outs(%c, %s, %l : tensor<?x4xi8>, tensor<?xf32>, tensor<4xi32>) {threshold = 6.0 : f32} -> tensor<?x4xi8>, tensor<?xf32>, tensor<4xi32>
  // CHECK: %{{.*}}:3 = kernel.split_columns_at
  %3:3 = kernel.split_columns_at ins(%x, %m : tensor<?x4xf32>, tensor<?xi32>) outs(%c, %s, %o : tensor<?x4xi8>, tensor<?xf32>, tensor<?x?xf32>) -> tensor<?x4xi8>, tensor<?xf32>, tensor<?x?xf32>
  return
}

// CHECK-LABEL: func.func @decoder
func.func @decoder(%x: tensor<?x4xf32>, %w: tensor<4xf32>, %h: tensor<?x?x2x4xf32>, %t: tensor<?x3x?x4xf32>, %cos: tensor<16x1xf32>, %cosines: tensor<?x?x2xf32>, %p: tensor<1x?xi64>,
                   %i: tensor<?xi64>, %v: tensor<32x4xf32>, %v2: tensor<2x4x16xf32>, %codes: tensor<2x1x64xi8>, %s32: tensor<32xf32>, %mask: tensor<?x1x1x?xi1>, %cache: memref<?x2x?x4xf32>, %past: tensor<1xi64>) {
  // CHECK: kernel.rms_norm {{.*}} {epsilon = 9.99999974E-6 : f32} -> tensor<?x4xf32>
  %0 = kernel.rms_norm ins(%x, %w : tensor<?x4xf32>, tensor<4xf32>) outs(%x : tensor<?x4xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x4xf32>
  // CHECK: kernel.layer_norm ins({{.*}}) bias(%{{.*}} : tensor<4xf32>) outs({{.*}}) {epsilon = 9.99999974E-6 : f32} -> tensor<?x4xf32>
  %n = kernel.layer_norm ins(%x, %w : tensor<?x4xf32>, tensor<4xf32>) bias(%w : tensor<4xf32>) outs(%x : tensor<?x4xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x4xf32>
  // CHECK: kernel.rotary ins({{.*}}) positions(%{{.*}} : tensor<1x?xi64>) outs(%{{.*}} : tensor<?x?x2x4xf32>) {rotary_dim = 2 : i64}
  %1 = kernel.rotary ins(%h, %cos, %cos : tensor<?x?x2x4xf32>, tensor<16x1xf32>, tensor<16x1xf32>) positions(%p : tensor<1x?xi64>) outs(%h : tensor<?x?x2x4xf32>) {rotary_dim = 2} -> tensor<?x?x2x4xf32>
  // CHECK: kernel.rotary {{.*}} {heads_first, interleaved, rotary_dim = 4 : i64}
  %2 = kernel.rotary ins(%t, %cosines, %cosines : tensor<?x3x?x4xf32>, tensor<?x?x2xf32>, tensor<?x?x2xf32>) outs(%t : tensor<?x3x?x4xf32>) {rotary_dim = 4, interleaved, heads_first} -> tensor<?x3x?x4xf32>
  // CHECK: kernel.gather
  %3 = kernel.gather ins(%v, %i : tensor<32x4xf32>, tensor<?xi64>) outs(%x : tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: kernel.gather {{.*}} {rows = 32 : i64}
  %4 = kernel.gather ins(%v2, %i : tensor<2x4x16xf32>, tensor<?xi64>) outs(%x : tensor<?x4xf32>) {rows = 32} -> tensor<?x4xf32>
  // CHECK: kernel.gather {{.*}} scales(%{{.*}} : tensor<32xf32>) outs(%{{.*}} : tensor<?x4xf32>) {rows = 32 : i64}
  %g = kernel.gather ins(%codes, %i : tensor<2x1x64xi8>, tensor<?xi64>) scales(%s32 : tensor<32xf32>) outs(%x : tensor<?x4xf32>) {rows = 32} -> tensor<?x4xf32>
  // CHECK: kernel.attention ins({{.*}}) mask(%{{.*}} : tensor<?x1x1x?xi1>) outs({{.*}}) {causal, offset, scale = 5.000000e-01 : f32, softcap = 3.000000e+01 : f32}
  %5 = kernel.attention ins(%h, %h, %h : tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>, tensor<?x?x2x4xf32>) mask(%mask : tensor<?x1x1x?xi1>) outs(%h : tensor<?x?x2x4xf32>) {causal, offset, scale = 0.5 : f32, softcap = 30.0 : f32} -> tensor<?x?x2x4xf32>
  // CHECK: kernel.attention {{.*}} outs({{.*}}) {in_order, kv_heads_first, q_heads_first}
  %6 = kernel.attention ins(%t, %t, %t : tensor<?x3x?x4xf32>, tensor<?x3x?x4xf32>, tensor<?x3x?x4xf32>) outs(%t : tensor<?x3x?x4xf32>) {q_heads_first, kv_heads_first, in_order} -> tensor<?x3x?x4xf32>
  // Caches are memory from the beginning.
  // CHECK: kernel.cache_append ins(%{{.*}}, %{{.*}} : tensor<?x?x2x4xf32>, tensor<1xi64>) outs(%{{.*}} : memref<?x2x?x4xf32>){{$}}
  kernel.cache_append ins(%h, %past : tensor<?x?x2x4xf32>, tensor<1xi64>) outs(%cache : memref<?x2x?x4xf32>)
  // CHECK: kernel.cached_attention
  %7 = kernel.cached_attention ins(%h, %cache, %cache, %past : tensor<?x?x2x4xf32>, memref<?x2x?x4xf32>, memref<?x2x?x4xf32>, tensor<1xi64>) outs(%h : tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32>
  return
}

#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-LABEL: func.func @group
func.func @group(%x: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x1x64xi8>, %k: memref<16xi32>, %s: memref<4xf32>, %y: memref<?x4xf32>, %n: index) {
  %a = memref.alloc(%n) : memref<?x4xf32>
  %c = memref.alloc(%n) : memref<?x4xi8>
  %t = memref.alloc(%n) : memref<?xf32>
  %b = memref.alloc(%n) : memref<?x4xf32>
  // CHECK:      kernel.group(%[[X:.*]] = %arg0 : memref<?x4xf32>, %[[G:.*]] = %arg1 : memref<4xf32>,
  // CHECK-SAME:   %[[A:.*]] = %alloc scratch : memref<?x4xf32>,
  // CHECK-SAME:   {
  kernel.group(%gx = %x : memref<?x4xf32>, %gg = %g : memref<4xf32>, %ga = %a scratch : memref<?x4xf32>, %gc = %c scratch : memref<?x4xi8>, %gt = %t scratch : memref<?xf32>,
               %gw = %w : memref<1x1x64xi8>, %gk = %k : memref<16xi32>, %gs = %s : memref<4xf32>, %gb = %b scratch : memref<?x4xf32>, %gy = %y : memref<?x4xf32>) {
    // CHECK-NEXT: kernel.stage preparation {
    // CHECK-NEXT:   kernel.rms_norm ins(%[[X]], %[[G]] : {{.*}}) outs(%[[A]] : {{.*}})
    // CHECK-NEXT:   kernel.dynamic_quantize
    // CHECK-NEXT: } products {
    // CHECK-NEXT:   kernel.matmul_w8a8
    // CHECK-NEXT: } epilogue {
    // CHECK-NEXT:   linalg.generic
    kernel.stage preparation {
      kernel.rms_norm ins(%gx, %gg : memref<?x4xf32>, memref<4xf32>) outs(%ga : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
      kernel.dynamic_quantize ins(%ga : memref<?x4xf32>) outs(%gc, %gt : memref<?x4xi8>, memref<?xf32>)
    } products {
      kernel.matmul_w8a8 ins(%gc, %gt, %gw, %gk, %gs : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%gb : memref<?x4xf32>)
    } epilogue {
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%gx : memref<?x4xf32>) outs(%gb : memref<?x4xf32>) {
      ^bb0(%l: f32, %r: f32):
        %0 = arith.addf %l, %r : f32
        linalg.yield %0 : f32
      }
    }
    // What the last loop has made is quantized by the next stage.
    // CHECK:      kernel.stage preparation {
    // CHECK:      } products {
    // CHECK-NEXT:   kernel.matmul_w8a8
    // CHECK-NEXT: }{{$}}
    kernel.stage preparation {
      kernel.dynamic_quantize ins(%gb : memref<?x4xf32>) outs(%gc, %gt : memref<?x4xi8>, memref<?xf32>)
    } products {
      kernel.matmul_w8a8 ins(%gc, %gt, %gw, %gk, %gs : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%gy : memref<?x4xf32>)
    }
  }
  // A single stage needs no preparation.
  // CHECK: kernel.stage products {
  kernel.group(%gx = %x : memref<?x4xf32>, %gw = %w : memref<1x1x64xi8>, %n0 = %n : index, %gc = %c : memref<?x4xi8>, %gt = %t : memref<?xf32>, %gk = %k : memref<16xi32>, %gs = %s : memref<4xf32>) {
    kernel.stage products {
      kernel.matmul_w8a8 ins(%gc, %gt, %gw, %gk, %gs : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%gx : memref<?x4xf32>)
    }
  }
  return
}
