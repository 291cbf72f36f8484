// RUN: qopt-opt %s --convert-onnx-to-linalg --split-input-file --verify-diagnostics | FileCheck %s
//
// Operators become loops over tensors; shape arithmetic becomes index arithmetic on
// the sizes of the arguments.

// CHECK: #[[SAME:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK: #[[COLUMN:.*]] = affine_map<(d0, d1) -> (d1)>

// A bias is read by column; nothing is checked at run time.
// CHECK-LABEL: func.func @broadcasts(
// CHECK-SAME:    %[[A:.*]]: tensor<?x4xf32>, %[[B:.*]]: tensor<4xf32>
func.func @broadcasts(%a: tensor<?x4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  // CHECK-NOT: call
  // CHECK: %[[N:.*]] = tensor.dim %[[A]]
  // CHECK: %[[E:.*]] = tensor.empty(%[[N]]) : tensor<?x4xf32>
  // CHECK: linalg.generic {indexing_maps = [#[[SAME]], #[[COLUMN]], #[[SAME]]], iterator_types = ["parallel", "parallel"]} ins(%[[A]], %[[B]] : {{.*}}) outs(%[[E]]
  // CHECK: arith.addf
  %0 = onnx.Add %a, %b : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @compares_unknown_sizes(
func.func @compares_unknown_sizes(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
  // CHECK: %[[M:.*]] = tensor.dim %arg0
  // CHECK: %[[N:.*]] = tensor.dim %arg1
  // CHECK: %[[EQUAL:.*]] = arith.cmpi eq, %[[M]], %[[N]]
  // CHECK: qopt.require %[[EQUAL]], shape_mismatch(
  %0 = onnx.Mul %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// Checks that kernels have asked for stay.
// CHECK-LABEL: func.func @keeps_checks(
func.func @keeps_checks(%a: tensor<4xf32>, %same: i1, %m: i64) -> tensor<4xf32> {
  // CHECK: qopt.require %arg1, shape_mismatch(%arg2, %arg2)
  qopt.require %same, shape_mismatch(%m, %m)
  %0 = onnx.Sqrt %a : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// The runtime has compared sizes of one name already.
// CHECK-LABEL: func.func @trusts_names_of_sizes(
func.func @trusts_names_of_sizes(%a: tensor<?xf32> {onnx.dims = ["n"]}, %b: tensor<?xf32> {onnx.dims = ["n"]}) -> tensor<?xf32> {
  // CHECK-NOT: qopt.require
  // CHECK: return
  %0 = onnx.Mul %a, %b : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}

// A shape computed from the input's is never a tensor; the size that both sides
// have cancels.
// CHECK-LABEL: func.func @computes_shape(
// CHECK-SAME:    %[[X:.*]]: tensor<?x?x8xf32>
func.func @computes_shape(%x: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %rest = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %0 = onnx.Shape %x : (tensor<?x?x8xf32>) -> tensor<3xi64>
  %1 = onnx.Gather %0, %zero : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %2 = onnx.Concat %1, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  // CHECK-NOT: tensor<3xi64>
  // CHECK: return %[[X]]
  %3 = onnx.Reshape %x, %2 : (tensor<?x?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  return %3 : tensor<?x?x8xf32>
}

// A -1 that is an input takes what the other sizes leave, a 0 counted as what it copies.
// CHECK-LABEL: func.func @shape_from_memory(
func.func @shape_from_memory(%x: tensor<?x6xf32>, %n: tensor<1xi64>) -> tensor<?x?xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %0 = onnx.Concat %zero, %n {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  // CHECK: %[[ROWS:.*]] = tensor.dim %arg0
  // CHECK: %[[READ:.*]] = arith.index_cast %{{.*}} : i64 to index
  // CHECK: %[[ELEMENTS:.*]] = arith.muli %[[ROWS]], %{{.*}}
  // CHECK: arith.divsi %[[ELEMENTS]],
  // CHECK: %[[INFERRED:.*]] = arith.cmpi eq, %[[READ]], %{{.*}}
  // CHECK: arith.select %[[INFERRED]],
  %1 = onnx.Reshape %x, %0 : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// Sums are in f64.
// CHECK-LABEL: func.func @sums_in_double(
func.func @sums_in_double(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
  // CHECK: arith.maximumf
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
  // CHECK: arith.extf
  // CHECK: arith.addf %{{.*}} : f64
  %0 = onnx.Softmax %x {axis = -1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// Large constants stay for qopt-extract-parameters.
// CHECK-LABEL: func.func @keeps_data(
func.func @keeps_data(%x: tensor<128xf32>) -> tensor<128xf32> {
  // CHECK: %[[C:.*]] = onnx.Constant dense_resource<w>
  %c = onnx.Constant dense_resource<w> : tensor<128xf32>
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[C]]
  %0 = onnx.Add %x, %c : (tensor<128xf32>, tensor<128xf32>) -> tensor<128xf32>
  return %0 : tensor<128xf32>
}

// -----

// expected-error @below {{expected one block but got 2}}
func.func @refuses_blocks(%x: tensor<4xf32>) -> tensor<4xf32> {
  cf.br ^next
^next:
  return %x : tensor<4xf32>
}

// -----

func.func @refuses_unsigned(%x: tensor<4xui8>) -> tensor<4xui8> {
  // expected-error @below {{has no lowering for elements of type 'ui8'}}
  %0 = onnx.Add %x, %x : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  return %0 : tensor<4xui8>
}

// -----

// No kernel fits and there is nothing else.
func.func @refuses_kernels_operator(%x: tensor<?x8xf32>, %w: tensor<8x8xi8>, %s: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{has no lowering to host code}}
  %0 = qopt.matmul_w8a16 %x, %w, %s : (tensor<?x8xf32>, tensor<8x8xi8>, tensor<8xf32>) -> tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

func.func @refuses_two_inferred_sizes(%x: tensor<?x4xf32>) -> tensor<?x?x?xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %two = onnx.Constant dense<-1> : tensor<2xi64>
  %0 = onnx.Shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  %1 = onnx.Gather %0, %zero : (tensor<2xi64>, tensor<1xi64>) -> tensor<1xi64>
  %2 = onnx.Concat %1, %two {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  // expected-error @below {{has more than one -1 in its shape}}
  %3 = onnx.Reshape %x, %2 : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %3 : tensor<?x?x?xf32>
}

// -----

func.func @refuses_unknown_axis(%x: tensor<?x4xf32>, %axis: tensor<i64>) -> tensor<?x4xf32> {
  // expected-error @below {{requires a constant axis}}
  %0 = onnx.CumSum %x, %axis : (tensor<?x4xf32>, tensor<i64>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}
