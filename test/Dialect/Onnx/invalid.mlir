// RUN: qopt-opt %s --split-input-file --verify-diagnostics

func.func @broadcast(%x: tensor<3xf32>, %y: tensor<4xf32>) {
  // expected-error @below {{cannot broadcast dimension 3 with 4}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Add %x, %y : (tensor<3xf32>, tensor<4xf32>) -> tensor<f32>
  return
}

// -----

func.func @one_element_type(%x: tensor<3xf32>, %y: tensor<3xf16>) {
  // expected-error @below {{requires operands of one element type but got 'f32' and 'f16'}}
  %r = onnx.Add %x, %y : (tensor<3xf32>, tensor<3xf16>) -> tensor<f32>
  return
}

// -----

func.func @float_operand(%x: tensor<3xi64>) {
  // expected-error @below {{operand #0 must be tensor of floating-point values, but got 'tensor<3xi64>'}}
  %r = onnx.Sqrt %x : (tensor<3xi64>) -> tensor<f32>
  return
}

// -----

func.func @boolean_operands(%x: tensor<3xi64>) {
  // expected-error @below {{operand #0 must be tensor of 1-bit signless integer values, but got 'tensor<3xi64>'}}
  %r = onnx.And %x, %x : (tensor<3xi64>, tensor<3xi64>) -> tensor<f32>
  return
}

// -----

func.func @boolean_condition(%x: tensor<3xf32>) {
  // expected-error @below {{operand #0 must be tensor of 1-bit signless integer values, but got 'tensor<3xf32>'}}
  %r = onnx.Where %x, %x, %x : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<f32>
  return
}

// -----

func.func @cast_to_a_number(%x: tensor<3xf32>) {
  // expected-error @below {{attribute 'to' failed to satisfy constraint: type attribute of floating-point or integer}}
  %r = onnx.Cast %x {to = index} : (tensor<3xf32>) -> tensor<f32>
  return
}

// -----

func.func @at_least_one_operand() {
  // expected-error @below {{requires at least one operand}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Max : () -> tensor<f32>
  return
}

// -----

func.func @shape_of_rank_one(%x: tensor<4xf32>, %s: tensor<?xi64>) {
  // expected-error @below {{requires a shape of rank 1 and known length but got 'tensor<?xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Expand %x, %s : (tensor<4xf32>, tensor<?xi64>) -> tensor<f32>
  return
}

// -----

func.func @shape_too_long(%s: tensor<65xi64>) {
  // expected-error @below {{expected at most 64 dimensions but got 65}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.ConstantOfShape %s, dense<0> : tensor<1xi64> : (tensor<65xi64>) -> tensor<f32>
  return
}

// -----

func.func @negative_shape() {
  %s = onnx.Constant dense<[-2, -2]> : tensor<2xi64>
  // expected-error @below {{expected a shape of non-negative dimensions whose product fits 64 bits}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.ConstantOfShape %s, dense<0> : tensor<1xi64> : (tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @two_inferred(%x: tensor<4xf32>) {
  %s = onnx.Constant dense<[-1, -1]> : tensor<2xi64>
  // expected-error @below {{expected at most one -1 in the shape but got it at 0 and 1}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Reshape %x, %s : (tensor<4xf32>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @reshape_negative(%x: tensor<4xf32>) {
  %s = onnx.Constant dense<-2> : tensor<1xi64>
  // expected-error @below {{expected dimensions of at least -1 but got -2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Reshape %x, %s : (tensor<4xf32>, tensor<1xi64>) -> tensor<f32>
  return
}

// -----

func.func @reshape_copies_nothing(%x: tensor<4xf32>) {
  %s = onnx.Constant dense<[4, 0]> : tensor<2xi64>
  // expected-error @below {{cannot copy dimension 1 of an input of rank 1}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Reshape %x, %s : (tensor<4xf32>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @reshape_overflow(%x: tensor<4xf32>) {
  %s = onnx.Constant dense<[4294967296, 4294967296]> : tensor<2xi64>
  // expected-error @below {{expected a shape whose product fits 64 bits}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Reshape %x, %s : (tensor<4xf32>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @reshape_rows(%x: tensor<5xf32>) {
  %s = onnx.Constant dense<[-1, 2]> : tensor<2xi64>
  // expected-error @below {{cannot divide 5 elements into rows of 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Reshape %x, %s : (tensor<5xf32>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @reshape_count(%x: tensor<5xf32>) {
  %s = onnx.Constant dense<6> : tensor<1xi64>
  // expected-error @below {{cannot reshape 5 elements to 6}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Reshape %x, %s : (tensor<5xf32>, tensor<1xi64>) -> tensor<f32>
  return
}

