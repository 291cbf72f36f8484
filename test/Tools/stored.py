"""Compiles and runs cases of test/Inputs/stored-cases; exits 1 with what differs.

stored.py QOPT QRUN CASES DIRECTORY [NAME ...]    all where no name is given
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

qopt, qrun, cases, directory = sys.argv[1:5]
names = sys.argv[5:] or sorted(path.stem for path in Path(cases).glob("*.onnx"))
directory = Path(directory)
directory.mkdir(parents=True, exist_ok=True)


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def check(name):
    """What is wrong; None where nothing is."""
    model = Path(cases, name + ".onnx")
    stored = {t.name: t for t in onnx.load(model).graph.initializer}
    x, want = (numpy_helper.to_array(stored[key]) for key in ("in/x", "out/y"))
    np.save(directory / "x.npy", x)
    module = directory / (name + ".qmod")
    done = run(qopt, model, "-o", module, "--quiet", "--cpu=x86-64-v3")
    if done.returncode == 0:
        done = run(qrun, module, f"--input=x={directory}/x.npy", f"--output={directory}", "--quiet")
    if done.returncode:
        return done.stderr.strip()
    got = np.load(directory / "y.npy")
    if got.shape != want.shape:
        return f"expected the shape {want.shape} but got {got.shape}"
    error = np.abs(got - want).max() / np.abs(want).max()
    if not error < 1e-5:
        return f"expected an error below 1e-5 but got {error}"
    listed = [line.split()[3:5] for line in run(qopt, model, "--list-layers").stdout.splitlines()[1:]]
    wanted = [line.split() for line in stored["layers"].raw_data.decode().splitlines()]
    return None if listed == wanted else f"expected the layers {wanted} but got {listed}"


problems = {name: check(name) for name in names}
for name, problem in problems.items():
    if problem:
        print(f"{name}: {problem}")
print(f"{sum(p is None for p in problems.values())} of {len(problems)} cases agree")
sys.exit(any(problems.values()))
