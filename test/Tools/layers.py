#!/usr/bin/env python3
"""Memory while a model is quantized: it must not grow with the number of layers.

  layers.py QOPT WORK_DIR SCHEME LIMIT_MB DIFFERENCE_MB

Compiles models of 2 and of 18 layers whose weights are a hole in a file, and looks at the largest anonymous memory.
"""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Benchmark"))
import make_llama, quantize

qopt, work, scheme, limit, difference = sys.argv[1:]
peaks = []
for layers in (2, 18):
    folder = os.path.join(work, str(layers))
    make_llama.make(folder, (512, 2048, layers, 4, 2, 128, 512, 256), "float16", seed=None)
    command = [qopt, os.path.join(folder, "model.onnx"), f"--pass-pipeline={scheme}", "--cpu=x86-64-v3", "--threads=2", "--quiet", "-o", os.path.join(folder, "q.qmod")]
    peaks.append(quantize.run(command)[1])
few, many = peaks
print(f"{scheme}: {few:.0f} MB for 2 layers, {many:.0f} MB for 18")
if many > float(limit) or many - few > float(difference):
    sys.exit(f"layers.py: expected at most {limit} MB, and {difference} MB more for 18 layers than for 2")
