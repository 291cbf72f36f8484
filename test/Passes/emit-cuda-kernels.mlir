// RUN: qopt-opt %s --qopt-emit-cuda-kernels --split-input-file --verify-diagnostics | FileCheck %s
//
// The function of a kernel gets a body that launches it; addresses, sizes and the
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
func.func private @gather(%data: memref<?x64xf32>, %indices: memref<?xi64>, %y: memref<?x64xf32>) {
  kernel.gather ins(%data, %indices : memref<?x64xf32>, memref<?xi64>) outs(%y : memref<?x64xf32>)
  return
}

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

// A group of kernels gets a launch for one row; with more rows its operations run one by
// one, as functions of their own.
// CHECK-LABEL: func.func private @group(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>, %{{.*}}: memref<1x4x16xf32>, %[[Y:.*]]: memref<?x4xf32>, %{{.*}}: memref<?x4xf32>)
// CHECK:         %[[ROWS:.*]] = memref.dim %[[X]], %{{.*}} : memref<?x4xf32>
// CHECK:         %[[COUNT:.*]] = arith.index_cast %[[ROWS]] : index to i64
// CHECK:         %[[ONE:.*]] = arith.cmpi eq, %[[COUNT]], %{{.*}} : i64
// CHECK:         scf.if %[[ONE]] {
// CHECK-NOT:       extract_aligned_pointer_as_index %[[Y]]
// CHECK:           gpu.launch_func @kernels::@group_fused
// CHECK-NOT:       gpu.launch_func
// CHECK:         } else {
// CHECK-NEXT:      func.call @matmul_f32_n4_k4(
// CHECK-NEXT:      func.call @group_loop_0(
// CHECK-NEXT:    }
// CHECK-NEXT:    return
// CHECK:       func.func private @matmul_f32_n4_k4(
// CHECK:         gpu.launch_func @kernels::@matmul_f32_n4_k4_rows
// CHECK:       func.func private @group_loop_0(
// CHECK:         gpu.launch_func @kernels::@group_loop_0
// CHECK:       gpu.func @group_fused(
// CHECK:         arith.negf
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func private @group(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>, %z: memref<?x4xf32>) {
  kernel.group(%a = %x : memref<?x4xf32>, %b = %w : memref<1x4x16xf32>, %c = %y scratch : memref<?x4xf32>, %d = %z : memref<?x4xf32>) {
    kernel.stage products {
      kernel.matmul_float ins(%a, %b : memref<?x4xf32>, memref<1x4x16xf32>) outs(%c : memref<?x4xf32>)
    } epilogue {
      linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%c : memref<?x4xf32>) outs(%d : memref<?x4xf32>) {
      ^bb0(%e: f32, %out: f32):
        %0 = arith.negf %e : f32
        linalg.yield %0 : f32
      }
    }
  }
  return
}

// -----

// For many rows a row is normalized and quantized by one launch; nothing needs the functions
// of the two then.
// CHECK-LABEL: func.func private @prepares(
// CHECK:         scf.if
// CHECK:           gpu.launch_func @kernels::@prepares_fused
// CHECK-NOT:       gpu.launch_func
// CHECK:         } else {
// CHECK:           gpu.launch_func @kernels::@prepares_prepare
// CHECK-NEXT:      func.call @matmul_w8a8_n8_k4_per_token(
// CHECK-NEXT:      func.call @matmul_w8a8_n8_k4_per_token(
// CHECK-NEXT:      func.call @prepares_loop_0(
// CHECK-NEXT:    }
// CHECK-NOT:   func.func private @rms_norm
// CHECK-NOT:   func.func private @dynamic_quantize
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func private @prepares(%x: memref<?x4xf32>, %g: memref<4xf32>, %xn: memref<?x4xf32>, %q: memref<?x4xi8>, %t: memref<?xf32>,
                            %w: memref<1x1x64xi8>, %c: memref<16xi32>, %s: memref<8xf32>,
                            %y: memref<?x8xf32>, %z: memref<?x8xf32>, %r: memref<?x8xf32>) {
  kernel.group(%0 = %x : memref<?x4xf32>, %1 = %g : memref<4xf32>, %2 = %xn scratch : memref<?x4xf32>,
               %3 = %q scratch : memref<?x4xi8>, %4 = %t scratch : memref<?xf32>,
               %5 = %w : memref<1x1x64xi8>, %6 = %c : memref<16xi32>, %7 = %s : memref<8xf32>,
               %8 = %y scratch : memref<?x8xf32>, %9 = %z scratch : memref<?x8xf32>, %10 = %r : memref<?x8xf32>) {
    kernel.stage preparation {
      kernel.rms_norm ins(%0, %1 : memref<?x4xf32>, memref<4xf32>) outs(%2 : memref<?x4xf32>) {epsilon = 1.0e-5 : f32}
      kernel.dynamic_quantize ins(%2 : memref<?x4xf32>) outs(%3, %4 : memref<?x4xi8>, memref<?xf32>)
    } products {
      kernel.matmul_w8a8 ins(%3, %4, %5, %6, %7 : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<8xf32>) outs(%8 : memref<?x8xf32>)
      kernel.matmul_w8a8 ins(%3, %4, %5, %6, %7 : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<8xf32>) outs(%9 : memref<?x8xf32>)
    } epilogue {
      linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
          ins(%8, %9 : memref<?x8xf32>, memref<?x8xf32>) outs(%10 : memref<?x8xf32>) {
      ^bb0(%a: f32, %b: f32, %out: f32):
        %p = arith.mulf %a, %b : f32
        linalg.yield %p : f32
      }
    }
  }
  return
}

