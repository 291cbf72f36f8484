// RUN: qopt-opt %s --qopt-emit-cuda-kernels --split-input-file --verify-diagnostics | FileCheck %s
//
// A declaration gets a body that launches its kernel; addresses, sizes and the
// record of errors are passed on.

// CHECK-LABEL: module attributes {gpu.container_module}
// CHECK:       func.func private @gather(%[[DATA:.*]]: memref<?x64xf32>, %[[INDICES:.*]]: memref<?xi64>, %[[Y:.*]]: memref<?x64xf32>)
// CHECK-DAG:     %[[V:.*]] = memref.dim %[[DATA]], %{{.*}} : memref<?x64xf32>
// CHECK-DAG:     %[[SIZE:.*]] = arith.index_cast %[[V]] : index to i64
// CHECK-DAG:     %[[ERRORS:.*]] = call @qrt_errors() : () -> !llvm.ptr
// CHECK:         gpu.launch_func @kernels::@gather blocks in (%{{.*}}) threads in (%{{.*}}) dynamic_shared_memory_size %{{.*}} args(
// CHECK-SAME:      !llvm.ptr, %{{.*}} : !llvm.ptr, %{{.*}} : !llvm.ptr, %[[SIZE]] : i64, %[[ERRORS]] : !llvm.ptr)
// CHECK:       gpu.module @kernels {
// CHECK:         gpu.func @gather(%{{.*}}: !llvm.ptr {llvm.noalias, llvm.readonly}, %{{.*}}: !llvm.ptr {llvm.noalias, llvm.readonly}, %{{.*}}: !llvm.ptr {llvm.noalias}, %{{[a-z0-9]+}}: i64, %{{[a-z0-9]+}}: !llvm.ptr {llvm.noalias})
// CHECK-SAME:      kernel attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32, qopt.shared_bytes = 0 : i64}
// CHECK:           llvm.cmpxchg %{{.*}} monotonic monotonic
// CHECK:           llvm.load %{{.*}} {alignment = 16 : i64} : !llvm.ptr -> vector<4xi32>
func.func private @gather(memref<?x64xf32>, memref<?xi64>, memref<?x64xf32>) attributes {qopt.kernel = "gather"}

// -----

// Loops: one thread per element, the three dimensions as one.
// CHECK-LABEL: func.func private @double(
// CHECK-NOT:     linalg
// CHECK-NOT:     scf
// CHECK:         gpu.launch_func @kernels::@double
// CHECK:       gpu.func @double(
// CHECK:         scf.if
// CHECK:           %[[V:.*]] = memref.load %{{.*}}[%[[I:.*]]] : memref<?xf32>
// CHECK:           %[[TWICE:.*]] = arith.addf %[[V]], %[[V]]
// CHECK:           memref.store %[[TWICE]], %{{.*}}[%[[I]]] : memref<?xf32>
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func private @double(%x: memref<?x?x4xf32>, %y: memref<?x?x4xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : memref<?x?x4xf32>) outs(%y : memref<?x?x4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %a : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

// What reads memory and has no threads of its own runs in a single one; each loop is a
// launch.
// CHECK-LABEL: func.func private @two_loops(
// CHECK:         gpu.launch_func @kernels::@two_loops_0
// CHECK:         gpu.launch_func @kernels::@two_loops_1
// CHECK:       gpu.func @two_loops_0({{.*}}) kernel attributes {known_block_size = array<i32: 1, 1, 1>
// CHECK:         scf.for
// CHECK:       gpu.func @two_loops_1({{.*}}) kernel attributes {known_block_size = array<i32: 256, 1, 1>
func.func private @two_loops(%x: memref<?xf32>, %y: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c1 to %n step %c1 {
    %before = arith.subi %i, %c1 : index
    %a = memref.load %x[%before] : memref<?xf32>
    %b = memref.load %x[%i] : memref<?xf32>
    %sum = arith.addf %a, %b : f32
    memref.store %sum, %x[%i] : memref<?xf32>
  }
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %a = memref.load %x[%i] : memref<?xf32>
    memref.store %a, %y[%i] : memref<?xf32>
    scf.reduce
  }
  return
}

// -----

