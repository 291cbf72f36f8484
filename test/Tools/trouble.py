"""What tests of bad luck share: a small model, folders of their own, and how a command must end.

A script that imports it is called as SCRIPT QOPT QRUN QOPT-OPT QOPT-TRANSLATE STORIES FOLDER; STORIES is the folder
of a model with a tokenizer, for runs that wait for text.
"""
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

qopt, qrun, qopt_opt, qopt_translate, stories, folder = [os.path.abspath(argument) for argument in sys.argv[1:]]
failures = []
os.umask(0o022)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)  # what is ignored here would be ignored by the tools


def make_model(path):
    """y = x w with 256 KiB of weights."""
    weights = numpy_helper.from_array(np.ones((64, 1024), np.float32), "w")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", size]) for name, size in (("x", 64), ("y", 1024))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


make_model(os.path.join(folder, "small.onnx"))


def fresh(name, of_stories=False):
    """Empty folders for the files, the outputs and the temporaries of a case."""
    top = os.path.join(folder, name.replace(" ", "-"))
    shutil.rmtree(top, ignore_errors=True)
    for part in ("in", "out", "tmp"):
        os.makedirs(os.path.join(top, part))
    model = os.path.join(stories, "model.onnx") if of_stories else os.path.join(folder, "small.onnx")
    shutil.copyfile(model, os.path.join(top, "in", "m.onnx"))
    if of_stories:
        shutil.copyfile(os.path.join(stories, "tokenizer.json"), os.path.join(top, "in", "tokenizer.json"))
    return top


def start(top, command, **more):
    environment = {**os.environ, "TMPDIR": os.path.join(top, "tmp"), **more.pop("env", {})}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen(command, cwd=top, env=environment, **streams)


def listed(top, part):
    return sorted(os.listdir(os.path.join(top, part)))


def judge(name, top, process, codes, expected="", feed=b"", left=()):
    """A process must end with one of `codes`, and where that is not 0, with one line that has the text `expected`."""
    try:
        out, error = process.communicate(feed, timeout=100)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        failures.append(f"{name}: hangs")
        return
    # OpenBLAS, which is loaded before main(), speaks for itself where it gets no threads.
    lines = [line for line in error.decode(errors="replace").splitlines() if not line.startswith("OpenBLAS ")]
    wrong = []
    if process.returncode not in codes:
        wrong.append(f"exit {process.returncode}")
    if process.returncode != 0 and (len(lines) != 1 or ": error: " not in lines[0] or expected not in lines[0] or out):
        wrong.append("said " + " | ".join(lines)[:400])
    if listed(top, "tmp") or (process.returncode != 0 and listed(top, "out") != sorted(left)):
        wrong.append(f"left {listed(top, 'out')} {listed(top, 'tmp')}")
    if wrong:
        failures.append(f"{name}: " + "; ".join(wrong))


def wait_for_input(process):
    """Until it reads its standard input, or has ended."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with open(f"/proc/{process.pid}/syscall", encoding="ascii") as file:
            if file.read().split()[:2] == ["0", "0x0"]:
                break
        time.sleep(0.02)
    return process


def compile_command(*more, model="in/m.onnx", output="out/m.qmod"):
    return [qopt, model, "-o", output, "--quiet", "--cpu=x86-64-v3", *more]


def module_of(top):
    """Compiles the model of the case to in/m.qmod."""
    subprocess.run(compile_command(output="in/m.qmod"), cwd=top, check=True)
    return os.path.join(top, "in", "m.qmod")


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def finish():
    if failures:
        print("\n".join(failures))
    sys.exit(bool(failures))
