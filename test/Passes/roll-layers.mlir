// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-roll-layers))' | FileCheck %s
//
// Equal layers become one loop: found by what they do, whatever it is that they compute.

memref.global "private" @w0 : memref<4xf32> {qopt.value = dense<1.0> : tensor<4xf32>}
memref.global "private" @w1 : memref<4xf32> {qopt.value = dense<2.0> : tensor<4xf32>}
memref.global "private" @w2 : memref<4xf32> {qopt.value = dense<3.0> : tensor<4xf32>}
memref.global "private" constant @c0 : memref<4xf32> = dense<1.0>
memref.global "private" constant @c1 : memref<4xf32> = dense<2.0>
memref.global "private" constant @c2 : memref<4xf32> = dense<3.0>

// What a layer was given is not needed any more where it writes what it leaves: one buffer,
// in which the result is at last. Memory that no other layer sees stays in the loop.
// CHECK-LABEL: func.func @in_place(
// CHECK-SAME:    %[[IN:.*]]: memref<?x4xf32>, %[[G:.*]]: memref<4xf32>, %[[N:.*]]: index)
// CHECK:         %[[X:.*]] = memref.alloc(%[[N]])
// CHECK-NEXT:    kernel.rms_norm ins(%[[IN]], %[[G]] : {{.*}}) outs(%[[X]] : {{.*}}) {epsilon = 1.0{{.*}}}
// CHECK:         %[[W0:.*]] = memref.get_global @w0
// CHECK:         %[[W1:.*]] = memref.get_global @w1
// CHECK:         %[[W2:.*]] = memref.get_global @w2
// CHECK:         qopt.repeat 3 as %[[LAYER:.*]] {
// CHECK-NEXT:      %[[W:.*]] = qopt.select %[[LAYER]] of %[[W0]], %[[W1]], %[[W2]] : memref<4xf32>
// CHECK-NEXT:      %[[M:.*]] = memref.alloc(%[[N]])
// CHECK-NEXT:      kernel.rms_norm ins(%[[X]], %[[W]] : {{.*}}) outs(%[[M]] : {{.*}})
// CHECK-NEXT:      kernel.rms_norm ins(%[[M]], %[[G]] : {{.*}}) outs(%[[X]] : {{.*$}}
// CHECK-NEXT:    }
// CHECK-NEXT:    return %[[X]]
func.func @in_place(%in: memref<?x4xf32>, %g: memref<4xf32>, %n: index) -> memref<?x4xf32> {
  %x0 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%in, %g : memref<?x4xf32>, memref<4xf32>) outs(%x0 : memref<?x4xf32>) {epsilon = 1.0 : f32}
  %w0 = memref.get_global @w0 : memref<4xf32>
  %m0 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x0, %w0 : memref<?x4xf32>, memref<4xf32>) outs(%m0 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  %x1 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%m0, %g : memref<?x4xf32>, memref<4xf32>) outs(%x1 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  %w1 = memref.get_global @w1 : memref<4xf32>
  %m1 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x1, %w1 : memref<?x4xf32>, memref<4xf32>) outs(%m1 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  %x2 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%m1, %g : memref<?x4xf32>, memref<4xf32>) outs(%x2 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  %w2 = memref.get_global @w2 : memref<4xf32>
  %m2 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x2, %w2 : memref<?x4xf32>, memref<4xf32>) outs(%m2 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  %x3 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%m2, %g : memref<?x4xf32>, memref<4xf32>) outs(%x3 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  return %x3 : memref<?x4xf32>
}

