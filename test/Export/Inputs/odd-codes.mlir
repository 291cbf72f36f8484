// Rows of three codes, whose last byte holds one.
func.func @forward(%x: tensor<?x3xf32> {onnx.name = "x"}) -> (tensor<?x2xf32> {onnx.name = "y"}) {
  %w = qopt.parameter "w" dense<8> : tensor<2x2xi8>
  %s = qopt.parameter "s" dense<1.0> : tensor<2x1xf32>
  %y = qopt.matmul_w4a16 %x, %w, %s {group_size = 3} : (tensor<?x3xf32>, tensor<2x2xi8>, tensor<2x1xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
