// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=3}})' | FileCheck %s
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=-1 sym=false} head=same})' | FileCheck %s --check-prefix=ROW
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=int8-weights overrides={model.*=skip,re:q_.*j$=llm-int8{threshold=2.5},lm_*=rtn-int4{group-size=2 sym=false}}})' | FileCheck %s --check-prefix=OVERRIDE
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=llm-int8{outliers=static threshold=3} overrides=lm_head=llm-int8{outliers=dynamic}})' | FileCheck %s --check-prefix=STATIC
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=llm-int8{outliers=some}})' 2>&1 | FileCheck %s --check-prefix=OUTLIERS
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=llm-int8{outliers=some}})' 2>&1 | FileCheck %s --check-prefix=WHEN
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=int9})' 2>&1 | FileCheck %s --check-prefix=SCHEME
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=0}})' 2>&1 | FileCheck %s --check-prefix=GROUP
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=llm-int8{threshold=0}})' 2>&1 | FileCheck %s --check-prefix=THRESHOLD
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*.up_proj=skip})' 2>&1 | FileCheck %s --check-prefix=UNMATCHED
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*})' 2>&1 | FileCheck %s --check-prefix=FORM
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=int9})' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=rtn-int4{bits=3}})' 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=*=rtn-int4{group-size=x}})' 2>&1 | FileCheck %s --check-prefix=VALUE
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=[a=skip})' 2>&1 | FileCheck %s --check-prefix=GLOB
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{overrides=re:(=skip})' 2>&1 | FileCheck %s --check-prefix=REGEX

// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4{grid=search} compat=gptq overrides=lm_head=rtn-int4{group-size=2}})' | FileCheck %s --check-prefix=COMPAT
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4 compat=quanto})' 2>&1 | FileCheck %s --check-prefix=PACKAGE
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4{act-group-aware=true}})' 2>&1 | FileCheck %s --check-prefix=AWARE
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4{polish=-1}})' 2>&1 | FileCheck %s --check-prefix=POLISH
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=int8-static{observer=min}})' 2>&1 | FileCheck %s --check-prefix=OBSERVER
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4{grid=best}})' 2>&1 | FileCheck %s --check-prefix=GRID
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4{sym=maybe}})' 2>&1 | FileCheck %s --check-prefix=FLAG
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=int8-dynamic{threshold=6}})' 2>&1 | FileCheck %s --check-prefix=NONE

// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4{group-size=3} head=gptq-int4{group-size=2}})' | FileCheck %s --check-prefix=HEAD
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4 head=float})' | FileCheck %s --check-prefix=KEPT
// RUN: qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=gptq-int4 compat=gptq})' | FileCheck %s --check-prefix=KEPT
// RUN: not qopt-opt %s --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4 head=int9})' 2>&1 | FileCheck %s --check-prefix=NOHEAD

// RUN: qopt-opt %S/Inputs/head-by-logits.mlir --pass-pipeline='builtin.module(qopt-assign-scheme{scheme=rtn-int4 head=float})' | FileCheck %s --check-prefix=LOGITS

// The head is where logits come from, whatever it is called.
// LOGITS: qopt.layer = "hidden", qopt.scheme = #qopt.scheme<kind = "rtn-int4"
// LOGITS: qopt.layer = "embed_out", qopt.scheme = #qopt.scheme<kind = "float">

// Linears get the scheme, the head int8 weights, and the last override that matches wins.
// NOHEAD: error: head "int9": unknown scheme "int9"; there are float,
// HEAD: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 2, activations = float>
// KEPT: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "float">
// SCHEME: error: unknown scheme "int9"; there are float, int8-weights, int8-static, int8-dynamic, llm-int8, rtn-int2, rtn-int3, rtn-int4, rtn-int8, gptq-int2, gptq-int3, gptq-int4, gptq-int8, int2-weights, int4-weights, hqq-int2, hqq-int3, hqq-int4, nf4, fp4, mxfp4, nvfp4 and fp8
// GROUP: error: scheme "rtn-int4": expected a group size of at least 1, or -1, but got 0
// THRESHOLD: error: scheme "llm-int8": expected a threshold above 0 but got 0
// UNMATCHED: error: override "*.up_proj=skip": the pattern matches none of 2 linear layers
// FORM: error: override "*": expected PATTERN=SPEC
// UNKNOWN: error: override "*=int9": unknown scheme "int9"
// OPTION: error: override "*=rtn-int4{bits=3}": scheme "rtn-int4": no such option bits; it has group-size, sym, grid, exact-reference, activations and activation-group-size
// VALUE: error: override "*=rtn-int4{group-size=x}": scheme "rtn-int4": expected a group size of at least 1, or -1, but got x
// GLOB: error: override "[a=skip": invalid pattern:
// OUTLIERS: error: scheme "llm-int8": expected outliers "dynamic" or "static" but got "some"
// WHEN: error: override "*=llm-int8{outliers=some}": scheme "llm-int8": expected outliers "dynamic" or "static" but got "some"
// AWARE: error: scheme "gptq-int4": act-group-aware=true needs act-order=false, but it is true
// PACKAGE: error: scheme "gptq-int4" cannot repeat package "quanto"
// POLISH: error: scheme "gptq-int4": expected 0 to 1000 polishing passes but got -1
// OBSERVER: error: scheme "int8-static": expected observer "mse", "absmax", "moving-average", "percentile" or "entropy" but got "min"
// GRID: error: scheme "gptq-int4": expected grid "search" or "minmax" but got "best"
// FLAG: error: scheme "gptq-int4": option sym: expected true or false but got maybe
// NONE: error: scheme "int8-dynamic": no such option threshold; it has none
// REGEX: error: override "re:(=skip": invalid regular expression:

// CHECK-LABEL: @linears
// CHECK: onnx.MatMul {{.*}}qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 3, activations = float>
// CHECK: onnx.MatMul {{.*}}qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "int8-weights">
// ROW-LABEL: @linears
// ROW: qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 4, sym = false, activations = float>
// ROW: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 8, sym = false, activations = float>
// OVERRIDE-LABEL: @linears
// OVERRIDE: qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 2.5>
// OVERRIDE: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2, sym = false, activations = float>
// STATIC-LABEL: @linears
// STATIC: qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 3.0, outliers = static>
// STATIC: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "llm-int8", threshold = 3.0>
// What the package does, but for the option that is given, which the override takes on too.
// COMPAT-LABEL: @linears
// COMPAT: qopt.layer = "model.q_proj", qopt.scheme = #qopt.scheme<kind = "gptq-int4", groupSize = 4, actOrder = false, staticGroups = false, polish = 0, refit = false, floatTarget = 0.0, exactReference = true, activations = float>
// COMPAT: qopt.layer = "lm_head", qopt.scheme = #qopt.scheme<kind = "rtn-int4", groupSize = 2, exactReference = true, activations = float>
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