// -----

// Rotary over heads whose pairs a warp cannot have together: its operations run one by one.
// CHECK-LABEL: func.func private @skips_odd_heads(
// CHECK-NOT:     scf.if
// CHECK:         call @matmul_f32_n24_k4(
// CHECK:         call @rotary_h1_d24(
// CHECK-NEXT:    return
func.func private @skips_odd_heads(%x: memref<?x4xf32>, %w: memref<2x4x16xf32>, %y: memref<?x24xf32>, %n: index,
                                   %t: memref<?x12xf32>, %p: memref<?x?xi64>, %z: memref<1x?x1x24xf32>) {
  kernel.group(%a = %x : memref<?x4xf32>, %b = %w : memref<2x4x16xf32>, %c = %y : memref<?x24xf32>, %m = %n : index,
               %d = %t : memref<?x12xf32>, %e = %p : memref<?x?xi64>, %f = %z : memref<1x?x1x24xf32>) {
    %h = memref.expand_shape %c [[0, 1], [2, 3]] output_shape [1, %m, 1, 24] : memref<?x24xf32> into memref<1x?x1x24xf32>
    kernel.stage products {
      kernel.matmul_float ins(%a, %b : memref<?x4xf32>, memref<2x4x16xf32>) outs(%c : memref<?x24xf32>)
    } epilogue {
      kernel.rotary ins(%h, %d, %d : memref<1x?x1x24xf32>, memref<?x12xf32>, memref<?x12xf32>) positions(%e : memref<?x?xi64>)
          outs(%f : memref<1x?x1x24xf32>) {rotary_dim = 24 : i64}
    }
  }
  return
}

// -----

