// RUN: qopt-opt %s --qopt-expand-math | FileCheck %s
//
// Functions of math become arithmetic; what one instruction computes stays.

// CHECK-LABEL: func.func @exp(
// CHECK-NOT:     math.exp
// CHECK:         math.fma
// CHECK:         return
func.func @exp(%x: f32) -> f32 {
  %0 = math.exp %x : f32
  return %0 : f32
}

// CHECK-LABEL: func.func @keeps_sqrt(
// CHECK-NEXT:    %[[Y:.*]] = math.sqrt %{{.*}} : f32
// CHECK-NEXT:    return %[[Y]]
func.func @keeps_sqrt(%x: f32) -> f32 {
  %0 = math.sqrt %x : f32
  return %0 : f32
}
