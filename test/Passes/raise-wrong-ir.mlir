// RUN: qopt-opt %s --split-input-file --verify-diagnostics --qopt-widen-floats | FileCheck %s
// RUN: qopt-opt %s --split-input-file --qopt-fold-constants --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: qopt-opt %s --split-input-file --qopt-assign-roles --qopt-normalize-linears --qopt-name-layers --qopt-raise-rms-normalization | FileCheck %s
// RUN: qopt-opt %s --split-input-file --qopt-raise-swish --qopt-raise-rotary-embedding --qopt-raise-attention --qopt-add-cache | FileCheck %s
//
// What the passes that raise do not expect, they leave alone, or say what they expect.

// CHECK-LABEL: func.func private @declared
// REMARK: {{\[}}Missed{{\]}} graph {{.*}}expected a function of one block but got 3
// CHECK-LABEL: func.func @branches
// CHECK: onnx.Softmax {{.*}}tensor<?x4xf16>
func.func private @declared(tensor<?x4xf32>) -> tensor<?x4xf32>
func.func @branches(%x: tensor<?x4xf16>, %c: i1) -> tensor<?x4xf16> {
  cf.cond_br %c, ^soft, ^same
^soft:
  %y = onnx.Softmax %x : (tensor<?x4xf16>) -> tensor<?x4xf16>
  return %y : tensor<?x4xf16>
^same:
  return %x : tensor<?x4xf16>
}

// -----

// Values of other types than tensors of known rank.
// CHECK-LABEL: func.func @forward(
// CHECK-NEXT: return
func.func @forward(%m: memref<4xf32>, %i: i32, %u: tensor<*xf32>) -> (i32, memref<4xf32>, tensor<*xf32>) {
  return %i, %m, %u : i32, memref<4xf32>, tensor<*xf32>
}

// -----

// Roles that do not fit their types.
// CHECK-LABEL: func.func @forward(
// CHECK-NEXT: onnx.Softmax
// CHECK-NOT: func.func
func.func @forward(%ids: memref<2x?xi64> {qopt.role = #qopt.role<token_ids>}, %y: tensor<2x2x2xf32>) -> (tensor<2x2x2xf32> {qopt.role = #qopt.role<logits>}) {
  %s = onnx.Softmax %y : (tensor<2x2x2xf32>) -> tensor<2x2x2xf32>
  return %s : tensor<2x2x2xf32>
}

// -----

// A function that ends in something else.
// CHECK-LABEL: func.func @forward(
// CHECK-NEXT: llvm.unreachable
func.func @forward() -> tensor<2xf32> {
  llvm.unreachable
}
