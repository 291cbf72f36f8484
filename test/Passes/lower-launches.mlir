// RUN: qopt-opt %s --qopt-lower-launches --split-input-file --verify-diagnostics | FileCheck %s
//
// A launch is a call of the runtime, which knows the kernel by its number.

// CHECK-NOT:   gpu.
// CHECK-LABEL: func.func private @scale(
// CHECK-SAME:    %[[FRAME:.*]]: !llvm.ptr, %[[X:.*]]: !llvm.ptr, %[[N:.*]]: i64)
// CHECK:         arith.constant 1 : index
// CHECK-NEXT:    %[[NUMBER:.*]] = llvm.mlir.constant(1 : i64) : i64
// CHECK:         llvm.store %[[NUMBER]], %{{.*}} : i64, !llvm.ptr
// CHECK:         llvm.store %[[X]]
// CHECK:         llvm.store %[[N]]
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %{{.*}}, %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
// CHECK-NEXT:    return
module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @first() kernel {
      gpu.return
    }
    gpu.func @second(%x: !llvm.ptr, %n: i64) kernel {
      gpu.return
    }
  }
  func.func private @scale(%frame: !llvm.ptr, %x: !llvm.ptr, %n: i64) {
    %c1 = arith.constant 1 : index
    gpu.launch_func @kernels::@second blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%x : !llvm.ptr, %n : i64)
    return
  }
}

// -----

// The runtime is reached through the frame.
module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @first() kernel {
      gpu.return
    }
  }
  func.func private @no_frame() {
    %c1 = arith.constant 1 : index
    // expected-error @below {{'gpu.launch_func' op expected a function with a call frame, as qopt-lower-host-abi leaves it}}
    gpu.launch_func @kernels::@first blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
    return
  }
}

// -----

module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @first(%n: f64) kernel {
      gpu.return
    }
  }
  func.func private @doubles(%frame: !llvm.ptr, %n: f64) {
    %c1 = arith.constant 1 : index
    // expected-error @below {{'gpu.launch_func' op expected arguments of type !llvm.ptr, i32, i64 or f32 but got 'f64'}}
    gpu.launch_func @kernels::@first blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1) args(%n : f64)
    return
  }
}

// -----

module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @first() kernel {
      gpu.return
    }
  }
  func.func private @at_once(%frame: !llvm.ptr, %n: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    scf.parallel (%i) = (%c0) to (%n) step (%c1) {
      // expected-error @below {{'gpu.launch_func' op may not be in a parallel loop: launches run in order}}
      gpu.launch_func @kernels::@first blocks in (%c1, %c1, %c1) threads in (%c1, %c1, %c1)
    }
    return
  }
}