// Only functions that qopt-outline-kernels makes are for the device.
func.func @entry(%x: memref<?x8xf32>, %w: memref<8xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{'kernel.rms_norm' op expected to be alone in a private function, as qopt-outline-kernels leaves it}}
  kernel.rms_norm ins(%x, %w : memref<?x8xf32>, memref<8xf32>) outs(%y : memref<?x8xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func private @two(%x: memref<?x8xf32>, %w: memref<8xf32>, %y: memref<?x8xf32>) {
  // expected-error @below {{'kernel.rms_norm' op expected to be alone in a private function}}
  kernel.rms_norm ins(%x, %w : memref<?x8xf32>, memref<8xf32>) outs(%y : memref<?x8xf32>) {epsilon = 1.0e-5 : f32}
  kernel.rms_norm ins(%y, %w : memref<?x8xf32>, memref<8xf32>) outs(%x : memref<?x8xf32>) {epsilon = 1.0e-5 : f32}
  return
}

// -----

func.func @grouped(%x: memref<?x4xf32>, %w: memref<1x4x16xf32>, %y: memref<?x4xf32>) {
  // expected-error @below {{'kernel.group' op expected to be alone in a private function, as qopt-outline-kernels leaves it}}
  kernel.group(%a = %x : memref<?x4xf32>, %b = %w : memref<1x4x16xf32>, %c = %y : memref<?x4xf32>) {
    kernel.stage products {
      kernel.matmul_float ins(%a, %b : memref<?x4xf32>, memref<1x4x16xf32>) outs(%c : memref<?x4xf32>)
    }
  }
  return
}

// -----

func.func private @tensors(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %y: tensor<?x8xf32>) {
  // expected-error @below {{'kernel.rms_norm' op expected a kernel on memory, as bufferization leaves it, but got 'tensor<?x8xf32>'}}
  %0 = kernel.rms_norm ins(%x, %w : tensor<?x8xf32>, tensor<8xf32>) outs(%y : tensor<?x8xf32>) {epsilon = 1.0e-5 : f32} -> tensor<?x8xf32>
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
func.func private @loop_on_tensors(%x: tensor<?xf32>) {
  // expected-error @below {{'linalg.generic' op expected operations on memory, as bufferization leaves them}}
  %0 = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%x : tensor<?xf32>) {
  ^bb0(%out: f32):
    linalg.yield %out : f32
  } -> tensor<?xf32>
  return
}

// -----

func.func @forward(%x: tensor<?x4xf32>) {
  // expected-error @below {{'onnx.Relu' op expected operations on memory, as bufferization leaves them}}
  %0 = "onnx.Relu"(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// -----

#id = affine_map<(d0) -> (d0)>
func.func @loop_of_entry(%x: memref<?xf32>) {
  // expected-error @below {{'linalg.generic' op expected loops in a private function, as qopt-outline-kernels leaves them}}
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%x : memref<?xf32>) {
  ^bb0(%out: f32):
    linalg.yield %out : f32
  }
  return
}

// -----

// Integers in groups: few rows, and tiles. Codes by groups take a warp for each.
// CHECK-LABEL: func.func private @integer_groups(
// CHECK:         gpu.launch_func @kernels::@integer_groups_rows
// CHECK:         gpu.launch_func @kernels::@integer_groups_small
// CHECK:         gpu.launch_func @kernels::@integer_groups_large
func.func private @integer_groups(%x: memref<?x16xi8>, %xs: memref<?x1xf32>, %w: memref<1x2x64xi8>, %s: memref<1x1x16xf32>, %y: memref<?x8xf32>) {
  kernel.matmul_w4a8 ins(%x, %xs, %w, %s : memref<?x16xi8>, memref<?x1xf32>, memref<1x2x64xi8>, memref<1x1x16xf32>)
      outs(%y : memref<?x8xf32>) {group_size = 16 : i64, x_group_size = 16 : i64}
  return
}

// -----

func.func private @narrow_cache(%x: memref<?x?x2x4xf32>, %past: memref<1xi64>, %cache: memref<?x2x?x4xf16>) {
  // expected-error @below {{'kernel.cache_append' op has no generator for CUDA with caches of f16}}
  kernel.cache_append ins(%x, %past : memref<?x?x2x4xf32>, memref<1xi64>) outs(%cache : memref<?x2x?x4xf16>)
  return
}

// -----

// CHECK-LABEL: func.func private @groups_of_codes(
// CHECK:         gpu.launch_func @kernels::@groups_of_codes
// CHECK:       gpu.func @groups_of_codes({{.*}}) kernel attributes {known_block_size = array<i32: 64, 1, 1>
func.func private @groups_of_codes(%x: memref<?x16xf32>, %q: memref<?x16xi8>, %s: memref<?x2xf32>) {
  kernel.dynamic_quantize ins(%x : memref<?x16xf32>) outs(%q, %s : memref<?x16xi8>, memref<?x2xf32>) {group_size = 8 : i64}
  return
}

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
func.func private @product(%x: memref<?x64xi8>, %xs: memref<?xf32>, %w: memref<2x16x64xi8>, %c: memref<32xi32>,
                           %s: memref<32xf32>, %y: memref<?x32xf32>) {
  kernel.matmul_w8a8 ins(%x, %xs, %w, %c, %s : memref<?x64xi8>, memref<?xf32>, memref<2x16x64xi8>, memref<32xi32>, memref<32xf32>)
      outs(%y : memref<?x32xf32>)
  return
}
