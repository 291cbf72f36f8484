// RUN: qopt-opt %s --qopt-host | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-host{level=x86-64-v4})' | FileCheck %s
// RUN: qopt-opt %s --qopt-host --mlir-print-ir-after=qopt-outline-tasks 2>&1 | FileCheck %s --check-prefix=PRINT
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-host{level=i386})' 2>&1 | FileCheck %s --check-prefix=LEVEL
//
// Functions on memory to the LLVM dialect, as they are compiled; each step can be seen.

// CHECK-LABEL: llvm.func internal @rms_norm_task_0(
// CHECK-LABEL: llvm.func @rms_norm(%{{.*}}: !llvm.ptr,
// CHECK-NOT:     unrealized_conversion_cast
// CHECK-LABEL: llvm.func @forward(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i64
// CHECK:         llvm.call @rms_norm(
// PRINT:       IR Dump After OutlineTasks (qopt-outline-tasks)
// LEVEL:       error: qopt-emit-cpu-kernels: expected level x86-64-v3 or x86-64-v4 but got "i386"
memref.global "private" @parameter_0 : memref<64xf32> {qopt.name = "w", qopt.value = dense<1.0> : tensor<64xf32>}
func.func private @rms_norm(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>) {
  kernel.rms_norm ins(%x, %w : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  return
}
func.func @forward(%x: memref<?x64xf32>) -> memref<?x64xf32> {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x64xf32>
  %w = memref.get_global @parameter_0 : memref<64xf32>
  %y = memref.alloc(%n) {qopt.output} : memref<?x64xf32>
  call @rms_norm(%x, %w, %y) : (memref<?x64xf32>, memref<64xf32>, memref<?x64xf32>) -> ()
  return %y : memref<?x64xf32>
}
