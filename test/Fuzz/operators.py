"""Compiles and runs random operators, and compares with numpy: operators.py QOPT QRUN FOLDER [--seed=N]
[--seconds=S | --rounds=N] [--only=OP]

Each round makes a model of 24 independent operators, with dimensions and operands that are known or
not, and runs it; a round that fails is tried again in halves, to the single operator. Then one
operator is spoilt, which must be refused in one line or run. Prints the failures, keeps their models
in FOLDER, and exits with 1 where there are any.
"""
import argparse
import copy
import os
import random
import shutil
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from case import array, shape
import operator_cases
from operator_cases import TYPES


# What is refused by design, where only the run time knows it: sizes that broadcast because one of them
# happens to be 1, and operands that decide about loops.
REFUSED = ("should be equal", "requires constant", "known length", "known last dimension", "of constant length",
           "known numbers of heads", "heads of known size")


class Failure(Exception):
    pass


def build(cases, seed, path):
    """The model of `cases`, and the arrays of its inputs. `seed` decides what is known of them."""
    nodes, inputs, outputs, initializers, arrays = [], [], [], [], {}
    for number, case in cases:
        names, unknown, chance = [], 0.4 if seed % 2 else 0, random.Random(seed * 1000 + number)  # the same whatever the others are
        for i, value in enumerate(case.inputs):
            name = f"c{number}_{i}" if value is not None else ""
            names.append(name)
            if value is None:
                continue
            if i in case.constants or chance.random() < 0.25:
                initializers.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
                continue
            dims = [f"{name}_d{axis}" if chance.random() < unknown else size for axis, size in enumerate(value.shape)]
            inputs.append(helper.make_tensor_value_info(name, TYPES[value.dtype], dims))
            arrays[name] = value
        results = [f"y{number}_{i}" for i in range(len(case.outputs))]
        for name, value in zip(results, case.outputs):
            outputs.append(helper.make_tensor_value_info(name, TYPES[value.dtype], None))
        attributes = {key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value for key, value in case.attributes.items()}
        nodes.append(helper.make_node(case.op, names, results, name=f"c{number}", **attributes))
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
    model.ir_version = 10
    onnx.save(model, path)
    return arrays


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
    lines = done.stderr.splitlines()
    if done.returncode not in (0, 1) or (done.returncode == 1 and (len(lines) != 1 or ": error: " not in lines[0])):
        raise Failure(f"exit {done.returncode}: " + " | ".join(lines)[:300])
    return done.returncode, lines[0] if lines else ""


def compare(cases, folder):
    for number, case in cases:
        for i, right in enumerate(case.outputs):
            got = np.load(os.path.join(folder, f"y{number}_{i}.npy"))
            if got.dtype != right.dtype or got.shape != right.shape:
                raise Failure(f"{got.dtype}{got.shape} instead of {right.dtype}{right.shape}")
            if right.dtype.kind != "f":
                good = np.array_equal(got, right)
            else:
                tolerance = 4e-3 if right.dtype == np.float16 else 2e-5
                good = np.allclose(got.astype(np.float64), right.astype(np.float64), tolerance, tolerance, equal_nan=True)
            if not good:
                raise Failure(f"{got.ravel()[:8]} instead of {right.ravel()[:8]}")


