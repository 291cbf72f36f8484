// RUN: qopt-opt %s --qopt-group-kernels --split-input-file --verify-diagnostics | FileCheck %s
//
// What prepares an input, the products of it and what follows element by element become
// a group; buffers that only it uses are scratch.

// CHECK-LABEL: func.func @forward(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>, %[[G:.*]]: memref<4xf32>, %[[W:.*]]: memref<1x1x64xi8>, %[[C:.*]]: memref<16xi32>, %[[S:.*]]: memref<8xf32>,
// CHECK-SAME:    %[[N:.*]]: index
// CHECK:         %[[Y:.*]] = memref.alloc({{.*}}) : memref<?x2x4xf32>
// CHECK:         qopt.require
// CHECK-NEXT:    kernel.group(%[[GX:.*]] = %[[X]] : memref<?x4xf32>, %[[GG:.*]] = %[[G]] : memref<4xf32>, %[[XN:.*]] = %{{.*}} scratch : memref<?x4xf32>,
// CHECK-SAME:      %[[Q:.*]] = %{{.*}} scratch : memref<?x4xi8>, %[[T:.*]] = %{{.*}} scratch : memref<?xf32>,
// CHECK-SAME:      %[[GW:.*]] = %[[W]] : memref<1x1x64xi8>, %[[GC:.*]] = %[[C]] : memref<16xi32>, %[[GS:.*]] = %[[S]] : memref<8xf32>,
// CHECK-SAME:      %[[GATE:.*]] = %{{.*}} scratch : memref<?x8xf32>, %[[UP:.*]] = %{{.*}} scratch : memref<?x8xf32>, %[[GN:.*]] = %[[N]] : index, %[[GY:.*]] = %[[Y]] : memref<?x2x4xf32>) {
// CHECK-NEXT:      %[[A:.*]] = memref.expand_shape %[[GATE]]
// CHECK-NEXT:      %[[B:.*]] = memref.expand_shape %[[UP]]
// CHECK-NEXT:      kernel.stage preparation {
// CHECK-NEXT:        kernel.rms_norm ins(%[[GX]], %[[GG]] : {{.*}}) outs(%[[XN]] :
// CHECK-NEXT:        kernel.dynamic_quantize ins(%[[XN]] : {{.*}}) outs(%[[Q]], %[[T]] :
// CHECK-NEXT:      } products {
// CHECK-NEXT:        kernel.matmul_w8a8 ins(%[[Q]], %[[T]], %[[GW]], %[[GC]], %[[GS]] : {{.*}}) outs(%[[GATE]] :
// CHECK-NEXT:        kernel.matmul_w8a8 ins(%[[Q]], %[[T]], %[[GW]], %[[GC]], %[[GS]] : {{.*}}) outs(%[[UP]] :
// CHECK-NEXT:      } epilogue {
// CHECK-NEXT:        linalg.generic {{.*}} ins(%[[A]], %[[B]] : {{.*}}) outs(%[[GY]] : memref<?x2x4xf32>)
// CHECK:         %[[FLAT:.*]] = memref.collapse_shape %[[Y]]
// CHECK-NEXT:    return %[[FLAT]]
#all = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @forward(%x: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x1x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>,
                   %n: index, %ok: i1, %z: i64) -> memref<?x8xf32> {
  %xn = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x, %g : memref<?x4xf32>, memref<4xf32>) outs(%xn : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  %q = memref.alloc(%n) : memref<?x4xi8>
  %t = memref.alloc(%n) : memref<?xf32>
  kernel.dynamic_quantize ins(%xn : memref<?x4xf32>) outs(%q, %t : memref<?x4xi8>, memref<?xf32>)
  %gate = memref.alloc(%n) : memref<?x8xf32>
  kernel.matmul_w8a8 ins(%q, %t, %w, %c, %s : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<8xf32>) outs(%gate : memref<?x8xf32>)
  %a = memref.expand_shape %gate [[0], [1, 2]] output_shape [%n, 2, 4] : memref<?x8xf32> into memref<?x2x4xf32>
  %up = memref.alloc(%n) : memref<?x8xf32>
  kernel.matmul_w8a8 ins(%q, %t, %w, %c, %s : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<8xf32>) outs(%up : memref<?x8xf32>)
  %b = memref.expand_shape %up [[0], [1, 2]] output_shape [%n, 2, 4] : memref<?x8xf32> into memref<?x2x4xf32>
  %y = memref.alloc(%n) : memref<?x2x4xf32>
  // A check of the host's is no part of it and nothing that it waits for.
  qopt.require %ok, shape_mismatch(%z, %z)
  linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%a, %b : memref<?x2x4xf32>, memref<?x2x4xf32>) outs(%y : memref<?x2x4xf32>) {
  ^bb0(%l: f32, %r: f32, %out: f32):
    %p = arith.mulf %l, %r : f32
    linalg.yield %p : f32
  }
  %flat = memref.collapse_shape %y [[0], [1, 2]] : memref<?x2x4xf32> into memref<?x8xf32>
  return %flat : memref<?x8xf32>
}

