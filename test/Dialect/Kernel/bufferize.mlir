// RUN: qopt-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --canonicalize --split-input-file | FileCheck %s
//
// Kernels on tensors become the same kernels on memory. Empty destinations become
// allocations; caches stay where they are.

// CHECK-LABEL: func.func @quantized(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>,
func.func @quantized(%x: tensor<?x4xf32>, %w: tensor<1x1x64xi8>, %c: tensor<16xi32>, %s: tensor<4xf32>, %n: index) -> tensor<?x4xf32> {
  // CHECK-DAG: %[[CODES:.*]] = memref.alloc(%{{.*}}) {{.*}}: memref<?x4xi8>
  // CHECK-DAG: %[[SCALE:.*]] = memref.alloc(%{{.*}}) {{.*}}: memref<?xf32>
  %e = tensor.empty(%n) : tensor<?x4xi8>
  %f = tensor.empty(%n) : tensor<?xf32>
  // CHECK: kernel.dynamic_quantize ins(%[[X]] : memref<?x4xf32>) outs(%[[CODES]], %[[SCALE]] : memref<?x4xi8>, memref<?xf32>)
  %q:2 = kernel.dynamic_quantize ins(%x : tensor<?x4xf32>) outs(%e, %f : tensor<?x4xi8>, tensor<?xf32>) -> tensor<?x4xi8>, tensor<?xf32>
  %g = tensor.empty(%n) : tensor<?x4xf32>
  // CHECK: %[[Y:.*]] = memref.alloc(%{{.*}}) {{.*}}: memref<?x4xf32>
  // CHECK-NOT: memref.copy
  // CHECK: kernel.matmul_w8a8 ins(%[[CODES]], %[[SCALE]], {{.*}}) outs(%[[Y]] : memref<?x4xf32>)
  // CHECK: return %[[Y]]
  %y = kernel.matmul_w8a8 ins(%q#0, %q#1, %w, %c, %s : tensor<?x4xi8>, tensor<?xf32>, tensor<1x1x64xi8>, tensor<16xi32>, tensor<4xf32>) outs(%g : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: func.func @cached(
// CHECK-SAME:    %[[X:.*]]: memref<?x?x2x4xf32>, %[[CACHE:.*]]: memref<?x2x?x4xf32>, %[[PAST:.*]]: memref<1xi64>
func.func @cached(%x: tensor<?x?x2x4xf32>, %cache: memref<?x2x?x4xf32>, %past: tensor<1xi64>, %b: index, %n: index) -> tensor<?x?x2x4xf32> {
  // CHECK: kernel.cache_append ins(%[[X]], %[[PAST]] : {{.*}}) outs(%[[CACHE]] : memref<?x2x?x4xf32>)
  kernel.cache_append ins(%x, %past : tensor<?x?x2x4xf32>, tensor<1xi64>) outs(%cache : memref<?x2x?x4xf32>)
  %e = tensor.empty(%b, %n) : tensor<?x?x2x4xf32>
  // CHECK: kernel.cached_attention ins(%[[X]], %[[CACHE]], %[[CACHE]], %[[PAST]] : {{.*}}) outs(%{{.*}} : memref<?x?x2x4xf32>)
  %y = kernel.cached_attention ins(%x, %cache, %cache, %past : tensor<?x?x2x4xf32>, memref<?x2x?x4xf32>, memref<?x2x?x4xf32>, tensor<1xi64>) outs(%e : tensor<?x?x2x4xf32>) -> tensor<?x?x2x4xf32>
  return %y : tensor<?x?x2x4xf32>
}

// -----

// Code of kernels takes memory without gaps.
// CHECK-LABEL: func.func @copies_slices(
func.func @copies_slices(%x: tensor<8x8xf32>, %w: tensor<4xf32>) -> tensor<8x4xf32> {
  // CHECK: %[[SLICE:.*]] = memref.subview
  // CHECK: memref.copy %[[SLICE]], %[[DENSE:.*]] : memref<8x4xf32, strided<[8, 1], offset: 2>> to memref<8x4xf32>
  // CHECK: kernel.rms_norm ins(%[[DENSE]],
  %s = tensor.extract_slice %x[0, 2] [8, 4] [1, 1] : tensor<8x8xf32> to tensor<8x4xf32>
  %e = tensor.empty() : tensor<8x4xf32>
  %y = kernel.rms_norm ins(%s, %w : tensor<8x4xf32>, tensor<4xf32>) outs(%e : tensor<8x4xf32>) {epsilon = 1.0e-5 : f32} -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

// What is read again later is not overwritten.
// CHECK-LABEL: func.func @keeps_what_is_read(
// CHECK-SAME:    %[[X:.*]]: memref<8x4xf32>,
func.func @keeps_what_is_read(%x: tensor<8x4xf32>, %w: tensor<4xf32>) -> (tensor<8x4xf32>, tensor<8x4xf32>) {
  // CHECK: %[[Y:.*]] = memref.alloc
  // CHECK: kernel.rms_norm ins(%[[X]], %{{.*}} : {{.*}}) outs(%[[Y]] :
  %y = kernel.rms_norm ins(%x, %w : tensor<8x4xf32>, tensor<4xf32>) outs(%x : tensor<8x4xf32>) {epsilon = 1.0e-5 : f32} -> tensor<8x4xf32>
  return %x, %y : tensor<8x4xf32>, tensor<8x4xf32>
}
