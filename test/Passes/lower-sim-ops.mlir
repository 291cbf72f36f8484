// RUN: qopt-opt %s --qopt-lower-sim-ops --split-input-file --verify-diagnostics | FileCheck %s
//
// What threads do together is a call of the simulator's API that names its place; accesses of memory are checked.

// CHECK-NOT:   addr_space = 3
// CHECK-LABEL: llvm.func @meet(
// CHECK-NOT:     nvvm
// CHECK:         llvm.call %{{.*}}(%{{.*}}, %{{.*}}) : !llvm.ptr, (!llvm.ptr, !llvm.ptr) -> ()
// CHECK:         llvm.cond_br
// CHECK:         llvm.store %{{.*}}, %{{.*}} : f32, !llvm.ptr{{$}}
llvm.mlir.global external @shared() {addr_space = 3 : i32} : !llvm.array<0 x i8>
llvm.func @meet(%thread: !llvm.ptr, %arguments: !llvm.ptr) {
  %at = llvm.mlir.addressof @shared : !llvm.ptr<3>
  %one = llvm.mlir.constant(1.0 : f32) : f32
  nvvm.barrier0 {qopt.site = "barrier0 #1"}
  llvm.store %one, %at : f32, !llvm.ptr<3>
  llvm.return
}

// -----

llvm.func @sleeps(%thread: !llvm.ptr, %arguments: !llvm.ptr) {
  // expected-error @below {{in kernel sleeps is not known to the simulator}}
  nvvm.griddepcontrol wait
  llvm.return
}
