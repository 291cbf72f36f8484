// RUN: qopt-opt %s --qopt-fold-norms --split-input-file --verify-diagnostics --remarks-filter=.* --remark-format=emitRemark | FileCheck %s

// Both linears take the scale over; a scale of ones changes nothing.
// CHECK-LABEL: @folded
// CHECK-SAME: (%[[X:.*]]: tensor<?x2xf32>
// CHECK: %[[ONES:.*]] = onnx.Constant dense_resource<[[ONE:.*]]> : tensor<2xf32>
// CHECK: %[[N:.*]] = onnx.RMSNormalization %[[X]], %[[ONES]]
// CHECK: %[[W:.*]] = onnx.Constant dense_resource<[[UP:.*]]> : tensor<2x3xf32>
// CHECK: onnx.MatMul %[[N]], %[[W]] {qopt.layer = "up"}
// CHECK: onnx.MatMul %[[N]], %{{.*}} {qopt.layer = "gate"}
// CHECK-DAG: [[ONE]]: "0x400000000000803F0000803F"
// CHECK-DAG: [[UP]]: "0x4000000000000040000080400000C040000040400000C04000001041"
func.func @folded(%x: tensor<?x2xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %s = onnx.Constant dense<[2.0, 3.0]> : tensor<2xf32>
  %w = onnx.Constant dense<[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]> : tensor<2x3xf32>
  %g = onnx.Constant dense<1.0> : tensor<2x3xf16>
  %c = onnx.Cast %g {to = f32} : (tensor<2x3xf16>) -> tensor<2x3xf32>
  %n = onnx.RMSNormalization %x, %s : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %u = onnx.MatMul %n, %w {qopt.layer = "up"} : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  %v = onnx.MatMul %n, %c {qopt.layer = "gate"} : (tensor<?x2xf32>, tensor<2x3xf32>) -> tensor<?x3xf32>
  return %u, %v : tensor<?x3xf32>, tensor<?x3xf32>
}

// -----

// What is added behind the scale is divided by it.
// CHECK-LABEL: @layer_normalization
// CHECK: onnx.LayerNormalization
// CHECK-DAG: "0x400000000000803F0000803F"
// CHECK-DAG: "0x400000000000803E0000003F"
// CHECK-DAG: "0x400000000000004000004040"
func.func @layer_normalization(%x: tensor<?x2xf32>) -> tensor<?x1xf32> {
  %s = onnx.Constant dense<[2.0, 4.0]> : tensor<2xf32>
  %b = onnx.Constant dense<[0.5, 2.0]> : tensor<2xf32>
  %w = onnx.Constant dense<[[1.0], [0.75]]> : tensor<2x1xf32>
  %n, %m, %d = onnx.LayerNormalization %x, %s, %b : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<?x2xf32>, tensor<?x1xf32>, tensor<?x1xf32>)
  %y = onnx.MatMul %n, %w {qopt.layer = "up"} : (tensor<?x2xf32>, tensor<2x1xf32>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// One of two is left: a sum reads it, too.
// CHECK-LABEL: @left
// CHECK: onnx.RMSNormalization
// CHECK: onnx.Add
// CHECK: onnx.RMSNormalization
// CHECK-DAG: "0x400000000000803F0000803F"
func.func @left(%x: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %s = onnx.Constant dense<[2.0, 3.0]> : tensor<2xf32>
  %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
  // expected-remark @below {{fold-norms leaves the normalization in front of layer "o": its result also goes to 'onnx.Add'}}
  %n = onnx.RMSNormalization %x, %s : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %y = onnx.MatMul %n, %w {qopt.layer = "o"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %z = onnx.Add %n, %y : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x2xf32>
  %m = onnx.RMSNormalization %z, %s : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %u = onnx.MatMul %m, %w {qopt.layer = "u"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %z, %u : tensor<?x2xf32>, tensor<?x2xf32>
}

// -----

// expected-error @below {{fold-norms found nothing to do: expected a normalization whose result linear layers alone read, but got 3 that it has to leave, the first the normalization in front of layer "a": its scale is no constant of 2 values}}
module {
  func.func @nothing(%x: tensor<?x2xf32>, %s: tensor<2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x1xf32>) {
    %t = onnx.Constant dense<[2.0, 0.0]> : tensor<2xf32>
    %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
    // expected-remark @below {{fold-norms leaves}}
    %n = onnx.RMSNormalization %x, %s : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
    %y = onnx.MatMul %n, %w {qopt.layer = "a"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    // expected-remark @below {{its scale has a zero, and something is added behind it}}
    %o, %m, %d = onnx.LayerNormalization %x, %t, %t : (tensor<?x2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<?x2xf32>, tensor<?x1xf32>, tensor<?x1xf32>)
    %z = onnx.MatMul %o, %w {qopt.layer = "b"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    // expected-remark @below {{its mean or deviation is read as well}}
    %p, %q, %r = onnx.LayerNormalization %x, %t : (tensor<?x2xf32>, tensor<2xf32>) -> (tensor<?x2xf32>, tensor<?x1xf32>, tensor<?x1xf32>)
    %u = onnx.MatMul %p, %w {qopt.layer = "c"} : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    return %y, %z, %u, %q : tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x2xf32>, tensor<?x1xf32>
  }
}

// -----

// expected-error @below {{but got none}}
module {
  func.func @none(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    return %x : tensor<?x2xf32>
  }
}
