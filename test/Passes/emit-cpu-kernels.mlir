// RUN: qopt-opt %s --qopt-emit-cpu-kernels --split-input-file --verify-diagnostics | FileCheck %s --check-prefixes=CHECK,V3
// RUN: qopt-opt %s --qopt-emit-cpu-kernels="level=x86-64-v4" --split-input-file --verify-diagnostics | FileCheck %s --check-prefixes=CHECK,V4
// RUN: not qopt-opt %s --qopt-emit-cpu-kernels="level=x86-64-v2" --split-input-file 2>&1 | FileCheck %s --check-prefix=LEVEL
//
// A kernel becomes loops in its function; the parallel one is at the top.
// LEVEL: error: qopt-emit-cpu-kernels: expected level x86-64-v3 or x86-64-v4 but got "x86-64-v2"

// CHECK-LABEL: func.func private @rms_norm(
// CHECK-SAME:    %[[X:.*]]: memref<?x64xf32>, %{{.*}}: memref<64xf32>, %{{.*}}: memref<?x64xf32>)
// CHECK-NOT:     kernel.
// CHECK:         %[[ROWS:.*]] = memref.dim %[[X]]
// CHECK:         scf.parallel (%{{.*}}) = (%{{.*}}) to (%[[ROWS]])
// CHECK:           vector.load %[[X]]
// CHECK:         qopt.grain
// CHECK-NEXT:    return
func.func private @rms_norm(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>) {
  kernel.rms_norm ins(%x, %w : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

// Products of bytes are one instruction where the level has it.
// CHECK-LABEL: func.func private @product(
// V3-NOT:        llvm.x86.avx512
// V4:            llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
func.func private @product(%c: memref<?x4xi8>, %t: memref<?xf32>, %w: memref<1x1x64xi8>, %k: memref<16xi32>, %s: memref<4xf32>, %y: memref<?x4xf32>) {
  kernel.matmul_w8a8 ins(%c, %t, %w, %k, %s : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%y : memref<?x4xf32>)
  return
}

// -----

// A product of one row asks for weights 8 KiB ahead: 256 inputs of 16 columns of f16 each. Many rows find theirs
// in the cache.
// CHECK-LABEL: func.func private @stream(
// CHECK-SAME:    %[[X:[^:]*]]: memref<?x512xf32>, %[[W:[^:]*]]: memref<1x512x16xf16>
// CHECK-NOT:     memref.prefetch
// CHECK:         %[[AHEAD:.*]] = arith.constant 256 : index
// CHECK:         %[[ROW:.*]] = arith.addi %{{.*}}, %[[AHEAD]] : index
// CHECK:         memref.prefetch %[[W]][%{{.*}}, %[[ROW]], %{{.*}}], read, locality<3>, data
// CHECK-NOT:     memref.prefetch
// CHECK:         return
func.func private @stream(%x: memref<?x512xf32>, %w: memref<1x512x16xf16>, %y: memref<?x16xf32>) {
  kernel.matmul_float ins(%x, %w : memref<?x512xf32>, memref<1x512x16xf16>) outs(%y : memref<?x16xf32>)
  return
}

// -----

// The stages of a group run one after the other.
// CHECK-LABEL: func.func private @group(
// CHECK-NOT:     kernel.
// CHECK:         scf.parallel
// CHECK:         scf.parallel
func.func private @group(%x: memref<?x4xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %w: memref<1x1x64xi8>, %k: memref<16xi32>, %s: memref<4xf32>, %y: memref<?x4xf32>) {
  kernel.group(%gx = %x : memref<?x4xf32>, %gc = %c scratch : memref<?x4xi8>, %gt = %t scratch : memref<?xf32>, %gw = %w : memref<1x1x64xi8>, %gk = %k : memref<16xi32>, %gs = %s : memref<4xf32>, %gy = %y : memref<?x4xf32>) {
    kernel.stage preparation {
      kernel.dynamic_quantize ins(%gx : memref<?x4xf32>) outs(%gc, %gt : memref<?x4xi8>, memref<?xf32>)
    } products {
      kernel.matmul_w8a8 ins(%gc, %gt, %gw, %gk, %gs : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%gy : memref<?x4xf32>)
    }
  }
  return
}

// -----

// Code is made for memory that is there.
func.func private @tensors(%x: tensor<?x64xf32>, %w: tensor<64xf32>) -> tensor<?x64xf32> {
  // expected-error @below {{'kernel.rms_norm' op expected a kernel on memory, as bufferization leaves it, but got 'tensor<?x64xf32>'}}
  %0 = kernel.rms_norm ins(%x, %w : tensor<?x64xf32>, tensor<64xf32>) outs(%x : tensor<?x64xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x64xf32>
  return %0 : tensor<?x64xf32>
}

// -----

// The loops are at the top of a function of their own.
func.func private @nested(%x: memref<?x64xf32>, %w: memref<64xf32>, %y: memref<?x64xf32>, %is: i1) {
  scf.if %is {
    // expected-error @below {{'kernel.rms_norm' op expected a kernel at the top of a function, as qopt-outline-kernels leaves it}}
    kernel.rms_norm ins(%x, %w : memref<?x64xf32>, memref<64xf32>) outs(%y : memref<?x64xf32>) {epsilon = 1.0e-5 : f32}
  }
  return
}
