// RUN: qopt-opt %s --split-input-file --verify-diagnostics
//
// An attribute that is misspelt, misplaced or of the wrong type would be overlooked.

// expected-error @below {{unknown attribute 'qopt.contxt_length' on 'builtin.module'; there are 'qopt.layer', 'qopt.tied'}}
module attributes {qopt.contxt_length = 12 : i64} {}

// -----

// expected-error @below {{expected attribute 'qopt.context_length' to be an i64 of at least 1 but got 0 : i64}}
module attributes {qopt.context_length = 0 : i64} {}

// -----

// expected-error @below {{expected attribute 'qopt.context_length' to be an i64 of at least 1 but got 12 : i32}}
module attributes {qopt.context_length = 12 : i32} {}

// -----

// expected-error @below {{attribute 'qopt.context_length' belongs on a module, not on 'func.func'}}
func.func private @context() attributes {qopt.context_length = 12 : i64}

// -----

func.func @layer(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-error @below {{expected attribute 'qopt.layer' to be a string that is not empty but got ""}}
  %y = onnx.MatMul %x, %x {qopt.layer = ""} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

func.func @layer_elsewhere(%x: f32) -> f32 {
  // expected-error @below {{attribute 'qopt.layer' belongs on an operation of onnx, qopt or kernel or a quantized product, not on 'arith.addf'}}
  %y = arith.addf %x, %x {qopt.layer = "up"} : f32
  return %y : f32
}

// -----

func.func @tied(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-error @below {{expected attribute 'qopt.tied' to be a string that is not empty but got unit}}
  %y = onnx.MatMul %x, %x {qopt.tied} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

func.func @scheme(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // expected-error @below {{expected attribute 'qopt.scheme' to be a #qopt.scheme but got "int8-weights"}}
  %y = onnx.MatMul %x, %x {qopt.scheme = "int8-weights"} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

// expected-error @below {{unknown scheme "int9"; there are float, int8-weights,}}
func.func private @unknown_scheme() attributes {a = #qopt.scheme<kind = "int9">}

// -----

// expected-error @below {{scheme "rtn-int4" has no option bits; it has groupSize, sym, grid, exactReference, activations, activationGroupSize}}
func.func private @unknown_option() attributes {a = #qopt.scheme<kind = "rtn-int4", bits = 3>}

// -----

// expected-error @below {{expected grid "search" or "minmax" but got "best"}}
func.func private @unknown_word() attributes {a = #qopt.scheme<kind = "rtn-int4", grid = best>}

// -----

// expected-error @below {{expected a group size of at least 1, or -1, but got 0}}
func.func private @group_size() attributes {a = #qopt.scheme<kind = "rtn-int4", groupSize = 0>}

// -----

// expected-error @below {{expected a threshold above 0 but got 0}}
func.func private @threshold() attributes {a = #qopt.scheme<kind = "llm-int8", threshold = 0.0>}

// -----

// expected-error @below {{expected attribute 'qopt.role' to be a #qopt.role but got "token_ids"}}
func.func private @role_text(tensor<?x?xi64> {qopt.role = "token_ids"})

// -----

// expected-error @below {{unknown role 'tokens'; there are other, token_ids, embeddings,}}
// expected-error @below {{failed to parse Qopt_RoleAttr parameter 'value'}}
func.func private @role_name(tensor<?x?xi64> {qopt.role = #qopt.role<tokens>})

// -----

// expected-error @below {{argument 0 cannot have the role logits, which is one of results}}
func.func private @role_of_argument(tensor<?x?xf32> {qopt.role = #qopt.role<logits>})

// -----

// expected-error @below {{result 0 cannot have the role token_ids, which is one of arguments}}
func.func private @role_of_result() -> (tensor<?x?xi64> {qopt.role = #qopt.role<token_ids>})

// -----

// expected-error @below {{unknown attribute 'qopt.role' on 'func.func'}}
func.func private @role_of_function() attributes {qopt.role = #qopt.role<logits>}

// -----

// expected-error @below {{unknown attribute 'qopt.rolle' on argument 1; there are 'qopt.role', 'qopt.tensor_map'}}
func.func private @unknown_of_argument(i64, i64 {qopt.rolle = #qopt.role<other>})

// -----

// expected-error @below {{unknown attribute 'qopt.tensor_map' on result 0; there are 'qopt.role'}}
func.func private @unknown_of_result() -> (i64 {qopt.tensor_map})

// -----

// expected-error @below {{expected attribute 'qopt.tensor_map' to be without a value but got 1 : i64}}
func.func private @tensor_map(!llvm.ptr {qopt.tensor_map = 1 : i64})

// -----

// expected-error @below {{expected attribute 'qopt.value' to be elements but got "x"}}
memref.global "private" @value : memref<4xf32> {qopt.value = "x"}

// -----

// expected-error @below {{attribute 'qopt.name' belongs on memref.global, not on 'func.func'}}
func.func private @name() attributes {qopt.name = "x"}

// -----

func.func @output(%n: index) {
  // expected-error @below {{expected attribute 'qopt.output' to be without a value but got true}}
  %y = memref.alloc(%n) {qopt.output = true} : memref<?xf32>
  return
}

// -----

func.func @output_elsewhere(%y: memref<?xf32>) {
  // expected-error @below {{attribute 'qopt.output' belongs on memref.alloc, not on 'memref.dealloc'}}
  memref.dealloc %y {qopt.output} : memref<?xf32>
  return
}

// -----

func.func @grain(%n: index) {
  // expected-error @below {{expected attribute 'qopt.grain' to be an i64 of at least 1 but got 0 : i64}}
  scf.parallel (%i) = (%n) to (%n) step (%n) {
    scf.reduce
  } {qopt.grain = 0 : i64}
  return
}

// -----

func.func @grain_elsewhere(%n: index) {
  // expected-error @below {{attribute 'qopt.grain' belongs on scf.parallel, not on 'scf.for'}}
  scf.for %i = %n to %n step %n {
  } {qopt.grain = 1 : i64}
  return
}

// -----

// expected-error @below {{expected attribute 'qopt.shared_bytes' to be an i64 of at least 0 but got -1 : i64}}
func.func private @shared() attributes {qopt.shared_bytes = -1 : i64}

// -----

// expected-error @below {{expected attribute 'qopt.tensor_maps' to be an array of i32 of at least 0 but got array<i32: 0, -1>}}
func.func private @maps() attributes {qopt.tensor_maps = array<i32: 0, -1>}

// -----

// expected-error @below {{expected attribute 'qopt.arch' to be a string that is not empty but got 90 : i64}}
func.func private @arch() attributes {qopt.arch = 90 : i64}

// -----

func.func @frame(%n: i64) {
  // expected-error @below {{expected attribute 'qopt.frame' to be without a value but got "f"}}
  %slot = llvm.alloca %n x i64 {qopt.frame = "f"} : (i64) -> !llvm.ptr
  return
}

// -----

func.func @site(%slot: !llvm.ptr) {
  // expected-error @below {{expected attribute 'qopt.site' to be a string that is not empty but got 3 : i64}}
  %x = llvm.load %slot {qopt.site = 3 : i64} : !llvm.ptr -> i64
  return
}

// -----

func.func @sim_own(%slot: !llvm.ptr) {
  // expected-error @below {{expected attribute 'qopt.sim_own' to be without a value but got 3 : i64}}
  %y = llvm.load %slot {qopt.sim_own = 3 : i64} : !llvm.ptr -> i64
  return
}

// -----

func.func @entry(%slot: !llvm.ptr) {
  // expected-error @below {{attribute 'qopt.entry' belongs on a function, not on 'llvm.load'}}
  %z = llvm.load %slot {qopt.entry = "f"} : !llvm.ptr -> i64
  return
}

// -----

func.func @require(%c: i1, %n: i64) {
  scf.if %c {
    // expected-error @below {{may only stand in the top block of a function; elsewhere there is qopt.fail}}
    qopt.require %c, shape_mismatch(%n, %n)
  }
  return
}

// -----

func.func @unknown_error(%n: i64) {
  // expected-error @below {{expected ::qopt::RuntimeError to be one of: index_out_of_range, shape_mismatch}}
  // expected-error @below {{failed to parse Qopt_RuntimeErrorAttr parameter 'value'}}
  qopt.fail out_of_memory(%n, %n)
  return
}
