// RUN: qopt-opt %s --qopt-verify-quantized --split-input-file --verify-diagnostics

// Accepts what the schemes promise, names the layer of everything else.
func.func @accepts(%x: tensor<2x4xf32>, %q: tensor<2x4xi8>) -> (tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>) {
  %f = onnx.Constant dense<1.0> : tensor<4x2xf32>
  %c = qopt.parameter "c" dense<1> : tensor<2x4xi8>
  %v = qopt.parameter "v" dense<1.0> : tensor<2xf32>
  %s = qopt.parameter "s" dense<0.5> : tensor<f32>
  %p = qopt.parameter "p" dense<1> : tensor<2x2xi8>
  %g = qopt.parameter "g" dense<1.0> : tensor<2x2xf16>
  %0 = onnx.MatMul %x, %f {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "float">} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  %1 = qopt.matmul_w8a16 %x, %c, %v {qopt.layer = "b", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<2x4xf32>, tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %2 = qopt.matmul_w8a8 %q, %s, %c, %v {qopt.layer = "c", qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<2x4xi8>, tensor<f32>, tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  %3 = qopt.matmul_w4a16 %x, %p, %g {group_size = 2, qopt.layer = "d", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 2>} : (tensor<2x4xf32>, tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x2xf32>
  return %0, %1, %2, %3 : tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>, tensor<2x2xf32>
}

func.func @accepts_integers(%x: tensor<2x4xf32>) -> tensor<2x2xf32> {
  %p = qopt.parameter "p" dense<1> : tensor<2x2xi8>
  %g = qopt.parameter "g" dense<1.0> : tensor<2x2xf16>
  %q, %s = qopt.dynamic_quantize %x {group_size = 2} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2x2xf32>)
  %0 = qopt.matmul_w4a8 %q, %s, %p, %g {group_size = 2, x_group_size = 2, qopt.layer = "e", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2, activations = int8>} : (tensor<2x4xi8>, tensor<2x2xf32>, tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_float_activations(%x: tensor<2x4xf32>, %p: tensor<2x2xi8>, %g: tensor<2x2xf16>) -> tensor<2x2xf32> {
  // expected-error @below {{is not what scheme gptq-int4 makes of layer "a": expected qopt.matmul_w4a8 with activations int8, one scale per token and group, at run time}}
  %0 = qopt.matmul_w4a16 %x, %p, %g {group_size = 2, qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 2, activations = int8>} : (tensor<2x4xf32>, tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_given_codes(%q: tensor<2x4xi8>, %s: tensor<2x2xf32>, %p: tensor<2x2xi8>, %g: tensor<2x2xf16>) -> tensor<2x2xf32> {
  // expected-error @below {{is not what scheme gptq-int4 makes of layer "a"}}
  %0 = qopt.matmul_w4a8 %q, %s, %p, %g {group_size = 2, x_group_size = 2, qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 2, activations = int8>} : (tensor<2x4xi8>, tensor<2x2xf32>, tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_observer(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{'qopt.observe' op is left over at "a"}}
  %0 = qopt.observe %x "a" ["absmax"] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @rejects_no_scheme(%x: tensor<2x4xf32>) -> tensor<2x2xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x2xf32>
  // expected-error @below {{requires a scheme for layer "a"}}
  %0 = onnx.MatMul %x, %w {qopt.layer = "a"} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_float_product(%x: tensor<2x4xf32>) -> tensor<2x2xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x2xf32>
  // expected-error @below {{is not what scheme gptq-int4 makes of layer "a": expected qopt.matmul_w4a16 with activations float}}
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "gptq-int4">} : (tensor<2x4xf32>, tensor<4x2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_other_product(%q: tensor<2x4xi8>, %s: tensor<2xf32>, %c: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<2x2xf32> {
  // expected-error @below {{is not what scheme int8-static makes of layer "a": expected qopt.matmul_w8a8 with activations int8, one scale per tensor, measured}}
  %0 = qopt.matmul_w8a8 %q, %s, %c, %v {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-static">} : (tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_unsplit_columns(%x: tensor<2x4xf32>, %c: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<2x2xf32> {
  %q, %s = qopt.dynamic_quantize %x : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>)
  // expected-error @below {{is not what scheme llm-int8 makes of layer "a"}}
  %0 = qopt.matmul_w8a8 %q, %s, %c, %v {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

// Static outliers: split where calibration said so, or not at all where there were none.
func.func @accepts_static_outliers(%x: tensor<2x4xf32>, %c: tensor<2x4xi8>, %v: tensor<2xf32>, %k: tensor<2x1xf16>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %q, %s, %o = qopt.split_columns_at %x {columns = array<i32: 3>} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2x1xf32>)
  %0 = qopt.matmul_w8a8 %q, %s, %c, %v outliers(%o) weights(%k) {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xi8>, tensor<2xf32>, tensor<2x1xf32>, tensor<2x1xf16>) -> tensor<2x2xf32>
  %r, %t = qopt.dynamic_quantize %x : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>)
  %1 = qopt.matmul_w8a8 %r, %t, %c, %v {qopt.layer = "b", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  return %0, %1 : tensor<2x2xf32>, tensor<2x2xf32>
}

// -----

func.func @rejects_split_without_outliers(%x: tensor<2x4xf32>, %c: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<2x2xf32> {
  %q, %s, %o = qopt.split_columns_at %x {columns = array<i32: 3>} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2x1xf32>)
  // expected-error @below {{is not what scheme llm-int8 makes of layer "a"}}
  %0 = qopt.matmul_w8a8 %q, %s, %c, %v {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_dynamic_outliers(%x: tensor<2x4xf32>, %c: tensor<2x4xi8>, %v: tensor<2xf32>) -> tensor<2x2xf32> {
  %q, %s, %o = qopt.split_columns %x {threshold = 6.0 : f32} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<4xi32>)
  // expected-error @below {{is not what scheme llm-int8 makes of layer "a"}}
  %0 = qopt.matmul_w8a8 %q, %s, %c, %v outliers(%x) columns(%o) {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0, outliers = static>} : (tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xf32>, tensor<4xi32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_static_outliers(%x: tensor<2x4xf32>, %c: tensor<2x4xi8>, %v: tensor<2xf32>, %k: tensor<2x1xf16>) -> tensor<2x2xf32> {
  %q, %s, %o = qopt.split_columns_at %x {columns = array<i32: 3>} : (tensor<2x4xf32>) -> (tensor<2x4xi8>, tensor<2xf32>, tensor<2x1xf32>)
  // expected-error @below {{is not what scheme llm-int8 makes of layer "a"}}
  %0 = qopt.matmul_w8a8 %q, %s, %c, %v outliers(%o) weights(%k) {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<2x4xi8>, tensor<2xf32>, tensor<2x4xi8>, tensor<2xf32>, tensor<2x1xf32>, tensor<2x1xf16>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_zero_scale(%x: tensor<2x4xf32>, %c: tensor<2x4xi8>) -> tensor<2x2xf32> {
  %v = qopt.parameter "v" dense<[1.0, 0.0]> : tensor<2xf32>
  // expected-error @below {{expected positive and finite scales of layer "a" but got 0.0}}
  %0 = qopt.matmul_w8a16 %x, %c, %v {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<2x4xf32>, tensor<2x4xi8>, tensor<2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_infinite_scale(%x: tensor<2x4xf32>, %c: tensor<2x2xi8>) -> tensor<2x2xf32> {
  %v = qopt.parameter "v" dense<[[1.0, 1.0], [0x7C00, 1.0]]> : tensor<2x2xf16>
  // expected-error @below {{expected positive and finite scales of layer "a" but got INF}}
  %0 = qopt.matmul_w4a16 %x, %c, %v {group_size = 2, qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2>} : (tensor<2x4xf32>, tensor<2x2xi8>, tensor<2x2xf16>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}
