// RUN: qopt-opt %s --split-input-file --verify-diagnostics

// What inference says about the result of each operator: every function asks for a
// type that cannot be, so that the diagnostic shows the inferred one.

func.func @unary(%x: tensor<?x4xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x4xf32>' are incompatible}}
  %r = onnx.Exp %x : (tensor<?x4xf32>) -> tensor<0x0x0x0x0x0xf32>
  return
}

// -----

func.func @predicate(%x: tensor<?x4xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x4xi1>' are incompatible}}
  %r = onnx.IsNaN %x : (tensor<?x4xf32>) -> tensor<0x0x0x0x0x0xi1>
  return
}

// -----

func.func @cast(%x: tensor<?x4xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x4xf16>' are incompatible}}
  %r = onnx.Cast %x {to = f16} : (tensor<?x4xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @broadcast(%x: tensor<?x1x4xf32>, %y: tensor<3x?xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x3x4xf32>' are incompatible}}
  %r = onnx.Add %x, %y : (tensor<?x1x4xf32>, tensor<3x?xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @broadcast_symbol_with_one(%x: tensor<?xf32>, %y: tensor<1xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?xf32>' are incompatible}}
  %r = onnx.Mul %x, %y : (tensor<?xf32>, tensor<1xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @compare(%x: tensor<4xi64>, %y: tensor<i64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<4xi1>' are incompatible}}
  %r = onnx.Less %x, %y : (tensor<4xi64>, tensor<i64>) -> tensor<0x0x0x0x0x0xi1>
  return
}

// -----

func.func @variadic(%x: tensor<4xf32>, %y: tensor<3x1xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<3x4xf32>' are incompatible}}
  %r = onnx.Max %x, %y, %x : (tensor<4xf32>, tensor<3x1xf32>, tensor<4xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @where(%c: tensor<3x1xi1>, %x: tensor<f16>, %y: tensor<4xf16>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<3x4xf16>' are incompatible}}
  %r = onnx.Where %c, %x, %y : (tensor<3x1xi1>, tensor<f16>, tensor<4xf16>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @power_of_another_type(%x: tensor<4xf32>, %y: tensor<i64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<4xf32>' are incompatible}}
  %r = onnx.Pow %x, %y : (tensor<4xf32>, tensor<i64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @constant_of_shape() {
  %s = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<2x3xf32>' are incompatible}}
  %r = onnx.ConstantOfShape %s, dense<0.0> : tensor<1xf32> : (tensor<2xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @constant_of_unknown_shape(%s: tensor<2xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x?xi64>' are incompatible}}
  %r = onnx.ConstantOfShape %s, dense<0> : tensor<1xi64> : (tensor<2xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @expand(%x: tensor<?x1x4xf32>) {
  %s = onnx.Constant dense<[2, 5, 3, 1]> : tensor<4xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<2x5x3x4xf32>' are incompatible}}
  %r = onnx.Expand %x, %s : (tensor<?x1x4xf32>, tensor<4xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @expand_unknown(%x: tensor<4x1xf32>, %s: tensor<2xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<4x?xf32>' are incompatible}}
  %r = onnx.Expand %x, %s : (tensor<4x1xf32>, tensor<2xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @shape(%x: tensor<?x4x5xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<2xi64>' are incompatible}}
  %r = onnx.Shape %x {start = -2 : i64} : (tensor<?x4x5xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @shape_clamped(%x: tensor<?x4xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<1xi64>' are incompatible}}
  %r = onnx.Shape %x {start = 1 : i64, end = 9 : i64} : (tensor<?x4xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reshape_infers(%x: tensor<6x4xf32>) {
  %s = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<3x8xf32>' are incompatible}}
  %r = onnx.Reshape %x, %s : (tensor<6x4xf32>, tensor<2xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reshape_copies(%x: tensor<?x4xf32>) {
  %s = onnx.Constant dense<[0, -1, 2]> : tensor<3xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x2x2xf32>' are incompatible}}
  %r = onnx.Reshape %x, %s : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reshape_allowzero(%x: tensor<0x4xf32>) {
  %s = onnx.Constant dense<[3, 0]> : tensor<2xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<3x0xf32>' are incompatible}}
  %r = onnx.Reshape %x, %s {allowzero = 1 : i64} : (tensor<0x4xf32>, tensor<2xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reshape_unknown(%x: tensor<?x4xf32>, %s: tensor<3xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x?x?xf32>' are incompatible}}
  %r = onnx.Reshape %x, %s : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @transpose(%x: tensor<?x4x5xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<5x?x4xf32>' are incompatible}}
  %r = onnx.Transpose %x {perm = array<i64: 2, 0, 1>} : (tensor<?x4x5xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @unsqueeze(%x: tensor<?x4xf32>) {
  %a = onnx.Constant dense<[0, -1]> : tensor<2xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<1x?x4x1xf32>' are incompatible}}
  %r = onnx.Unsqueeze %x, %a : (tensor<?x4xf32>, tensor<2xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @squeeze(%x: tensor<1x?x1xf32>) {
  %a = onnx.Constant dense<-1> : tensor<1xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<1x?xf32>' are incompatible}}
  %r = onnx.Squeeze %x, %a : (tensor<1x?x1xf32>, tensor<1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @squeeze_all(%x: tensor<1x4x1xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<4xf32>' are incompatible}}
  %r = onnx.Squeeze %x : (tensor<1x4x1xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @flatten(%x: tensor<2x3x?x5xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<6x?xf32>' are incompatible}}
  %r = onnx.Flatten %x {axis = 2 : i64} : (tensor<2x3x?x5xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @concat(%x: tensor<?x4xf32>, %y: tensor<2x3xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<2x7xf32>' are incompatible}}
  %r = onnx.Concat %x, %y {axis = -1 : i64} : (tensor<?x4xf32>, tensor<2x3xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @slice(%x: tensor<?x10xf32>) {
  %s = onnx.Constant dense<-2> : tensor<1xi64>
  %e = onnx.Constant dense<0> : tensor<1xi64>
  %a = onnx.Constant dense<1> : tensor<1xi64>
  %t = onnx.Constant dense<-2> : tensor<1xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x4xf32>' are incompatible}}
  %r = onnx.Slice %x, %s, %e axes(%a) steps(%t) : (tensor<?x10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @slice_to_the_end_of_a_symbol(%x: tensor<?xf32>) {
  %s = onnx.Constant dense<0> : tensor<1xi64>
  %e = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?xf32>' are incompatible}}
  %r = onnx.Slice %x, %s, %e : (tensor<?xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @gather(%x: tensor<10x4xf32>, %i: tensor<?x3xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<10x?x3xf32>' are incompatible}}
  %r = onnx.Gather %x, %i {axis = 1 : i64} : (tensor<10x4xf32>, tensor<?x3xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @gather_elements(%x: tensor<10x4xf32>, %i: tensor<2x4xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<2x4xf32>' are incompatible}}
  %r = onnx.GatherElements %x, %i : (tensor<10x4xf32>, tensor<2x4xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @gather_nd(%x: tensor<2x3x4xf32>, %i: tensor<2x5x1xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<2x5x4xf32>' are incompatible}}
  %r = onnx.GatherND %x, %i {batch_dims = 1 : i64} : (tensor<2x3x4xf32>, tensor<2x5x1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @scatter_nd(%x: tensor<4x3xf32>, %i: tensor<1x1xi64>, %u: tensor<1x3xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<4x3xf32>' are incompatible}}
  %r = onnx.ScatterND %x, %i, %u : (tensor<4x3xf32>, tensor<1x1xi64>, tensor<1x3xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @tile(%x: tensor<2x?xf32>) {
  %n = onnx.Constant dense<[3, 2]> : tensor<2xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<6x?xf32>' are incompatible}}
  %r = onnx.Tile %x, %n : (tensor<2x?xf32>, tensor<2xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @range() {
  %s = onnx.Constant dense<1> : tensor<i64>
  %l = onnx.Constant dense<11> : tensor<i64>
  %d = onnx.Constant dense<3> : tensor<i64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<4xi64>' are incompatible}}
  %r = onnx.Range %s, %l, %d : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reduce(%x: tensor<?x4x5xf32>) {
  %a = onnx.Constant dense<-2> : tensor<1xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x1x5xf32>' are incompatible}}
  %r = onnx.ReduceSum %x, %a : (tensor<?x4x5xf32>, tensor<1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reduce_all(%x: tensor<?x4xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<f32>' are incompatible}}
  %r = onnx.ReduceMax %x {keepdims = 0 : i64} : (tensor<?x4xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reduce_none(%x: tensor<?x4xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x4xf32>' are incompatible}}
  %r = onnx.ReduceMean %x {noop_with_empty_axes = 1 : i64} : (tensor<?x4xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @matmul(%x: tensor<?x1x?x4xf32>, %y: tensor<3x4x5xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x3x?x5xf32>' are incompatible}}
  %r = onnx.MatMul %x, %y : (tensor<?x1x?x4xf32>, tensor<3x4x5xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @matmul_vectors(%x: tensor<4xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<f32>' are incompatible}}
  %r = onnx.MatMul %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @gemm(%x: tensor<4x?xf32>, %y: tensor<3x4xf32>, %z: tensor<3xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x3xf32>' are incompatible}}
  %r = onnx.Gemm %x, %y, %z {transA = 1 : i64, transB = 1 : i64} : (tensor<4x?xf32>, tensor<3x4xf32>, tensor<3xf32>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @attention_3d(%q: tensor<?x?x64xf32>, %k: tensor<?x?x32xf32>, %v: tensor<?x?x16xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x?x32xf32>' are incompatible}}
  %r = onnx.Attention %q, %k, %v {q_num_heads = 8 : i64, kv_num_heads = 4 : i64} : (tensor<?x?x64xf32>, tensor<?x?x32xf32>, tensor<?x?x16xf32>) -> tensor<0x0x0x0x0x0xf32>
  return
}

// -----

func.func @attention_4d(%q: tensor<?x8x?x32xf32>, %k: tensor<?x4x?x32xf32>, %v: tensor<?x4x?x16xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x8x?x16xf32>' are incompatible}}
  %r = onnx.Attention %q, %k, %v : (tensor<?x8x?x32xf32>, tensor<?x4x?x32xf32>, tensor<?x4x?x16xf32>) -> tensor<0x0x0x0x0x0xf32>
  return
}
// -----

func.func @split_by_sizes(%x: tensor<?x6xf32>) {
  %s = onnx.Constant dense<[2, 4]> : tensor<2xi64>
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x2xf32>', 'tensor<?x4xf32>' are incompatible}}
  %r:2 = onnx.Split %x, %s {axis = 1 : i64} : (tensor<?x6xf32>, tensor<2xi64>) -> (tensor<f32>, tensor<f32>)
  return
}

// -----

func.func @split_by_count(%x: tensor<7xf32>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<3xf32>', 'tensor<3xf32>', 'tensor<1xf32>' are incompatible}}
  %r:3 = onnx.Split %x {num_outputs = 3 : i64} : (tensor<7xf32>) -> (tensor<f32>, tensor<f32>, tensor<f32>)
  return
}

// -----

// Axes that are computed leave the rank.
func.func @unknown_axes(%x: tensor<2x4xf32>, %a: tensor<1xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x?x?xf32>' are incompatible}}
  %r = onnx.Unsqueeze %x, %a : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @reduce_unknown_axes(%x: tensor<2x4xf32>, %a: tensor<1xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?xf32>' are incompatible}}
  %r = onnx.ReduceSum %x, %a {keepdims = 0 : i64} : (tensor<2x4xf32>, tensor<1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @slice_unknown_axes(%x: tensor<2x4xf32>, %a: tensor<1xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x?xf32>' are incompatible}}
  %r = onnx.Slice %x, %a, %a axes(%a) : (tensor<2x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0x0x0x0x0x0xi2>
  return
}

// -----

func.func @split_unknown_sizes(%x: tensor<2x4xf32>, %s: tensor<2xi64>) {
  // expected-error @below {{failed to infer returned types}}
  // expected-error @below {{inferred type(s) 'tensor<?x4xf32>', 'tensor<?x4xf32>' are incompatible}}
  %r:2 = onnx.Split %x, %s : (tensor<2x4xf32>, tensor<2xi64>) -> (tensor<f32>, tensor<f32>)
  return
}
