// RUN: qopt-opt %s --qopt-raise --float | FileCheck %s --check-prefix=FLOAT
// RUN: qopt-opt %s --qopt-raise --int8-weights | FileCheck %s --check-prefix=INT8W
// RUN: qopt-opt %s --qopt-raise --int8-dynamic | FileCheck %s --check-prefix=INT8D
// RUN: qopt-opt %s --qopt-raise --qopt-prepare="scheme=int8-dynamic" --qopt-quantize | FileCheck %s --check-prefix=INT8D
// RUN: qopt-opt %s --qopt-raise --llm-int8="threshold=4" | FileCheck %s --check-prefix=LLM
// RUN: qopt-opt %s --qopt-raise --rtn-int4="group-size=3 head=same" | FileCheck %s --check-prefix=RTN
// RUN: qopt-opt %s --qopt-raise --rtn-int4="group-size=4 activations=int8" | FileCheck %s --check-prefix=CODES
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-raise,int8-weights{overrides=*.gate_proj=skip,lm_head=rtn-int4{group-size=-1}})' | FileCheck %s --check-prefix=MIXED
// RUN: qopt-opt %s --qopt-raise --rtn-int3="group-size=2 activations=float" | FileCheck %s --check-prefix=INT3
// RUN: qopt-opt %s --qopt-raise --rtn-int8="group-size=3 head=same" | FileCheck %s --check-prefix=INT8G
// RUN: qopt-opt %s --qopt-raise --int4-weights="group-size=2" | FileCheck %s --check-prefix=MINMAX
// RUN: qopt-opt %s --qopt-raise --hqq-int2 | FileCheck %s --check-prefix=HQQ
// RUN: qopt-opt %s --qopt-raise --nf4="group-size=2 double-quant=true" | FileCheck %s --check-prefix=NF4
// RUN: qopt-opt %s --qopt-raise --fp4 | FileCheck %s --check-prefix=FP4
// RUN: qopt-opt %s --qopt-raise --mxfp4="scale-rule=ceil" | FileCheck %s --check-prefix=E2M1
// RUN: qopt-opt %s --qopt-raise --nvfp4 | FileCheck %s --check-prefix=E2M1
// RUN: qopt-opt %s --qopt-raise --fp8="head=same" | FileCheck %s --check-prefix=FP8
// RUN: not qopt-opt %s --qopt-raise --gptq-int4 2>&1 | FileCheck %s --check-prefix=NODATA
// RUN: not qopt-opt %s --qopt-raise --gptq-int4="compat=other" 2>&1 | FileCheck %s --check-prefix=COMPAT
// RUN: qopt-opt %s --qopt-raise --int8-dynamic --llm-int8 | FileCheck %s --check-prefix=INT8D

// What a user types, on two linears that share their input and a head.
// NODATA: error: requires calibration data
// COMPAT: error: expected compat gptq or autogptq or gptqmodel or llm-compressor but got "other"

