// What reduce.test reduces: each part is there to be in the way of another.
module attributes {other.version = 3 : i64} {
  func.func private @callee(%a: tensor<2xf32>) -> tensor<2xf32>
  func.func @unused(%a: i32) -> i32 {
    return %a : i32
  }
  func.func @forward(%x: tensor<2xf32> {onnx.name = "x"}, %n: index, %c: i1) -> (tensor<2xf32>, index) attributes {other.flag} {
    %weight = onnx.Constant dense_resource<weight> : tensor<2xf32>
    %other = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32>
    %zero = arith.constant 0 : index
    %one = arith.constant 1 : index
    %sum = scf.for %i = %zero to %n step %one iter_args(%acc = %x) -> tensor<2xf32> {
      %then = scf.if %c -> tensor<2xf32> {
        %0 = "other.here"(%acc, %i) {kept = [1, 2]} : (tensor<2xf32>, index) -> tensor<2xf32>
        scf.yield %0 : tensor<2xf32>
      } else {
        scf.yield %other : tensor<2xf32>
      }
      %1 = func.call @callee(%then) : (tensor<2xf32>) -> tensor<2xf32>
      scf.yield %1 : tensor<2xf32>
    }
    cf.cond_br %c, ^left(%sum : tensor<2xf32>), ^right
  ^left(%y: tensor<2xf32>):
    %2 = onnx.Add %y, %weight : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
    return %2, %n : tensor<2xf32>, index
  ^right:
    return %x, %one : tensor<2xf32>, index
  }
}

{-#
  dialect_resources: {
    builtin: {
      weight: "0x040000000000803F00000040"
    }
  }
#-}
