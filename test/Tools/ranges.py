#!/usr/bin/env python3
"""Weights that float16 cannot hold, and layers that quantization leaves nothing of.

  ranges.py QOPT QRUN WORK_DIR

A layer times a power of two must keep the signal-to-noise ratio that it has without, and its results, with every scheme.
"""
import json, os, subprocess, sys

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto, helper

qopt, qrun, work = sys.argv[1:]
K, N = 256, 64
random = np.random.default_rng(0)
W = random.standard_normal((K, N), np.float32)
X = random.standard_normal((1, 8, K), np.float32)
SCHEMES = ["int8-weights", "int8-dynamic", "llm-int8", "rtn-int4", "rtn-int4{activations=float}", "rtn-int4{sym=false}", "rtn-int8", "int4-weights", "hqq-int4", "nf4", "mxfp4", "nvfp4", "fp8"]
EXPONENTS = [0, -60, -40, -20, 20, 60]


def compile(name, layers, *options):
    """The completed process, and the ratios of the layers in dB."""
    nodes = [helper.make_node("MatMul", ["x", f"w{i}"], [f"h{i}"], name=f"proj{i}") for i in range(len(layers))]
    results = [helper.make_tensor_value_info(f"h{i}", TensorProto.FLOAT, ["b", "s", N]) for i in range(len(layers))]
    weights = [onnx.numpy_helper.from_array(w.astype(np.float32), f"w{i}") for i, w in enumerate(layers)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", "s", layers[0].shape[0]])], results, weights)
    path = os.path.join(work, name)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path + ".onnx")
    command = [qopt, path + ".onnx", "--cpu=x86-64-v3", f"--report={path}.json", *options]
    done = subprocess.run(command if "-o" in options else [*command, "-o", path + ".qmod"], capture_output=True, text=True)
    return done, [layer["sqnr_db"] for layer in json.load(open(path + ".json"))["layers"]] if done.returncode == 0 else []


def run(name):
    np.save(os.path.join(work, "x.npy"), X)
    out = os.path.join(work, name + ".out")
    subprocess.run([qrun, os.path.join(work, name + ".qmod"), f"--input=x={work}/x.npy", f"--output={out}", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return [np.load(os.path.join(out, f"h{i}.npy")) for i in range(len(EXPONENTS))]


def expect(condition, *what):
    if not condition:
        sys.exit("ranges.py: " + " ".join(map(str, what)))


os.makedirs(work, exist_ok=True)
for scheme in SCHEMES:
    done, ratios = compile("m", [W * 2.0**exponent for exponent in EXPONENTS], f"--pass-pipeline={scheme}", f"--override=*={scheme}")
    expect(done.returncode == 0, scheme, done.stderr)
    errors = [np.abs(got / 2.0**exponent - X @ W).max() for got, exponent in zip(run("m"), EXPONENTS)]
    for exponent, ratio, error in zip(EXPONENTS, ratios, errors):
        expect(abs(ratio - ratios[0]) < 0.3, scheme, f"2^{exponent}:", ratio, "dB; expected", ratios[0])
        expect(error < 1.2 * errors[0] + 1e-3, scheme, f"2^{exponent}: error", error, "; expected", errors[0])

# Rows that one weight spans: all others become zero.
spanned = random.standard_normal((1024, N), np.float32)
spanned[0] = 8
worst = "rtn-int2{grid=minmax group-size=-1}"
lost = [f"--pass-pipeline={worst}", f"--override=*={worst}"]
done, _ = compile("lost", [spanned], *lost)
expect(done.returncode == 1 and 'has a signal-to-noise ratio of 0.' in done.stderr and "--strict=no" in done.stderr, "lost:", done.stderr)
expect(done.stderr.count("\n") == 1 and "lm_head" in done.stderr and not os.path.exists(os.path.join(work, "lost.qmod")), "lost:", done.stderr)
for output in ([], ["--until=quantize", "-o", os.path.join(work, "lost.mlirbc")]):
    done, _ = compile("lost", [spanned], *lost, *output)
    expect(done.returncode == 1 and "expected at least 0.5" in done.stderr, "lost:", done.stderr)
    done, ratios = compile("lost", [spanned], *lost, *output, "--strict=no")
    expect(done.returncode == 0 and ratios[0] < 0.5 and "1 layer has a signal-to-noise ratio below 3 dB" in done.stderr and "lm_head" in done.stderr, "taken:", done.stderr)
few = W.copy()
few[0] = 7
noisy = ["--pass-pipeline=rtn-int2{grid=minmax group-size=-1}", "--override=*=rtn-int2{grid=minmax group-size=-1}"]
done, ratios = compile("noisy", [few, few], *noisy)
expect(done.returncode == 0 and 0.5 < ratios[0] < 3 and "2 layers have a signal-to-noise ratio below 3 dB after quantization: " in done.stderr, "noisy:", ratios, done.stderr)
done, _ = compile("strict", [few], *noisy, "--strict")
expect(done.returncode == 1 and "expected at least 3.0" in done.stderr, "strict:", done.stderr)
