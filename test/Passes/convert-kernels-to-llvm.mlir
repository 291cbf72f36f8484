// RUN: qopt-opt %s --pass-pipeline='builtin.module(gpu.module(qopt-convert-kernels-to-llvm))' \
// RUN:   --split-input-file --verify-diagnostics | FileCheck %s
//
// Thread numbers, block sizes and math become what PTX has, without libdevice.

// CHECK-LABEL: llvm.func @scale(
// CHECK-SAME:    %{{.*}}: !llvm.ptr {llvm.noalias}) attributes {{.*}}nvvm.kernel
// CHECK:         nvvm.read.ptx.sreg.tid.x
// CHECK:         llvm.intr.sqrt(%{{.*}}) : (f32) -> f32
// CHECK-NOT:     __nv_
gpu.module @kernels {
  gpu.func @scale(%x: !llvm.ptr {llvm.noalias}) kernel attributes {known_block_size = array<i32: 32, 1, 1>} {
    %i = gpu.thread_id x
    %n = arith.index_cast %i : index to i64
    %at = llvm.getelementptr %x[%n] : (!llvm.ptr, i64) -> !llvm.ptr, f32
    %a = llvm.load %at : !llvm.ptr -> f32
    %root = math.sqrt %a : f32
    llvm.store %root, %at : f32, !llvm.ptr
    gpu.return
  }
}

// -----

// Tensor maps are passed by value: the copies read them in the kernel's parameters.
// CHECK-LABEL: llvm.func @copies(
// CHECK-SAME:    %{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.byval = !llvm.array<128 x i8>, nvvm.grid_constant}
// CHECK-SAME:    %{{.*}}: !llvm.ptr)
// CHECK-NOT:     qopt.
// CHECK-NOT:     nvvm.minctasm
gpu.module @kernels {
  gpu.func @copies(%map: !llvm.ptr {qopt.tensor_map}, %x: !llvm.ptr) kernel {
    gpu.return
  }
}

// -----

// ptxas must know with how many registers a kernel begins that shares them out.
// CHECK-LABEL: llvm.func @shares(
// CHECK-SAME:    nvvm.minctasm = 1 : i32
gpu.module @kernels {
  gpu.func @shares() kernel {
    nvvm.setmaxregister increase 240
    gpu.return
  }
}

// -----

// What no GPU has is said, not left.
gpu.module @kernels {
  gpu.func @waits(%n: index) kernel {
    // expected-error @below {{failed to legalize operation 'gpu.wait'}}
    gpu.wait
    gpu.return
  }
}