// -----

func.func @permutation_length(%x: tensor<4xf32>) {
  // expected-error @below {{expected a permutation of 1 dimensions but got 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Transpose %x {perm = array<i64: 0, 1>} : (tensor<4xf32>) -> tensor<f32>
  return
}

// -----

func.func @permutation_twice(%x: tensor<4x4xf32>) {
  // expected-error @below {{axis -2 occurs twice}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Transpose %x {perm = array<i64: 0, -2>} : (tensor<4x4xf32>) -> tensor<f32>
  return
}

// -----

func.func @axis_range(%x: tensor<4x4xf32>) {
  // expected-error @below {{expected an axis in [-2, 1] but got 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Softmax %x {axis = 2 : i64} : (tensor<4x4xf32>) -> tensor<f32>
  return
}

// -----

func.func @flatten_axis_range(%x: tensor<4x4xf32>) {
  // expected-error @below {{expected an axis in [-2, 2] but got 3}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Flatten %x {axis = 3 : i64} : (tensor<4x4xf32>) -> tensor<f32>
  return
}

// -----

func.func @squeeze_unknown(%x: tensor<?xf32>) {
  // expected-error @below {{requires axes, as dimension 0 is only known at run time}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Squeeze %x : (tensor<?xf32>) -> tensor<f32>
  return
}

// -----

func.func @squeeze_size(%x: tensor<1x4xf32>) {
  %a = onnx.Constant dense<1> : tensor<1xi64>
  // expected-error @below {{cannot squeeze dimension 1 of size 4}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Squeeze %x, %a : (tensor<1x4xf32>, tensor<1xi64>) -> tensor<f32>
  return
}

// -----

func.func @concat_rank(%x: tensor<4xf32>, %y: tensor<4x4xf32>) {
  // expected-error @below {{requires operands of one rank but got 1 and 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Concat %x, %y {axis = 0 : i64} : (tensor<4xf32>, tensor<4x4xf32>) -> tensor<f32>
  return
}

// -----

func.func @concat_dimension(%x: tensor<2x3xf32>, %y: tensor<2x4xf32>) {
  // expected-error @below {{dimension 1 is 3 in one operand and 4 in another}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Concat %x, %y {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<f32>
  return
}

// -----

func.func @concat_axis(%x: tensor<2xf32>) {
  // expected-error @below {{requires attribute 'axis'}}
  %r = onnx.Concat %x : (tensor<2xf32>) -> tensor<f32>
  return
}

// -----

func.func @tile_count(%x: tensor<2xf32>) {
  %n = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  // expected-error @below {{expected 1 repeats but got 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Tile %x, %n : (tensor<2xf32>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @tile_negative(%x: tensor<2xf32>) {
  %n = onnx.Constant dense<-1> : tensor<1xi64>
  // expected-error @below {{expected repeats of at least 0 but got -1}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Tile %x, %n : (tensor<2xf32>, tensor<1xi64>) -> tensor<f32>
  return
}

// -----

func.func @trilu_rank(%x: tensor<2xf32>) {
  // expected-error @below {{operand #0 must be tensor of rank 2 or more of floating-point or integer values, but got 'tensor<2xf32>'}}
  %r = onnx.Trilu %x : (tensor<2xf32>) -> tensor<f32>
  return
}

// -----

func.func @range_scalars(%x: tensor<i64>, %y: tensor<1x1xi64>) {
  // expected-error @below {{operand #1 must be scalar or tensor of rank 1 of floating-point or integer values, but got 'tensor<1x1xi64>'}}
  %r = onnx.Range %x, %y, %x : (tensor<i64>, tensor<1x1xi64>, tensor<i64>) -> tensor<f32>
  return
}

// -----

func.func @range_delta(%x: tensor<i64>) {
  %d = onnx.Constant dense<0> : tensor<i64>
  // expected-error @below {{requires a delta other than 0}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Range %x, %x, %d : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<f32>
  return
}

