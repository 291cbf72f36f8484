"""checkpoint.py QOPT DIR: runs of --checkpoint that are killed, and what they find when they go on.

Whatever happened, the result is that of a run without interruption, or there is one line that says why not."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

qopt, folder = sys.argv[1:]
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
os.chdir(folder)
GPTQ = "gptq-int4{group-size=16}"
SCHEMES = [GPTQ, "int8-static", "llm-int8{outliers=static}"]
LAYERS, TOKENS, FEATURES = 4, 40, 32


def make_model(path, seed):
    """Layers of one shape, so that there are many groups and little to compile: x + tanh(x W)."""
    choose = numpy.random.default_rng(seed)

    def weights(name, rows, columns):
        return numpy_helper.from_array(choose.standard_normal((rows, columns), numpy.float32) / 6, name)

    nodes = [helper.make_node("Gather", ["embedding", "input_ids"], ["x0"])]
    data = [weights("embedding", TOKENS, FEATURES)]
    for i in range(LAYERS):
        nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"y{i}"], name=f"/layers.{i}/linear/MatMul"))
        nodes.append(helper.make_node("Tanh", [f"y{i}"], [f"t{i}"]))
        nodes.append(helper.make_node("Add", [f"x{i}", f"t{i}"], [f"x{i + 1}"]))
        data.append(weights(f"w{i}", FEATURES, FEATURES))
    nodes.append(helper.make_node("MatMul", [f"x{LAYERS}", "head"], ["logits"], name="/lm_head/MatMul"))
    data.append(weights("head", FEATURES, TOKENS))
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "seq", TOKENS])
    graph = helper.make_graph(nodes, "g", [ids], [logits], data)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


make_model("model.onnx", 1)
make_model("other.onnx", 2)
for name, seed in [("ids.npy", 3), ("other.npy", 4)]:
    numpy.save(name, numpy.random.default_rng(seed).integers(0, TOKENS, (32, 64)))


def command(output, *more, scheme=GPTQ, checkpoint=None, model="model.onnx", ids="ids.npy"):
    """Without code for a module, unless it is to be written, which is most of the work."""
    until = [] if output.endswith(".qmod") else ["--until=quantize"]
    kept = ["--checkpoint=" + checkpoint] if checkpoint else []
    return [qopt, model, "--pass-pipeline=" + scheme, "--calibration=" + ids, "--calibration-length=64",
            "--cpu=x86-64-v3", "-o", output, *until, *kept, *more]  # fmt: skip


def run(arguments):
    return subprocess.run(arguments, capture_output=True, text=True)


def succeed(arguments):
    result = run(arguments)
    assert result.returncode == 0, result.stderr
    return result.stderr


def fail(checkpoint, *parts, **others):
    result = run(command("refused.mlirbc", "--quiet", checkpoint=checkpoint, **others))
    assert result.returncode == 1 and result.stderr.count("\n") == 1, result
    assert result.stderr.startswith("qopt: error: ") and all(part in result.stderr for part in parts), result.stderr
    assert not os.path.exists("refused.mlirbc")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def state(checkpoint):
    try:
        return json.loads(read(checkpoint + "/state").split(b"\n", 1)[1])
    except FileNotFoundError:
        return {"stages": [], "values": []}


def stages(checkpoint):
    return len(state(checkpoint)["stages"])


def needed(checkpoint):
    now = state(checkpoint)
    return set(now["stages"]) | {name for value in now["values"] for name in value["objects"] if name}


def interrupt(arguments, checkpoint, total, number=signal.SIGKILL):
    """Ends a run between its first group and its last. Where it was too fast it is tried again."""
    for _ in range(50):
        shutil.rmtree(checkpoint, ignore_errors=True)
        process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
        while process.poll() is None and stages(checkpoint) == 0:
            time.sleep(0.001)
        process.send_signal(number)
        process.wait()
        if 0 < stages(checkpoint) < total:
            return
    raise AssertionError("all runs ended before they were killed")


def figures(path):
    """What a report says but for what differs from run to run."""
    report = json.loads(read(path))
    for entry in [report["total"], *report["layers"]]:
        for key in [key for key in entry if "seconds" in key or "memory" in key]:
            del entry[key]
    return report


# The runs without interruption.
start = time.monotonic()
succeed(command("whole.mlirbc", checkpoint="first"))
duration = time.monotonic() - start
total = stages("first")
assert total == LAYERS
succeed(command("plain.mlirbc", "--threads=1"))
assert read("whole.mlirbc") == read("plain.mlirbc")

# 20 random moments; threads differ from run to run. No step back, nothing left that no state needs.
choose = random.Random(15)
kills = ends = 0
while kills < 20:
    before = stages("killed")
    process = subprocess.Popen(command("killed.mlirbc", f"--threads={1 + kills % 3}", "--quiet", checkpoint="killed"))
    try:
        process.wait(choose.uniform(0, duration))
    except subprocess.TimeoutExpired:
        process.kill()
        kills += 1
    if process.wait() == 0:
        assert read("killed.mlirbc") == read("whole.mlirbc")
        ends += 1
        shutil.rmtree("killed")
    else:
        assert process.returncode == -signal.SIGKILL and stages("killed") >= before
succeed(command("killed.mlirbc", checkpoint="killed"))
assert read("killed.mlirbc") == read("whole.mlirbc")
assert set(os.listdir("killed/objects")) == needed("killed")
assert set(os.listdir("killed")) == {"lock", "objects", "state"}

# What is finished is found again, the codes of all groups and no values, and makes the same module and report.
notes = succeed(command("again.qmod", "--report=again.json", checkpoint="first"))
assert f"qopt: note: calibration goes on: {total} of {total} groups are in the checkpoint\n" in notes, notes
assert not state("first")["values"]
succeed(command("whole.qmod", "--report=whole.json"))
assert read("again.qmod") == read("whole.qmod") and figures("again.json") == figures("whole.json")

# Every scheme that calibrates.
for scheme in SCHEMES[1:]:
    succeed(command("whole.mlirbc", scheme=scheme))
    arguments = command("scheme.mlirbc", "--threads=1", scheme=scheme, checkpoint="scheme")
    interrupt(arguments, "scheme", total)
    succeed(arguments)
    assert read("scheme.mlirbc") == read("whole.mlirbc"), scheme

# A signal that asks leaves it as one that kills does.
arguments = command("asked.mlirbc", "--quiet", checkpoint="asked")
interrupt(arguments, "asked", total, signal.SIGTERM)
succeed(arguments)
assert read("asked.mlirbc") == read("plain.mlirbc")

# A checkpoint of something else.
interrupt(command("refused.mlirbc", checkpoint="stopped"), "stopped", total)
way_out = "is not the same; repeat that run, remove the directory or give another"
fail("stopped", "the calibration data " + way_out, ids="other.npy")
fail("stopped", "the graph of the model or an option of the scheme " + way_out, scheme="gptq-int4{group-size=32}")
fail("stopped", "the weights of the model " + way_out, model="other.onnx")

# Each kind of file: cut, flipped, gone.
now = state("stopped")
objects = {"codes": now["stages"][-1], "value": now["values"][0]["objects"][0]}
for path in ["state", *("objects/" + name for name in objects.values())]:
    whole = read("stopped/" + path)
    flipped = bytearray(whole)
    flipped[len(whole) * 2 // 3] ^= 4
    for damage in [whole[:-1], bytes(flipped)]:
        write("stopped/" + path, damage)
        fail("stopped", path + " is damaged", "remove the directory")
    os.remove("stopped/" + path)
    if path != "state":  # without it nothing was finished
        fail("stopped", path, "No such file", "remove the directory")
    write("stopped/" + path, whole)

# A living process has it.
with open("stopped/lock", "r+") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    fail("stopped", "is in use by process ", "give --checkpoint another directory")
fail("ids.npy/none", "cannot make the directory")
fail("none/none", "cannot make the directory")
fail("model.onnx", "is to be written, but it is also read")

# After all that it still goes on.
succeed(command("killed.mlirbc", checkpoint="stopped"))
assert read("killed.mlirbc") == read("plain.mlirbc")
print(f"killed {kills} times, ended {ends} times before that")
