// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-raise-rms-normalization))' | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(func.func(qopt-raise-rms-normalization))' --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// w * x / sqrt(mean(x^2) + epsilon) in the spellings that exporters use.

// CHECK-LABEL: func @reciprocal_of_root
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf32>
// CHECK: %[[W:.*]] = onnx.Constant
// CHECK: %[[N:.*]] = onnx.RMSNormalization %[[X]], %[[W]] {epsilon = 9.99999997E-7 : f32}
// CHECK: return %[[N]]
func.func @reciprocal_of_root(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %0 = onnx.Pow %x, %two : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %last : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Add %1, %eps : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %3 = onnx.Sqrt %2 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %4 = onnx.Reciprocal %3 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %5 = onnx.Mul %x, %4 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %6 = onnx.Mul %w, %5 : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %6 : tensor<?x4xf32>
}

// CHECK-LABEL: func @quotient_and_square
// CHECK: onnx.RMSNormalization
// CHECK-NOT: onnx.Div
func.func @quotient_and_square(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Mul %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %last : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Add %eps, %1 : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %3 = onnx.Sqrt %2 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %4 = onnx.Div %x, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %4, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// A value of 16 bits that is widened before, as the embedding of a 16-bit model.
// CHECK-LABEL: func @widened
// CHECK-SAME: %[[X:.*]]: tensor<?x4xf16>
// CHECK: %[[WIDE:.*]] = onnx.Cast %[[X]] {to = f32}
// CHECK: onnx.RMSNormalization %[[WIDE]]
// CHECK-NOT: onnx.ReduceMean
func.func @widened(%x: tensor<?x4xf16>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %wide = onnx.Cast %x {to = f32} : (tensor<?x4xf16>) -> tensor<?x4xf32>
  %0 = onnx.Mul %wide, %wide : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %last : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Add %eps, %1 : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %3 = onnx.Sqrt %2 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %4 = onnx.Div %wide, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %4, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// The mean of another value's squares.
// REMARK: {{\[}}Missed{{\]}} normalization {{.*}}this is no RMS normalization: the value that is divided by the root is not the one whose squares it is of
// CHECK-LABEL: func @skips_other_value
// CHECK-NOT: onnx.RMSNormalization
// CHECK: onnx.ReduceMean
// CHECK: %[[D:.*]] = onnx.Div
// CHECK-NEXT: %[[Y:.*]] = onnx.Mul %[[D]], %{{.*}}
// CHECK-NEXT: return %[[Y]]
func.func @skips_other_value(%x: tensor<?x4xf32>, %y: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Mul %y, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %last : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Add %eps, %1 : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %3 = onnx.Sqrt %2 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %4 = onnx.Div %x, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %4, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// REMARK: normalization {{.*}}: requires a constant scale of 4 values, one per column, but got tensor<1xf32>
// CHECK-LABEL: func @skips_scale_of_another_size
// CHECK-NOT: onnx.RMSNormalization
// CHECK: onnx.ReduceMean
// CHECK: %[[D:.*]] = onnx.Div
// CHECK-NEXT: %[[Y:.*]] = onnx.Mul %[[D]], %{{.*}}
// CHECK-NEXT: return %[[Y]]
func.func @skips_scale_of_another_size(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[2.0]> : tensor<1xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Mul %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %last : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Add %eps, %1 : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %3 = onnx.Sqrt %2 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %4 = onnx.Div %x, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %4, %w : (tensor<?x4xf32>, tensor<1xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// CHECK-LABEL: func @skips_other_axis
// CHECK-NOT: onnx.RMSNormalization
// REMARK: normalization {{.*}}: the mean of squares is not over the last dimension alone, with dimensions kept
func.func @skips_other_axis(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %first = onnx.Constant dense<0> : tensor<1xi64>
  %0 = onnx.Mul %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %first : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<1x4xf32>
  %2 = onnx.Add %eps, %1 : (tensor<f32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  %3 = onnx.Sqrt %2 : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %4 = onnx.Div %x, %3 : (tensor<?x4xf32>, tensor<1x4xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %4, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// CHECK-LABEL: func @skips_other_exponent
// CHECK-NOT: onnx.RMSNormalization
// REMARK: normalization {{.*}}: the exponent of the mean of squares is 0.25{{0*}}, not 0.5 or -0.5
func.func @skips_other_exponent(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = onnx.Constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %quarter = onnx.Constant dense<0.25> : tensor<f32>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Mul %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %last : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Add %eps, %1 : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %3 = onnx.Pow %2, %quarter : (tensor<?x1xf32>, tensor<f32>) -> tensor<?x1xf32>
  %4 = onnx.Div %x, %3 : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %5 = onnx.Mul %4, %w : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}

// CHECK-LABEL: func @skips_missing_scale
// CHECK-NOT: onnx.RMSNormalization
// REMARK: normalization {{.*}}: the normalized value is not multiplied by a scale
func.func @skips_missing_scale(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %eps = onnx.Constant dense<1.0e-6> : tensor<f32>
  %last = onnx.Constant dense<1> : tensor<1xi64>
  %0 = onnx.Mul %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.ReduceMean %0, %last : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Add %eps, %1 : (tensor<f32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %3 = onnx.Sqrt %2 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %4 = onnx.Reciprocal %3 : (tensor<?x1xf32>) -> tensor<?x1xf32>
  %5 = onnx.Mul %4, %x : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %5 : tensor<?x4xf32>
}
