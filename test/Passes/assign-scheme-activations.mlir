// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4})' | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4{activation-group-size=64}})' | FileCheck %s --check-prefix=GROUPS
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=-1 activations=int8}})' | FileCheck %s --check-prefix=ROW
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=-1 activation-group-size=64}})' | FileCheck %s --check-prefix=PART
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=20} overrides=*.down_proj=rtn-int4{activations=int8}})' | FileCheck %s --check-prefix=SMALL
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{activations=float activation-group-size=48}})' | FileCheck %s --check-prefix=FLOAT
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4 compat=gptq})' | FileCheck %s --check-prefix=COMPAT
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4{activations=int8} compat=gptq})' | FileCheck %s --check-prefix=GIVEN
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=20}})' --remarks-filter=.* --remark-format=emitRemark 2>&1 >/dev/null | FileCheck %s --check-prefix=REASON
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{activation-group-size=48}})' 2>&1 | FileCheck %s --check-prefix=DIVIDES
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{activation-group-size=256}})' 2>&1 | FileCheck %s --check-prefix=LARGER
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=40 activations=int8 activation-group-size=20}})' 2>&1 | FileCheck %s --check-prefix=STEP
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=-1 activations=int8 activation-group-size=64}})' 2>&1 | FileCheck %s --check-prefix=LAYER
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{activations=int4}})' 2>&1 | FileCheck %s --check-prefix=WORD
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{activation-group-size=0}})' 2>&1 | FileCheck %s --check-prefix=NUMBER

// How activations enter products with int4 weights is decided for each layer: by groups as large
// as those of the weights if nothing else is said, and in float where groups are too small.
// CHECK-LABEL: @linears
// CHECK: qopt.layer = "model.up_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", activations = int8, activationGroupSize = 128>
// CHECK: qopt.layer = "model.down_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 100, activations = int8, activationGroupSize = 100>
// GROUPS: qopt.layer = "model.up_proj", qopt.scheme = #qopt.scheme<kind = "gptq-int4", activations = int8, activationGroupSize = 64>
// GROUPS: qopt.layer = "model.down_proj", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 100, activations = float, activationGroupSize = 64>
// ROW: qopt.layer = "model.up_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 256, activations = int8, activationGroupSize = 256>
// ROW: qopt.layer = "model.down_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 100, activations = int8, activationGroupSize = 100>
// PART: qopt.layer = "model.up_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 256, activations = int8, activationGroupSize = 64>
// PART: qopt.layer = "model.down_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 100, activations = float, activationGroupSize = 64>
// SMALL: qopt.layer = "model.up_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 20, activations = float>
// SMALL: qopt.layer = "model.down_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 20, activations = int8, activationGroupSize = 20>
// FLOAT: qopt.layer = "model.up_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", activations = float, activationGroupSize = 48>
// COMPAT: qopt.layer = "model.up_proj", {{.*}}, activations = float>
// GIVEN: qopt.layer = "model.up_proj", {{.*}}, activations = int8, activationGroupSize = 128>
// REASON: {{\[}}Analysis{{\]}} linear {{.*}}layer "model.up_proj" takes float activations: integers pay in groups of 32 inputs and more that divide those of the weights, 20, and they have 20
// DIVIDES: error: layer "model.up_proj": expected an activation-group-size of 128 inputs, or a multiple of 8 that divides 128, the group-size, but got 48
// LARGER: error: layer "model.up_proj": expected an activation-group-size of 128 inputs, or a multiple of 8 that divides 128, the group-size, but got 256
// STEP: error: layer "model.up_proj": expected an activation-group-size of 40 inputs, or a multiple of 8 that divides 40, the group-size, but got 20
// LAYER: error: layer "model.down_proj": expected an activation-group-size of 100 inputs, or a multiple of 8 that divides 100, the group-size, but got 64
// WORD: error: scheme "rtn-int4": expected activations "auto", "int8" or "float" but got "int4"
// NUMBER: error: scheme "rtn-int4": expected an activation group size of at least 1, or -1, but got 0
func.func @linears(%x: tensor<2x256xf32>) -> tensor<2x2xf32> {
  %u = onnx.Constant dense<1.0> : tensor<256x100xf32>
  %d = onnx.Constant dense<1.0> : tensor<100x2xf32>
  %0 = onnx.MatMul %x, %u {qopt.layer = "model.up_proj"} : (tensor<2x256xf32>, tensor<256x100xf32>) -> tensor<2x100xf32>
  %1 = onnx.MatMul %0, %d {qopt.layer = "model.down_proj"} : (tensor<2x100xf32>, tensor<100x2xf32>) -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}
