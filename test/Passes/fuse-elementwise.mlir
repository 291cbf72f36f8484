// RUN: qopt-opt %s --qopt-fuse-elementwise | FileCheck %s
//
// Chains become one loop. What has another reader stays.

#map = affine_map<(d0) -> (d0)>

// CHECK-LABEL: @chain(
// CHECK-COUNT-1: linalg.generic
// CHECK: arith.negf
// CHECK: math.exp
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @chain(%x: tensor<8xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n = arith.negf %in : f32
    linalg.yield %n : f32
  } -> tensor<8xf32>
  %1 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%0 : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n = math.exp %in : f32
    linalg.yield %n : f32
  } -> tensor<8xf32>
  return %1 : tensor<8xf32>
}

// CHECK-LABEL: @other_reader(
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @other_reader(%x: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %e = tensor.empty() : tensor<8xf32>
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n = arith.negf %in : f32
    linalg.yield %n : f32
  } -> tensor<8xf32>
  %1 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%0 : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n = math.exp %in : f32
    linalg.yield %n : f32
  } -> tensor<8xf32>
  return %0, %1 : tensor<8xf32>, tensor<8xf32>
}

// Two loops that together had 67 operations.
// CHECK-LABEL: @long(
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: linalg.generic
// CHECK: return
func.func @long(%x: tensor<8xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %0 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n0 = math.exp %in : f32
    %n1 = arith.negf %n0 : f32
    %n2 = math.exp %n1 : f32
    %n3 = arith.negf %n2 : f32
    %n4 = math.exp %n3 : f32
    %n5 = arith.negf %n4 : f32
    %n6 = math.exp %n5 : f32
    %n7 = arith.negf %n6 : f32
    %n8 = math.exp %n7 : f32
    %n9 = arith.negf %n8 : f32
    %n10 = math.exp %n9 : f32
    %n11 = arith.negf %n10 : f32
    %n12 = math.exp %n11 : f32
    %n13 = arith.negf %n12 : f32
    %n14 = math.exp %n13 : f32
    %n15 = arith.negf %n14 : f32
    %n16 = math.exp %n15 : f32
    %n17 = arith.negf %n16 : f32
    %n18 = math.exp %n17 : f32
    %n19 = arith.negf %n18 : f32
    %n20 = math.exp %n19 : f32
    %n21 = arith.negf %n20 : f32
    %n22 = math.exp %n21 : f32
    %n23 = arith.negf %n22 : f32
    %n24 = math.exp %n23 : f32
    %n25 = arith.negf %n24 : f32
    %n26 = math.exp %n25 : f32
    %n27 = arith.negf %n26 : f32
    %n28 = math.exp %n27 : f32
    %n29 = arith.negf %n28 : f32
    %n30 = math.exp %n29 : f32
    %n31 = arith.negf %n30 : f32
    %n32 = math.exp %n31 : f32
    %n33 = arith.negf %n32 : f32
    %n34 = math.exp %n33 : f32
    %n35 = arith.negf %n34 : f32
    %n36 = math.exp %n35 : f32
    %n37 = arith.negf %n36 : f32
    %n38 = math.exp %n37 : f32
    %n39 = arith.negf %n38 : f32
    %n40 = math.exp %n39 : f32
    %n41 = arith.negf %n40 : f32
    %n42 = math.exp %n41 : f32
    %n43 = arith.negf %n42 : f32
    %n44 = math.exp %n43 : f32
    %n45 = arith.negf %n44 : f32
    %n46 = math.exp %n45 : f32
    %n47 = arith.negf %n46 : f32
    %n48 = math.exp %n47 : f32
    %n49 = arith.negf %n48 : f32
    %n50 = math.exp %n49 : f32
    %n51 = arith.negf %n50 : f32
    %n52 = math.exp %n51 : f32
    %n53 = arith.negf %n52 : f32
    %n54 = math.exp %n53 : f32
    %n55 = arith.negf %n54 : f32
    %n56 = math.exp %n55 : f32
    %n57 = arith.negf %n56 : f32
    %n58 = math.exp %n57 : f32
    %n59 = arith.negf %n58 : f32
    %n60 = math.exp %n59 : f32
    %n61 = arith.negf %n60 : f32
    linalg.yield %n61 : f32
  } -> tensor<8xf32>
  %1 = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%0 : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n0 = math.exp %in : f32
    %n1 = arith.negf %n0 : f32
    %n2 = math.exp %n1 : f32
    linalg.yield %n2 : f32
  } -> tensor<8xf32>
  return %1 : tensor<8xf32>
}
