// RUN: qopt-opt %s --qopt-separate-buffers | FileCheck %s
//
// Every loop gets memory of its own.

// CHECK-LABEL: func.func @layers(
// CHECK-SAME:    %[[X:.*]]: tensor<?x4xf32>, %[[N:.*]]: index)
// CHECK-NEXT:    %[[A:.*]] = tensor.empty(%[[N]]) : tensor<?x4xf32>
// CHECK-NEXT:    %[[Y:.*]] = linalg.exp ins(%[[X]] : {{.*}}) outs(%[[A]] : tensor<?x4xf32>)
// CHECK-NEXT:    %[[B:.*]] = tensor.empty(%[[N]]) : tensor<?x4xf32>
// CHECK-NEXT:    linalg.exp ins(%[[Y]] : {{.*}}) outs(%[[B]] : tensor<?x4xf32>)
func.func @layers(%x: tensor<?x4xf32>, %n: index) -> tensor<?x4xf32> {
  %e = tensor.empty(%n) : tensor<?x4xf32>
  %0 = linalg.exp ins(%x : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = linalg.exp ins(%0 : tensor<?x4xf32>) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}
