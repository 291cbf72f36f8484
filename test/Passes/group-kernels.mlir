// RUN: qopt-opt %s --qopt-group-kernels --split-input-file | FileCheck %s
//
// What prepares an input, the products of it and what follows element by element become
// a function; buffers that only it uses are scratch.

func.func private @norm(memref<?x4xf32>, memref<4xf32>, memref<?x4xf32>) attributes {qopt.kernel = "rms_norm"}
func.func private @codes(memref<?x4xf32>, memref<?x4xi8>, memref<?xf32>) attributes {qopt.kernel = "dynamic_quantize"}
func.func private @mul(memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<8xf32>, memref<?x8xf32>)
    attributes {qopt.kernel = "matmul_w8a8"}

// CHECK-LABEL: func.func @forward(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>, %[[G:.*]]: memref<4xf32>, %[[W:.*]]: memref<1x1x64xi8>, %[[C:.*]]: memref<16xi32>, %[[S:.*]]: memref<8xf32>,
// CHECK-SAME:    %[[N:.*]]: index
// CHECK:         %[[Y:.*]] = memref.alloc({{.*}}) : memref<?x2x4xf32>
// CHECK:         qopt.require
// CHECK-NEXT:    call @mul_group(%[[X]], %[[G]], %{{.*}}, %{{.*}}, %{{.*}}, %[[W]], %[[C]], %[[S]], %{{.*}}, %{{.*}}, %[[N]], %[[Y]])
// CHECK-NEXT:    %[[FLAT:.*]] = memref.collapse_shape %[[Y]]
// CHECK-NEXT:    return %[[FLAT]]

