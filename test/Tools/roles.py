"""Small decoders that differ only in what their inputs and outputs are: roles.py QOPT QRUN TOKENIZER FOLDER CPU

All have the same weights, so that calibration, perplexity and generated text must be the same whatever an exporter calls the
inputs and whichever there are; what cannot be filled or scored must be refused by name.
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto as T, helper, numpy_helper

HIDDEN, HEADS, LAYERS, VOCABULARY = 32, 2, 2, 512
SIZE = HIDDEN // HEADS
LOW = float(np.finfo(np.float32).min)


class Graph:
    def __init__(self):
        self.nodes, self.constants, self.inputs, self.count = [], [], [], 0

    def op(self, kind, *operands, **attributes):
        self.count += 1
        name = f"v{self.count}"
        operands = [self.constant(x) if isinstance(x, np.ndarray) else x for x in operands]
        self.nodes.append(helper.make_node(kind, operands, [name], name=f"{kind}_{self.count}", **attributes))
        return name

    def constant(self, array, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def input(self, name, kind, dims):
        self.inputs.append(helper.make_tensor_value_info(name, kind, dims))
        return name


def ints(*values):
    return np.array(values, np.int64)


def build(variant):
    g, random = Graph(), np.random.default_rng(3)

    def weight(name, k, n, scale=1.0):
        if variant == "shared" and name.startswith("model."):
            name = "shared." + name.split(".")[-1]
        if any(constant.name == name for constant in g.constants):
            return name
        return g.constant((random.standard_normal((k, n)) * scale / k**0.5).astype(np.float32), name)

    ids = {"int32": lambda: g.input("tokens", T.INT32, ["batch", "sequence"]),
           "row": lambda: g.op("Unsqueeze", g.input("input.1", T.INT64, ["sequence"]), ints(0))}.get(
               variant, lambda: g.input("input_ids", T.INT64, ["batch", "sequence"]))()
    x = g.op("Gather", weight("embed", VOCABULARY, HIDDEN, 5.0), ids)
    if variant == "types":
        table = np.stack([np.zeros(HIDDEN), np.ones(HIDDEN)]).astype(np.float32)
        x = g.op("Add", x, g.op("Gather", table, g.input("token_type_ids", T.INT64, ["batch", "sequence"])))
    shape = g.op("Shape", ids)
    length = g.op("Gather", shape, np.array(1, np.int64))
    counted = g.op("Range", np.array(0, np.int64), length, np.array(1, np.int64))
    if variant == "positions":
        positions = g.input("position_ids", T.INT64, ["batch", "sequence"])
    elif variant == "cache_position":
        positions = g.op("Unsqueeze", g.input("cache_position", T.INT64, ["sequence"]), ints(0))
    else:
        positions = g.op("Unsqueeze", counted, ints(0))
    if variant == "cos":
        cos, sin = (g.input(name, T.FLOAT, ["sequence", SIZE]) for name in ("cos", "sin"))
    else:
        frequencies = (1e4 ** -(np.arange(0, SIZE, 2) / SIZE)).astype(np.float32)[None, None]
        angles = g.op("Mul", g.op("Unsqueeze", g.op("Cast", positions, to=T.FLOAT), ints(2)), frequencies)
        angles = g.op("Unsqueeze", g.op("Concat", angles, angles, axis=-1), ints(1))
        cos, sin = g.op("Cos", angles), g.op("Sin", angles)
    if variant in ("bias", "boolean"):
        kind = T.FLOAT if variant == "bias" else T.BOOL
        mask = g.input("mask", kind, ["batch", 1, "sequence", "total"])
        if variant == "boolean":
            mask = g.op("Where", mask, np.array(0, np.float32), np.array(LOW, np.float32))
    else:
        row, column = (g.op("Unsqueeze", counted, ints(axis)) for axis in (0, 1))
        mask = g.op("Where", g.op("LessOrEqual", row, column), np.array(0, np.float32), np.array(LOW, np.float32))

    def norm(value, name):
        power = g.op("ReduceMean", g.op("Mul", value, value), axes=[-1], keepdims=1)
        scaled = g.op("Div", value, g.op("Sqrt", g.op("Add", power, np.array(1e-5, np.float32))))
        return g.op("Mul", scaled, g.constant(np.ones(HIDDEN, np.float32), name))

    def heads(value):
        return g.op("Transpose", g.op("Reshape", value, ints(0, 0, HEADS, SIZE)), perm=[0, 2, 1, 3])

    def turn(value):
        half = SIZE // 2
        first, second = (g.op("Slice", value, ints(a), ints(b), ints(3)) for a, b in ((0, half), (half, SIZE)))
        return g.op("Add", g.op("Mul", value, cos),
                    g.op("Mul", g.op("Concat", g.op("Neg", second), first, axis=-1), sin))

    for i in range(LAYERS):
        scope = f"model.layers.{i}."
        h = norm(x, scope + "norm")
        q, k, v = (heads(g.op("MatMul", h, weight(scope + p, HIDDEN, HIDDEN, 2.0))) for p in ("q", "k", "v"))
        scores = g.op("MatMul", turn(q), g.op("Transpose", turn(k), perm=[0, 1, 3, 2]))
        scores = g.op("Softmax", g.op("Add", g.op("Mul", scores, np.array(SIZE**-0.5, np.float32)), mask), axis=-1)
        y = g.op("Transpose", g.op("MatMul", scores, v), perm=[0, 2, 1, 3])
        x = g.op("Add", x, g.op("MatMul", g.op("Reshape", y, ints(0, 0, HIDDEN)), weight(scope + "o", HIDDEN, HIDDEN)))
        h = g.op("MatMul", norm(x, scope + "norm2"), weight(scope + "up", HIDDEN, 64))
        x = g.op("Add", x, g.op("MatMul", g.op("Mul", h, g.op("Sigmoid", h)), weight(scope + "down", 64, HIDDEN)))
    x = norm(x, "norm")
    last = np.array(np.iinfo(np.int64).max)
    if variant == "keep":
        start = g.op("Unsqueeze", g.op("Neg", g.input("num_logits_to_keep", T.INT64, [])), ints(0))
        x = g.op("Slice", x, start, ints(last), ints(1))
    elif variant == "last":
        x = g.op("Slice", x, ints(-1), ints(last), ints(1))
    x = g.op("MatMul", x, weight("lm_head", HIDDEN, VOCABULARY, 4.0))
    dims = ["batch", 1 if variant == "last" else "sequence", VOCABULARY]
    if variant == "row":
        x, dims = g.op("Squeeze", x, ints(0)), dims[1:]
    g.nodes.append(helper.make_node("Identity", [x], ["logits"]))
    graph = helper.make_graph(g.nodes, variant, g.inputs, [helper.make_tensor_value_info("logits", T.FLOAT, dims)], g.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


qopt, qrun, tokenizer, folder, cpu = sys.argv[1:6]
folder = Path(folder)
faults = []


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder)


def expect(what, is_true, detail):
    if not is_true:
        faults.append(f"{what}: {detail}")


np.save(folder / "windows.npy", np.random.default_rng(5).integers(1, VOCABULARY, (3, 12)))
want = {}
for variant in ["plain", "int32", "row", "positions", "cache_position", "types", "bias", "boolean", "keep", "last", "cos"]:
    onnx.save(build(variant), folder / f"{variant}.onnx")
    # The head stays float: it says nothing of inputs.
    done = run(qopt, f"{variant}.onnx", "--pass-pipeline=int8-static{head=float}", "--calibration=windows.npy", cpu,
               f"--tokenizer={tokenizer}", "-o", "m.qmod", "--threads=1")
    if variant == "cos":
        expect(variant, done.returncode == 1 and 'no calibration values can be made for input "cos"' in done.stderr, done.stderr)
        continue
    expect(variant, done.returncode == 0 and "attention" not in done.stderr, done.stderr)
    cached = "prefill" in run(qrun, "m.qmod", "--info").stdout
    expect(variant, cached == (variant != "row"), "cache: " + done.stderr)
    done = run(qrun, "m.qmod", "--perplexity=windows.npy", "--json=-", "--quiet")
    if variant == "last":
        expect(variant, done.returncode == 1 and "m.qmod: the model gives the logits behind the last token of a text only"
               in done.stderr, done.stderr)
    elif done.returncode != 0:
        faults.append(f"{variant}: {done.stderr}")
    else:
        found = json.loads(done.stdout)["perplexity"]
        base = want.setdefault("perplexity", found)
        expect(variant, abs(found / base - 1) < 1e-4, f"perplexity {found}, not {base}")
    done = run(qrun, "m.qmod", "--prompt=Once upon", "--max-tokens=6", "--json=-", "--quiet")
    found = json.loads(done.stdout)["tokens"] if done.returncode == 0 else done.stderr
    base = want.setdefault("tokens", found)
    expect(variant, found == base, f"wrote {found}, not {base}")
# Layers that share their weights are stored once, quantized as well.
onnx.save(build("shared"), folder / "shared.onnx")
np.save(folder / "many.npy", np.random.default_rng(6).integers(1, VOCABULARY, (40, 16)))
sizes = {}
for name in ("plain", "shared"):
    for pipeline in ("float", "int8-weights", "rtn-int4", "gptq-int4"):
        done = run(qopt, f"{name}.onnx", f"--pass-pipeline={pipeline}", "--calibration=many.npy", cpu, "-o", "s.qmod",
                   "--threads=1", "--report=s.json")
        expect(f"{name}, {pipeline}", done.returncode == 0, done.stderr)
        layers = json.loads((folder / "s.json").read_text())["layers"]
        expect(f"{name}, {pipeline}", len(layers) == 6 * LAYERS + 1, f"{len(layers)} layers")
        expect(f"{name}, {pipeline}", pipeline == "float" or all(layer["sqnr_db"] > 10 for layer in layers), layers)
        info = json.loads(run(qrun, "s.qmod", "--info", "--json=-").stdout)
        sizes[name, pipeline] = sum(section["bytes"] for section in info["sections"] if section["name"] == "weights")
for pipeline in ("int8-weights", "rtn-int4", "gptq-int4"):
    expect(pipeline, sizes["shared", pipeline] < sizes["shared", "float"], sizes)
    # Of what both hold, the embedding and the head are the larger part.
    saved = sizes["plain", pipeline] - sizes["shared", pipeline]
    expect(pipeline, saved > .4 * LAYERS * 4 * HIDDEN * HIDDEN * (1 if pipeline == "int8-weights" else .5), sizes)
print("\n".join(faults) or "all agree")
sys.exit(bool(faults))