// -----

func.func @split_negative(%x: tensor<4xf32>) {
  %s = onnx.Constant dense<-1> : tensor<1xi64>
  // expected-error @below {{expected parts of at least 0 elements but got -1}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Split %x, %s : (tensor<4xf32>, tensor<1xi64>) -> tensor<f32>
  return
}

// -----

func.func @split_sum(%x: tensor<4xf32>) {
  %s = onnx.Constant dense<5> : tensor<1xi64>
  // expected-error @below {{parts of 5 elements in all do not make up dimension 0 of 4}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Split %x, %s : (tensor<4xf32>, tensor<1xi64>) -> tensor<f32>
  return
}

// -----

func.func @split_count(%x: tensor<4xf32>) {
  // expected-error @below {{expected 1 to 4096 parts but got 0}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Split %x : (tensor<4xf32>) -> tensor<f32>
  return
}

// -----

func.func @slice_counts(%x: tensor<4x4xf32>, %s: tensor<1xi64>) {
  %a = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  // expected-error @below {{expected as many axes and steps as starts, at most 2, but got 2, 1 and 1}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Slice %x, %s, %s axes(%a) : (tensor<4x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @slice_ends(%x: tensor<4x4xf32>, %s: tensor<1xi64>) {
  %e = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  // expected-error @below {{expected 1 ends but got 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Slice %x, %s, %e : (tensor<4x4xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @slice_step_zero(%x: tensor<4xf32>, %s: tensor<1xi64>) {
  %t = onnx.Constant dense<0> : tensor<1xi64>
  // expected-error @below {{expected a step other than 0 but got 0}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Slice %x, %s, %s steps(%t) : (tensor<4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<f32>
  return
}

// -----

func.func @gather_integers(%x: tensor<4xf32>) {
  // expected-error @below {{operand #1 must be tensor of 32-bit signless integer or 64-bit signless integer values, but got 'tensor<4xf32>'}}
  %r = onnx.Gather %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
  return
}

// -----

func.func @gather_index(%x: tensor<4xf32>) {
  %i = onnx.Constant dense<[0, 4]> : tensor<2xi64>
  // expected-error @below {{expected indices in [-4, 3] but got 4}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Gather %x, %i : (tensor<4xf32>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @gather_elements_rank(%x: tensor<4xf32>, %i: tensor<4x4xi64>) {
  // expected-error @below {{requires indices of rank 1 but got 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.GatherElements %x, %i : (tensor<4xf32>, tensor<4x4xi64>) -> tensor<f32>
  return
}

// -----

func.func @gather_nd_last(%x: tensor<4xf32>, %i: tensor<?xi64>) {
  // expected-error @below {{requires indices with a known last dimension but got 'tensor<?xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.GatherND %x, %i : (tensor<4xf32>, tensor<?xi64>) -> tensor<f32>
  return
}

// -----

func.func @gather_nd_tuple(%x: tensor<4xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{cannot index rank 1 by tuples of 2 after 0 batch dimensions}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.GatherND %x, %i : (tensor<4xf32>, tensor<2xi64>) -> tensor<f32>
  return
}

// -----

func.func @reduce_too_many_axes(%x: tensor<4xf32>) {
  %a = onnx.Constant dense<0> : tensor<65xi64>
  // expected-error @below {{expected at most 64 axes but got 65}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.ReduceSum %x, %a : (tensor<4xf32>, tensor<65xi64>) -> tensor<f32>
  return
}

// -----

func.func @matmul_rank(%x: tensor<f32>) {
  // expected-error @below {{requires operands of rank 1 or more but got 0 and 0}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.MatMul %x, %x : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @matmul_inner(%x: tensor<2x3xf32>) {
  // expected-error @below {{inner dimensions differ: 3 and 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.MatMul %x, %x : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<f32>
  return
}

// -----

func.func @gemm_rank(%x: tensor<3xf32>) {
  // expected-error @below {{operand #0 must be tensor of rank 2 of floating-point or integer values, but got 'tensor<3xf32>'}}
  %r = onnx.Gemm %x, %x : (tensor<3xf32>, tensor<3xf32>) -> tensor<f32>
  return
}

// -----

func.func @gemm_inner(%x: tensor<2x3xf32>) {
  // expected-error @below {{inner dimensions differ: 2 and 3}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Gemm %x, %x {transA = 1 : i64, transB = 1 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<f32>
  return
}

