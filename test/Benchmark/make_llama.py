#!/usr/bin/env python3
"""A Llama of random weights, as torch.onnx.export (dynamo) writes it.

  make_llama.py OUT_DIR --preset NAME [--dtype float16|float32] [--seed N]

Writes model.onnx, model.onnx.data and config.json. Speed does not depend on what the
weights are, so a model of any size can be measured without having it. Weights are
drawn and written one by one; the largest is in memory, no more.
"""
import argparse, json, os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PRESETS = {  # hidden, feed-forward, layers, heads, key heads, head size, vocabulary, context
    "1b": (2048, 8192, 16, 32, 8, 64, 128256, 8192),  # Llama-3.2-1B
    "110m": (768, 2048, 12, 12, 12, 64, 32000, 2048),
    "layer": (2048, 8192, 1, 32, 8, 64, 2048, 8192),  # one layer of it
    "small": (128, 384, 2, 4, 2, 32, 512, 256),
    "tiny": (64, 172, 1, 4, 2, 16, 256, 128),
}


class Graph:
    """Nodes and constants; values are their names."""

    def __init__(self, path, dtype, seed):
        self.nodes, self.constants, self.count = [], [], 0
        self.numpy = np.dtype(dtype)
        self.type = TensorProto.FLOAT16 if dtype == "float16" else TensorProto.FLOAT
        self.path, self.data = path, open(path + ".data", "wb")
        self.random = None if seed is None else np.random.default_rng(seed)

    def node(self, op, *inputs, **attributes):
        self.count += 1
        output = f"val_{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, value, dtype=np.int64):
        value = np.asarray(value, dtype)
        self.count += 1
        self.constants.append(numpy_helper.from_array(value, f"val_{self.count}"))
        return self.constants[-1].name

    def scalar(self, value):
        return self.constant(value, self.numpy)

    def weight(self, name, shape, deviation=None):
        """Normally distributed; without `deviation` all are 1. Without a seed 0, as a hole in the file."""
        count = int(np.prod(shape))
        tensor = TensorProto(name=name, data_type=self.type, dims=shape, data_location=TensorProto.EXTERNAL)
        place = {"location": os.path.basename(self.path) + ".data", "offset": self.data.tell(), "length": count * self.numpy.itemsize}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        step = 1 << 22
        if deviation is not None and self.random is None:
            self.data.truncate(self.data.tell() + count * self.numpy.itemsize)
            self.data.seek(0, os.SEEK_END)
            count = 0
        for first in range(0, count, step):
            n = min(step, count - first)
            values = np.ones(n) if deviation is None else self.random.standard_normal(n, np.float32) * deviation
            self.data.write(values.astype(self.numpy).tobytes())
        self.data.write(bytes(-self.data.tell() % 64))
        self.constants.append(tensor)
        return name

    def cast(self, value, to):
        return value if self.type == TensorProto.FLOAT else self.node("Cast", value, to=to)

    def save(self, logits, inputs, vocabulary, context):
        self.data.close()
        tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in inputs]
        result = helper.make_tensor_value_info(logits, self.type, ["batch", "sequence", vocabulary])
        graph = helper.make_graph(self.nodes, "main_graph", tokens, [result], self.constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="make_llama", ir_version=10), self.path)
        with open(os.path.join(os.path.dirname(self.path), "config.json"), "w") as file:
            json.dump({"max_position_embeddings": context, "vocab_size": vocabulary}, file)


def rotary_tables(g, length, head_size):
    """cos and sin [1, 1, tokens, head size] of positions 0, 1, ..."""
    frequencies = 500000.0 ** (-np.arange(0, head_size, 2, dtype=np.float64) / head_size)
    positions = g.node("Range", g.constant(0), length, g.constant(1))
    positions = g.node("Cast", g.node("Unsqueeze", positions, g.constant([0, 1])), to=TensorProto.FLOAT)
    angles = g.node("MatMul", g.constant(frequencies.reshape(1, -1, 1), np.float32), positions)
    angles = g.node("Transpose", angles, perm=[0, 2, 1])
    angles = g.node("Concat", angles, angles, axis=-1)
    return [g.node("Unsqueeze", g.cast(g.node(f, angles), g.type), g.constant([1])) for f in ("Cos", "Sin")]


def causal_mask(g, rows, length, padding):
    """0 where a key is seen, else the lowest number: [rows, 1, tokens, tokens]."""
    positions = g.node("Range", g.constant(0), length, g.constant(1))
    seen = g.node("LessOrEqual", positions, g.node("Reshape", positions, g.constant([-1, 1]), allowzero=1))
    tokens = g.node("Cast", padding, to=TensorProto.BOOL)
    seen = g.node("And", seen, g.node("Unsqueeze", tokens, g.constant([1, 2])))
    return g.node("Where", seen, g.scalar(0), g.scalar(np.finfo(g.numpy).min))


