// RUN: qopt-opt %s --qopt-extract-parameters | FileCheck %s
//
// Constants become globals without a value, in order of first use; equal ones share a
// global, whatever they are called.

// CHECK:      memref.global "private" @parameter_0 : memref<4xf32> {qopt.name = "norm.weight", qopt.value = dense<1.000000e+00> : tensor<4xf32>}
// A resource is called by its key.
// CHECK-NEXT: memref.global "private" @parameter_1 : memref<2xf32> {qopt.name = "table", qopt.value = dense_resource<table> : tensor<2xf32>}
// CHECK-NEXT: memref.global "private" @parameter_2 : memref<4xf32> {qopt.name = "other", qopt.value = dense<2.000000e+00> : tensor<4xf32>}
// CHECK-NOT:  memref.global

// CHECK-LABEL: func.func @shares_equal_constants(
func.func @shares_equal_constants() -> (tensor<4xf32>, tensor<2xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK: %[[M0:.*]] = memref.get_global @parameter_0 : memref<4xf32>
  // CHECK: %[[A:.*]] = bufferization.to_tensor %[[M0]] restrict : memref<4xf32> to tensor<4xf32>
  %a = qopt.parameter "norm.weight" dense<1.0> : tensor<4xf32>
  // CHECK: memref.get_global @parameter_1
  // CHECK: %[[B:.*]] = bufferization.to_tensor
  %b = onnx.Constant dense_resource<table> : tensor<2xf32>
  // CHECK: memref.get_global @parameter_0
  // CHECK: %[[C:.*]] = bufferization.to_tensor
  %c = onnx.Constant dense<1.0> : tensor<4xf32>
  // CHECK: memref.get_global @parameter_2
  // CHECK: %[[D:.*]] = bufferization.to_tensor
  %d = qopt.parameter "other" dense<2.0> : tensor<4xf32>
  // CHECK: return %[[A]], %[[B]], %[[C]], %[[D]]
  return %a, %b, %c, %d : tensor<4xf32>, tensor<2xf32>, tensor<4xf32>, tensor<4xf32>
}

// CHECK-LABEL: func.func @shares_between_functions(
func.func @shares_between_functions() -> tensor<4xf32> {
  // CHECK: memref.get_global @parameter_2
  %0 = qopt.parameter "again" dense<2.0> : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// What shape arithmetic and loops use is part of the code.
// CHECK-LABEL: func.func @skips_code_constant(
func.func @skips_code_constant() -> tensor<2xf32> {
  // CHECK-NEXT: arith.constant dense<1.000000e+00>
  %0 = arith.constant dense<1.0> : tensor<2xf32>
  return %0 : tensor<2xf32>
}

{-#
  dialect_resources: { builtin: { table: "0x400000000000803F00000040" } }
#-}
