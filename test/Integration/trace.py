r"""Writes a quantized model (.mlir) with more outputs, to compare two devices step by step.

trace.py MODEL.mlir OUT.mlir     also returns the results of all attentions (attention.N)
                                 and the codes of all activations (codes.N)
trace.py --compare CPU_DIR DEVICE_DIR --logits X
                                 these must be equal, logits within X (of the largest)
"""
import argparse
import glob
import os
import re
import sys

import numpy as np


def trace(path, out):
    text = open(path).read()
    dims = re.search(r'onnx\.dims = (\["[^"]+", "[^"]+"\])', text).group(1)[:-1] + ', ""]'
    results, types, values = [], [], []

    def add(name, value, kind):
        results.append(f'{kind} {{onnx.dims = {dims}, onnx.name = "{name}"}}')
        types.append(kind)
        values.append(value)

    attentions = re.findall(r"(%\w+) = onnx\.Attention .*-> (tensor<[^>]+>)", text)
    for i, (value, kind) in enumerate(attentions):
        add(f"attention.{i}", value, kind)
    codes = re.findall(r"(%\w+)(?:, %\w+)* = qopt\.(?:dynamic_quantize|quantize|split_columns|split_columns_at) .*-> \(?(tensor<[^>]+xi8>)", text)
    for i, (value, kind) in enumerate(codes):
        add(f"codes.{i}", value, kind)
    signature = re.search(r"func\.func @forward\((.*)\) -> \((.*)\) \{\n", text)
    more = ", ".join([signature.group(2), *results])
    text = text.replace(signature.group(0), f"func.func @forward({signature.group(1)}) -> ({more}) {{\n")
    value, kind = re.search(r"\n    return (%\w+) : (\S+)\n", text).groups()
    text = text.replace(f"\n    return {value} : {kind}\n",
                        f"\n    return {', '.join([value, *values])} : {', '.join([kind, *types])}\n")
    open(out, "w").write(text)
    print(f"{len(attentions)} attentions, {len(codes)} arrays of codes")


def compare(cpu, device, logits):
    names = sorted(os.path.basename(path) for path in glob.glob(os.path.join(cpu, "*.npy")))
    for name in names:
        a, b = (np.load(os.path.join(directory, name)) for directory in (cpu, device))
        if name == "logits.npy":
            worst = float(np.abs(a - b).max() / np.abs(a).max())
        elif not np.array_equal(a, b):
            sys.exit(f"trace.py: {(a != b).sum()} of {a.size} of {name[:-4]} differ")
    counts = {what: sum(name.startswith(what) for name in names) for what in ("codes", "attention", "logits")}
    print(f"{counts}; codes and attention are equal; logits differ by {worst}")
    if counts["logits"] != 1 or counts["attention"] == 0 or counts["codes"] == 0:
        sys.exit("trace.py: nothing to compare")
    if not worst <= logits:
        sys.exit(f"trace.py: {worst} is more than {logits}")


parser = argparse.ArgumentParser()
parser.add_argument("files", nargs=2)
parser.add_argument("--compare", action="store_true")
parser.add_argument("--logits", type=float)
options = parser.parse_args()
if options.compare:
    compare(*options.files, options.logits)
else:
    trace(*options.files)