// A group of kernels gets a launch for one row; with more rows its kernels run one by one.
// CHECK-LABEL: func.func private @group(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>, %{{.*}}: memref<1x4x16xf32>, %[[Y:.*]]: memref<?x4xf32> {qopt.scratch}, %{{.*}}: memref<?x4xf32>)
// CHECK:         %[[ROWS:.*]] = memref.dim %[[X]], %{{.*}} : memref<?x4xf32>
// CHECK:         %[[COUNT:.*]] = arith.index_cast %[[ROWS]] : index to i64
// CHECK:         %[[ONE:.*]] = arith.cmpi eq, %[[COUNT]], %{{.*}} : i64
// CHECK:         scf.if %[[ONE]] {
// CHECK-NOT:       extract_aligned_pointer_as_index %[[Y]]
// CHECK:           gpu.launch_func @kernels::@group_fused
// CHECK-NOT:       gpu.launch_func
// CHECK:         } else {
// CHECK-NEXT:      func.call @mul(
// CHECK-NEXT:      func.call @negate(
// CHECK-NEXT:    }
// CHECK-NEXT:    return
// CHECK:       gpu.func @group_fused(
// CHECK:         arith.negf
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func private @mul(memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) attributes {qopt.kernel = "matmul_f32"}
func.func private @negate(%x: memref<?x4xf32>, %y: memref<?x4xf32>) {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x4xf32>) outs(%y : memref<?x4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.negf %a : f32
    linalg.yield %0 : f32
  }
  return
}
func.func private @group(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32> {qopt.scratch}, %z: memref<?x4xf32>)
    attributes {qopt.group} {
  call @mul(%x, %w, %y) : (memref<?x4xf32>, memref<1x4x16xf32>, memref<?x4xf32>) -> ()
  call @negate(%y, %z) : (memref<?x4xf32>, memref<?x4xf32>) -> ()
  return
}

// -----

// Rotary over heads whose pairs a warp cannot have together: nothing changes.
// CHECK-LABEL: func.func private @skips_odd_heads(
// CHECK-NEXT:    call @mul(
// CHECK:         call @turn(
// CHECK-NEXT:    return
func.func private @mul(memref<?x4xf32>, memref<2x4x16xf32>, memref<?x24xf32>) attributes {qopt.kernel = "matmul_f32"}
func.func private @turn(memref<?x?x1x24xf32>, memref<?x12xf32>, memref<?x12xf32>, memref<?x?xi64>, memref<?x?x1x24xf32>)
    attributes {qopt.kernel = "rotary"}
func.func private @skips_odd_heads(%x: memref<?x4xf32>, %w: memref<2x4x16xf32>, %y: memref<?x24xf32>, %n: index,
    %t: memref<?x12xf32>, %p: memref<?x?xi64>, %z: memref<?x?x1x24xf32>) attributes {qopt.group} {
  call @mul(%x, %w, %y) : (memref<?x4xf32>, memref<2x4x16xf32>, memref<?x24xf32>) -> ()
  %h = memref.expand_shape %y [[0, 1], [2, 3]] output_shape [1, %n, 1, 24] : memref<?x24xf32> into memref<1x?x1x24xf32>
  %c = memref.cast %h : memref<1x?x1x24xf32> to memref<?x?x1x24xf32>
  call @turn(%c, %t, %t, %p, %z) : (memref<?x?x1x24xf32>, memref<?x12xf32>, memref<?x12xf32>, memref<?x?xi64>, memref<?x?x1x24xf32>) -> ()
  return
}

// -----

// expected-error @below {{unknown kernel "fft" for CUDA}}
func.func private @fft(memref<?xf32>) attributes {qopt.kernel = "fft"}

// -----

func.func private @host_needs_it(%x: memref<?xf32>, %y: memref<?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.load %x[%c0] : memref<?xf32>
  %m = arith.fptosi %n : f32 to i64
  %count = arith.index_cast %m : i64 to index
  // expected-error @below {{needs a value that an earlier kernel computes}}
  scf.parallel (%i) = (%c0) to (%count) step (%c1) {
    memref.store %n, %y[%i] : memref<?xf32>
    scf.reduce
  }
  return
}

// -----

// Many rows are multiplied by the kernel for sm_90a where the runtime says that it is loaded.
// CHECK-LABEL: func.func private @qrt_tensor_map(!llvm.ptr, i64, i64, i64) -> !llvm.ptr
// CHECK:       func.func private @qrt_capability() -> i64
// CHECK:       func.func private @product(
// CHECK:         gpu.launch_func @kernels::@product_rows
// CHECK:         %[[CAPABILITY:.*]] = func.call @qrt_capability() : () -> i64
// CHECK:         arith.cmpi sge, %[[CAPABILITY]], %{{.*}} : i64
// CHECK:         %[[MAP:.*]] = func.call @qrt_tensor_map(
// CHECK:         gpu.launch_func @kernels::@product_wgmma
// CHECK-SAME:      args(%[[MAP]] : !llvm.ptr,
// CHECK:         gpu.launch_func @kernels::@product_small
// CHECK:       gpu.func @product_wgmma(%{{.*}}: !llvm.ptr {qopt.tensor_map}
// CHECK-SAME:      known_block_size = array<i32: 384, 1, 1>, nvvm.minctasm = 1 : i32, qopt.arch = "sm_90a"
// CHECK:         nvvm.mbarrier.init
// CHECK:         wgmma.mma_async.sync.aligned.m64n128k32.s32.s8.s8
func.func private @product(memref<?x64xi8>, memref<?xf32>, memref<2x16x64xi8>, memref<32xi32>, memref<32xf32>, memref<?x32xf32>)
    attributes {qopt.kernel = "matmul_w8a8"}
