#!/usr/bin/env python3
"""Twice the input takes at most 2.5 times the CPU time.

  long_inputs.py QOPT WORK_DIR

Times are of processes. Of modules they are less what the shortest model takes, and count from a floor on: what is too short
to be measured is linear enough. Of import and of names they are the least of some runs, so that other processes do not decide.
"""
import os, resource, subprocess, sys

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto, helper

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Benchmark"))
import make_llama

qopt, work = sys.argv[1:]
FLOOR = 0.5


def save(name, length, nodes, initializers, last):
    """From x [b, 4] to `last`."""
    inputs, outputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 4])], [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    path = os.path.join(work, f"{name}{length}.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def chain(kind, length):
    """x [b, 4] through `length` operators."""
    nodes, value = [], "x"
    kinds = {"fused": ["Sigmoid"], "shared": ["Add", "Sigmoid", "Mul"], "transposed": ["Transpose", "Sigmoid", "Transpose"]}[kind]
    for i in range(length):
        op, before = kinds[i % len(kinds)], nodes[-1].input[0] if nodes else "x"
        inputs = {"Add": [value, "c"], "Mul": [value, before]}.get(op, [value])
        nodes.append(helper.make_node(op, inputs, [f"v{i}"], name=f"n{i}"))
        value = f"v{i}"
    return save(kind, length, nodes, [onnx.numpy_helper.from_array(np.float32([1.5, 2, 3, 4]), "c")], value)


def seconds(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([qopt, *command, "--quiet", "--threads=1"], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def negations(length):
    """Each node reads the one before it."""
    nodes = [helper.make_node("Neg", [f"v{i}" if i else "x"], [f"v{i + 1}"], name=f"/neg_{i}") for i in range(length)]
    return save("negations", length, nodes, [], f"v{length}")


def linears(length):
    """Each with a name and weights of its own."""
    kinds = ["self_attn/q_proj", "self_attn/o_proj", "mlp/up_proj", "mlp/down_proj"]
    nodes, data = [], []
    for i in range(length):
        name = f"/model/layers.{i // 4}/{kinds[i % 4]}/MatMul"
        data.append(onnx.numpy_helper.from_array(np.full((4, 4), i % 3, np.float32), name.replace("/", ".")[1:] + ".weight"))
        nodes.append(helper.make_node("MatMul", [f"v{i}" if i else "x", data[-1].name], [f"v{i + 1}"], name=name))
    return save("linears", length, nodes, data, f"v{length}")


def check_least(make, length, *options):
    models = make(length), make(2 * length)
    once = twice = float("inf")
    for _ in range(8):
        once, twice = min(once, seconds(models[0], *options)), min(twice, seconds(models[1], *options))
        if twice <= 2.5 * once:
            return print(f"{make.__name__}: {once:.2f} s, {twice:.2f} s for twice the input")
    sys.exit(f"long_inputs.py: {make.__name__}: {once:.2f} s for {length}, but {twice:.2f} s for twice as many")


def check(name, once, twice):
    print(f"{name}: {once:.2f} s, {twice:.2f} s for twice the input")
    if twice > 2.5 * max(once, FLOOR):
        sys.exit(f"long_inputs.py: {name}: expected at most 2.5 times as long")


os.makedirs(work, exist_ok=True)
module = ["--cpu=x86-64-v3", "-o", os.path.join(work, "o.qmod")]
for kind in ("fused", "shared", "transposed"):
    least = seconds(chain(kind, 3), *module)
    check(kind, *(seconds(chain(kind, length), *module) - least for length in (1500, 3000)))
check("raise", *(seconds(chain("shared", length), "--until=raise", "-o", os.path.join(work, "o.mlirbc")) for length in (20000, 40000)))
check_least(negations, 50_000, "--until=import", "-o", os.path.join(work, "o.mlir"))
check_least(linears, 5_000, "--list-layers", "--pass-pipeline=rtn-int4", "--override=*.layers.7*=skip", "--override=re:layers\\.[0-9]*9\\.=float")

# 16 GB of weights that nobody asks for are not read.
folder = os.path.join(work, "sparse")
make_llama.make(folder, (4096, 14336, 32, 32, 8, 128, 128256, 8192), "float16", seed=None)
assert os.path.getsize(os.path.join(folder, "model.onnx.data")) > 14e9
sys.path.pop(0)
process = subprocess.Popen([qopt, os.path.join(folder, "model.onnx"), "--list-layers", "--quiet"], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(f"16 GB: {usage.ru_utime + usage.ru_stime:.2f} s, {usage.ru_maxrss / 1024:.0f} MB")
if status or usage.ru_maxrss > 200 * 1024:
    sys.exit(f"long_inputs.py: expected layers listed in 200 MB but got status {status} and {usage.ru_maxrss / 1024:.0f} MB")