// -----

func.func @gemm_bias(%x: tensor<1x3xf32>, %c: tensor<4x1xf32>) {
  // expected-error @below {{cannot broadcast 'tensor<4x1xf32>' to 'tensor<1x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Gemm %x, %x, %c {transB = 1 : i64} : (tensor<1x3xf32>, tensor<1x3xf32>, tensor<4x1xf32>) -> tensor<f32>
  return
}

// -----

func.func @norm_scale(%x: tensor<2x4xf32>, %s: tensor<3xf32>) {
  // expected-error @below {{cannot broadcast 'tensor<3xf32>' to 'tensor<2x4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.RMSNormalization %x, %s : (tensor<2x4xf32>, tensor<3xf32>) -> tensor<f32>
  return
}

// -----

func.func @layer_norm_bias(%x: tensor<2x4xf32>, %s: tensor<4xf32>, %b: tensor<3xf32>) {
  // expected-error @below {{cannot broadcast 'tensor<3xf32>' to 'tensor<2x4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r:3 = onnx.LayerNormalization %x, %s, %b : (tensor<2x4xf32>, tensor<4xf32>, tensor<3xf32>) -> (tensor<2x4xf32>, tensor<2x1xf32>, tensor<2x1xf32>)
  return
}

// -----

func.func @layer_norm_axis(%x: tensor<2x4xf32>, %s: tensor<4xf32>) {
  // expected-error @below {{expected an axis in [-2, 1] but got 2}}
  // expected-error @below {{failed to infer returned types}}
  %r:3 = onnx.LayerNormalization %x, %s {axis = 2 : i64} : (tensor<2x4xf32>, tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x1xf32>, tensor<2x1xf32>)
  return
}

// -----

func.func @rotary_rank(%x: tensor<1x2x8xf32>, %t: tensor<1x2x4xf32>) {
  // expected-error @below {{requires x of rank 4, or of rank 3 with num_heads, but got rank 3}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.RotaryEmbedding %x, %t, %t : (tensor<1x2x8xf32>, tensor<1x2x4xf32>, tensor<1x2x4xf32>) -> tensor<f32>
  return
}

// -----

