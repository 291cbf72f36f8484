// RUN: rm -rf %t && mkdir -p %t && cd %t
// RUN: qopt %s --pass-pipeline=int8-weights{head=float} --override=*.k_proj=skip --until=lower -o lower.mlir --remarks --report=report.json 2> err
// RUN: FileCheck %s --input-file=err
// RUN: FileCheck %s --input-file=report.json --check-prefix=REPORT
// RUN: qopt %s --until=lower -o lower.mlir 2> quiet && FileCheck %s --input-file=quiet --check-prefix=WARNING
// RUN: qopt %s --until=raise -o raise.mlir --quiet 2>&1 | count 0
// RUN: %python %S/fails.py 1 '1 attention was not recognised and runs operator by operator (--remarks lists them with reasons) (an error because of --strict)' qopt %s --strict -o strict.qmod

// A decoder whose softmax is over the queries. All that follows from it is said once, where
// it happened, and once for the model.
// CHECK: qopt: remark: {{.*}}remarks.mlir: 42:8: this softmax is in no attention: the softmax is over dimension 1 of 3, not over the keys in the last one
// CHECK-NEXT: qopt: warning: {{.*}}remarks.mlir: 1 attention was not recognised and runs operator by operator (--remarks lists them with reasons)
// CHECK: qopt: remark: {{.*}}layer "model.layers.0.self_attn.k_proj" of 64 weights stays float: override "*.k_proj=skip"
// CHECK: qopt: remark: {{.*}}layer "lm_head" of 128 weights stays float: it is the head, whose scheme is an option, head
// CHECK-NOT: qopt: warning: {{.*}}linear
// CHECK: qopt: remark: {{.*}}the model gets no key-value cache: there is no onnx.Attention
// CHECK: qopt: remark: {{.*}}remarks.mlir: 41:8: 'onnx.MatMul' runs as a loop: requires rows times a matrix but got tensor<?x?x8xf32> and tensor<?x8x?xf32>
// CHECK: qopt: remark: {{.*}}remarks.mlir: 43:8: 'onnx.MatMul' runs as a loop: requires rows times a matrix but got tensor<?x?x?xf32> and tensor<?x?x8xf32>
// CHECK: qopt: warning: {{.*}}remarks.mlir: 1 decoder gets no key-value cache, so each new token computes all again (--remarks says why)
// CHECK-NEXT: qopt: warning: {{.*}}remarks.mlir: 2 operators have no kernel and run as loops (--remarks lists them with reasons)
// WARNING-NOT: remark:
// WARNING: 1 attention was not recognised
// WARNING: 1 decoder gets no key-value cache
// WARNING: 2 operators have no kernel
// REPORT: "warnings": [
// REPORT-NEXT: 1 attention was not recognised
// REPORT: "remarks": [
// REPORT: "topic": "attention",
// REPORT-NEXT: "where": "42:8",
// REPORT-NEXT: "text": "this softmax is in no attention: the softmax is over dimension 1 of 3
// REPORT: "topic": "linear",
// REPORT: "topic": "cache",
// REPORT: "topic": "kernel",
func.func @forward(%ids: tensor<?x?xi64> {onnx.name = "input_ids", onnx.dims = ["batch", "sequence"]}) -> (tensor<?x?x16xf32> {onnx.name = "logits", onnx.dims = ["batch", "sequence", ""]}) {
  %table = onnx.Constant dense<0.5> : tensor<16x8xf32>
  %w = onnx.Constant dense<0.25> : tensor<8x8xf32>
  %head = onnx.Constant dense<0.125> : tensor<8x16xf32>
  %x = onnx.Gather %table, %ids : (tensor<16x8xf32>, tensor<?x?xi64>) -> tensor<?x?x8xf32>
  %k = onnx.MatMul %x, %w {qopt.layer = "model.layers.0.self_attn.k_proj"} : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>
  %t = onnx.Transpose %k {perm = array<i64: 0, 2, 1>} : (tensor<?x?x8xf32>) -> tensor<?x8x?xf32>
  %s = onnx.MatMul %x, %t : (tensor<?x?x8xf32>, tensor<?x8x?xf32>) -> tensor<?x?x?xf32>
  %p = onnx.Softmax %s {axis = 1 : i64} : (tensor<?x?x?xf32>) -> tensor<?x?x?xf32>
  %y = onnx.MatMul %p, %x : (tensor<?x?x?xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %z = onnx.MatMul %y, %head {qopt.layer = "lm_head"} : (tensor<?x?x8xf32>, tensor<8x16xf32>) -> tensor<?x?x16xf32>
  return %z : tensor<?x?x16xf32>
}
