// RUN: qopt-opt %s --qopt-prepare-for-llvm | FileCheck %s
//
// What the conversions to LLVM do not take as it is.

// The sizes that the operation has say it all.
// CHECK-LABEL: func.func @expands(
// CHECK-SAME:    %[[X:.*]]: memref<?x4xf32>, %[[N:.*]]: index, %[[M:.*]]: index)
// CHECK:         memref.reinterpret_cast %[[X]] to offset: [0], sizes: [%[[N]], %[[M]], 4], strides: [%{{.*}}, 4, 1]
// CHECK-NOT:     memref.expand_shape
func.func @expands(%x: memref<?x4xf32>, %n: index, %m: index) -> memref<?x?x4xf32> {
  %0 = memref.expand_shape %x [[0, 1], [2]] output_shape [%n, %m, 4] : memref<?x4xf32> into memref<?x?x4xf32>
  return %0 : memref<?x?x4xf32>
}

// A loop reuses its buffer.
// CHECK-LABEL: func.func @hoists(
// CHECK-NEXT:    %[[BUFFER:.*]] = memref.alloca() : memref<8xf32>
// CHECK:         scf.for
// CHECK-NOT:       memref.alloca
// CHECK:           memref.store %{{.*}}, %[[BUFFER]]
func.func @hoists(%n: index, %value: f32) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    memref.alloca_scope {
      %buffer = memref.alloca() : memref<8xf32>
      memref.store %value, %buffer[%c0] : memref<8xf32>
    }
  }
  return
}