func.func @rotary_cache(%x: tensor<1x2x2x8xf32>, %t: tensor<2x4xf32>) {
  // expected-error @below {{expected caches of rank 3 but got rank 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.RotaryEmbedding %x, %t, %t : (tensor<1x2x2x8xf32>, tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_rank(%q: tensor<8x2xf32>, %k: tensor<8x2xf32>, %v: tensor<8x2xf32>) {
  // expected-error @below {{operand #0 must be tensor of rank 3 or 4 of floating-point values, but got 'tensor<8x2xf32>'}}
  %r = onnx.Attention %q, %k, %v : (tensor<8x2xf32>, tensor<8x2xf32>, tensor<8x2xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_no_heads(%q: tensor<1x2x8xf32>, %k: tensor<1x2x8xf32>, %v: tensor<1x2x8xf32>) {
  // expected-error @below {{requires q_num_heads and kv_num_heads above 0 but got 0 and 0}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v : (tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_columns(%q: tensor<1x2x9xf32>, %k: tensor<1x2x8xf32>, %v: tensor<1x2x8xf32>) {
  // expected-error @below {{cannot divide 9 columns into 2 heads}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v {q_num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<1x2x9xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_groups(%q: tensor<1x8x2x16xf32>, %k: tensor<1x3x2x16xf32>, %v: tensor<1x3x2x16xf32>) {
  // expected-error @below {{requires a multiple of the kv heads as q heads but got 8 and 3}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v : (tensor<1x8x2x16xf32>, tensor<1x3x2x16xf32>, tensor<1x3x2x16xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_batch(%q: tensor<1x8x2x16xf32>, %k: tensor<2x8x2x16xf32>, %v: tensor<2x8x2x16xf32>) {
  // expected-error @below {{requires one batch size but got 1, 2 and 2}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v : (tensor<1x8x2x16xf32>, tensor<2x8x2x16xf32>, tensor<2x8x2x16xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_head_size(%q: tensor<1x8x2x16xf32>, %k: tensor<1x8x2x8xf32>, %v: tensor<1x8x2x8xf32>) {
  // expected-error @below {{requires heads of one size in Q and K but got 16 and 8}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v : (tensor<1x8x2x16xf32>, tensor<1x8x2x8xf32>, tensor<1x8x2x8xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_length(%q: tensor<1x8x2x16xf32>, %k: tensor<1x8x2x16xf32>, %v: tensor<1x8x3x16xf32>) {
  // expected-error @below {{requires K and V of as many heads and one length but got 'tensor<1x8x2x16xf32>' and 'tensor<1x8x3x16xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v : (tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x8x3x16xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_mask(%q: tensor<1x8x2x16xf32>, %k: tensor<1x8x2x16xf32>, %v: tensor<1x8x2x16xf32>, %m: tensor<1x1x1x2x2xf32>) {
  // expected-error @below {{operand #3 must be tensor of rank 4 or less of floating-point or 1-bit signless integer values, but got 'tensor<1x1x1x2x2xf32>'}}
  %r = onnx.Attention %q, %k, %v mask(%m) : (tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x1x1x2x2xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_past_pair(%q: tensor<1x8x2x16xf32>, %k: tensor<1x8x2x16xf32>, %v: tensor<1x8x2x16xf32>, %m: tensor<1x8x2x16xf32>) {
  // expected-error @below {{requires past_key and past_value together}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v past_key(%m) : (tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_past_rank(%q: tensor<1x8x2x16xf32>, %k: tensor<1x8x2x16xf32>, %v: tensor<1x8x2x16xf32>, %m: tensor<8x2x16xf32>) {
  // expected-error @below {{operand #3 must be tensor of rank 4 of floating-point values, but got 'tensor<8x2x16xf32>'}}
  %r = onnx.Attention %q, %k, %v past_key(%m) past_value(%m) : (tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<8x2x16xf32>, tensor<8x2x16xf32>) -> tensor<f32>
  return
}

// -----

func.func @attention_past_heads(%q: tensor<1x8x2x16xf32>, %k: tensor<1x8x2x16xf32>, %v: tensor<1x8x2x16xf32>, %m: tensor<1x4x2x16xf32>) {
  // expected-error @below {{past 'tensor<1x4x2x16xf32>' does not continue with heads of 16 in 8}}
  // expected-error @below {{failed to infer returned types}}
  %r = onnx.Attention %q, %k, %v past_key(%m) past_value(%m) : (tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x8x2x16xf32>, tensor<1x4x2x16xf32>, tensor<1x4x2x16xf32>) -> tensor<f32>
  return
}

// -----

func.func @flag(%x: tensor<4xf32>) {
  // expected-error @below {{attribute 'keepdims' failed to satisfy constraint: 64-bit signless integer attribute whose value is one of {0, 1}}}
  %r = onnx.ReduceSum %x {keepdims = 2 : i64} : (tensor<4xf32>) -> tensor<1xf32>
  return
}

// -----

func.func @dequantize_axis(%x: tensor<3x4xi8>, %s: tensor<3xf32>) {
  // expected-error @below {{expected one scale, or one for each of 4 elements of axis 1, but got 'tensor<3xf32>'}}
  %0 = onnx.DequantizeLinear %x, %s {axis = 1 : i64, to = f32} : (tensor<3x4xi8>, tensor<3xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @dequantize_blocks(%x: tensor<3x4xi8>, %s: tensor<3x3xf32>) {
  // expected-error @below {{expected a scale for each block of 2 elements of axis 1 of 'tensor<3x4xi8>', but got 'tensor<3x3xf32>'}}
  %0 = onnx.DequantizeLinear %x, %s {axis = 1 : i64, block_size = 2 : i64, to = f32} : (tensor<3x4xi8>, tensor<3x3xf32>) -> tensor<3x4xf32>
  return
}

// -----

func.func @quantize_zero_points(%x: tensor<3x4xf32>, %s: tensor<3xf32>, %z: tensor<4xi8>) {
  // expected-error @below {{expected zero points of the shape of the scale, 'tensor<3xf32>', but got 'tensor<4xi8>'}}
  %0 = onnx.QuantizeLinear %x, %s, %z {axis = 0 : i64, to = i8} : (tensor<3x4xf32>, tensor<3xf32>, tensor<4xi8>) -> tensor<3x4xi8>
  return
}
