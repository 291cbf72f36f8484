// RUN: qopt-opt %s --split-input-file --verify-diagnostics --qopt-widen-floats
//
// A model of 16 bits is a list of operators. What is written otherwise is reported.

func.func @skips_regions(%c: i1, %x: tensor<?x4xf16>) -> tensor<?x4xf16> {
  // expected-error @below {{'scf.if' op has a region, but 16-bit floats are widened in operations without regions only}}
  %r = scf.if %c -> tensor<?x4xf16> {
    %y = onnx.Softmax %x : (tensor<?x4xf16>) -> tensor<?x4xf16>
    scf.yield %y : tensor<?x4xf16>
  } else {
    scf.yield %x : tensor<?x4xf16>
  }
  return %r : tensor<?x4xf16>
}
