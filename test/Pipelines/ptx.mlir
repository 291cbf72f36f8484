// RUN: qopt-opt %s --qopt-ptx | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-ptx{chip=sm_90a})' | FileCheck %s --check-prefix=HOPPER
// RUN: qopt-opt %s --qopt-ptx --mlir-print-ir-after=qopt-convert-kernels-to-llvm 2>&1 | FileCheck %s --check-prefix=PRINT
//
// Kernels to the LLVM dialect, as they are written as PTX; each step can be seen.

// CHECK-NOT:   func.func
// CHECK-LABEL: llvm.func @count(
// CHECK-SAME:    nvvm.kernel
// CHECK:         llvm.cond_br
// CHECK-NOT:     unrealized_conversion_cast
// CHECK-NOT:     llvm.func @hopper
// HOPPER-DAG:  llvm.func @count(
// HOPPER-DAG:  llvm.func @hopper(
// PRINT:       IR Dump After ConvertKernelsToLlvm (qopt-convert-kernels-to-llvm)
module attributes {gpu.container_module} {
  func.func @forward() {
    return
  }
  gpu.module @kernels {
    gpu.func @count(%x: !llvm.ptr, %n: i32) kernel {
      %c0 = arith.constant 0 : i32
      %c1 = arith.constant 1 : i32
      scf.for %i = %c0 to %n step %c1 : i32 {
        llvm.store %i, %x : i32, !llvm.ptr
      }
      gpu.return
    }
    gpu.func @hopper(%x: !llvm.ptr) kernel attributes {qopt.arch = "sm_90a"} {
      gpu.return
    }
  }
}
