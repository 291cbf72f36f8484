// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4 group-size=3})' | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4 group-size=-1 sym=false head=true})' | FileCheck %s --check-prefix=ROW
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=int8-weights overrides={model.*=skip,re:q_.*j$=llm-int8{threshold=2.5},lm_*=rtn-int4{group-size=2 sym=false}}})' | FileCheck %s --check-prefix=OVERRIDE
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=llm-int8 outliers=static threshold=3 overrides=lm_head=llm-int8{outliers=dynamic}})' | FileCheck %s --check-prefix=STATIC
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=llm-int8 outliers=some})' 2>&1 | FileCheck %s --check-prefix=OUTLIERS
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=llm-int8{outliers=some}})' 2>&1 | FileCheck %s --check-prefix=WHEN
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=int9})' 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4 group-size=0})' 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=llm-int8 threshold=0})' 2>&1 | FileCheck %s --check-prefix=THRESHOLD
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*.up_proj=skip})' 2>&1 | FileCheck %s --check-prefix=UNMATCHED
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*})' 2>&1 | FileCheck %s --check-prefix=FORM
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=int9})' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=rtn-int4{bits=3}})' 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=rtn-int4{group-size=x}})' 2>&1 | FileCheck %s --check-prefix=VALUE
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=[a=skip})' 2>&1 | FileCheck %s --check-prefix=GLOB
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=re:(=skip})' 2>&1 | FileCheck %s --check-prefix=REGEX

// Linears get the scheme, the head stays in float, the last override that matches wins.
// SCHEME: error: unknown scheme "int9"
// GROUP: error: scheme "rtn-int4": expected a group size of at least 1, or -1, but got 0
// THRESHOLD: error: scheme "llm-int8": expected a threshold above 0 but got 0
// UNMATCHED: error: override "*.up_proj=skip": the pattern matches none of 2 linear layers
// FORM: error: override "*": expected PATTERN=SPEC
// UNKNOWN: error: override "*=int9": unknown scheme "int9"
// OPTION: error: override "*=rtn-int4{bits=3}": unknown option "bits"
// VALUE: error: override "*=rtn-int4{group-size=x}": unreadable value "x" of option "group-size"
// GLOB: error: override "[a=skip": invalid pattern:
// OUTLIERS: error: expected outliers "dynamic" or "static" but got "some"
// WHEN: error: override "*=llm-int8{outliers=some}": unreadable value "some" of option "outliers"
// REGEX: error: override "re:(=skip": invalid regular expression:

// CHECK-LABEL: @linears
// CHECK: onnx.MatMul {{.*}}qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 3>
// CHECK: onnx.MatMul {{.*}}qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "float">
// ROW-LABEL: @linears
// ROW: qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 4, symmetric = false>
// ROW: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 8, symmetric = false>
// OVERRIDE-LABEL: @linears
// OVERRIDE: qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 2.500000e+00 : f32>
// OVERRIDE: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2, symmetric = false>
// STATIC-LABEL: @linears
// STATIC: qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 3.000000e+00 : f32, outliers = static>
// STATIC: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 3.000000e+00 : f32>
func.func @linears(%x: tensor<2x4xf32>) -> tensor<2x2xf32> {
  %q = onnx.Constant dense<1.0> : tensor<4x8xf32>
  %h = onnx.Constant dense<1.0> : tensor<8x2xf32>
  %0 = onnx.MatMul %x, %q {qopt.layer = "model.q_proj"} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  %1 = onnx.MatMul %0, %h {qopt.layer = "lm_head"} : (tensor<2x8xf32>, tensor<8x2xf32>) -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// CHECK-LABEL: @skips_nameless
// CHECK-NOT: qopt.scheme
// CHECK: return
func.func @skips_nameless(%x: tensor<2x4xf32>) -> tensor<2x8xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x8xf32>
  %0 = onnx.MatMul %x, %w : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}

// CHECK-LABEL: @skips_dynamic_weight
// CHECK-NOT: qopt.scheme
// CHECK: return
func.func @skips_dynamic_weight(%x: tensor<2x4xf32>, %w: tensor<4x8xf32>) -> tensor<2x8xf32> {
  %0 = onnx.MatMul %x, %w {qopt.layer = "model.q_proj"} : (tensor<2x4xf32>, tensor<4x8xf32>) -> tensor<2x8xf32>
  return %0 : tensor<2x8xf32>
}