def attempt(tools, cases, seed, folder):
    """Raises Failure where the model of `cases` does not give what is right."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model, module = os.path.join(folder, "m.onnx"), os.path.join(folder, "m.qmod")
    arrays = build(cases, seed, model)
    code, line = run([tools.qopt, model, "-o", module, "--quiet", "--cpu=x86-64-v3", "--threads=1"])
    if code:
        raise Failure(line.split(": error: ", 1)[1])
    command = [tools.qrun, module, "--quiet", "--device=cpu", "--threads=1", "--output=" + os.path.join(folder, "out")]
    for name, value in arrays.items():
        path = os.path.join(folder, name + ".npy")
        np.save(path, value)
        command.append(f"--input={name}={path}")
    if not arrays:
        return
    code, line = run(command)
    if code:
        raise Failure("qrun: " + line.split(": error: ", 1)[1])
    compare(cases, os.path.join(folder, "out"))


def search(tools, cases, seed, folder):
    """The single cases that fail, with why. What fails only together is one too."""
    try:
        attempt(tools, cases, seed, folder)
        return []
    except Failure as failure:
        reason = failure
    if len(cases) == 1:
        return [] if any(text in str(reason) for text in REFUSED) else [(cases[0], reason)]
    half = len(cases) // 2
    found = search(tools, cases[:half], seed, folder) + search(tools, cases[half:], seed, folder)
    alone = not found and not any(text in str(reason) for text in REFUSED)
    return [(cases[0], Failure(f"{reason} (only with others)"))] if alone else found


def spoil(case, chance):
    """The case with one thing that is probably wrong."""
    case = copy.copy(case)
    case.inputs, case.attributes = list(case.inputs), dict(case.attributes)
    numbers = [key for key, value in case.attributes.items() if isinstance(value, int)]
    present = [i for i, value in enumerate(case.inputs) if value is not None]
    kind = chance.random()
    if numbers and kind < 0.4:
        case.attributes[chance.choice(numbers)] = chance.choice([-9, 9, 1 << 40, -(1 << 63)])
    elif kind < 0.6:
        case.inputs[chance.choice(present)] = array(chance, shape(chance), chance.choice(list(TYPES)).type, 0, 9)
    elif kind < 0.8:
        at = chance.choice(present)
        case.inputs[at] = case.inputs[at].astype(chance.choice(list(TYPES)))
    elif kind < 0.9:
        case.inputs.pop(chance.choice(present))
    else:
        at = chance.choice(present)
        case.inputs[at] = np.full_like(case.inputs[at], chance.choice([-1, 0, 1, 100]))
    case.constants = set(range(9)) if chance.random() < 0.3 else case.constants
    return case


def survives(tools, case, seed, folder):
    """Raises Failure where a spoilt case ends in another way than one line or a result."""
    try:
        attempt(tools, [(0, case)], seed, folder)
    except Failure as failure:
        if str(failure).startswith("exit "):
            raise


def main():
    parser = argparse.ArgumentParser()
    for name in ("qopt", "qrun", "folder"):
        parser.add_argument(name)
    for name, default in (("seed", 1), ("seconds", 15.0), ("rounds", 0)):
        parser.add_argument("--" + name, type=type(default), default=default)
    parser.add_argument("--only")
    tools = parser.parse_args()
    chance, start, failures, count, rounds = random.Random(tools.seed), time.monotonic(), 0, 0, 0
    while rounds < tools.rounds if tools.rounds else time.monotonic() - start < tools.seconds:
        made = [chance.choice(operator_cases.GENERATORS)(chance) for _ in range(24)]
        cases = [(i, case) for i, case in enumerate(made) if tools.only in (None, case.op)]
        rounds, count, seed = rounds + 1, count + len(cases) + 1, chance.randrange(1 << 30)
        work = os.path.join(tools.folder, "work")
        found = search(tools, cases, seed, work) if cases else []
        spoilt = spoil(chance.choice(made), chance)
        try:
            survives(tools, spoilt, seed, os.path.join(tools.folder, "spoilt"))
        except Failure as failure:
            found.append(((0, spoilt), failure))
        for (number, case), failure in found:
            failures += 1
            kept = os.path.join(tools.folder, f"{case.op}-{tools.seed}-{failures}")
            try:
                attempt(tools, [(number, case)], seed, kept)
            except Failure:
                pass
            operands = ", ".join("-" if value is None else f"{value.dtype}{list(value.shape)}" for value in case.inputs)
            print(f"{case.op}({operands}) {case.attributes}: {failure} [{kept}]", flush=True)
    print(f"{count} operators, {failures} failures")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
