#!/usr/bin/env python3
"""memory.py QOPT DIRECTORY: the anonymous memory that gptq-int4 takes must not grow with the number of layers.

Makes a model of 2 layers and one of 6, whose Hessians are far larger than all else, and
compares the largest RssAnon that quantizing each of them has.
"""
import os, subprocess, sys, time

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Benchmark"))
import make_llama

HIDDEN, INNER, VOCABULARY = 64, 2048, 64


def peak(qopt, directory, layers):
    make_llama.make(directory, (HIDDEN, INNER, layers, 2, 2, 32, VOCABULARY, 64), "float16", 0)
    tokens = os.path.join(directory, "tokens.npy")
    np.save(tokens, np.random.default_rng(0).integers(0, VOCABULARY, (8, 32)).astype(np.int32))
    # No code is generated for the model itself: that does not belong to calibration.
    command = [qopt, os.path.join(directory, "model.onnx"), "--pass-pipeline=gptq-int4", f"--calibration={tokens}"]
    command += ["--calibration-length=32", "--threads=1", "--until=quantize", "--quiet", "-o", os.path.join(directory, "model.mlir")]
    process = subprocess.Popen(command)
    largest = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                largest = max([largest] + [int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon:")])
        except ProcessLookupError:
            pass
        time.sleep(0.005)
    if process.returncode != 0:
        sys.exit(f"qopt failed with {process.returncode}")
    return largest


qopt, directory = sys.argv[1:]
few, many = (peak(qopt, os.path.join(directory, f"layers-{layers}"), layers) for layers in (2, 6))
hessian = 8 * INNER * INNER
print(f"2 layers: {few >> 20} MiB, 6 layers: {many >> 20} MiB, one Hessian: {hessian >> 20} MiB")
if few < hessian:
    sys.exit("the memory of a Hessian was not seen")
if many > few + hessian // 2:
    sys.exit("memory grows with the number of layers")
