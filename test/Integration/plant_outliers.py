"""plant_outliers.py MODEL_DIR OUT_DIR: multiplies six features of both norms of every layer by 40 and divides the
matching inputs of the linears behind them by 40. The float function stays the same; plain int8 activations suffer."""
import os
import shutil
import sys

import numpy as np
import onnx

FEATURES, FACTOR = [10, 68, 78, 129, 160, 213], np.float32(40)
source, target = sys.argv[1:]
os.makedirs(target, exist_ok=True)
for name in ["model.onnx", "model.onnx.data", "tokenizer.json", "config.json"]:
    shutil.copyfile(os.path.join(source, name), os.path.join(target, name))

model = onnx.load(os.path.join(source, "model.onnx"), load_external_data=False)
weights = {w.name: w for w in model.graph.initializer}


def place(name):
    """Offset of an external tensor in the data file and its dimensions."""
    entries = {e.key: e.value for e in weights[name].external_data}
    return int(entries.get("offset", 0)), list(weights[name].dims)


data = np.memmap(os.path.join(target, "model.onnx.data"), np.uint8, "r+")


def tensor(name):
    offset, dims = place(name)
    return data[offset : offset + 4 * int(np.prod(dims))].view(np.float32).reshape(dims)


planted = 0
for node in model.graph.node:
    norms = [i for i in node.input if i.endswith("layernorm.weight")]
    if node.op_type != "Mul" or not norms:
        continue
    tensor(norms[0])[FEATURES] *= FACTOR
    for reader in model.graph.node:
        if reader.op_type == "MatMul" and reader.input[0] == node.output[0]:
            tensor(reader.input[1])[FEATURES, :] /= FACTOR
            planted += 1
data.flush()
assert planted == 20, f"expected 20 linears behind the norms, found {planted}"
