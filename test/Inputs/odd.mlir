// IR that no pass expects, one kind per part; test/Passes/odd-inputs.test runs every pass on it.
// The first part is an empty module.

// -----

// No function, but other symbols.
memref.global "private" constant @table : memref<4xf32> = dense<1.0>
module @inner {
}

// -----

// Nothing of ours.
func.func @forward(%a: i64, %b: f32) -> f32 {
  %0 = arith.sitofp %a : i64 to f32
  %1 = arith.addf %0, %b : f32
  return %1 : f32
}

// -----

// No body.
func.func private @forward(tensor<?x?xi64> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}) -> (tensor<?x?x8xf32> {qopt.role = #qopt.role<logits>})

// -----

// Nothing is known of the types.
func.func @forward(%x: tensor<*xf32> {onnx.name = "input_ids", qopt.role = #qopt.role<token_ids>}, %y: memref<*xf32>) -> (tensor<*xf32> {qopt.role = #qopt.role<logits>}, memref<*xf32>) {
  return %x, %y : tensor<*xf32>, memref<*xf32>
}

// -----

// Types that are no arrays of numbers.
func.func @forward(%a: tensor<2xcomplex<f32>>, %b: tuple<i32>, %c: vector<4xf32>, %d: none, %e: index, %f: f64) -> (tensor<2xcomplex<f32>>, tuple<i32>) {
  return %a, %b : tensor<2xcomplex<f32>>, tuple<i32>
}

// -----

// Ranks alone.
func.func @forward(%x: tensor<?x?xf32>, %y: tensor<?x?xf32>, %i: tensor<2xi64>) -> tensor<?x?xf32> {
  %axes = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Add %x, %y : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %1 = onnx.MatMul %0, %y : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %2 = onnx.Reshape %1, %i : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %3 = onnx.ReduceMean %2, %axes : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %4 = onnx.Mul %2, %3 : (tensor<?x?xf32>, tensor<?x1xf32>) -> tensor<?x?xf32>
  return %4 : tensor<?x?xf32>
}

// -----

// No elements.
func.func @forward(%x: tensor<0x4xf32>) -> tensor<0x0xf32> {
  %w = onnx.Constant dense<> : tensor<4x0xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "rtn-int4">} : (tensor<0x4xf32>, tensor<4x0xf32>) -> tensor<0x0xf32>
  return %0 : tensor<0x0xf32>
}

// -----

// Linears whose weights are no constants.
func.func @forward(%x: tensor<?x4xf32>, %w: tensor<4x4xf32>, %v: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "gptq-int4">} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.MatMul %0, %v {qopt.layer = "b", qopt.scheme = #qopt.scheme<kind = "llm-int8">} : (tensor<?x4xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// -----

// Weights without data.
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense_resource<missing> : tensor<4x4xf32>
  %p = qopt.parameter "p" dense_resource<missing_too> : tensor<4x4xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.MatMul %0, %p {qopt.layer = "b", qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

// Operations of qopt before their phase, without what belongs to them.
func.func @forward(%x: tensor<?x4xf32>, %c: tensor<4x2xi8>, %s: tensor<4x1xf16>, %t: tensor<f32>, %ok: i1, %n: i64) -> tensor<?x4xf32> {
  qopt.require %ok, shape_mismatch(%n, %n)
  qopt.fail index_out_of_range(%n, %n)
  %0 = qopt.observe %x "a" ["absmax", "hessian"] : tensor<?x4xf32>
  %1 = qopt.quantize %0, %t : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xi8>
  %2 = qopt.dequantize %1, %t : (tensor<?x4xi8>, tensor<f32>) -> tensor<?x4xf32>
  %3 = qopt.matmul_w4a16 %2, %c, %s {group_size = 4} : (tensor<?x4xf32>, tensor<4x2xi8>, tensor<4x1xf16>) -> tensor<?x4xf32>
  %4, %5, %6 = qopt.split_columns %3 {threshold = 6.0 : f32} : (tensor<?x4xf32>) -> (tensor<?x4xi8>, tensor<?xf32>, tensor<4xi32>)
  return %3 : tensor<?x4xf32>
}

// -----

// Attention to caches in the function that has none.
func.func @forward(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %v: tensor<?x?x16xf32>, %keys: memref<?x4x?x8xf32>, %values: memref<?x4x?x4xf32>, %past: tensor<1xi64>) -> tensor<?x?x32xf32> {
  %0 = qopt.cached_attention %q, %k, %v, %keys, %values, %past : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x16xf32>, memref<?x4x?x8xf32>, memref<?x4x?x4xf32>, tensor<1xi64>) -> tensor<?x?x32xf32>
  return %0 : tensor<?x?x32xf32>
}

// -----

// Kernels beside operators, on tensors and on memory.
func.func @forward(%x: tensor<?x6xf32>, %w: tensor<2x6x16xf32>, %a: memref<?x6xf32>, %b: memref<2x6x16xf32>, %c: memref<?x20xf32>, %n: index) -> tensor<?x20xf32> {
  %e = tensor.empty(%n) : tensor<?x20xf32>
  %y = kernel.matmul_float ins(%x, %w : tensor<?x6xf32>, tensor<2x6x16xf32>) outs(%e : tensor<?x20xf32>) -> tensor<?x20xf32>
  scf.for %i = %n to %n step %n {
    kernel.matmul_float ins(%a, %b : memref<?x6xf32>, memref<2x6x16xf32>) outs(%c : memref<?x20xf32>)
  }
  %r = onnx.Relu %y : (tensor<?x20xf32>) -> tensor<?x20xf32>
  return %r : tensor<?x20xf32>
}

// -----

// More than one block.
func.func @forward(%x: tensor<?x4xf32>, %c: i1) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x4xf32>
  cf.cond_br %c, ^bb1(%x : tensor<?x4xf32>), ^bb2
^bb1(%y: tensor<?x4xf32>):
  %0 = onnx.MatMul %y, %w {qopt.layer = "a"} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
^bb2:
  cf.br ^bb1(%x : tensor<?x4xf32>)
}

// -----

// Calls without end.
func.func @forward(%x: memref<?xf32>) {
  call @forward(%x) : (memref<?xf32>) -> ()
  call @other(%x) : (memref<?xf32>) -> ()
  return
}
func.func private @other(%x: memref<?xf32>) {
  call @forward(%x) : (memref<?xf32>) -> ()
  return
}

// -----

// Memory and loops, with a layout of its own.
func.func @forward(%x: memref<?x4xf32, strided<[8, 2], offset: ?>>, %n: index) -> memref<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc(%n) : memref<?xf32>
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %b = memref.alloc() : memref<4xf32>
    %v = memref.load %x[%i, %c1] : memref<?x4xf32, strided<[8, 2], offset: ?>>
    memref.store %v, %b[%c1] : memref<4xf32>
    memref.store %v, %a[%i] : memref<?xf32>
    scf.reduce
  }
  return %a : memref<?xf32>
}