// Here it is needed until the end, so a layer copies what it leaves. Caches are arguments, and
// what is asked of them is asked in the loop.
// CHECK-LABEL: func.func @copies(
// CHECK-SAME:    %[[IN:.*]]: memref<?x4xf32>, %[[A:.*]]: memref<?xf32>, %[[B:.*]]: memref<?xf32>, %[[C:.*]]: memref<?xf32>, %[[N:.*]]: index, %{{.*}}: i64)
// CHECK:         %[[X:.*]] = memref.alloc(%[[N]])
// CHECK:         qopt.repeat 3 as %[[LAYER:.*]] {
// CHECK:           %[[CACHE:.*]] = qopt.select %[[LAYER]] of %[[A]], %[[B]], %[[C]] : memref<?xf32>
// CHECK:           %[[SIZE:.*]] = memref.dim %[[CACHE]],
// CHECK:           arith.cmpi eq, %[[SIZE]], %[[N]]
// CHECK:           qopt.require
// CHECK:           %[[Y:.*]] = memref.alloc(%[[N]])
// CHECK:           kernel.rms_norm ins(%[[X]], %{{.*}} : {{.*}}) outs(%[[Y]] : {{.*}})
// CHECK-NEXT:      memref.copy %[[Y]], %[[X]]
// CHECK-NEXT:    }
func.func @copies(%in: memref<?x4xf32>, %a: memref<?xf32>, %b: memref<?xf32>, %c: memref<?xf32>, %n: index, %z: i64) -> memref<?x4xf32> {
  %c0 = arith.constant 0 : index
  %x0 = memref.alloc(%n) : memref<?x4xf32>
  memref.copy %in, %x0 : memref<?x4xf32> to memref<?x4xf32>
  %s0 = memref.dim %a, %c0 : memref<?xf32>
  %ok0 = arith.cmpi eq, %s0, %n : index
  qopt.require %ok0, shape_mismatch(%z, %z)
  %w0 = memref.cast %a : memref<?xf32> to memref<4xf32>
  %x1 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x0, %w0 : memref<?x4xf32>, memref<4xf32>) outs(%x1 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  %s1 = memref.dim %b, %c0 : memref<?xf32>
  %ok1 = arith.cmpi eq, %s1, %n : index
  qopt.require %ok1, shape_mismatch(%z, %z)
  %w1 = memref.cast %b : memref<?xf32> to memref<4xf32>
  %x2 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x1, %w1 : memref<?x4xf32>, memref<4xf32>) outs(%x2 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  %s2 = memref.dim %c, %c0 : memref<?xf32>
  %ok2 = arith.cmpi eq, %s2, %n : index
  qopt.require %ok2, shape_mismatch(%z, %z)
  %w2 = memref.cast %c : memref<?xf32> to memref<4xf32>
  %x3 = memref.alloc(%n) : memref<?x4xf32>
  kernel.rms_norm ins(%x2, %w2 : memref<?x4xf32>, memref<4xf32>) outs(%x3 : memref<?x4xf32>) {epsilon = 0.5 : f32}
  return %x3 : memref<?x4xf32>
}

// Two values may go from layer to layer.
// CHECK-LABEL: func.func @two_values(
// CHECK-SAME:    %[[X:.*]]: memref<4x4xf32>, %[[G:.*]]: memref<4xf32>)
// CHECK:         %[[A:.*]] = memref.alloc()
// CHECK:         kernel.rms_norm ins(%[[X]], %[[G]] : {{.*}}) outs(%[[A]] : {{.*}})
// CHECK:         %[[B:.*]] = memref.alloc()
// CHECK:         kernel.rms_norm ins(%[[X]], %[[G]] : {{.*}}) outs(%[[B]] : {{.*}})
// CHECK:         qopt.repeat 3 as
// CHECK:           kernel.rms_norm ins(%[[A]],
// CHECK:           kernel.rms_norm ins(%[[B]],
// CHECK:           memref.copy %{{.*}}, %[[A]]
// CHECK:           memref.copy %{{.*}}, %[[B]]
// CHECK:         return %[[A]], %[[B]]
func.func @two_values(%x: memref<4x4xf32>, %g: memref<4xf32>) -> (memref<4x4xf32>, memref<4x4xf32>) {
  %a0 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x, %g : memref<4x4xf32>, memref<4xf32>) outs(%a0 : memref<4x4xf32>) {epsilon = 1.0 : f32}
  %b0 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x, %g : memref<4x4xf32>, memref<4xf32>) outs(%b0 : memref<4x4xf32>) {epsilon = 2.0 : f32}
  %a1 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%a0, %g : memref<4x4xf32>, memref<4xf32>) outs(%a1 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %b1 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%b0, %g : memref<4x4xf32>, memref<4xf32>) outs(%b1 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %a2 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%a1, %g : memref<4x4xf32>, memref<4xf32>) outs(%a2 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %b2 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%b1, %g : memref<4x4xf32>, memref<4xf32>) outs(%b2 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %a3 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%a2, %g : memref<4x4xf32>, memref<4xf32>) outs(%a3 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %b3 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%b2, %g : memref<4x4xf32>, memref<4xf32>) outs(%b3 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  return %a3, %b3 : memref<4x4xf32>, memref<4x4xf32>
}

// The first layer gets its input in another form, and stays outside.
// CHECK-LABEL: func.func @first_differs(
// CHECK-SAME:    %[[X:.*]]: memref<4x4xf32>, %[[G:.*]]: memref<4xf32>)
// CHECK:         %[[Y:.*]] = memref.alloc()
// CHECK-NEXT:    kernel.rms_norm ins(%[[X]], %[[G]] : {{.*}}) outs(%[[Y]] : {{.*}})
// CHECK:         qopt.repeat 3 as
// CHECK:           kernel.rms_norm ins(%[[Y]],
func.func @first_differs(%x: memref<4x4xf32>, %g: memref<4xf32>) -> memref<4x4xf32> {
  %x1 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x, %g : memref<4x4xf32>, memref<4xf32>) outs(%x1 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x2 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x1, %g : memref<4x4xf32>, memref<4xf32>) outs(%x2 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x3 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x2, %g : memref<4x4xf32>, memref<4xf32>) outs(%x3 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x4 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x3, %g : memref<4x4xf32>, memref<4xf32>) outs(%x4 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  return %x4 : memref<4x4xf32>
}