// FLOAT-LABEL: @forward
// FLOAT: onnx.MatMul %{{.*}}, %{{.*}} {qopt.layer = "model.layers.0.mlp.up_proj"}
// FLOAT: onnx.MatMul %{{.*}}, %{{.*}} {qopt.layer = "model.layers.0.mlp.gate_proj"}
// FLOAT: onnx.MatMul %{{.*}}, %{{.*}} {qopt.layer = "lm_head"}
// INT8W-LABEL: @forward
// INT8W: qopt.matmul_w8a16 {{.*}}up_proj", qopt.scheme = #qopt.scheme<kind = "int8-weights">
// INT8W: qopt.matmul_w8a16 {{.*}}gate_proj"
// INT8W: qopt.matmul_w8a16 {{.*}}lm_head"
// INT8D-LABEL: @forward
// INT8D: %[[Q:.*]], %[[S:.*]] = qopt.dynamic_quantize
// INT8D: qopt.matmul_w8a8 %[[Q]], %[[S]], {{.*}}up_proj"
// INT8D: qopt.matmul_w8a8 %[[Q]], %[[S]], {{.*}}gate_proj"
// INT8D: qopt.matmul_w8a16 {{.*}}lm_head", qopt.scheme = #qopt.scheme<kind = "int8-weights">
// LLM-LABEL: @forward
// LLM: %[[Q:.*]], %[[S:.*]], %[[C:.*]] = qopt.split_columns %[[X:.*]] {threshold = 4.0
// LLM: qopt.matmul_w8a8 %[[Q]], %[[S]], {{.*}} outliers(%[[X]]) columns(%[[C]]) {{.*}}up_proj"
// LLM: qopt.matmul_w8a8 %[[Q]], %[[S]], {{.*}} outliers(%[[X]]) columns(%[[C]]) {{.*}}gate_proj"
// RTN-LABEL: @forward
// RTN: qopt.matmul_w4a16 {{.*}}group_size = 3 : i64, {{.*}}up_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 3, activations = float>
// RTN: qopt.matmul_w4a16 {{.*}}gate_proj"
// RTN: qopt.matmul_w4a16 {{.*}}lm_head"
// RTN-NOT: onnx.Constant
// Codes of three bits have their middle where those of four have it.
// INT3-LABEL: @forward
// INT3: qopt.matmul_w4a16 {{.*}}group_size = 2 : i64, {{.*}}kind = "rtn-int3"
// INT8G-LABEL: @forward
// INT8G: qopt.matmul_w8a16 {{.*}} {group_size = 3 : i64, {{.*}}up_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int8", groupSize = 3>} : (tensor<?x2x4xf32>, tensor<4x4xi8>, tensor<4x2xf16>
// INT8G: qopt.matmul_w8a16 {{.*}}lm_head"
// MINMAX-LABEL: @forward
// MINMAX: qopt.matmul_w4a16 {{.*}}group_size = 2 : i64, {{.*}}kind = "int4-weights"{{.*}}, tensor<4x2xf32>) -> tensor<?x2x4xf32>
// HQQ-LABEL: @forward
// HQQ: qopt.matmul_w4a16 {{.*}}group_size = 4 : i64, {{.*}}kind = "hqq-int2", groupSize = 4>{{.*}}, tensor<4x1xf32>) -> tensor<?x2x4xf32>
// NF4-LABEL: @forward
// NF4: qopt.matmul_w4a16 {{.*}}group_size = 2 : i64, {{.*}}kind = "nf4", groupSize = 2, doubleQuant = true>, table = array<f32: -1.000000e+00, -0.696192
// FP4-LABEL: @forward
// FP4: qopt.matmul_w4a16 {{.*}}table = array<f32: 0.000000e+00, 0.00520833349
// E2M1-LABEL: @forward
// E2M1: qopt.matmul_w4a16 {{.*}}table = array<f32: 0.000000e+00, 5.000000e-01, 1.000000e+00, 1.500000e+00
// FP8-LABEL: @forward
// FP8: qopt.matmul_w8a16 {{.*}} {float8, {{.*}}up_proj"
// FP8: qopt.matmul_w8a16 {{.*}} {float8, {{.*}}lm_head"
// CODES-LABEL: @forward
// CODES: %[[Q:.*]], %[[S:.*]] = qopt.dynamic_quantize {{.*}} {group_size = 4 : i64}
// CODES: qopt.matmul_w4a8 %[[Q]], %[[S]], {{.*}}up_proj", {{.*}}activations = int8, activationGroupSize = 4>, x_group_size = 4 : i64}
// CODES: qopt.matmul_w4a8 %[[Q]], %[[S]], {{.*}}gate_proj"
// CODES: qopt.matmul_w8a16 {{.*}}lm_head"
// MIXED-LABEL: @forward
// MIXED: qopt.matmul_w8a16 {{.*}}up_proj"
// MIXED: onnx.MatMul {{.*}}gate_proj", qopt.scheme = #qopt.scheme<kind = "float">
// MIXED: qopt.matmul_w4a16 {{.*}}group_size = 4 : i64, {{.*}}lm_head"
func.func @forward(%x: tensor<?x2x4xf32>) -> tensor<?x2x4xf32> {
  %w = onnx.Constant dense<[[1.0, 2.0, -1.0, 0.5], [0.25, -4.0, 3.0, 1.0], [1.0, 0.0, 2.0, -2.0], [0.5, 1.5, -2.5, 1.0]]> : tensor<4x4xf32>
  %y = onnx.MatMul %x, %w {qopt.layer = "model.layers.0.mlp.up_proj"} : (tensor<?x2x4xf32>, tensor<4x4xf32>) -> tensor<?x2x4xf32>
  %z = onnx.MatMul %x, %w {qopt.layer = "model.layers.0.mlp.gate_proj"} : (tensor<?x2x4xf32>, tensor<4x4xf32>) -> tensor<?x2x4xf32>
  %a = onnx.Add %y, %z : (tensor<?x2x4xf32>, tensor<?x2x4xf32>) -> tensor<?x2x4xf32>
  %h = onnx.MatMul %a, %w {qopt.layer = "lm_head"} : (tensor<?x2x4xf32>, tensor<4x4xf32>) -> tensor<?x2x4xf32>
  return %h : tensor<?x2x4xf32>
}
