// RUN: qopt-opt %s --qopt-outline-kernels | FileCheck %s
//
// Every loop nest of an entry point becomes a function; what it uses are its
// arguments, but for constants.

// CHECK-LABEL: func.func @forward(
// CHECK-SAME:    %[[A:.*]]: memref<?x4xf32>, %[[B:.*]]: memref<?x4xf32>, %[[N:.*]]: index) attributes {qopt.entry = "forward"}
func.func @forward(%a: memref<?x4xf32>, %b: memref<?x4xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %two = arith.constant 2.0 : f32
  // The name is taken.
  // CHECK: call @forward_loop_0_0(%[[B]])
  linalg.fill ins(%two : f32) outs(%b : memref<?x4xf32>)
  // A copy is a loop, too.
  // CHECK: call @forward_loop_1(%[[B]], %[[A]])
  memref.copy %b, %a : memref<?x4xf32> to memref<?x4xf32>
  // CHECK: %[[SUM:.*]] = arith.addi %[[N]],
  %s = arith.addi %n, %c1 : index
  // CHECK: call @forward_loop_2(%[[SUM]], %[[A]])
  // CHECK-NEXT: return
  scf.for %i = %c0 to %s step %c1 {
    memref.store %two, %a[%i, %c0] : memref<?x4xf32>
  }
  return
}

// Entry points that do the same stay two.
// CHECK-LABEL: func.func @skips_scalars(
// CHECK-SAME:    attributes {qopt.entry = "skips_scalars"}
func.func @skips_scalars(%n: index) -> index {
  // CHECK-NOT: call
  // CHECK: arith.addi
  %c1 = arith.constant 1 : index
  %s = arith.addi %n, %c1 : index
  return %s : index
}

// CHECK-LABEL: func.func private @skips_private(
// CHECK-NOT:     qopt.entry
func.func private @skips_private(%b: memref<?x4xf32>) {
  %two = arith.constant 2.0 : f32
  // CHECK: linalg.fill
  linalg.fill ins(%two : f32) outs(%b : memref<?x4xf32>)
  return
}

// CHECK: func.func private @forward_loop_0(memref<4xf32>)
func.func private @forward_loop_0(memref<4xf32>)

// CHECK:      func.func private @forward_loop_0_0(%[[OUT:.*]]: memref<?x4xf32>) {
// CHECK-NEXT:   %[[TWO:.*]] = arith.constant 2.000000e+00 : f32
// CHECK-NEXT:   linalg.fill ins(%[[TWO]] : f32) outs(%[[OUT]] : memref<?x4xf32>)
// CHECK-NEXT:   return

// CHECK: func.func private @forward_loop_1(
// CHECK:   linalg.copy

// CHECK: func.func private @forward_loop_2(%[[END:.*]]: index, %[[DATA:.*]]: memref<?x4xf32>) {
// CHECK:   scf.for %[[I:.*]] = %{{.*}} to %[[END]] step %{{.*}} {
// CHECK:     memref.store %{{.*}}, %[[DATA]][%[[I]], %{{.*}}]
