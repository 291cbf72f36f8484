// RUN: qopt-opt %s --qopt-sim | FileCheck %s
// RUN: qopt-opt %s --qopt-sim --mlir-print-ir-after=qopt-lower-sim-ops 2>&1 | FileCheck %s --check-prefix=PRINT
//
// The kernels that GPUs get, to functions that simulated threads call.

// CHECK-NOT:   func.func
// CHECK-NOT:   gpu.module
// CHECK-LABEL: llvm.func @count(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr)
// CHECK-NOT:     nvvm
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr) -> ()
// CHECK-LABEL: llvm.func @hopper(
// CHECK-NOT:     llvm.call
// CHECK:         llvm.return
// PRINT:       IR Dump After LowerSimOps (qopt-lower-sim-ops)
module attributes {gpu.container_module} {
  func.func @forward() {
    return
  }
  gpu.module @kernels {
    gpu.func @count(%x: !llvm.ptr, %n: i32) kernel {
      %c0 = arith.constant 0 : i32
      %c1 = arith.constant 1 : i32
      scf.for %i = %c0 to %n step %c1 : i32 {
        nvvm.barrier
        llvm.store %i, %x : i32, !llvm.ptr
      }
      gpu.return
    }
    gpu.func @hopper(%x: !llvm.ptr) kernel attributes {qopt.arch = "sm_90a"} {
      gpu.return
    }
  }
}
