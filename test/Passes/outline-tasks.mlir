// RUN: qopt-opt %s --qopt-outline-tasks --split-input-file --verify-diagnostics | FileCheck %s
//
// The body of a parallel loop is a function of a range; a little work is done at once, more
// is given to the runtime. Loops within are not parallel.

// CHECK-LABEL: llvm.func internal @scale_task_0(
// CHECK-SAME:    %[[CAPTURED:.*]]: !llvm.ptr, %[[BEGIN:.*]]: i64, %[[END:.*]]: i64)
// CHECK-DAG:     %[[FROM:.*]] = arith.index_cast %[[BEGIN]] : i64 to index
// CHECK-DAG:     %[[TO:.*]] = arith.index_cast %[[END]] : i64 to index
// CHECK:         scf.for %{{.*}} = %[[FROM]] to %[[TO]]
// CHECK:           scf.parallel
// CHECK:             memref.store
// CHECK-LABEL: func.func private @scale(
// CHECK-SAME:    %[[FRAME:.*]]: !llvm.ptr, %{{.*}}: memref<?x?xf32>, %[[N:.*]]: index)
// CHECK-NOT:     scf.parallel
// CHECK:         %[[COUNT:.*]] = arith.index_cast %[[N]] : index to i64
// CHECK:         %[[GRAIN:.*]] = llvm.mlir.constant(16 : i64)
// CHECK:         %[[SMALL:.*]] = arith.cmpi sle, %[[COUNT]], %[[GRAIN]]
// CHECK:         scf.if %[[SMALL]] {
// CHECK:           llvm.call @scale_task_0(
// CHECK:         } else {
// CHECK:           %[[TASK:.*]] = llvm.mlir.addressof @scale_task_0
// CHECK:           llvm.getelementptr %[[FRAME]]
// CHECK:           llvm.call %{{.*}}(%{{.*}}, %[[TASK]], %{{.*}}, %[[COUNT]], %[[GRAIN]])
func.func private @scale(%frame: !llvm.ptr, %x: memref<?x?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    scf.parallel (%j) = (%c0) to (%n) step (%c1) {
      memref.store %one, %x[%i, %j] : memref<?x?xf32>
    }
  } {qopt.grain = 16 : i64}
  return
}

// -----

func.func private @no_frame(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @below {{'scf.parallel' op expected a function with a call frame, as qopt-lower-host-abi leaves it}}
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
  }
  return
}

// -----

func.func private @steps(%frame: !llvm.ptr, %n: index) {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  // expected-error @below {{'scf.parallel' op expected one loop from 0 in steps of 1 without reductions}}
  scf.parallel (%i) = (%c0) to (%n) step (%c2) {
  }
  return
}

// -----

func.func private @captures(%frame: !llvm.ptr, %x: tensor<4xf32>, %y: memref<4xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @below {{'scf.parallel' op uses a value of type 'tensor<4xf32>' that cannot be passed to a task}}
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %a = tensor.extract %x[%i] : tensor<4xf32>
    memref.store %a, %y[%i] : memref<4xf32>
  }
  return
}
