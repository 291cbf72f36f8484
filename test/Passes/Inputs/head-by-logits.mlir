func.func @forward(%x: tensor<?x4xf32>) -> (tensor<?x3xf32> {qopt.role = #qopt.role<logits>}) {
  %w = onnx.Constant dense<0.5> : tensor<4x4xf32>
  %v = onnx.Constant dense<0.5> : tensor<4x3xf32>
  %b = onnx.Constant dense<1.0> : tensor<3xf32>
  %0 = onnx.MatMul %x, %w {qopt.layer = "hidden"} : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.MatMul %0, %v {qopt.layer = "embed_out"} : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %2 = onnx.Add %1, %b : (tensor<?x3xf32>, tensor<3xf32>) -> tensor<?x3xf32>
  return %2 : tensor<?x3xf32>
}
