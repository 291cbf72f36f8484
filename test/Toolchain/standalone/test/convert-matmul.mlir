// RUN: standalone-opt %s --standalone-convert-matmul | FileCheck %s

// CHECK-LABEL: @converts
// CHECK-SAME: (%[[X:.*]]: tensor<?x64xf32>, %[[W:.*]]: tensor<8x32xi8>, %[[S:.*]]: tensor<8x2xf16>)
// CHECK-NEXT: standalone.matmul %[[X]], %[[W]] scaled %[[S]] by 32 {qopt.layer = "up"} :
// CHECK-NEXT: return
func.func @converts(%x: tensor<?x64xf32>, %w: tensor<8x32xi8>, %s: tensor<8x2xf16>) -> tensor<?x8xf32> {
  %y = qopt.matmul_w4a16 %x, %w, %s {group_size = 32, qopt.layer = "up"} : (tensor<?x64xf32>, tensor<8x32xi8>, tensor<8x2xf16>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @converts_zeros
// CHECK: standalone.matmul {{.*}} scaled %{{.*}} from %{{.*}} by 64 :
func.func @converts_zeros(%x: tensor<?x64xf32>, %w: tensor<8x32xi8>, %s: tensor<8x1xf16>, %z: tensor<8x1xi8>) -> tensor<?x8xf32> {
  %y = qopt.matmul_w4a16 %x, %w, %s, %z {group_size = 64} : (tensor<?x64xf32>, tensor<8x32xi8>, tensor<8x1xf16>, tensor<8x1xi8>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @keeps_small_groups
// CHECK-NEXT: qopt.matmul_w4a16
// CHECK-NEXT: return
func.func @keeps_small_groups(%x: tensor<?x64xf32>, %w: tensor<8x32xi8>, %s: tensor<8x4xf16>) -> tensor<?x8xf32> {
  %y = qopt.matmul_w4a16 %x, %w, %s {group_size = 16} : (tensor<?x64xf32>, tensor<8x32xi8>, tensor<8x4xf16>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
