func.func @f() -> tensor<1099511627776xf32> {
  %c = arith.constant dense<1.0> : tensor<1099511627776xf32>
  return %c : tensor<1099511627776xf32>
}
