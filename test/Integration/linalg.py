#!/usr/bin/env python3
"""Runs a model as MLIR's own dialects by MLIR's own tools, and compares it with the module of the same scheme.

usage: linalg.py MODEL.mlir MODULE.qmod LLVM_LIBRARIES MLIR_OPT MLIR_RUNNER QRUN

MODEL.mlir has a function @forward of token ids and an attention mask.
"""
import re
import subprocess
import sys
import tempfile

import numpy

TOKENS = numpy.array([[1, 403, 407, 261, 378], [1, 279, 432, 266, 11]], dtype=numpy.int64)

# What MLIR has for code on a CPU, without optimization.
PIPELINE = """builtin.module(
func.func(lower-quant-ops),canonicalize,one-shot-bufferize{bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map},
buffer-deallocation-pipeline,convert-bufferization-to-memref,convert-linalg-to-loops,canonicalize,expand-strided-metadata,lower-affine,
convert-scf-to-cf,convert-math-to-llvm,convert-math-to-libm,finalize-memref-to-llvm,convert-arith-to-llvm,
convert-index-to-llvm,convert-ub-to-llvm,convert-func-to-llvm,convert-cf-to-llvm,reconcile-unrealized-casts)"""


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def with_main(text, columns):
    """The module with a function that calls @forward and prints what comes out."""
    ids = "tensor<%dx%dxi64>" % TOKENS.shape
    result, memory = "tensor<?x?x%dxf32>" % columns, "memref<?x?x%dxf32>" % columns
    main = f"""
  func.func private @printMemrefF32(memref<*xf32>) attributes {{llvm.emit_c_interface}}
  func.func @main() {{
    %ids = arith.constant dense<{TOKENS.tolist()}> : {ids}
    %mask = arith.constant dense<1> : {ids}
    %x = tensor.cast %ids : {ids} to tensor<?x?xi64>
    %m = tensor.cast %mask : {ids} to tensor<?x?xi64>
    %y = call @forward(%x, %m) : (tensor<?x?xi64>, tensor<?x?xi64>) -> {result}
    %b = bufferization.to_buffer %y : {result} to {memory}
    %u = memref.cast %b : {memory} to memref<*xf32>
    call @printMemrefF32(%u) : (memref<*xf32>) -> ()
    return
  }}
"""
    return re.sub(r"(?m)^(module.*\{)$", lambda match: match.group(1) + main, text, count=1)


def main():
    model, module, libraries, mlir_opt, mlir_runner, qrun = sys.argv[1:]
    with open(model, encoding="utf-8") as file:
        text = file.read()
    # Nothing of ours, neither operations nor attributes.
    code = text.split("{-#")[0]
    ours = re.search(r"\b(onnx|qopt|kernel)\.\w+|#(onnx|qopt)\.", code)
    assert not ours, ours
    assert "dense_resource" in code
    dialects = {match.split(".")[0] for match in re.findall(r"(?m)(?:^|= )\s*([a-z_]+\.[a-z_]+)", code)}
    assert dialects <= {"arith", "cf", "func", "linalg", "math", "scf", "tensor"} | ({"quant"} if "!quant." in code else set()), dialects
    columns = int(re.search(r"@forward\(.*-> tensor<\?x\?x(\d+)xf32>", code).group(1))
    with tempfile.TemporaryDirectory() as folder:
        lowered = run(mlir_opt, "--pass-pipeline=" + PIPELINE.replace("\n", ""), input=with_main(text, columns))
        shared = ",".join(f"{libraries}/libmlir_{name}.so" for name in ("runner_utils", "c_runner_utils", "float16_utils"))
        printed = run(mlir_runner, "-e", "main", "-entry-point-result=void", "-shared-libs=" + shared, input=lowered)
        for name, values in (("ids", TOKENS), ("mask", numpy.ones_like(TOKENS))):
            numpy.save(f"{folder}/{name}.npy", values)
        run(qrun, module, "--input", f"input_ids={folder}/ids.npy", "--input", f"attention_mask={folder}/mask.npy",
            f"--output={folder}/out", "--quiet")
        expected = numpy.load(f"{folder}/out/logits.npy")
    data = printed.split("data =")[1].replace("[", " ").replace("]", " ").replace(",", " ")
    actual = numpy.array([float(value) for value in data.split()]).reshape(expected.shape)
    difference = float(numpy.abs(actual - expected).max())
    print(f"largest difference {difference:.2e} of {float(numpy.abs(expected).max()):.3g}")
    assert difference <= 1e-3, difference


main()
