// RUN: qopt-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{unknown attribute 'onnx.nam' on argument 0; there are 'onnx.name', 'onnx.dims'}}
func.func private @unknown(tensor<?xf32> {onnx.nam = "x"})

// -----

// expected-error @below {{expected attribute 'onnx.name' to be a string but got 1 : i64}}
func.func private @name(tensor<?xf32> {onnx.name = 1 : i64})

// -----

// expected-error @below {{expected attribute 'onnx.dims' to be a list of strings but got ["n", 2]}}
func.func private @dims() -> (tensor<?x2xf32> {onnx.dims = ["n", 2]})

// -----

// expected-error @below {{unknown attribute 'onnx.name' on 'func.func'; there are 'onnx.scope'}}
func.func private @name_of_function() attributes {onnx.name = "x"}

// -----

// expected-error @below {{attribute 'onnx.scope' belongs on an operation in a function, not on 'func.func'}}
func.func private @scope_of_function() attributes {onnx.scope = "model"}

// -----

func.func @scope(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @below {{expected attribute 'onnx.scope' to be a string but got unit}}
  %y = onnx.Abs %x {onnx.scope} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
