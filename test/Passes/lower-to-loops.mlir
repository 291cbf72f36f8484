// RUN: qopt-opt %s --qopt-lower-to-loops --split-input-file --verify-diagnostics | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: qopt-opt %s --qopt-lower-to-loops="parallel-innermost=true" --split-input-file --verify-diagnostics | FileCheck %s --check-prefixes=CHECK,GPU
//
// Outer dimensions are one parallel loop. A CPU has vectors for the innermost one, a GPU a
// thread for every element.

// CHECK-LABEL: func.func @double(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>, %[[Y:.*]]: memref<?x4xf32>)
// CPU:           scf.parallel (%[[I:.*]]) =
// CPU:             scf.for %[[J:.*]] = %{{.*}} to %c4
// CPU:               %[[A:.*]] = memref.load %[[X]][%[[I]], %[[J]]]
// CPU:               %[[B:.*]] = arith.addf %[[A]], %[[A]]
// CPU:               memref.store %[[B]], %[[Y]][%[[I]], %[[J]]]
// CPU:           {qopt.grain = 2048 : i64}
// GPU:           %[[COUNT:.*]] = arith.muli
// GPU:           scf.parallel (%[[N:.*]]) = (%{{.*}}) to (%[[COUNT]])
// GPU:             %[[J:.*]] = arith.remui %[[N]], %c4
// GPU:             %[[I:.*]] = arith.divui %[[N]], %c4
// GPU:             memref.load %[[X]][%[[I]], %[[J]]]
// GPU:           {qopt.grain = 8192 : i64}
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @double(%x: memref<?x4xf32>, %y: memref<?x4xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x4xf32>) outs(%y : memref<?x4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// A sum stays in a register and is written once.
// CHECK-LABEL: func.func @sum(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>, %[[Y:.*]]: memref<?xf32>)
// CHECK:         scf.parallel (%[[I:.*]]) =
// CHECK:           %[[START:.*]] = memref.load %[[Y]][%[[I]]]
// CHECK:           %[[SUM:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[START]])
// CHECK:           memref.store %[[SUM]], %[[Y]][%[[I]]]
#all = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
func.func @sum(%x: memref<?x4xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<?x4xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %0 = arith.addf %sum, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// Loops read and write memory.
func.func @tensors(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // expected-error @below {{'linalg.exp' op expected operands that are memrefs}}
  %0 = linalg.exp ins(%x : tensor<?x4xf32>) outs(%x : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
