// RUN: qopt-opt %s --qopt-lower-host-abi --split-input-file --verify-diagnostics | FileCheck %s
//
// Entry points read tables of inputs and parameters; what they call gets their frame.

// CHECK:       llvm.mlir.global external constant @qrt_abi_version
// CHECK-NOT:   memref.global
// CHECK-LABEL: func.func private @scale(
// CHECK-SAME:    %[[FRAME:.*]]: !llvm.ptr, %{{.*}}: memref<?x8xf32>, %{{.*}}: memref<8xf32>, %{{.*}}: memref<?x8xf32>)
// CHECK-LABEL: func.func @forward(
// CHECK-SAME:    %[[API:.*]]: !llvm.ptr, %[[CONTEXT:.*]]: !llvm.ptr, %[[PARAMETERS:.*]]: !llvm.ptr, %[[INPUTS:.*]]: !llvm.ptr, %[[OUTPUTS:.*]]: !llvm.ptr) -> i64
// CHECK:         %[[FRAME:.*]] = llvm.alloca {{.*}} {alignment = 8 : i64, qopt.frame}
// CHECK:         llvm.getelementptr %[[INPUTS]]
// CHECK:         llvm.getelementptr %[[PARAMETERS]]
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %{{.*}}) : !llvm.ptr, (!llvm.ptr, i64) -> !llvm.ptr
// CHECK:         call @scale(%[[FRAME]], %{{.*}}) : (!llvm.ptr, memref<?x8xf32>, memref<8xf32>, memref<?x8xf32>) -> ()
// CHECK:         llvm.getelementptr %[[OUTPUTS]]
// CHECK:         return %{{.*}} : i64
memref.global "private" @parameter_0 : memref<8xf32> {qopt.name = "w", qopt.value = dense<1.0> : tensor<8xf32>}
func.func private @scale(%x: memref<?x8xf32>, %w: memref<8xf32>, %y: memref<?x8xf32>) {
  return
}
func.func @forward(%x: memref<?x8xf32>) -> memref<?x8xf32> {
  %c0 = arith.constant 0 : index
  %n = memref.dim %x, %c0 : memref<?x8xf32>
  %w = memref.get_global @parameter_0 : memref<8xf32>
  %y = memref.alloc(%n) {qopt.output} : memref<?x8xf32>
  call @scale(%x, %w, %y) : (memref<?x8xf32>, memref<8xf32>, memref<?x8xf32>) -> ()
  return %y : memref<?x8xf32>
}

// -----

// What must hold is asked once, and where it does not the function is left.
// CHECK-LABEL: func.func private @checks(
// CHECK-SAME:    %{{.*}}: !llvm.ptr, %[[OK:.*]]: i1, %[[A:.*]]: i64)
// CHECK:         cf.cond_br %[[OK]], ^[[NEXT:.*]], ^[[FAILED:.*]]
// CHECK:       ^[[FAILED]]:
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %{{.*}}, %[[A]], %[[A]])
// CHECK-NOT:     qopt.require
func.func private @checks(%ok: i1, %a: i64) {
  qopt.require %ok, shape_mismatch(%a, %a)
  return
}

// -----

// The runtime hands over arrays.
// expected-error @below {{'func.func' op expected arguments that are dense memrefs but got 'tensor<4xf32>'}}
func.func @tensors(%x: tensor<4xf32>) {
  return
}

// -----

// expected-error @below {{'func.func' op expected arguments that are dense memrefs but got 'memref<4x4xf32, strided<[8, 1]>>'}}
func.func @strided(%x: memref<4x4xf32, strided<[8, 1]>>) {
  return
}

// -----

// expected-error @below {{'func.func' op expected results that are memrefs but got 'i64'}}
func.func @numbers() -> i64 {
  %c0 = arith.constant 0 : i64
  return %c0 : i64
}

// -----

// expected-error @below {{'func.func' op expected no results but got 1}}
func.func private @results(%x: memref<4xf32>) -> memref<4xf32> {
  return %x : memref<4xf32>
}

// -----

// Memory belongs to the function, which gives it back however it ends.
func.func private @nested(%is: i1) {
  scf.if %is {
    // expected-error @below {{'memref.alloc' op expected at the top of its function, outside of loops and branches}}
    %0 = memref.alloc() : memref<4xf32>
  }
  return
}

// -----

func.func private @unknown()
func.func @calls() {
  // expected-error @below {{'func.call' op calls a function without a body}}
  call @unknown() : () -> ()
  return
}

// -----

func.func private @frees(%x: memref<4xf32>) {
  // expected-error @below {{'memref.dealloc' op expected memory that the function allocates}}
  memref.dealloc %x : memref<4xf32>
  return
}
