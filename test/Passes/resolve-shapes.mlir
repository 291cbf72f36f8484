// RUN: qopt-opt %s --split-input-file --qopt-resolve-shapes | FileCheck %s
// Shapes that exporters compute at run time become constants, where the names of dimensions
// prove that they are.

// CHECK-LABEL: @splits_heads
// CHECK-SAME: -> tensor<?x?x2x32xf32>
func.func @splits_heads(%ids: tensor<?x?xi64> {onnx.dims = ["batch", "length"]}, %x: tensor<?x?x64xf32> {onnx.dims = ["batch", "length", ""]}) -> tensor<?x?x?x?xf32> {
  // CHECK: %[[S:.*]] = onnx.Constant dense<[0, 0, 2, 32]>
  // CHECK: onnx.Reshape %{{.*}}, %[[S]] : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x2x32xf32>
  %s = onnx.Shape %ids : (tensor<?x?xi64>) -> tensor<2xi64>
  %h = onnx.Constant dense<[-1, 32]> : tensor<2xi64>
  %t = onnx.Concat %s, %h {axis = 0 : i64} : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
  %y = onnx.Reshape %x, %t {allowzero = 1 : i64} : (tensor<?x?x64xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  return %y : tensor<?x?x?x?xf32>
}

// -----

// CHECK-LABEL: @repeats_heads
func.func @repeats_heads(%ids: tensor<?x?xi64>, %x: tensor<?x2x1x?x8xf32>) -> tensor<?x?x?x?x?xf32> {
  // CHECK: %[[S:.*]] = onnx.Constant dense<[1, 2, 3, 1, 8]>
  // CHECK: onnx.Expand %{{.*}}, %[[S]] {{.*}} -> tensor<?x2x3x?x8xf32>
  %b = onnx.Shape %x {end = 1 : i64} : (tensor<?x2x1x?x8xf32>) -> tensor<1xi64>
  %l = onnx.Shape %x {start = 3 : i64, end = 4 : i64} : (tensor<?x2x1x?x8xf32>) -> tensor<1xi64>
  %kv = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %size = onnx.Constant dense<8> : tensor<1xi64>
  %t = onnx.Concat %b, %kv, %l, %size {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<5xi64>
  %y = onnx.Expand %x, %t : (tensor<?x2x1x?x8xf32>, tensor<5xi64>) -> tensor<?x?x?x?x?xf32>
  return %y : tensor<?x?x?x?x?xf32>
}

// -----

// CHECK-LABEL: @merges_rows
func.func @merges_rows(%x: tensor<?x?x64xf32>) -> tensor<?x?xf32> {
  // CHECK: onnx.Constant dense<[-1, 64]>
  %s = onnx.Shape %x : (tensor<?x?x64xf32>) -> tensor<3xi64>
  %i0 = onnx.Constant dense<0> : tensor<1xi64>
  %i1 = onnx.Constant dense<1> : tensor<1xi64>
  %b = onnx.Gather %s, %i0 : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %l = onnx.Gather %s, %i1 : (tensor<3xi64>, tensor<1xi64>) -> tensor<1xi64>
  %rows = onnx.Mul %b, %l : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %w = onnx.Constant dense<64> : tensor<1xi64>
  %t = onnx.Concat %rows, %w {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %y = onnx.Reshape %x, %t : (tensor<?x?x64xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// A slice up to the length of the sequence is the whole; one in reverse is not.
// CHECK-LABEL: @drops_whole_slices
func.func @drops_whole_slices(%ids: tensor<?x?xi64> {onnx.dims = ["batch", "length"]}, %x: tensor<?x?xf32> {onnx.dims = ["batch", "length"]}) -> (tensor<?x?xf32>, tensor<?x?xf32>) {
  // CHECK: %[[Y:.*]] = onnx.Slice
  // CHECK-NEXT: return %arg1, %[[Y]]
  %start = onnx.Constant dense<0> : tensor<1xi64>
  %end = onnx.Shape %ids {start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %y = onnx.Slice %x, %start, %end axes(%axis) : (tensor<?x?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %before = onnx.Constant dense<-9223372036854775808> : tensor<1xi64>
  %z = onnx.Slice %x, %last, %before axes(%axis) steps(%last) : (tensor<?x?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %y, %z : tensor<?x?xf32>, tensor<?x?xf32>
}

// -----

// Two dimensions that are not copied cannot both be inferred.
// CHECK-LABEL: @keeps_two_new_dimensions
func.func @keeps_two_new_dimensions(%ids: tensor<?x?xi64>, %x: tensor<?xf32>) -> tensor<?x?xf32> {
  // CHECK: %[[S:.*]] = onnx.Shape
  // CHECK: onnx.Reshape %{{.*}}, %[[S]]
  %s = onnx.Shape %ids : (tensor<?x?xi64>) -> tensor<2xi64>
  %e = onnx.Constant dense<1.0> : tensor<f32>
  %f = onnx.Expand %e, %s : (tensor<f32>, tensor<2xi64>) -> tensor<?x?xf32>
  %m = onnx.Constant dense<-1> : tensor<1xi64>
  %g = onnx.Reshape %f, %m : (tensor<?x?xf32>, tensor<1xi64>) -> tensor<?xf32>
  %y = onnx.Reshape %g, %s : (tensor<?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Names say which dimensions are equal where the place among the inputs does not.
// CHECK-LABEL: @follows_names
// CHECK-SAME: -> tensor<?x3xf32>
func.func @follows_names(%x: tensor<3x?xf32> {onnx.dims = ["", "n"]}, %y: tensor<?x3xf32> {onnx.dims = ["n", ""]}) -> tensor<?x?xf32> {
  // CHECK: onnx.Transpose
  %t = onnx.Transpose %x {perm = array<i64: 1, 0>} : (tensor<3x?xf32>) -> tensor<?x3xf32>
  %z = onnx.Add %t, %y : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}

// -----

// What contradicts itself is for lowering to report.
// CHECK-LABEL: @keeps_contradictions
func.func @keeps_contradictions(%y: tensor<5x3xf32>) -> tensor<?x?xf32> {
  // CHECK: onnx.Reshape {{.*}} -> tensor<?x?xf32>
  %s = onnx.Constant dense<[2, 7]> : tensor<2xi64>
  %t = onnx.Abs %s : (tensor<2xi64>) -> tensor<2xi64>
  %z = onnx.Reshape %y, %t : (tensor<5x3xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}

// -----

// The shape of an activation is that of the tokens.
// CHECK-LABEL: @reads_shapes_from_arguments
// CHECK-SAME: %[[IDS:.*]]: tensor<?x?xi64> {{.*}}, %[[X:.*]]: tensor<?x?x8xf32>
func.func @reads_shapes_from_arguments(%ids: tensor<?x?xi64> {onnx.dims = ["batch", "length"]}, %x: tensor<?x?x8xf32> {onnx.dims = ["batch", "length", ""]}) -> tensor<?x?xf32> {
  // CHECK-NOT: onnx.Abs
  // CHECK-DAG: onnx.Shape %[[IDS]] {end = 1 : i64}
  // CHECK-DAG: onnx.Shape %[[IDS]] {end = 2 : i64, start = 1 : i64}
  // CHECK: onnx.Concat
  %a = onnx.Abs %x : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %s = onnx.Shape %a {end = 2 : i64} : (tensor<?x?x8xf32>) -> tensor<2xi64>
  %z = onnx.ConstantOfShape %s, dense<0.0> : tensor<1xf32> : (tensor<2xi64>) -> tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}

// -----

// Sums and products of the inputs' dimensions are computed from them.
// CHECK-LABEL: @reads_sums_from_arguments
// CHECK-SAME: %[[PAST:.*]]: tensor<?x2x?x8xf32> {{.*}}, %[[X:.*]]: tensor<?x2x?x8xf32>
func.func @reads_sums_from_arguments(%past: tensor<?x2x?x8xf32> {onnx.dims = ["b", "", "p", ""]}, %x: tensor<?x2x?x8xf32> {onnx.dims = ["b", "", "n", ""]}) -> tensor<?xf32> {
  // CHECK-NOT: onnx.Concat
  // CHECK-DAG: %[[P:.*]] = onnx.Shape %[[PAST]] {end = 3 : i64, start = 2 : i64}
  // CHECK-DAG: %[[N:.*]] = onnx.Shape %[[X]] {end = 3 : i64, start = 2 : i64}
  // CHECK: onnx.Add %[[P]], %[[N]]
  %c = onnx.Concat %past, %x {axis = 2 : i64} : (tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) -> tensor<?x2x?x8xf32>
  %s = onnx.Shape %c {start = 2 : i64, end = 3 : i64} : (tensor<?x2x?x8xf32>) -> tensor<1xi64>
  %z = onnx.ConstantOfShape %s, dense<0.0> : tensor<1xf32> : (tensor<1xi64>) -> tensor<?xf32>
  return %z : tensor<?xf32>
}

// -----

// Dimensions of other names, or of none, are not equal.
// CHECK-LABEL: @keeps_other_names
func.func @keeps_other_names(%x: tensor<?x4xf32> {onnx.dims = ["n", ""]}, %z: tensor<?x4xf32> {onnx.dims = ["m", ""]}) -> (tensor<?x?x?xf32>, tensor<?x?xf32>) {
  // CHECK: onnx.Reshape {{.*}} -> tensor<?x?x2xf32>
  // CHECK: onnx.Expand
  %m = onnx.Shape %z {end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  %rest = onnx.Constant dense<[-1, 2]> : tensor<2xi64>
  %s = onnx.Concat %m, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %y = onnx.Reshape %x, %s : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %t = onnx.Shape %z : (tensor<?x4xf32>) -> tensor<2xi64>
  %e = onnx.Expand %x, %t : (tensor<?x4xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y, %e : tensor<?x?x?xf32>, tensor<?x?xf32>
}

// -----

// x + z has n or m rows, whichever is not 1: [n, -1, 2] of it says nothing.
// CHECK-LABEL: @broadcast_of_two_names_is_neither
func.func @broadcast_of_two_names_is_neither(%x: tensor<?x4xf32> {onnx.dims = ["n", ""]}, %z: tensor<?x4xf32> {onnx.dims = ["m", ""]}) -> tensor<?x?x?xf32> {
  // CHECK: onnx.Reshape {{.*}} -> tensor<?x?x2xf32>
  %sum = onnx.Add %x, %z : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %n = onnx.Shape %x {end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  %rest = onnx.Constant dense<[-1, 2]> : tensor<2xi64>
  %s = onnx.Concat %n, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<2xi64>) -> tensor<3xi64>
  %y = onnx.Reshape %sum, %s : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// -----

// x[:, :4 / 2] as TorchScript writes it.
// CHECK-LABEL: @computes_integers
func.func @computes_integers(%x: tensor<?x4xf32>) -> tensor<?x?xf32> {
  // CHECK: %[[END:.*]] = onnx.Constant dense<2> : tensor<1xi64>
  // CHECK: onnx.Slice %{{.*}}, %{{.*}}, %[[END]] {{.*}} -> tensor<?x2xf32>
  %s = onnx.Shape %x : (tensor<?x4xf32>) -> tensor<2xi64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %four = onnx.Gather %s, %one : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
  %two = onnx.Constant dense<2> : tensor<i64>
  %half = onnx.Div %four, %two : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %end = onnx.Unsqueeze %half, %zero : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %y = onnx.Slice %x, %zero, %end axes(%axis) : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Parts of a shape, each a result of its own; and a decision that is known.
// CHECK-LABEL: @follows_parts_and_decisions
// CHECK-SAME: -> tensor<?x2x3xf32>
func.func @follows_parts_and_decisions(%x: tensor<?x6xf32> {onnx.dims = ["n", ""]}) -> tensor<?x?x?xf32> {
  // CHECK: %[[S:.*]] = onnx.Constant dense<[0, 2, 3]>
  // CHECK: onnx.Reshape %{{.*}}, %[[S]]
  %s = onnx.Shape %x : (tensor<?x6xf32>) -> tensor<2xi64>
  %n, %six = onnx.Split %s {num_outputs = 2 : i64} : (tensor<2xi64>) -> (tensor<1xi64>, tensor<1xi64>)
  %three = onnx.Constant dense<3> : tensor<1xi64>
  %two = onnx.Div %six, %three : (tensor<1xi64>, tensor<1xi64>) -> tensor<1xi64>
  %t = onnx.Concat %n, %two, %three {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %minus = onnx.Constant dense<-1> : tensor<3xi64>
  %ones = onnx.Constant dense<1> : tensor<3xi64>
  %is = onnx.Equal %t, %minus : (tensor<3xi64>, tensor<3xi64>) -> tensor<3xi1>
  %u = onnx.Where %is, %ones, %t : (tensor<3xi1>, tensor<3xi64>, tensor<3xi64>) -> tensor<3xi64>
  %y = onnx.Reshape %x, %u : (tensor<?x6xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// -----

// What is no graph is left alone.
// CHECK-LABEL: func.func private @leaves_declarations
func.func private @leaves_declarations(tensor<?xi64>) -> tensor<?xi64>

// CHECK-LABEL: @leaves_blocks
func.func @leaves_blocks(%x: tensor<4x?xf32>) -> tensor<1xi64> {
  cf.br ^next
^next:
  // CHECK: %[[SHAPE:.*]] = onnx.Shape
  // CHECK: return %[[SHAPE]]
  %0 = onnx.Shape %x {end = 1 : i64} : (tensor<4x?xf32>) -> tensor<1xi64>
  return %0 : tensor<1xi64>
}
