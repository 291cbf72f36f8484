// RUN: qopt-opt %s --qopt-quantize-weights --split-input-file --verify-diagnostics | FileCheck %s

// Every row of W^T has a power of two times 127 (or 7 and -8) as its largest value, so scales and
// codes are known: codes print as bytes after the 4 bytes of alignment.

// CHECK-LABEL: @channels
// CHECK-SAME: (%[[X:.*]]: tensor<2x2xf32>)
// CHECK: %[[C:.*]] = qopt.parameter "up.weight.codes" dense_resource<up.weight.codes> : tensor<3x2xi8>
// CHECK: %[[S:.*]] = qopt.parameter "up.weight.scale" dense_resource<up.weight.scale> : tensor<3xf32>
// CHECK: %[[D:.*]] = qopt.dequantize %[[C]], %[[S]] : (tensor<3x2xi8>, tensor<3xf32>) -> tensor<3x2xf32>
// CHECK: %[[T:.*]] = onnx.Transpose %[[D]] {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
// CHECK: onnx.MatMul %[[X]], %[[T]] {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "int8-weights">}
// CHECK: up.weight.codes: "0x400000007F01FF817F00"
// CHECK: up.weight.scale: "0x400000000000803F0000003F00000040"
func.func @channels(%x: tensor<2x2xf32>) -> tensor<2x3xf32> {
  %w = onnx.Constant dense<[[127.0, -0.5, 254.0], [1.0, -63.5, 0.5]]> : tensor<2x3xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<2x2xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// -----

// Groups of 2 of 3 inputs: the last group is short. The second row needs no other zero point than 8.
// CHECK-LABEL: @groups
// CHECK: qopt.parameter "up.weight.codes" dense_resource<up.weight.codes> : tensor<1x2xi8>
// CHECK: qopt.parameter "up.weight.scale" dense_resource<up.weight.scale> : tensor<1x2xf16>
// CHECK-NOT: zeros
// CHECK: qopt.dequantize {{.*}} {columns = 3 : i64, group_size = 2 : i64} : (tensor<1x2xi8>, tensor<1x2xf16>) -> tensor<1x3xf32>
// Codes 0, 12 and 0; scales 1 and 0.5.
// CHECK: up.weight.codes: "0x40000000C000"
// CHECK: up.weight.scale: "0x40000000003C0038"
func.func @groups(%x: tensor<2x3xf32>) -> tensor<2x1xf32> {
  %w = onnx.Constant dense<[[-8.0], [4.0], [-4.0]]> : tensor<3x1xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2>} : (tensor<2x3xf32>, tensor<3x1xf32>) -> tensor<2x1xf32>
  return %0 : tensor<2x1xf32>
}

// -----

// A grid that reaches further up has zero point 7.
// CHECK-LABEL: @zeros
// CHECK: qopt.parameter "up.weight.zeros" dense_resource<up.weight.zeros> : tensor<1x1xi8>
// CHECK: up.weight.zeros: "0x4000000007"
func.func @zeros(%x: tensor<2x2xf32>) -> tensor<2x1xf32> {
  %w = onnx.Constant dense<[[8.0], [-4.0]]> : tensor<2x1xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "up", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2>} : (tensor<2x2xf32>, tensor<2x1xf32>) -> tensor<2x1xf32>
  return %0 : tensor<2x1xf32>
}

// -----

// CHECK-LABEL: @shared_weights
// CHECK: qopt.parameter "a.weight.codes"
// CHECK: qopt.parameter "b.weight.codes"
// CHECK-NOT: onnx.Constant
// CHECK: return
func.func @shared_weights(%x: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-dynamic">} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = onnx.MatMul %x, %w {qopt.layer = "b", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 6.0>} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0, %1 : tensor<2x2xf32>, tensor<2x2xf32>
}

// -----

// CHECK-LABEL: @skips_float_and_gptq
// CHECK-NOT: qopt.parameter
// CHECK: return
func.func @skips_float_and_gptq(%x: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "float">} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = onnx.MatMul %x, %w {qopt.layer = "b", qopt.scheme = #qopt.scheme<kind = "gptq-int4">} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0, %1 : tensor<2x2xf32>, tensor<2x2xf32>
}

// -----

func.func @rejects_nan(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %w = onnx.Constant dense<[[1.0, 0x7FC00000], [1.0, 1.0]]> : tensor<2x2xf32>
  // expected-error @below {{expected finite weights of layer "a" but got nan for output 1, input 0}}
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_no_scheme(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
  // expected-error @below {{'onnx.MatMul' op requires a scheme for layer "a" (qopt-assign-scheme)}}
  %0 = onnx.MatMul %x, %w {qopt.layer = "a"} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

func.func @rejects_half(%x: tensor<2x2xf16>) -> tensor<2x2xf16> {
  %w = onnx.Constant dense<1.0> : tensor<2x2xf16>
  // expected-error @below {{expected float32 weights of layer "a" but got 'f16'}}
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<2x2xf16>, tensor<2x2xf16>) -> tensor<2x2xf16>
  return %0 : tensor<2x2xf16>
}

// -----

func.func @rejects_short_resource(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  // expected-error @below {{dense resource "w" has 8 bytes but tensor<2x2xf32> needs 16}}
  %w = onnx.Constant dense_resource<w> : tensor<2x2xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "a", qopt.scheme = #qopt.scheme<kind = "int8-weights">} : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

{-#
  dialect_resources: { builtin: { w: "0x400000000000803F0000803F" } }
#-}