def norm(g, x, name, hidden):
    wide = g.cast(x, TensorProto.FLOAT)
    squares = g.node("Pow", wide, g.constant(2, np.float32))
    mean = g.node("ReduceMean", squares, g.constant([-1]), keepdims=1, noop_with_empty_axes=0)
    root = g.node("Reciprocal", g.node("Sqrt", g.node("Add", mean, g.constant(1e-5, np.float32))))
    scaled = g.cast(g.node("Mul", wide, root), g.type)
    return g.node("Mul", g.weight(name, [hidden]), scaled)


def rotate(g, x, cos, sin, size):
    def part(begin, end):
        return g.node("Slice", x, g.constant([begin]), g.constant([end]), g.constant([3]), g.constant([1]))

    turned = g.node("Concat", g.node("Neg", part(size // 2, np.iinfo(np.int64).max)), part(0, size // 2), axis=-1)
    return g.node("Add", g.node("Mul", x, cos), g.node("Mul", turned, sin))


def attention(g, x, name, sizes, shape, cos, sin, mask):
    hidden, _, _, heads, key_heads, size, _, _ = sizes
    rows, length = shape

    def project(linear, count):
        y = g.node("MatMul", x, g.weight(f"{name}.{linear}.weight", [hidden, count * size], hidden**-0.5))
        split = g.node("Concat", rows, length, g.constant([-1]), g.constant([size]), axis=0)
        return g.node("Transpose", g.node("Reshape", y, split, allowzero=1), perm=[0, 2, 1, 3])

    def repeat(y):
        wide = g.node("Concat", rows, g.constant([key_heads]), g.constant([heads // key_heads]), length, g.constant([size]), axis=0)
        flat = g.node("Concat", rows, g.constant([heads]), length, g.constant([size]), axis=0)
        return g.node("Reshape", g.node("Expand", g.node("Unsqueeze", y, g.constant([2])), wide), flat, allowzero=1)

    q, k, v = project("q_proj", heads), project("k_proj", key_heads), project("v_proj", key_heads)
    q, k = rotate(g, q, cos, sin, size), repeat(rotate(g, k, cos, sin, size))
    root = g.scalar(size**-0.25)
    keys = g.node("Mul", g.node("Transpose", k, perm=[0, 1, 3, 2]), root)
    scores = g.node("Add", g.node("MatMul", g.node("Mul", q, root), keys), mask)
    values = g.node("MatMul", g.node("Softmax", scores, axis=-1), repeat(v))
    joined = g.node("Concat", rows, length, g.constant([-1]), axis=0)
    values = g.node("Reshape", g.node("Transpose", values, perm=[0, 2, 1, 3]), joined, allowzero=1)
    return g.node("MatMul", values, g.weight(f"{name}.o_proj.weight", [heads * size, hidden], hidden**-0.5))


def feed_forward(g, x, name, hidden, inner):
    gate, up = (g.node("MatMul", x, g.weight(f"{name}.{linear}_proj.weight", [hidden, inner], hidden**-0.5)) for linear in ("gate", "up"))
    gated = g.node("Mul", g.node("Mul", gate, g.node("Sigmoid", gate)), up)
    return g.node("MatMul", gated, g.weight(f"{name}.down_proj.weight", [inner, hidden], inner**-0.5))


def make(directory, sizes, dtype, seed):
    hidden, inner, layers, heads, key_heads, size, vocabulary, context = sizes
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "model.onnx")
    g = Graph(path, dtype, seed)
    rows = g.node("Shape", "input_ids", start=0, end=1)
    length = g.node("Shape", "input_ids", start=1, end=2)
    table = g.weight("lm_head.weight", [vocabulary, hidden], hidden**-0.5)
    count = g.node("Squeeze", length)
    cos, sin = rotary_tables(g, count, size)
    mask = causal_mask(g, rows, count, "attention_mask")
    x = g.node("Gather", table, "input_ids", axis=0)
    for i in range(layers):
        name = f"model.layers.{i}"
        y = norm(g, x, f"{name}.input_layernorm.weight", hidden)
        x = g.node("Add", x, attention(g, y, f"{name}.self_attn", sizes, (rows, length), cos, sin, mask))
        y = norm(g, x, f"{name}.post_attention_layernorm.weight", hidden)
        x = g.node("Add", x, feed_forward(g, y, f"{name}.mlp", hidden, inner))
    y = norm(g, x, "model.norm.weight", hidden)
    head = g.node("Transpose", table, perm=[1, 0])
    g.save(g.node("MatMul", y, head), ["input_ids", "attention_mask"], vocabulary, context)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory")
    parser.add_argument("--preset", choices=PRESETS, required=True)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    make(arguments.directory, PRESETS[arguments.preset], arguments.dtype, arguments.seed)


if __name__ == "__main__":
    main()
