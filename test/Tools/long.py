"""Long graphs and many names, twice as many of which take twice as long: long.py QOPT FOLDER

Compares processor time, the least of some runs, so that other processes do not decide. Prints what takes longer, and
exits with 1 where something does.
"""
import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

qopt, folder = [os.path.abspath(argument) for argument in sys.argv[1:]]
failures = []


def save(path, nodes, initializers, last):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def chain(path, count):
    """Each node reads the one before it."""
    save(path, [helper.make_node("Neg", [f"v{i}" if i else "x"], [f"v{i + 1}"], name=f"/neg_{i}") for i in range(count)], [], f"v{count}")


def layers(path, count):
    """As many linears, each with a name and weights of its own."""
    kinds = ["self_attn/q_proj", "self_attn/o_proj", "mlp/up_proj", "mlp/down_proj"]
    nodes, data = [], []
    for i in range(count):
        name = f"/model/layers.{i // 4}/{kinds[i % 4]}/MatMul"
        data.append(numpy_helper.from_array(np.full((4, 4), i % 3, np.float32), name.replace("/", ".")[1:] + ".weight"))
        nodes.append(helper.make_node("MatMul", [f"v{i}" if i else "x", data[-1].name], [f"v{i + 1}"], name=name))
    save(path, nodes, data, f"v{count}")


def seconds(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read()
    error = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        failures.append(f"{command[1:]}: {error[:300]}")
    return usage.ru_utime + usage.ru_stime


def expect_linear(name, make, count, options):
    commands = []
    for n in (count, 2 * count):
        model = os.path.join(folder, f"{name}-{n}.onnx")
        make(model, n)
        commands.append([qopt, model, "--quiet", "--threads=1", *options])
    single = twice = float("inf")
    for _ in range(8):
        single, twice = min(single, seconds(commands[0])), min(twice, seconds(commands[1]))
        if twice <= 2.5 * single:
            break
    if twice > 2.5 * single:
        failures.append(f"{name}: {single:.2f} s for {count}, but {twice:.2f} s for twice as many")


output = os.path.join(folder, "out.mlir")
expect_linear("chain", chain, 50_000, ["--until=import", "-o", output])
expect_linear("layers", layers, 5_000, ["--list-layers", "--pass-pipeline=rtn-int4", "--override=*.layers.7*=skip", "--override=re:layers\\.[0-9]*9\\.=float"])
print("\n".join(failures))
sys.exit(bool(failures))
