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

// A loop of layers becomes branches, which a call that fails leaves as anywhere else. What a
// layer selects is read from the tables: at a number that is computed, or read from a constant
// where the numbers are not evenly spaced.
// CHECK:       llvm.mlir.global internal constant @[[NUMBERS:.*]](dense<[0, 1, 3]> : tensor<3xi32>)
// CHECK-LABEL: func.func @layers(
// CHECK-SAME:    %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %[[PARAMETERS:.*]]: !llvm.ptr, %[[INPUTS:.*]]: !llvm.ptr, %{{.*}}: !llvm.ptr) -> i64
// CHECK-NOT:     llvm.getelementptr %[[PARAMETERS]]
// CHECK:         cf.br ^[[BODY:.*]](%
// CHECK:       ^[[BODY]](%[[LAYER:.*]]: index):
// CHECK-NEXT:    %[[L0:.*]] = arith.index_cast %[[LAYER]]
// CHECK:         %[[OFFSET:.*]] = llvm.mul %[[L0]],
// CHECK:         %[[N:.*]] = llvm.add %[[OFFSET]],
// CHECK:         llvm.getelementptr %[[PARAMETERS]][%[[N]]]
// CHECK:         %[[L1:.*]] = arith.index_cast %[[LAYER]]
// CHECK:         %[[TABLE:.*]] = llvm.mlir.addressof @[[NUMBERS]]
// CHECK:         %[[PLACE:.*]] = llvm.getelementptr %[[TABLE]][%[[L1]]]
// CHECK:         %[[I32:.*]] = llvm.load %[[PLACE]]
// CHECK:         %[[I64:.*]] = llvm.sext %[[I32]]
// CHECK:         llvm.getelementptr %[[PARAMETERS]][%[[I64]]]
// CHECK:         llvm.getelementptr %[[INPUTS]][%
// CHECK:         call @add(
// CHECK:         cf.cond_br %{{.*}}, ^[[NEXT:.*]], ^[[EXIT:.*]]
// CHECK:       ^[[NEXT]]:
// CHECK:         cf.cond_br %{{.*}}, ^[[BODY]](%{{.*}} : index), ^[[AFTER:.*]]
// CHECK:       ^[[AFTER]]:
// CHECK-NOT:     qopt.
memref.global "private" @a : memref<8xf32> {qopt.name = "a", qopt.value = dense<1.0> : tensor<8xf32>}
memref.global "private" @b : memref<8xf32> {qopt.name = "b", qopt.value = dense<2.0> : tensor<8xf32>}
memref.global "private" @c : memref<8xf32> {qopt.name = "c", qopt.value = dense<3.0> : tensor<8xf32>}
memref.global "private" @d : memref<8xf32> {qopt.name = "d", qopt.value = dense<4.0> : tensor<8xf32>}
func.func private @add(%x: memref<8xf32>, %y: memref<8xf32>, %z: memref<?xf32>) {
  return
}
func.func @layers(%x: memref<?xf32>, %y: memref<?xf32>, %z: memref<?xf32>) {
  %a = memref.get_global @a : memref<8xf32>
  %b = memref.get_global @b : memref<8xf32>
  %c = memref.get_global @c : memref<8xf32>
  %d = memref.get_global @d : memref<8xf32>
  qopt.repeat 3 as %layer {
    %0 = qopt.select %layer of %b, %c, %d : memref<8xf32>
    %1 = qopt.select %layer of %a, %b, %d : memref<8xf32>
    %2 = qopt.select %layer of %x, %y, %z : memref<?xf32>
    func.call @add(%0, %1, %2) : (memref<8xf32>, memref<8xf32>, memref<?xf32>) -> ()
  }
  return
}

// -----

func.func private @selects(%x: memref<4xf32>, %y: memref<4xf32>) {
  qopt.repeat 2 as %layer {
    // expected-error @below {{'qopt.select' op expected parameters or arguments of an entry point}}
    %0 = qopt.select %layer of %x, %y : memref<4xf32>
  }
  return
}

// -----

memref.global "private" @p : memref<4xf32> {qopt.name = "p", qopt.value = dense<1.0> : tensor<4xf32>}
func.func @mixes(%x: memref<4xf32>) {
  %p = memref.get_global @p : memref<4xf32>
  qopt.repeat 2 as %layer {
    // expected-error @below {{'qopt.select' op expected either parameters or arguments}}
    %0 = qopt.select %layer of %x, %p : memref<4xf32>
  }
  return
}

// -----

func.func private @allocates() {
  qopt.repeat 2 as %layer {
    // expected-error @below {{'memref.alloc' op expected at the top of its function, outside of loops and branches}}
    %0 = memref.alloc() : memref<4xf32>
  }
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

// -----

// Indices have eight bytes each.
// CHECK-LABEL: func.func private @indices(
// CHECK:         %[[BYTES:.*]] = llvm.mlir.constant(8 : i64) : i64
// CHECK:         arith.mului_extended %[[BYTES]], %{{.*}} : i64
func.func private @indices(%n: index) {
  %0 = memref.alloc(%n) : memref<?xindex>
  memref.dealloc %0 : memref<?xindex>
  return
}

// -----

func.func private @vectors(%n: index) {
  // expected-error @below {{'memref.alloc' op expected a dense layout of numbers but got 'memref<?xvector<4xf32>>'}}
  %0 = memref.alloc(%n) : memref<?xvector<4xf32>>
  memref.dealloc %0 : memref<?xvector<4xf32>>
  return
}
