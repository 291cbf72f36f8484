// RUN: qopt-opt %s --convert-onnx-to-linalg=quant-types=true --split-input-file > %t && FileCheck %s < %t
// RUN: qopt-opt %t --split-input-file -o /dev/null
//
// Weights of products in float become types of the quant dialect where it has one for them.

// One scale for each output.
// CHECK-LABEL: @channels(
// CHECK-SAME: %[[X:.*]]: tensor<?x2xf32>
func.func @channels(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = onnx.Constant dense<[[1, 2], [3, 4], [-128, 127]]> : tensor<3x2xi8>
  %s = onnx.Constant dense<[1.0, 0.5, 3.0]> : tensor<3xf32>
  // CHECK: %[[Q:.*]] = quant.scast %{{.*}} : tensor<3x2xi8> to tensor<3x2x!quant.uniform<i8:f32:0, {1.000000e+00,5.000000e-01,3.000000e+00}>>
  // CHECK: %[[W:.*]] = quant.dcast %[[Q]] : {{.*}} to tensor<3x2xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[X]], %[[W]] :
  %0 = qopt.matmul_w8a16 %x, %w, %s : (tensor<?x2xf32>, tensor<3x2xi8>, tensor<3xf32>) -> tensor<?x3xf32>
  return %0 : tensor<?x3xf32>
}

// -----

// Groups of four bits, which are signed, as 8 is their zero.
// CHECK-LABEL: @groups(
func.func @groups(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
  %w = onnx.Constant dense<[[1, 2]]> : tensor<1x2xi8>
  %s = onnx.Constant dense<[[1.0, 0.5]]> : tensor<1x2xf16>
  // CHECK: quant.scast %{{.*}} : tensor<1x4xi4> to tensor<1x4x!quant.uniform<i4:f32:{0:1, 1:2}, {{[{][{]}}1.000000e+00, 5.000000e-01}}>>
  %0 = qopt.matmul_w4a16 %x, %w, %s {group_size = 2} : (tensor<?x4xf32>, tensor<1x2xi8>, tensor<1x2xf16>) -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// Zero points of groups, less 8.
// CHECK-LABEL: @zero_points(
func.func @zero_points(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
  %w = onnx.Constant dense<[[1, 2]]> : tensor<1x2xi8>
  %s = onnx.Constant dense<[[1.0, 0.5]]> : tensor<1x2xf16>
  %z = onnx.Constant dense<[[0, 15]]> : tensor<1x2xi8>
  // CHECK: !quant.uniform<i4:f32:{0:1, 1:2}, {{[{][{]}}1.000000e+00:-8, 5.000000e-01:7}}>
  %0 = qopt.matmul_w4a16 %x, %w, %s, %z {group_size = 2} : (tensor<?x4xf32>, tensor<1x2xi8>, tensor<1x2xf16>, tensor<1x2xi8>) -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// One group for a row is a scale for each output.
// CHECK-LABEL: @whole_rows(
func.func @whole_rows(%x: tensor<?x4xf32>) -> tensor<?x1xf32> {
  %w = onnx.Constant dense<[[1, 2]]> : tensor<1x2xi8>
  %s = onnx.Constant dense<[[1.0]]> : tensor<1x1xf16>
  // CHECK: !quant.uniform<i4:f32:0, {1.000000e+00}>
  %0 = qopt.matmul_w4a16 %x, %w, %s {group_size = 4} : (tensor<?x4xf32>, tensor<1x2xi8>, tensor<1x1xf16>) -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// What the dialect cannot say stays loops: groups that do not divide the columns,
// CHECK-LABEL: @ragged(
// CHECK-NOT: quant.
// CHECK: arith.mulf
// CHECK-NOT: quant.
// CHECK: return
func.func @ragged(%x: tensor<?x6xf32>) -> tensor<?x1xf32> {
  %w = onnx.Constant dense<[[1, 2, 3]]> : tensor<1x3xi8>
  %s = onnx.Constant dense<[[1.0, 0.5]]> : tensor<1x2xf16>
  %0 = qopt.matmul_w4a16 %x, %w, %s {group_size = 4} : (tensor<?x6xf32>, tensor<1x3xi8>, tensor<1x2xf16>) -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// a scale of 0,
// CHECK-LABEL: @no_scale(
// CHECK-NOT: quant.
// CHECK: arith.mulf
// CHECK-NOT: quant.
// CHECK: return
func.func @no_scale(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = onnx.Constant dense<0> : tensor<2x2xi8>
  %s = onnx.Constant dense<[1.0, 0.0]> : tensor<2xf32>
  %0 = qopt.matmul_w8a16 %x, %w, %s : (tensor<?x2xf32>, tensor<2x2xi8>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// a scale that is not known,
// CHECK-LABEL: @unknown_scale(
// CHECK-NOT: quant.
// CHECK: arith.mulf
// CHECK-NOT: quant.
// CHECK: return
func.func @unknown_scale(%x: tensor<?x2xf32>, %s: tensor<2xf32>) -> tensor<?x2xf32> {
  %w = onnx.Constant dense<0> : tensor<2x2xi8>
  %0 = qopt.matmul_w8a16 %x, %w, %s : (tensor<?x2xf32>, tensor<2x2xi8>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// float8, and products of integers.
// CHECK-LABEL: @other_codes(
// CHECK-NOT: quant.
// CHECK: arith.mulf
// CHECK-NOT: quant.
// CHECK: return
func.func @other_codes(%x: tensor<?x2xf32>, %c: tensor<?x2xi8>, %t: tensor<f32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %w = onnx.Constant dense<1> : tensor<2x2xi8>
  %s = onnx.Constant dense<1.0> : tensor<2xf32>
  %0 = qopt.matmul_w8a16 %x, %w, %s {float8} : (tensor<?x2xf32>, tensor<2x2xi8>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = qopt.matmul_w8a8 %c, %t, %w, %s : (tensor<?x2xi8>, tensor<f32>, tensor<2x2xi8>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x2xf32>, tensor<?x2xf32>
}