// -----

func.func private @use(memref<?x4xf32>)

// A normalization that others read, too, stays outside, and so does a product alone.
// CHECK-LABEL: func.func @skips_shared_norm(
// CHECK-NOT:     kernel.group
// CHECK:         kernel.rms_norm
// CHECK-NEXT:    kernel.matmul_float
// CHECK:         call @use(
func.func @skips_shared_norm(%x: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>, %n: index) {
  %xn = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x, %g : memref<?x4xf32>, memref<4xf32>) outs(%xn : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  kernel.matmul_float ins(%xn, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  call @use(%xn) : (memref<?x4xf32>) -> ()
  return
}

// Products of other inputs, and operations in between that touch memory, end a group.
// CHECK-LABEL: func.func @skips_other_input(
// CHECK-NEXT:    kernel.matmul_float
// CHECK-NEXT:    kernel.matmul_float
// CHECK-NEXT:    call @use(
// CHECK-NEXT:    kernel.matmul_float
func.func @skips_other_input(%x: memref<?x4xf32>, %z: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>, %v: memref<?x4xf32>) {
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  kernel.matmul_float ins(%z, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%v : memref<?x4xf32>)
  call @use(%v) : (memref<?x4xf32>) -> ()
  kernel.matmul_float ins(%z, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%v : memref<?x4xf32>)
  return
}

#id = affine_map<(d0, d1) -> (d0, d1)>
#turned = affine_map<(d0, d1) -> (d1, d0)>
#last = affine_map<(d0, d1) -> (d1)>

// Other blocks still read the input as a whole when one of them would write it.
// CHECK-LABEL: func.func @skips_writing_the_input(
// CHECK-NEXT:    kernel.matmul_float
// CHECK-NEXT:    linalg.generic
func.func @skips_writing_the_input(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>) {
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : memref<?x4xf32>) outs(%x : memref<?x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  }
  return
}

