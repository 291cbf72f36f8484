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

// Either may be 1 when the model runs.
// CHECK-LABEL: func.func @broadcasts_unknown_sizes(
func.func @broadcasts_unknown_sizes(%a: tensor<?xf32>, %b: tensor<?xf32>) -> tensor<?xf32> {
  // CHECK-DAG: %[[M:.*]] = tensor.dim %arg0
  // CHECK-DAG: %[[N:.*]] = tensor.dim %arg1
  // CHECK: %[[ONE:.*]] = arith.cmpi eq, %[[M]], %{{.*}}
  // CHECK: %[[FITS:.*]] = arith.ori
  // CHECK: qopt.require %{{.*}}, shape_mismatch(
  // CHECK: %[[SIZE:.*]] = arith.select %[[ONE]], %[[N]], %[[M]]
  // CHECK-COUNT-2: tensor.extract
  // CHECK: arith.mulf
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
  // CHECK: %[[ZERO:.*]] = arith.cmpi eq, %[[READ]], %{{.*}}
  // CHECK: %[[COPIED:.*]] = arith.select %[[ZERO]], %{{.*}}, %[[READ]]
  // CHECK: %[[ELEMENTS:.*]] = arith.muli %[[ROWS]], %{{.*}}
  // CHECK: arith.divsi %[[ELEMENTS]],
  // CHECK: %[[INFERRED:.*]] = arith.cmpi eq, %[[COPIED]], %{{.*}}
  // CHECK: arith.select %[[INFERRED]], %{{.*}}, %[[COPIED]]
  %1 = onnx.Reshape %x, %0 : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// A size of the input stays what it is where a constant is divided out of -1.
// CHECK-LABEL: func.func @cancels_constants(
func.func @cancels_constants(%x: tensor<?x256xf32>) -> tensor<?x8x32xf32> {
  // CHECK-NOT: arith.divsi
  // CHECK: tensor.expand_shape
  %shape = onnx.Constant dense<[-1, 8, 32]> : tensor<3xi64>
  %0 = onnx.Reshape %x, %shape : (tensor<?x256xf32>, tensor<3xi64>) -> tensor<?x8x32xf32>
  return %0 : tensor<?x8x32xf32>
}

// Without elements there is nothing to keep.
// CHECK-LABEL: func.func @keeps_nothing(
func.func @keeps_nothing(%x: tensor<?x0x7xf32>) -> tensor<0x7x3x1xf32> {
  // CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<0x7x3x1xf32>
  // CHECK: return %[[EMPTY]]
  %shape = onnx.Constant dense<[0, 7, 3, 1]> : tensor<4xi64>
  %0 = onnx.Reshape %x, %shape {allowzero = 1 : i64} : (tensor<?x0x7xf32>, tensor<4xi64>) -> tensor<0x7x3x1xf32>
  return %0 : tensor<0x7x3x1xf32>
}

// What is dropped must be 1, which only the run time can tell.
// CHECK-LABEL: func.func @checks_dropped_size(
func.func @checks_dropped_size(%x: tensor<?x4xf32>) -> tensor<4xf32> {
  // CHECK: %[[N:.*]] = tensor.dim %arg0
  // CHECK: %[[ONE:.*]] = arith.cmpi eq, %[[N]], %{{.*}}
  // CHECK: qopt.require %[[ONE]], shape_mismatch(
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %0 = onnx.Squeeze %x, %axis : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// A slice to the size of the whole is as long as the input, from the end where negative.
// CHECK-LABEL: func.func @slices_by_sizes(
func.func @slices_by_sizes(%x: tensor<?x4xf32>, %n: tensor<1xi64>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  // CHECK: %[[SIZE:.*]] = tensor.dim %arg0
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %0 = onnx.Shape %x {end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  // CHECK: tensor.extract_slice %arg0[0, 0]
  %1 = onnx.Slice %x, %zero, %0 axes(%zero) : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xf32>
  // CHECK: %[[READ:.*]] = arith.index_cast %{{.*}} : i64 to index
  // CHECK: %[[NEGATIVE:.*]] = arith.cmpi slt, %[[READ]], %{{.*}}
  // CHECK: arith.select %[[NEGATIVE]], %{{.*}}, %[[READ]]
  %2 = onnx.Slice %x, %zero, %n axes(%zero) : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4xf32>
  return %1, %2 : tensor<?x4xf32>, tensor<?x4xf32>
}

// Which of two lengths is read is decided now: a size is never -1.
// CHECK-LABEL: func.func @decides_by_sizes(
func.func @decides_by_sizes(%x: tensor<?xf32>) -> tensor<?xf32> {
  // CHECK: %[[N:.*]] = tensor.dim %arg0
  // CHECK-NOT: arith.select
  // CHECK: tensor.empty(%[[N]])
  %minus = onnx.Constant dense<-1> : tensor<1xi64>
  %value = onnx.Constant dense<1.0> : tensor<1xf32>
  %0 = onnx.Shape %x : (tensor<?xf32>) -> tensor<1xi64>
  %1 = onnx.Equal %0, %minus : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi1>
  %2 = onnx.Where %1, %minus, %0 : (tensor<1xi1>, tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %3 = onnx.ConstantOfShape %2, dense<1.0> : tensor<1xf32> : (tensor<1xi64>) -> tensor<?xf32>
  return %3 : tensor<?xf32>
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

// Data of resources stay for qopt-extract-parameters.
// CHECK-LABEL: func.func @keeps_data(
func.func @keeps_data(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: %[[C:.*]] = onnx.Constant dense_resource<w>
  %c = onnx.Constant dense_resource<w> : tensor<2xf32>
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[C]]
  %0 = onnx.Add %x, %c : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}

{-#
  dialect_resources: { builtin: { w: "0x040000000000803F0000803F" } }
#-}

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

// Calibration has not taken it away.
func.func @refuses_observer(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  // expected-error @below {{is not supported for operands of types}}
  %0 = qopt.observe %x "a" ["absmax"] : tensor<?x8xf32>
  return %0 : tensor<?x8xf32>
}

// -----

// No kernel fits: loops take the product.
// CHECK-LABEL: @matmul_w8a16
//       CHECK: linalg.generic
//       CHECK: arith.sitofp %{{.*}} : i8 to f32
//       CHECK: arith.mulf
//   CHECK-NOT: qopt.
func.func @matmul_w8a16(%x: tensor<?x8xf32>, %w: tensor<8x8xi8>, %s: tensor<8xf32>) -> tensor<?x8xf32> {
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
  // expected-error @below {{'onnx.Reshape' op expected at most one -1 in the shape but got it at 1 and 2}}
  %3 = onnx.Reshape %x, %2 : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %3 : tensor<?x?x?xf32>
}

// -----

func.func @refuses_unknown_axis(%x: tensor<?x4xf32>, %axis: tensor<i64>) -> tensor<?x4xf32> {
  // expected-error @below {{requires a constant axis}}
  %0 = onnx.CumSum %x, %axis : (tensor<?x4xf32>, tensor<i64>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

func.func @refuses_unknown_axes(%x: tensor<?x4xf32>, %axes: tensor<1xi64>) -> tensor<?x?xf32> {
  // expected-error @below {{'onnx.ReduceSum' op requires constant axes}}
  %0 = onnx.ReduceSum %x, %axes : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

func.func @refuses_unknown_steps(%x: tensor<?x4xf32>, %steps: tensor<1xi64>) -> tensor<?x?xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  // expected-error @below {{'onnx.Slice' op requires constant steps}}
  %0 = onnx.Slice %x, %zero, %zero axes(%zero) steps(%steps) : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// Types do not say it, but the elements do.
func.func @refuses_sizes_that_differ(%x: tensor<?x6xf32>, %y: tensor<4xf32>) -> tensor<?x?xf32> {
  %0 = onnx.Shape %y : (tensor<4xf32>) -> tensor<1xi64>
  %1 = onnx.Constant dense<1> : tensor<1xi64>
  %2 = onnx.Concat %1, %0 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  // expected-error @below {{'onnx.Expand' op cannot broadcast dimension 6 with 4}}
  %3 = onnx.Expand %x, %2 : (tensor<?x6xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %3 : tensor<?x?xf32>
}

// -----

func.func @refuses_nested_operators(%x: tensor<4xf32>, %c: i1) -> tensor<4xf32> {
  %0 = scf.if %c -> tensor<4xf32> {
    // expected-error @below {{'onnx.Sqrt' op expected in the body of the function but got it in a region of another operation}}
    %1 = onnx.Sqrt %x : (tensor<4xf32>) -> tensor<4xf32>
    scf.yield %1 : tensor<4xf32>
  } else {
    scf.yield %x : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}

// -----

// Norms without a kernel: the mean, the mean square of the distances from it, then the elements.
// CHECK-LABEL: func.func @layer_norm(
// CHECK-SAME:    %[[X:.*]]: tensor<?x3x4xf32>
func.func @layer_norm(%x: tensor<?x3x4xf32>, %s: tensor<3x4xf32>) -> (tensor<?x3x4xf32>, tensor<?x1x1xf32>) {
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "reduction"]} ins(%[[X]] : {{.*}}) outs({{.*}} : tensor<?xf64>)
  // CHECK: %[[MEAN:.*]] = linalg.generic {{.*}} ins(%[[SUM]] :
  // CHECK:   arith.divf
  // CHECK: %[[SQUARES:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "reduction"]} ins(%[[X]], %[[MEAN]] :
  // CHECK: %[[FACTOR:.*]] = linalg.generic {{.*}} ins(%[[SQUARES]] :
  // CHECK:   math.sqrt
  // CHECK: linalg.generic {{.*}} ins(%[[X]], %[[MEAN]], %[[FACTOR]], %arg1 : {{.*}}) outs({{.*}} : tensor<?x3x4xf32>)
  %y, %mean, %deviation = onnx.LayerNormalization %x, %s {axis = 1 : i64} : (tensor<?x3x4xf32>, tensor<3x4xf32>) -> (tensor<?x3x4xf32>, tensor<?x1x1xf32>, tensor<?x1x1xf32>)
  return %y, %mean : tensor<?x3x4xf32>, tensor<?x1x1xf32>
}

// No library rounds f64 to f16 for generated code.
// CHECK-LABEL: func.func @layer_norm_of_halves(
func.func @layer_norm_of_halves(%x: tensor<?x4xf16>, %s: tensor<4xf16>) -> tensor<?x4xf16> {
  // CHECK-NOT: arith.truncf {{.*}} : f64 to f16
  // CHECK: %[[F32:.*]] = arith.truncf %{{.*}} : f64 to f32
  // CHECK-NEXT: arith.truncf %[[F32]] : f32 to f16
  %y, %mean, %deviation = onnx.LayerNormalization %x, %s : (tensor<?x4xf16>, tensor<4xf16>) -> (tensor<?x4xf16>, tensor<?x1xf32>, tensor<?x1xf32>)
  return %y : tensor<?x4xf16>
}

// -----

// Parts without elements lie where no slice may begin.
// CHECK-LABEL: func.func @empty_parts(
// CHECK-SAME:    %[[X:.*]]: tensor<3x2xf32>, %{{.*}}: tensor<0x2xf32>)
// CHECK:         %[[ALL:.*]] = tensor.insert_slice %[[X]] into %{{.*}}[0, 0] [3, 2] [1, 1]
// CHECK-NOT:     tensor.insert_slice
// CHECK:         %[[NONE:.*]] = tensor.empty() : tensor<0x2xf32>
// CHECK:         return %[[ALL]], %[[NONE]]
func.func @empty_parts(%x: tensor<3x2xf32>, %none: tensor<0x2xf32>) -> (tensor<3x2xf32>, tensor<0x2xf32>) {
  %c = onnx.Concat %x, %none {axis = 0 : i64} : (tensor<3x2xf32>, tensor<0x2xf32>) -> tensor<3x2xf32>
  %sizes = onnx.Constant dense<[3, 0]> : tensor<2xi64>
  %s:2 = onnx.Split %x, %sizes {axis = 0 : i64} : (tensor<3x2xf32>, tensor<2xi64>) -> (tensor<3x2xf32>, tensor<0x2xf32>)
  return %c, %s#1 : tensor<3x2xf32>, tensor<0x2xf32>
}

// -----

// Double has fewer bits than the power of an integer may need.
// CHECK-LABEL: func.func @integer_power(
// CHECK-NOT:     math.powf
// CHECK:         arith.muli
// CHECK:         arith.cmpi ugt, %{{.*}}, %c63_i64
func.func @integer_power(%x: tensor<4xi64>, %y: tensor<4xi64>) -> tensor<4xi64> {
  %p = onnx.Pow %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  return %p : tensor<4xi64>
}
