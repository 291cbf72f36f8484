// RUN: qopt-opt %s --qopt-outline-kernels --split-input-file --verify-diagnostics | FileCheck %s
//
// Every kernel, group and loop nest of an entry point becomes a function; what it uses are
// its arguments, but for constants.

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

// Layers of a loop call theirs in it.
// CHECK-LABEL: func.func @layers(
// CHECK:         qopt.repeat 3 as
// CHECK-NEXT:      func.call @layers_loop_0(
// CHECK-NEXT:    }
// CHECK-NEXT:    call @layers_loop_1(
func.func @layers(%a: memref<?x4xf32>, %b: memref<?x4xf32>) {
  qopt.repeat 3 as %layer {
    memref.copy %a, %b : memref<?x4xf32> to memref<?x4xf32>
  }
  memref.copy %b, %a : memref<?x4xf32> to memref<?x4xf32>
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

// -----

// Kernels share a function, whatever is known of sizes that do not matter to their code.
// CHECK-LABEL: func.func @kernels(
// CHECK-SAME:    %[[X:.*]]: memref<2x4xf32>, %[[Y:.*]]: memref<2x4xf32>, %[[Z:.*]]: memref<?x4xf32>, %[[G:.*]]: memref<4xf32>)
func.func @kernels(%x: memref<2x4xf32>, %y: memref<2x4xf32>, %z: memref<?x4xf32>, %g: memref<4xf32>) {
  // CHECK-DAG:  %[[A:.*]] = memref.cast %[[X]] : memref<2x4xf32> to memref<?x4xf32>
  // CHECK-DAG:  %[[B:.*]] = memref.cast %[[Y]] : memref<2x4xf32> to memref<?x4xf32>
  // CHECK:      call @rms_norm_k4(%[[A]], %[[G]], %[[B]])
  kernel.rms_norm ins(%x, %g : memref<2x4xf32>, memref<4xf32>) outs(%y : memref<2x4xf32>) {epsilon = 1.0e-5 : f32}
  // CHECK:      call @rms_norm_k4(
  kernel.rms_norm ins(%y, %g : memref<2x4xf32>, memref<4xf32>) outs(%z : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
  // Another attribute is another function.
  // CHECK:      call @rms_norm_k4_1(
  kernel.rms_norm ins(%y, %g : memref<2x4xf32>, memref<4xf32>) outs(%z : memref<?x4xf32>) {epsilon = 1.0e-6 : f32}
  return
}
// CHECK:      func.func private @rms_norm_k4(%[[P:.*]]: memref<?x4xf32>, %[[Q:.*]]: memref<4xf32>, %[[R:.*]]: memref<?x4xf32>) {
// CHECK-NEXT:   kernel.rms_norm ins(%[[P]], %[[Q]] : memref<?x4xf32>, memref<4xf32>) outs(%[[R]] : memref<?x4xf32>) {epsilon = 9.99999974E-6 : f32}
// CHECK-NEXT:   return
// CHECK:      func.func private @rms_norm_k4_1(

// -----

// Equal groups share a function, too.
// CHECK-LABEL: func.func @groups(
func.func @groups(%x: memref<?x4xf32>, %g: memref<4xf32>, %w: memref<1x4x16xf32>, %n: memref<?x4xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>) {
  // CHECK-NEXT: call @matmul_f32_n4_k4_group(%arg0, %arg1, %arg3, %arg2, %arg4)
  kernel.group(%a = %x : memref<?x4xf32>, %b = %g : memref<4xf32>, %c = %n scratch : memref<?x4xf32>, %d = %w : memref<1x4x16xf32>, %e = %y : memref<?x4xf32>) {
    kernel.stage preparation {
      kernel.rms_norm ins(%a, %b : memref<?x4xf32>, memref<4xf32>) outs(%c : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
    } products {
      kernel.matmul_float ins(%c, %d : memref<?x4xf32>, memref<1x4x16xf32>) outs(%e : memref<?x4xf32>)
    }
  }
  // CHECK-NEXT: call @matmul_f32_n4_k4_group(%arg4, %arg1, %arg3, %arg2, %arg5)
  kernel.group(%a = %y : memref<?x4xf32>, %b = %g : memref<4xf32>, %c = %n scratch : memref<?x4xf32>, %d = %w : memref<1x4x16xf32>, %e = %z : memref<?x4xf32>) {
    kernel.stage preparation {
      kernel.rms_norm ins(%a, %b : memref<?x4xf32>, memref<4xf32>) outs(%c : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
    } products {
      kernel.matmul_float ins(%c, %d : memref<?x4xf32>, memref<1x4x16xf32>) outs(%e : memref<?x4xf32>)
    }
  }
  return
}
// CHECK:      func.func private @matmul_f32_n4_k4_group(
// CHECK-NEXT:   kernel.group(
// CHECK-NOT:  func.func private

// -----

func.func @tensors(%x: tensor<?x4xf32>, %g: tensor<4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{expected a kernel on memory, as bufferization leaves it, but got 'tensor<?x4xf32>'}}
  %0 = kernel.rms_norm ins(%x, %g : tensor<?x4xf32>, tensor<4xf32>) outs(%x : tensor<?x4xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
