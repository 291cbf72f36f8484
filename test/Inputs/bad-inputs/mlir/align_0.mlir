func.func @f() -> tensor<1xf32> {
  %c = onnx.Constant dense_resource<b> : tensor<1xf32>
  return %c : tensor<1xf32>
}
{-#
  dialect_resources: { builtin: { b: "0x000000000000803F" } }
#-}
