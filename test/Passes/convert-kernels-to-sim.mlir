// RUN: qopt-opt %s --qopt-convert-kernels-to-sim --split-input-file --verify-diagnostics | FileCheck %s
//
// A kernel becomes a function of one thread and its arguments. Thread numbers are fields of the thread.

// CHECK:       llvm.mlir.global external @shared() {addr_space = 3 : i32
// CHECK-LABEL: func.func @meet(
// CHECK-SAME:    %[[THREAD:.*]]: !llvm.ptr, %[[ARGUMENTS:.*]]: !llvm.ptr)
// CHECK-DAG:     %[[SLOT:.*]] = llvm.getelementptr %[[ARGUMENTS]][0]
// CHECK-DAG:     %[[AT:.*]] = llvm.load %[[SLOT]] invariant {qopt.sim_own} : !llvm.ptr -> !llvm.ptr
// CHECK-DAG:     llvm.load %[[AT]] invariant {qopt.sim_own} : !llvm.ptr -> !llvm.ptr
// CHECK-DAG:     llvm.getelementptr %[[THREAD]]
// CHECK-NOT:     gpu.
// CHECK:         nvvm.barrier{{.*}}qopt.site = "barrier #1"
// CHECK:         nvvm.barrier{{.*}}qopt.site = "barrier #2"
// CHECK-NOT:   gpu.module
gpu.module @kernels {
  llvm.mlir.global external @shared() {addr_space = 3 : i32} : !llvm.array<0 x i8>
  gpu.func @meet(%x: !llvm.ptr) kernel {
    %i = gpu.thread_id x
    %n = arith.index_cast %i : index to i32
    nvvm.barrier
    llvm.store %n, %x : i32, !llvm.ptr
    nvvm.barrier
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @prints(%x: !llvm.ptr) kernel {
    // expected-error @below {{in kernel prints is not known to the simulator}}
    gpu.printf "x"
    gpu.return
  }
}

// -----

// expected-error @below {{is not for the simulator, which takes gpu.modules alone (see qopt-select-kernels)}}
func.func @forward() {
  return
}

// -----

gpu.module @kernels {
  // expected-error @below {{has memory attributions, which the simulator does not know}}
  gpu.func @attributed() workgroup(%x: memref<4xf32, 3>) kernel {
    gpu.return
  }
}