// -----

// Operators outside of functions.
%c = onnx.Constant dense<1.0> : tensor<4x4xf32>
%d = onnx.MatMul %c, %c {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
%e = qopt.observe %d "a" ["absmax"] : tensor<4x4xf32>

// -----

// Operations that nobody knows, and operators in the region of another dialect's.
func.func @forward(%x: tensor<?x4xf32>, %c: i1) -> tensor<?x4xf32> {
  %0 = "unknown.twice"(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = scf.if %c -> tensor<?x4xf32> {
    %w = onnx.Constant dense<1.0> : tensor<4x4xf32>
    %2 = onnx.MatMul %0, %w {qopt.layer = "a"} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    scf.yield %2 : tensor<?x4xf32>
  } else {
    scf.yield %0 : tensor<?x4xf32>
  }
  return %1 : tensor<?x4xf32>
}

// -----

// Kernels for GPUs that no generator makes.
module attributes {gpu.container_module} {
  func.func @forward(%n: index, %x: memref<?xf32>) {
    gpu.launch_func @kernels::@f blocks in (%n, %n, %n) threads in (%n, %n, %n) args(%x : memref<?xf32>)
    return
  }
  gpu.module @kernels {
    gpu.func @f(%x: memref<?xf32>) kernel {
      %i = gpu.thread_id x
      %v = memref.load %x[%i] : memref<?xf32>
      %t = "unknown.twice"(%v) : (f32) -> f32
      gpu.printf "%f", %t : f32
      memref.store %t, %x[%i] : memref<?xf32>
      gpu.return
    }
    func.func @helper(%x: tensor<4xf32>) -> tensor<4xf32> {
      return %x : tensor<4xf32>
    }
  }
  gpu.module @empty {
  }
}

// -----

// Inputs and outputs whose roles do not fit their shapes.
func.func @forward(%ids: tensor<i64> {qopt.role = #qopt.role<token_ids>}, %mask: tensor<?x?x?x?xf16> {qopt.role = #qopt.role<attention_mask>}, %positions: tensor<f32> {qopt.role = #qopt.role<position_ids>}, %past: tensor<?xf32> {qopt.role = #qopt.role<past_key>}) -> (tensor<f32> {qopt.role = #qopt.role<logits>}, tensor<?xf32> {qopt.role = #qopt.role<present_key>}) {
  %0 = qopt.observe %positions "a" ["hessian"] : tensor<f32>
  return %0, %past : tensor<f32>, tensor<?xf32>
}

// -----

// Attention whose heads divide nothing, over sizes that nobody knows.
func.func @forward(%q: tensor<?x?x?xf32>, %m: tensor<?x?xi1>, %p: tensor<?x?xi64>) -> tensor<?x?x?xf32> {
  %t = onnx.Constant dense<0.5> : tensor<1x1xf32>
  %r = onnx.RotaryEmbedding %q, %t, %t, %p {num_heads = 3 : i64} : (tensor<?x?x?xf32>, tensor<1x1xf32>, tensor<1x1xf32>, tensor<?x?xi64>) -> tensor<?x?x?xf32>
  %y = onnx.Attention %r, %r, %q mask(%m) {is_causal = 1 : i64, q_num_heads = 3 : i64, kv_num_heads = 3 : i64} : (tensor<?x?x?xf32>, tensor<?x?x?xf32>, tensor<?x?x?xf32>, tensor<?x?xi1>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// -----

// Halves everywhere.
func.func @forward(%x: tensor<?x4xf16>, %y: tensor<*xf16>) -> (tensor<?x?xf16>, tensor<*xf16>) {
  %w = onnx.Constant dense_resource<missing> : tensor<4x4xbf16>
  %v = onnx.Cast %w {to = f16} : (tensor<4x4xbf16>) -> tensor<4x4xf16>
  %0 = onnx.MatMul %x, %v {qopt.layer = "a"} : (tensor<?x4xf16>, tensor<4x4xf16>) -> tensor<?x4xf16>
  %1 = onnx.Softmax %0 : (tensor<?x4xf16>) -> tensor<?x4xf16>
  %2 = tensor.cast %1 : tensor<?x4xf16> to tensor<?x?xf16>
  return %2, %y : tensor<?x?xf16>, tensor<*xf16>
}

// -----

// A group in a loop, in a function that is nobody's entry.
func.func private @part(%x: memref<?x4xf32>, %c: memref<?x4xi8>, %t: memref<?xf32>, %w: memref<1x1x64xi8>, %k: memref<16xi32>, %s: memref<4xf32>, %n: index) {
  scf.for %i = %n to %n step %n {
    kernel.group(%gx = %x : memref<?x4xf32>, %gw = %w : memref<1x1x64xi8>, %gc = %c : memref<?x4xi8>, %gt = %t : memref<?xf32>, %gk = %k : memref<16xi32>, %gs = %s : memref<4xf32>) {
      kernel.stage products {
        kernel.matmul_w8a8 ins(%gc, %gt, %gw, %gk, %gs : memref<?x4xi8>, memref<?xf32>, memref<1x1x64xi8>, memref<16xi32>, memref<4xf32>) outs(%gx : memref<?x4xf32>)
      }
    }
  }
  return
}
