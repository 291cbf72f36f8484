// RUN: qopt-opt %s --qopt-fold-calibration --split-input-file --verify-diagnostics | FileCheck %s

// A measured range becomes a scale of absmax / 127 and a quantize / dequantize pair.
// CHECK-LABEL: @folds
// CHECK-SAME: (%[[X:.*]]: tensor<?x4xf32>)
// CHECK: %[[S:.*]] = qopt.parameter "q.input_scale" dense<5.000000e-01> : tensor<f32>
// CHECK: %[[Q:.*]] = qopt.quantize %[[X]], %[[S]] : (tensor<?x4xf32>, tensor<f32>) -> tensor<?x4xi8>
// CHECK: %[[D:.*]] = qopt.dequantize %[[Q]], %[[S]] : (tensor<?x4xi8>, tensor<f32>) -> tensor<?x4xf32>
// CHECK: return %[[D]]
func.func @folds(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = qopt.observe %x "q" ["absmax"] absmax(63.5) : tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// A value that was always 0 gets scale 1.
// CHECK-LABEL: @folds_zero
// CHECK: qopt.parameter "q.input_scale" dense<1.000000e+00>
func.func @folds_zero(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = qopt.observe %x "q" ["absmax"] absmax(0.0) : tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @rejects_uncalibrated(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{requires a value for "q": nothing was calibrated (give calibration data)}}
  %0 = qopt.observe %x "q" ["absmax"] : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @rejects_infinity(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  // expected-error @below {{expected a finite absmax of at least 0 for "q" but got INF}}
  %0 = qopt.observe %x "q" ["absmax"] absmax(0x7F800000) : tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// -----

func.func @rejects_half(%x: tensor<2x4xf16>) -> tensor<2x4xf16> {
  // expected-error @below {{expected float32 values at "q"}}
  %0 = qopt.observe %x "q" ["absmax"] absmax(1.0) : tensor<2x4xf16>
  return %0 : tensor<2x4xf16>
}
