// RUN: qopt-opt %s --qopt-select-kernels=chip=sm_80 --split-input-file --verify-diagnostics | FileCheck %s
// RUN: qopt-opt %s --qopt-select-kernels --split-input-file --verify-diagnostics | FileCheck %s --check-prefix=ALL
//
// What runs on the host goes, and with a chip the kernels that it cannot run.

// CHECK-LABEL: module attributes {gpu.container_module}
// CHECK-NOT:     func.func
// CHECK:         gpu.module @kernels {
// CHECK-NEXT:      llvm.mlir.global external @qopt_shared
// CHECK-NEXT:      gpu.func @everywhere(
// CHECK-NOT:       gpu.func
// ALL-NOT:       func.func
// ALL:           gpu.func @everywhere(
// ALL:           gpu.func @hopper(
module attributes {gpu.container_module} {
  func.func @forward(%x: memref<?xf32>) {
    return
  }
  gpu.module @kernels {
    llvm.mlir.global external @qopt_shared() {addr_space = 3 : i32} : !llvm.array<0 x i8>
    gpu.func @everywhere(%x: !llvm.ptr) kernel {
      gpu.return
    }
    gpu.func @hopper(%x: !llvm.ptr) kernel attributes {qopt.arch = "sm_90a"} {
      gpu.return
    }
  }
}

// -----

// So with kernels in the LLVM dialect.
// CHECK-LABEL: gpu.module @lowered {
// CHECK-NEXT:    llvm.func @everywhere(
// CHECK-NOT:     llvm.func
// ALL-LABEL:   gpu.module @lowered {
// ALL:           llvm.func @everywhere(
// ALL:           llvm.func @hopper(
gpu.module @lowered {
  llvm.func @everywhere(%x: !llvm.ptr) attributes {nvvm.kernel} {
    llvm.return
  }
  llvm.func @hopper(%x: !llvm.ptr) attributes {nvvm.kernel, qopt.arch = "sm_90a"} {
    llvm.return
  }
}

// -----

// expected-error @below {{has no gpu.module, in which kernels are expected}}
module {
  func.func @forward(%x: memref<?xf32>) {
    return
  }
}