// CHECK:      func.func private @mul_group(%[[X:.*]]: memref<?x4xf32>, %[[G:.*]]: memref<4xf32>, %[[XN:.*]]: memref<?x4xf32> {qopt.scratch},
// CHECK-SAME:   %[[Q:.*]]: memref<?x4xi8> {qopt.scratch}, %[[T:.*]]: memref<?xf32> {qopt.scratch},
// CHECK-SAME:   %[[W:.*]]: memref<1x1x64xi8>, %[[C:.*]]: memref<16xi32>, %[[S:.*]]: memref<8xf32>,
// CHECK-SAME:   %[[GATE:.*]]: memref<?x8xf32> {qopt.scratch}, %[[UP:.*]]: memref<?x8xf32> {qopt.scratch}, %[[N:.*]]: index, %[[Y:.*]]: memref<?x2x4xf32>)
// CHECK-SAME:   attributes {qopt.group} {
// CHECK-NEXT:   call @norm(%[[X]], %[[G]], %[[XN]])
// CHECK-NEXT:   call @codes(%[[XN]], %[[Q]], %[[T]])
// CHECK-NEXT:   call @mul(%[[Q]], %[[T]], %[[W]], %[[C]], %[[S]], %[[GATE]])
// CHECK-NEXT:   call @mul(%[[Q]], %[[T]], %[[W]], %[[C]], %[[S]], %[[UP]])
// CHECK-NEXT:   %[[A:.*]] = memref.expand_shape %[[GATE]]
// CHECK-NEXT:   %[[B:.*]] = memref.expand_shape %[[UP]]
// CHECK-NEXT:   linalg.generic {{.*}} ins(%[[A]], %[[B]] : {{.*}}) outs(%[[Y]] : memref<?x2x4xf32>)
// CHECK:        return
#all = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @forward(%x: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x1x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>,
                   %n: index, %ok: i1, %z: i64) -> memref<?x8xf32> {
  %xn = memref.alloc(%n) : memref<?x4xf32>
  call @norm(%x, %g, %xn) : (memref<?x4xf32>, memref<4xf32>, memref<?x4xf32>) -> ()
  %q = memref.alloc(%n) : memref<?x4xi8>
  %t = memref.alloc(%n) : memref<?xf32>
  call @codes(%xn, %q, %t) : (memref<?x4xf32>, memref<?x4xi8>, memref<?xf32>) -> ()
  %gate = memref.alloc(%n) : memref<?x8xf32>
  call @mul(%q, %t, %w, %c, %s, %gate) : (memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<8xf32>, memref<?x8xf32>) -> ()
  %a = memref.expand_shape %gate [[0], [1, 2]] output_shape [%n, 2, 4] : memref<?x8xf32> into memref<?x2x4xf32>
  %up = memref.alloc(%n) : memref<?x8xf32>
  call @mul(%q, %t, %w, %c, %s, %up) : (memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<8xf32>, memref<?x8xf32>) -> ()
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

func.func private @norm(memref<?x4xf32>, memref<4xf32>, memref<?x4xf32>) attributes {qopt.kernel = "rms_norm"}
func.func private @mul(memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) attributes {qopt.kernel = "matmul_f32"}
func.func private @use(memref<?x4xf32>)

// A normalization that others read, too, stays outside, and so does a product alone.
// CHECK-LABEL: func.func @skips_shared_norm(
// CHECK:         call @norm(
// CHECK:         call @mul(
// CHECK:         call @use(
func.func @skips_shared_norm(%x: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>, %n: index) {
  %xn = memref.alloc(%n) : memref<?x4xf32>
  call @norm(%x, %g, %xn) : (memref<?x4xf32>, memref<4xf32>, memref<?x4xf32>) -> ()
  call @mul(%xn, %w, %y) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
  call @use(%xn) : (memref<?x4xf32>) -> ()
  return
}

// Products of other inputs, and operations in between that touch memory, end a group.
// CHECK-LABEL: func.func @skips_other_input(
// CHECK-NEXT:    call @mul(
// CHECK-NEXT:    call @mul(
// CHECK-NEXT:    call @use(
// CHECK-NEXT:    call @mul(
func.func @skips_other_input(%x: memref<?x4xf32>, %z: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>, %v: memref<?x4xf32>) {
  call @mul(%x, %w, %y) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
  call @mul(%z, %w, %v) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
  call @use(%v) : (memref<?x4xf32>) -> ()
  call @mul(%z, %w, %v) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
  return
}

#id = affine_map<(d0, d1) -> (d0, d1)>
#turned = affine_map<(d0, d1) -> (d1, d0)>
#last = affine_map<(d0, d1) -> (d1)>

// Other blocks still read the input as a whole when one of them would write it.
// CHECK-LABEL: func.func @skips_writing_the_input(
// CHECK-NEXT:    call @mul(
// CHECK-NEXT:    linalg.generic
func.func @skips_writing_the_input(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>) {
  call @mul(%x, %w, %y) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
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
// CHECK:         call @mul(
// CHECK-NEXT:    linalg.generic
// CHECK:         call @mul(
// CHECK-NEXT:    linalg.generic
func.func @skips_other_loops(%x: memref<4x4xf32>, %w: memref<1x4x16xf32>, %y: memref<4x4xf32>, %z: memref<4x4xf32>, %s: memref<4xf32>) {
  %xd = memref.cast %x : memref<4x4xf32> to memref<?x4xf32>
  %yd = memref.cast %y : memref<4x4xf32> to memref<?x4xf32>
  call @mul(%xd, %w, %yd) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
  linalg.generic {indexing_maps = [#turned, #id], iterator_types = ["parallel", "parallel"]}
      ins(%y : memref<4x4xf32>) outs(%z : memref<4x4xf32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  }
  call @mul(%xd, %w, %yd) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
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
// CHECK-NEXT:    call @mul_group(
// CHECK-NEXT:    call @use(
func.func @takes_bias(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %b: memref<4xf32>, %y: memref<?x4xf32>) {
  call @mul(%x, %w, %y) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
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
// CHECK:         call @mul_group{{.*}}(
// CHECK-NEXT:    return
#single = affine_map<(d0, d1, d2) -> (d0, 0, d2)>
#all = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @takes_single_tokens(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %n: index, %z: memref<?x1x4xf32>) {
  %y = memref.alloc(%n) : memref<?x4xf32>
  call @mul(%x, %w, %y) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
  %t = memref.expand_shape %y [[0, 1], [2]] output_shape [%n, 1, 4] : memref<?x4xf32> into memref<?x1x4xf32>
  linalg.generic {indexing_maps = [#single, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%t : memref<?x1x4xf32>) outs(%z : memref<?x1x4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.negf %a : f32
    linalg.yield %0 : f32
  }
  return
}

// CHECK: func.func private @mul_group(%{{.*}}: memref<?x4xf32>, %{{.*}}: memref<1x4x16xf32>, %{{.*}}: memref<?x4xf32>, %{{.*}}: memref<4xf32>)

// -----

func.func private @codes(memref<?x4xf32>, memref<?x4xi8>, memref<?xf32>) attributes {qopt.kernel = "dynamic_quantize"}
func.func private @mul(memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>, memref<?x4xf32>)
    attributes {qopt.kernel = "matmul_w8a8"}
func.func private @use(memref<?x4xf32>)
#id = affine_map<(d0, d1) -> (d0, d1)>

// A loop that only makes the input that is quantized next joins two groups.
// CHECK-LABEL: func.func @joins(
// CHECK-NOT:     linalg.generic
// CHECK:         call @mul_group(
// CHECK-NEXT:    return
func.func @joins(%x: memref<?x4xf32>, %w: memref<1x1x64xi8>, %c: memref<16xi32>, %s: memref<4xf32>, %y: memref<?x4xf32>, %n: index) {
  %q = memref.alloc(%n) : memref<?x4xi8>
  %t = memref.alloc(%n) : memref<?xf32>
  call @codes(%x, %q, %t) : (memref<?x4xf32>, memref<?x4xi8>, memref<?xf32>) -> ()
  %up = memref.alloc(%n) : memref<?x4xf32>
  call @mul(%q, %t, %w, %c, %s, %up) : (memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>, memref<?x4xf32>) -> ()
  %a = memref.alloc(%n) : memref<?x4xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%up : memref<?x4xf32>) outs(%a : memref<?x4xf32>) {
  ^bb0(%l: f32, %o: f32):
    %0 = math.exp %l : f32
    linalg.yield %0 : f32
  }
  %p = memref.alloc(%n) : memref<?x4xi8>
  %u = memref.alloc(%n) : memref<?xf32>
  call @codes(%a, %p, %u) : (memref<?x4xf32>, memref<?x4xi8>, memref<?xf32>) -> ()
  call @mul(%p, %u, %w, %c, %s, %y) : (memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>, memref<?x4xf32>) -> ()
  return
}

// Not where others read it.
// CHECK-LABEL: func.func @keeps_apart(
// CHECK:         call @mul_group_0(
// CHECK:         call @mul_group
// CHECK-NEXT:    call @use(
func.func @keeps_apart(%x: memref<?x4xf32>, %w: memref<1x1x64xi8>, %c: memref<16xi32>, %s: memref<4xf32>, %y: memref<?x4xf32>, %n: index) {
  %q = memref.alloc(%n) : memref<?x4xi8>
  %t = memref.alloc(%n) : memref<?xf32>
  call @codes(%x, %q, %t) : (memref<?x4xf32>, memref<?x4xi8>, memref<?xf32>) -> ()
  %up = memref.alloc(%n) : memref<?x4xf32>
  call @mul(%q, %t, %w, %c, %s, %up) : (memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>, memref<?x4xf32>) -> ()
  %a = memref.alloc(%n) : memref<?x4xf32>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%up : memref<?x4xf32>) outs(%a : memref<?x4xf32>) {
  ^bb0(%l: f32, %o: f32):
    %0 = math.exp %l : f32
    linalg.yield %0 : f32
  }
  %p = memref.alloc(%n) : memref<?x4xi8>
  %u = memref.alloc(%n) : memref<?xf32>
  call @codes(%a, %p, %u) : (memref<?x4xf32>, memref<?x4xi8>, memref<?xf32>) -> ()
  call @mul(%p, %u, %w, %c, %s, %y) : (memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>, memref<?x4xf32>) -> ()
  call @use(%a) : (memref<?x4xf32>) -> ()
  return
}