// A transposition and a sum are not elementwise.
// CHECK-LABEL: func.func @skips_other_loops(
// CHECK:         kernel.matmul_float
// CHECK-NEXT:    linalg.generic
// CHECK:         kernel.matmul_float
// CHECK-NEXT:    linalg.generic
func.func @skips_other_loops(%x: memref<4x4xf32>, %w: memref<1x4x16xf32>, %y: memref<4x4xf32>, %z: memref<4x4xf32>, %s: memref<4xf32>) {
  %xd = memref.cast %x : memref<4x4xf32> to memref<?x4xf32>
  %yd = memref.cast %y : memref<4x4xf32> to memref<?x4xf32>
  kernel.matmul_float ins(%xd, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%yd : memref<?x4xf32>)
  linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : memref<4x4xf32>) outs(%z : memref<4x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  kernel.matmul_float ins(%xd, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%yd : memref<?x4xf32>)
  linalg.generic {indexing_maps = [#id, #last], iterator_types = ["reduction", "parallel"]}
      ins(%y : memref<4x4xf32>) outs(%s : memref<4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  }
  return
}

// A bias is read along the last dimension; what others read is no scratch.
// CHECK-LABEL: func.func @takes_bias(
// CHECK-NEXT:    kernel.group(%{{.*}} = %{{.*}} : memref<?x4xf32>, %{{.*}} = %{{.*}} : memref<1x4x16xf32>, %{{.*}} = %{{.*}} : memref<?x4xf32>, %{{.*}} = %{{.*}} : memref<4xf32>)
// CHECK:           kernel.matmul_float
// CHECK-NEXT:    } epilogue {
// CHECK-NEXT:      linalg.generic
// CHECK:         call @use(
func.func @takes_bias(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %b: memref<4xf32>, %y: memref<?x4xf32>) {
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  linalg.generic {indexing_maps = [#last, #id], iterator_types = ["parallel", "parallel"]}
      ins(%b : memref<4xf32>) outs(%y : memref<?x4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  }
  call @use(%y) : (memref<?x4xf32>) -> ()
  return
}

// Along a dimension of size 1 there is only index 0.
// CHECK-LABEL: func.func @takes_single_tokens(
// CHECK:         kernel.group(
// CHECK:           kernel.matmul_float
// CHECK-NEXT:    } epilogue {
// CHECK-NEXT:      linalg.generic
#single = affine_map<(d0, d1, d2) -> (d0, 0, d2)>
#all = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @takes_single_tokens(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %n: index, %z: memref<?x1x4xf32>) {
  %y = memref.alloc(%n) : memref<?x4xf32>
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  %t = memref.expand_shape %y [[0, 1], [2]] output_shape [%n, 1, 4] : memref<?x4xf32> into memref<?x1x4xf32>
  linalg.generic {indexing_maps = [#single, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%t : memref<?x1x4xf32>) outs(%z : memref<?x1x4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.negf %a : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

func.func private @use(memref<?x4xf32>)
#id = affine_map<(d0, d1) -> (d0, d1)>

// A loop that only makes the input that is quantized next joins two groups.
// CHECK-LABEL: func.func @joins(
// CHECK-NOT:     linalg.generic
// CHECK:         kernel.group(
// CHECK:           kernel.stage preparation {
// CHECK-NEXT:        kernel.dynamic_quantize
// CHECK-NEXT:      } products {
// CHECK-NEXT:        kernel.matmul_w8a8
// CHECK-NEXT:      } epilogue {
// CHECK-NEXT:        linalg.generic
// CHECK:           kernel.stage preparation {
// CHECK-NEXT:        kernel.dynamic_quantize
// CHECK-NEXT:      } products {
// CHECK-NEXT:        kernel.matmul_w8a8
// CHECK-NOT:     kernel.group
// CHECK:         return
func.func @joins(%x: memref<?x4xf32>, %w: memref<1x1x64xi8>, %c: memref<16xi32>, %s: memref<4xf32>, %y: memref<?x4xf32>, %n: index) {
  %q = memref.alloc(%n) : memref<?x4xi8>
  %t = memref.alloc(%n) : memref<?xf32>
  kernel.dynamic_quantize ins(%x : memref<?x4xf32>) outs(%q, %t : memref<?x4xi8>, memref<?xf32>)
  %up = memref.alloc(%n) : memref<?x4xf32>
  kernel.matmul_w8a8 ins(%q, %t, %w, %c, %s : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%up : memref<?x4xf32>)
  %a = memref.alloc(%n) : memref<?x4xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%up : memref<?x4xf32>) outs(%a : memref<?x4xf32>) {
  ^bb0(%l: f32, %o: f32):
    %0 = math.exp %l : f32
    linalg.yield %0 : f32
  }
  %p = memref.alloc(%n) : memref<?x4xi8>
  %u = memref.alloc(%n) : memref<?xf32>
  kernel.dynamic_quantize ins(%a : memref<?x4xf32>) outs(%p, %u : memref<?x4xi8>, memref<?xf32>)
  kernel.matmul_w8a8 ins(%p, %u, %w, %c, %s : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%y : memref<?x4xf32>)
  return
}

// Not where others read it.
// CHECK-LABEL: func.func @keeps_apart(
// CHECK:         kernel.group(
// CHECK:         kernel.group(
// CHECK:         call @use(
func.func @keeps_apart(%x: memref<?x4xf32>, %w: memref<1x1x64xi8>, %c: memref<16xi32>, %s: memref<4xf32>, %y: memref<?x4xf32>, %n: index) {
  %q = memref.alloc(%n) : memref<?x4xi8>
  %t = memref.alloc(%n) : memref<?xf32>
  kernel.dynamic_quantize ins(%x : memref<?x4xf32>) outs(%q, %t : memref<?x4xi8>, memref<?xf32>)
  %up = memref.alloc(%n) : memref<?x4xf32>
  kernel.matmul_w8a8 ins(%q, %t, %w, %c, %s : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%up : memref<?x4xf32>)
  %a = memref.alloc(%n) : memref<?x4xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%up : memref<?x4xf32>) outs(%a : memref<?x4xf32>) {
  ^bb0(%l: f32, %o: f32):
    %0 = math.exp %l : f32
    linalg.yield %0 : f32
  }
  %p = memref.alloc(%n) : memref<?x4xi8>
  %u = memref.alloc(%n) : memref<?xf32>
  kernel.dynamic_quantize ins(%a : memref<?x4xf32>) outs(%p, %u : memref<?x4xi8>, memref<?xf32>)
  kernel.matmul_w8a8 ins(%p, %u, %w, %c, %s : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%y : memref<?x4xf32>)
  call @use(%a) : (memref<?x4xf32>) -> ()
  return
}

// -----

// Products of one input come before all that follows them; not where that reads or writes
// the memory of another product's result.
// CHECK-LABEL: func.func @skips_product_over_a_result(
// CHECK:         kernel.group(
// CHECK:           linalg.generic
// CHECK:         kernel.matmul_float
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @skips_product_over_a_result(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>) {
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : memref<?x4xf32>) outs(%z : memref<?x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  }
  kernel.matmul_float ins(%x, %w : memref<?x4xf32>, memref<1x4x16xf32>) outs(%y : memref<?x4xf32>)
  return
}

// -----

func.func @tensors(%x: tensor<?x4xf32>, %g: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{expected a kernel on memory, as bufferization leaves it, but got 'tensor<?x4xf32>'}}
  %0 = kernel.rms_norm ins(%x, %g : tensor<?x4xf32>, tensor<4xf32>) outs(%x : tensor<?x4xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
