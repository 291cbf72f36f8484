// RUN: qopt-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<?x4xf32>, %i: tensor<?x4xi64>, %b: tensor<?x4xi1>) {
  %0 = onnx.Abs %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Ceil %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Cos %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %3 = onnx.Erf %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %4 = onnx.Exp %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %5 = onnx.Floor %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %6 = onnx.Identity %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %7 = onnx.IsInf %x : (tensor<?x4xf32>) -> tensor<?x4xi1>
  %8 = onnx.IsNaN %x : (tensor<?x4xf32>) -> tensor<?x4xi1>
  %9 = onnx.Log %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %10 = onnx.Neg %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %11 = onnx.Not %b : (tensor<?x4xi1>) -> tensor<?x4xi1>
  %12 = onnx.Reciprocal %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %13 = onnx.Relu %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %14 = onnx.Round %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %15 = onnx.Sigmoid %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %16 = onnx.Sign %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %17 = onnx.Sin %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %18 = onnx.Softplus %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %19 = onnx.Sqrt %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %20 = onnx.Tanh %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: onnx.Swish %{{.*}} {alpha = 1.702000e+00 : f32} :
  %21 = onnx.Swish %x {alpha = 1.702 : f32} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: onnx.Gelu %{{.*}} approximate tanh :
  %22 = onnx.Gelu %x approximate tanh : (tensor<?x4xf32>) -> tensor<?x4xf32>
  // CHECK: onnx.Cast %{{.*}} {to = f16} : (tensor<?x4xf32>) -> tensor<?x4xf16>
  %23 = onnx.Cast %x {to = f16} : (tensor<?x4xf32>) -> tensor<?x4xf16>
  %min = onnx.Constant dense<0.0> : tensor<f32>
  // CHECK: onnx.Clip %{{.*}} max(%{{.*}}) :
  %24 = onnx.Clip %x max(%min) : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %25 = onnx.Clip %x min(%min) max(%min) : (tensor<?x4xf32>, tensor<f32>, tensor<f32>) -> tensor<?x4xf32>
  %26 = onnx.Add %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %27 = onnx.Sub %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %28 = onnx.Mul %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %29 = onnx.Div %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %30 = onnx.Pow %x, %i : (tensor<?x4xf32>, tensor<?x4xi64>) -> tensor<?x4xf32>
  %31 = onnx.And %b, %b : (tensor<?x4xi1>, tensor<?x4xi1>) -> tensor<?x4xi1>
  %32 = onnx.Or %b, %b : (tensor<?x4xi1>, tensor<?x4xi1>) -> tensor<?x4xi1>
  %33 = onnx.Xor %b, %b : (tensor<?x4xi1>, tensor<?x4xi1>) -> tensor<?x4xi1>
  %34 = onnx.Equal %i, %i : (tensor<?x4xi64>, tensor<?x4xi64>) -> tensor<?x4xi1>
  %35 = onnx.Less %i, %i : (tensor<?x4xi64>, tensor<?x4xi64>) -> tensor<?x4xi1>
  %36 = onnx.LessOrEqual %i, %i : (tensor<?x4xi64>, tensor<?x4xi64>) -> tensor<?x4xi1>
  %37 = onnx.Greater %i, %i : (tensor<?x4xi64>, tensor<?x4xi64>) -> tensor<?x4xi1>
  %38 = onnx.GreaterOrEqual %i, %i : (tensor<?x4xi64>, tensor<?x4xi64>) -> tensor<?x4xi1>
  // CHECK: onnx.Mod %{{.*}}, %{{.*}} {fmod = 1 : i64} :
  %39 = onnx.Mod %x, %x {fmod = 1 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %40 = onnx.Max %x, %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %41 = onnx.Min %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %42 = onnx.Sum %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %43 = onnx.Where %b, %x, %x : (tensor<?x4xi1>, tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}

// CHECK-LABEL: func.func @movement
func.func @movement(%x: tensor<2x3x4xf32>, %i: tensor<5xi64>) {
  %c = onnx.Constant dense<1> : tensor<1xi64>
  %s = onnx.Constant dense<[4, 6]> : tensor<2xi64>
  // CHECK: onnx.Shape %{{.*}} {end = 2 : i64, start = 1 : i64} :
  %0 = onnx.Shape %x {start = 1 : i64, end = 2 : i64} : (tensor<2x3x4xf32>) -> tensor<1xi64>
  // CHECK: onnx.Reshape %{{.*}}, %{{.*}} {allowzero = 1 : i64} :
  %1 = onnx.Reshape %x, %s {allowzero = 1 : i64} : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<4x6xf32>
  %2 = onnx.Expand %c, %s : (tensor<1xi64>, tensor<2xi64>) -> tensor<4x6xi64>
  %3 = onnx.Transpose %x {perm = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %4 = onnx.Unsqueeze %x, %c : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<2x1x3x4xf32>
  %5 = onnx.Squeeze %4, %c : (tensor<2x1x3x4xf32>, tensor<1xi64>) -> tensor<2x3x4xf32>
  %6 = onnx.Squeeze %4 : (tensor<2x1x3x4xf32>) -> tensor<2x3x4xf32>
  %7 = onnx.Flatten %x {axis = 2 : i64} : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  %8 = onnx.Concat %x, %x {axis = 0 : i64} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<4x3x4xf32>
  // CHECK: onnx.Split %{{.*}} {num_outputs = 2 : i64} :
  %9:2 = onnx.Split %x {num_outputs = 2 : i64} : (tensor<2x3x4xf32>) -> (tensor<1x3x4xf32>, tensor<1x3x4xf32>)
  %10 = onnx.Slice %x, %c, %c : (tensor<2x3x4xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<0x3x4xf32>
  // CHECK: onnx.Slice %{{.*}}, %{{.*}}, %{{.*}} steps(%{{.*}}) :
  %11 = onnx.Slice %x, %c, %c steps(%c) : (tensor<2x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0x3x4xf32>
  %12 = onnx.Gather %x, %i {axis = 2 : i64} : (tensor<2x3x4xf32>, tensor<5xi64>) -> tensor<2x3x5xf32>
  %13 = onnx.GatherElements %i, %i : (tensor<5xi64>, tensor<5xi64>) -> tensor<5xi64>
  %14 = onnx.GatherND %x, %c : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<3x4xf32>
  %15 = onnx.ScatterND %x, %c, %14 : (tensor<2x3x4xf32>, tensor<1xi64>, tensor<3x4xf32>) -> tensor<2x3x4xf32>
  %16 = onnx.Tile %i, %c : (tensor<5xi64>, tensor<1xi64>) -> tensor<5xi64>
  %17 = onnx.Trilu %x {upper = 0 : i64} : (tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  %18 = onnx.Range %c, %c, %c : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<0xi64>
  %19 = onnx.CumSum %x, %c {reverse = 1 : i64} : (tensor<2x3x4xf32>, tensor<1xi64>) -> tensor<2x3x4xf32>
  // CHECK: onnx.ConstantOfShape %{{.*}}, dense<0> : tensor<1xi64> :
  %20 = onnx.ConstantOfShape %s, dense<0> : tensor<1xi64> : (tensor<2xi64>) -> tensor<4x6xi64>
  return
}

// CHECK-LABEL: func.func @reductions
func.func @reductions(%x: tensor<2x3xf32>) {
  %a = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.ReduceMax %x, %a : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %1 = onnx.ReduceMean %x : (tensor<2x3xf32>) -> tensor<1x1xf32>
  %2 = onnx.ReduceMin %x, %a : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %3 = onnx.ReduceProd %x, %a : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  // CHECK: onnx.ReduceSum %{{.*}}, %{{.*}} {keepdims = 0 : i64} :
  %4 = onnx.ReduceSum %x, %a {keepdims = 0 : i64} : (tensor<2x3xf32>, tensor<1xi64>) -> tensor<2xf32>
  %5 = onnx.Softmax %x {axis = 0 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @decoder
func.func @decoder(%x: tensor<?x?x64xf32>, %w: tensor<64x64xf32>, %g: tensor<64xf32>, %t: tensor<512x4xf32>, %p: tensor<?x?xi64>,
                   %kv: tensor<?x4x?x16xf32>, %m: tensor<?x1x?x?xi1>) {
  // CHECK: onnx.Constant dense_resource<w> : tensor<2x2xf32>
  %c = onnx.Constant dense_resource<w> : tensor<2x2xf32>
  %0 = onnx.MatMul %x, %w : (tensor<?x?x64xf32>, tensor<64x64xf32>) -> tensor<?x?x64xf32>
  // CHECK: onnx.Gemm %{{.*}}, %{{.*}}, %{{.*}} {alpha = 2.000000e+00 : f32, transB = 1 : i64} :
  %1 = onnx.Gemm %w, %w, %g {alpha = 2.0 : f32, transB = 1 : i64} : (tensor<64x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<64x64xf32>
  // CHECK: onnx.RMSNormalization %{{.*}}, %{{.*}} {epsilon = 9.99999997E-7 : f32} :
  %2 = onnx.RMSNormalization %x, %g {epsilon = 1.0e-6 : f32} : (tensor<?x?x64xf32>, tensor<64xf32>) -> tensor<?x?x64xf32>
  // CHECK: onnx.LayerNormalization %{{.*}}, %{{.*}}, %{{.*}} : (tensor<?x?x64xf32>, tensor<64xf32>, tensor<64xf32>) ->
  %ln:3 = onnx.LayerNormalization %x, %g, %g : (tensor<?x?x64xf32>, tensor<64xf32>, tensor<64xf32>) -> (tensor<?x?x64xf32>, tensor<?x?x1xf32>, tensor<?x?x1xf32>)
  // CHECK: onnx.RotaryEmbedding %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} {num_heads = 8 : i64} :
  %3 = onnx.RotaryEmbedding %x, %t, %t, %p {num_heads = 8 : i64} : (tensor<?x?x64xf32>, tensor<512x4xf32>, tensor<512x4xf32>, tensor<?x?xi64>) -> tensor<?x?x64xf32>
  // CHECK: onnx.Attention %{{.*}}, %{{.*}}, %{{.*}} mask(%{{.*}}) past_key(%{{.*}}) past_value(%{{.*}}) {is_causal = 1 : i64,
  %4:3 = onnx.Attention %kv, %kv, %kv mask(%m) past_key(%kv) past_value(%kv) {is_causal = 1 : i64, resultSegmentSizes = array<i32: 1, 1, 1>}
      : (tensor<?x4x?x16xf32>, tensor<?x4x?x16xf32>, tensor<?x4x?x16xf32>, tensor<?x1x?x?xi1>, tensor<?x4x?x16xf32>, tensor<?x4x?x16xf32>)
      -> (tensor<?x4x?x16xf32>, tensor<?x4x?x16xf32>, tensor<?x4x?x16xf32>)
  return
}

{-#
  dialect_resources: {
    builtin: {
      w: "0x040000000000803F000000400000404000008040"
    }
  }
#-}