// Two are not enough.
// CHECK-LABEL: func.func @too_few(
// CHECK-NOT:     qopt.repeat
// CHECK-COUNT-2: kernel.rms_norm
// CHECK-NOT:     qopt.repeat
// CHECK:         return
func.func @too_few(%x: memref<4x4xf32>, %y: memref<4x4xf32>, %g: memref<4xf32>) {
  %x1 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x, %g : memref<4x4xf32>, memref<4xf32>) outs(%x1 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  kernel.rms_norm ins(%x1, %g : memref<4x4xf32>, memref<4xf32>) outs(%y : memref<4x4xf32>) {epsilon = 0.5 : f32}
  return
}

// CHECK-LABEL: func.func @attributes_differ(
// CHECK-NOT:     qopt.repeat
// CHECK-COUNT-3: kernel.rms_norm
// CHECK-NOT:     qopt.repeat
// CHECK:         return
func.func @attributes_differ(%g: memref<4xf32>) -> memref<4x4xf32> {
  %x0 = memref.alloc() : memref<4x4xf32>
  %x1 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x0, %g : memref<4x4xf32>, memref<4xf32>) outs(%x1 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x2 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x1, %g : memref<4x4xf32>, memref<4xf32>) outs(%x2 : memref<4x4xf32>) {epsilon = 0.25 : f32}
  %x3 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x2, %g : memref<4x4xf32>, memref<4xf32>) outs(%x3 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  return %x3 : memref<4x4xf32>
}

// Constants of the code are in no table that a layer could select from.
// CHECK-LABEL: func.func @constants_differ(
// CHECK-NOT:     qopt.repeat
// CHECK-COUNT-3: kernel.rms_norm
// CHECK-NOT:     qopt.repeat
// CHECK:         return
func.func @constants_differ() -> memref<4x4xf32> {
  %x0 = memref.alloc() : memref<4x4xf32>
  %x1 = memref.alloc() : memref<4x4xf32>
  %c0 = memref.get_global @c0 : memref<4xf32>
  kernel.rms_norm ins(%x0, %c0 : memref<4x4xf32>, memref<4xf32>) outs(%x1 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x2 = memref.alloc() : memref<4x4xf32>
  %c1 = memref.get_global @c1 : memref<4xf32>
  kernel.rms_norm ins(%x1, %c1 : memref<4x4xf32>, memref<4xf32>) outs(%x2 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x3 = memref.alloc() : memref<4x4xf32>
  %c2 = memref.get_global @c2 : memref<4xf32>
  kernel.rms_norm ins(%x2, %c2 : memref<4x4xf32>, memref<4xf32>) outs(%x3 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  return %x3 : memref<4x4xf32>
}

// A layer that reads what the one before the last has left.
// CHECK-LABEL: func.func @reaches_back(
// CHECK-NOT:     qopt.repeat
// CHECK-COUNT-4: kernel.rms_norm
// CHECK-NOT:     qopt.repeat
// CHECK:         return
func.func @reaches_back(%g: memref<4xf32>) -> (memref<4x4xf32>, memref<4x4xf32>) {
  %x0 = memref.alloc() : memref<4x4xf32>
  %x1 = memref.alloc() : memref<4x4xf32>
  %x2 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x0, %g : memref<4x4xf32>, memref<4xf32>) outs(%x2 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x3 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x1, %g : memref<4x4xf32>, memref<4xf32>) outs(%x3 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x4 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x2, %g : memref<4x4xf32>, memref<4xf32>) outs(%x4 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x5 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x3, %g : memref<4x4xf32>, memref<4xf32>) outs(%x5 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  return %x4, %x5 : memref<4x4xf32>, memref<4x4xf32>
}

// What a layer leaves is seen by something else, too.
// CHECK-LABEL: func.func @is_returned(
// CHECK-NOT:     qopt.repeat
// CHECK-COUNT-3: kernel.rms_norm
// CHECK-NOT:     qopt.repeat
// CHECK:         return
func.func @is_returned(%g: memref<4xf32>) -> (memref<4x4xf32>, memref<4x4xf32>) {
  %x0 = memref.alloc() : memref<4x4xf32>
  %x1 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x0, %g : memref<4x4xf32>, memref<4xf32>) outs(%x1 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x2 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x1, %g : memref<4x4xf32>, memref<4xf32>) outs(%x2 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  %x3 = memref.alloc() : memref<4x4xf32>
  kernel.rms_norm ins(%x2, %g : memref<4x4xf32>, memref<4xf32>) outs(%x3 : memref<4x4xf32>) {epsilon = 0.5 : f32}
  return %x2, %x3 : memref<4x4xf32>, memref<4x4xf32>
}

// Sequences without a kernel are no layers.
// CHECK-LABEL: func.func @only_checks(
// CHECK-NOT:     qopt.repeat
// CHECK-COUNT-3: qopt.require
// CHECK-NOT:     qopt.repeat
// CHECK:         return
func.func @only_checks(%ok: i1, %z: i64) {
  qopt.require %ok, shape_mismatch(%z, %z)
  qopt.require %ok, shape_mismatch(%z, %z)
  qopt.require %ok, shape_mismatch(%z, %z)
  return
}
