#!/usr/bin/env python3
"""Sizes that only the run time knows, against numpy.

  sizes.py QOPT QRUN WORK_DIR

Dimensions of other names that are equal, or 1, or neither; shapes and bounds of slices that are sizes of other inputs;
masks that begin as causal ones. What numpy refuses must be refused, and nothing else.
"""
import os, subprocess, sys

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto, helper

qopt, qrun, work = sys.argv[1:]
random = np.random.default_rng(0)


def floats(*shape):
    return random.standard_normal(shape, np.float32)


def check(name, nodes, dims, constants, expected, *calls):
    """`nodes` compute z of the inputs with names and `dims`, as the function `expected` does."""
    inputs = [helper.make_tensor_value_info(input, TensorProto.FLOAT, dims[input]) for input in dims]
    initializers = [onnx.numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph([helper.make_node(op, ins, [out], **attributes) for op, ins, out, attributes in nodes], "g", inputs, [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)], initializers)
    path = os.path.join(work, name)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path + ".onnx")
    subprocess.run([qopt, path + ".onnx", "--cpu=x86-64-v3", "--quiet", "-o", path + ".qmod"], check=True)
    for shapes in calls:
        values = [floats(*shape) for shape in shapes]
        try:
            want = expected(*values)
        except ValueError:
            want = None
        for key, value in zip(dims, values):
            np.save(f"{path}.{key}.npy", value)
        command = [qrun, path + ".qmod", *(f"--input={key}={path}.{key}.npy" for key in dims), f"--output={path}.out", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True)
        if (done.returncode == 0) != (want is not None) or done.returncode not in (0, 1):
            sys.exit(f"sizes.py: {name} {shapes}: status {done.returncode}: {done.stderr}")
        if want is None:
            continue
        got = np.load(os.path.join(path + ".out", "z.npy"))
        if got.shape != want.shape or not np.allclose(got, want, rtol=1e-4, atol=1e-5):
            sys.exit(f"sizes.py: {name} {shapes}: got {got.shape}, expected {want.shape}, or other numbers")


def op(name, inputs, output="z", **attributes):
    return name, inputs.split(), output, attributes


os.makedirs(work, exist_ok=True)
two = {"x": ["a", "n"], "y": ["b", "m"]}
pairs = [((3, 4), (3, 4)), ((1, 4), (5, 4)), ((5, 4), (5, 1)), ((1, 1), (2, 3)), ((3, 1), (1, 4)), ((2, 4), (3, 4))]
check("unnamed", [op("Exp", "x")], {"x": ["b", 3, "n"]}, {}, np.exp, [(2, 3, 2)], [(3, 3, 7)])
check("add", [op("Add", "x y")], two, {}, np.add, *pairs)
check("twice", [op("Mul", "x y", "t"), op("Add", "t x", "u"), op("Sub", "y u")], two, {}, lambda x, y: y - (x * y + x), *pairs)
check("known", [op("Add", "x y")], {"x": ["a", 4], "y": ["b", "m"]}, {}, np.add, [(3, 4), (3, 4)], [(1, 4), (5, 1)], [(5, 4), (1, 4)], [(5, 4), (5, 2)])
check("where", [op("Greater", "x y", "c"), op("Where", "c x y")], two, {}, np.maximum, *pairs)
check("matmul", [op("MatMul", "x y")], {"x": ["a", "n", 4], "y": ["b", 4, "m"]}, {}, np.matmul, [(1, 2, 4), (3, 4, 5)], [(3, 2, 4), (3, 4, 5)], [(3, 2, 4), (1, 4, 5)], [(2, 2, 4), (3, 4, 5)])
check("expand", [op("Shape", "y", "s"), op("Expand", "x s")], two, {}, lambda x, y: x * np.ones_like(y), *pairs)
check("reshape", [op("Shape", "y", "s"), op("Reshape", "x s")], two, {}, lambda x, y: x.reshape(y.shape), [(2, 6), (3, 4)], [(3, 4), (3, 4)], [(3, 4), (5, 4)])
check("max", [op("Shape", "x", "s"), op("Shape", "y", "t"), op("Max", "s t", "m"), op("Expand", "x m")], two, {}, lambda x, y: np.broadcast_to(x, np.maximum(x.shape, y.shape)), [(1, 4), (3, 4)], [(3, 4), (1, 1)])
check("tile", [op("Shape", "y", "s"), op("Tile", "x s")], two, {}, lambda x, y: np.tile(x, y.shape), [(3, 4), (2, 1)], [(1, 4), (1, 1)])
bounds = {"one": np.int64([1]), "zero": np.int64([0]), "big": np.int64([2**63 - 1])}
size = [op("Shape", "y", "s"), op("Gather", "s one", "e")]
check("slice", [*size, op("Slice", "x zero e one")], two, bounds, lambda x, y: x[:, : y.shape[1]], [(2, 6), (3, 4)], [(2, 6), (3, 9)])
check("last", [*size, op("Neg", "e", "n"), op("Slice", "x n big one")], two, bounds, lambda x, y: x[:, -y.shape[1] :], [(2, 6), (3, 4)], [(2, 6), (3, 9)])
check("concat", [op("Concat", "x y", "c", axis=1), *size, op("Slice", "c zero e one")], {"x": ["a", "n"], "y": ["a", "m"]}, bounds, lambda x, y: np.concatenate([x, y], 1)[:, : y.shape[1]], [(2, 6), (2, 4)], [(2, 1), (2, 1)])

# A table of a mask that is causal for the first 40 tokens, and has a window from there on.
LONG, WINDOW, HEADS, SIZE = 96, 40, 2, 8
query, key = np.indices((LONG, LONG))
table = np.where((key <= query) & (key > query - WINDOW), 0, -1e9).astype(np.float32)
WIDTH = HEADS * SIZE
weights = {name: floats(WIDTH, WIDTH) / 4 for name in ("wq", "wk", "wv")}


def attention(x):
    q, k, v = ((x @ weights[name]).reshape(*x.shape[:2], HEADS, SIZE).transpose(0, 2, 1, 3) for name in ("wq", "wk", "wv"))
    scores = q @ k.swapaxes(-1, -2) * np.float32(SIZE**-0.5) + table[: x.shape[1], : x.shape[1]]
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    return (scores / scores.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(x.shape)


heads = [node for name in "qkv" for node in (op("MatMul", f"x w{name}", f"p{name}"), op("Reshape", f"p{name} split", f"h{name}"), op("Transpose", f"h{name}", name, perm=[0, 2, 1, 3]))]
mask = [op("Shape", "x", "s"), op("Gather", "s one", "e"), op("Slice", "table zero e rows", "t"), op("Slice", "t zero e columns", "m")]
mixed = [op("Transpose", "k", "kt", perm=[0, 1, 3, 2]), op("MatMul", "q kt", "raw"), op("Mul", "raw scale", "scaled"), op("Add", "scaled m", "scores"), op("Softmax", "scores", "p", axis=-1), op("MatMul", "p v", "o"), op("Transpose", "o", "ot", perm=[0, 2, 1, 3]), op("Reshape", "ot joined")]
constants = {**weights, **bounds, "split": np.int64([0, 0, HEADS, SIZE]), "joined": np.int64([0, 0, WIDTH]), "table": table[None, None], "rows": np.int64([2]), "columns": np.int64([3]), "scale": np.float32(SIZE**-0.5)}
check("window", heads + mask + mixed, {"x": ["b", "n", WIDTH]}, constants, attention, [(2, 7, WIDTH)], [(1, 90, WIDTH)])
