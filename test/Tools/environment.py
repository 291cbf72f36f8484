"""Bad luck of the environment: environment.py QOPT QRUN QOPT-OPT STORIES FOLDER

Signals, limits, full and read-only disks, closed streams, files that shrink or change while they are
read, two runs at once. Each must end as its case says: an exit code, one line with a text where it
is not 0, nothing left behind. Prints the cases that do not, and exits with 1 where there are any.
STORIES: the folder of a model with a tokenizer, for runs that wait for text.
"""
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

qopt, qrun, qopt_opt, stories, folder = [os.path.abspath(argument) for argument in sys.argv[1:]]
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
with open(os.path.join(stories, "calibration.txt"), "rb") as file:
    words = file.read(4000)


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
    environment = {**os.environ, "TMPDIR": os.path.join(top, "tmp")}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen(command, cwd=top, env=environment, **streams)


def listed(top, part):
    return sorted(os.listdir(os.path.join(top, part)))


def judge(name, top, process, codes, expected="", feed=b"", left=()):
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


def compile_command(*more):
    return [qopt, "in/m.onnx", "-o", "out/m.qmod", "--quiet", "--cpu=x86-64-v3", *more]


# Runs that have read their model and wait for text on standard input.


def waiting(top):
    process = start(top, compile_command("--pass-pipeline=int8-static", "--calibration=-", "--calibration-samples=1"))
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with open(f"/proc/{process.pid}/syscall", encoding="ascii") as file:
            if file.read().split()[:2] == ["0", "0x0"]:
                return process
        time.sleep(0.02)
    return process


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    top = fresh(number.name, of_stories=True)
    process = waiting(top)
    process.send_signal(number)
    judge(number.name, top, process, [128 + number], f"interrupted by {number.name}")

top = fresh("cut", of_stories=True)
process = waiting(top)
os.truncate(os.path.join(top, "in", "m.onnx"), 4096)
judge("cut", top, process, [1], "m.onnx: cannot be read any more", words)

top = fresh("changed", of_stories=True)
process = waiting(top)
with open(os.path.join(top, "in", "m.onnx"), "r+b") as file:
    first = file.read(1)
    file.seek(0)
    file.write(first)
judge("changed", top, process, [1], "m.onnx changed while it was read", words)

# Killed at any moment: the old output or the new one, and the next run removes what was left.

top = fresh("killed")
subprocess.run([qopt, "in/m.onnx", "-o", "out/m.qmod", "--quiet", "--cpu=x86-64-v4"], cwd=top, check=True)
with open(os.path.join(top, "out", "m.qmod"), "rb") as file:
    old = file.read()
begin = time.monotonic()
subprocess.run([qopt, "in/m.onnx", "-o", "tmp/new.qmod", "--quiet", "--cpu=x86-64-v3"], cwd=top, check=True)
duration = time.monotonic() - begin
with open(os.path.join(top, "tmp", "new.qmod"), "rb") as file:
    new = file.read()
os.remove(os.path.join(top, "tmp", "new.qmod"))
chance = random.Random(1)
for moment in range(8):
    process = start(top, compile_command())
    time.sleep(chance.random() * duration)
    process.kill()
    process.communicate()
    with open(os.path.join(top, "out", "m.qmod"), "rb") as file:
        if file.read() not in (old, new):
            failures.append("killed: the output is neither the old nor the new one")
# What a run leaves that is killed while it writes and while it links.
for name in ("out/.m.qmod.tmp-0123456789", "tmp/qopt.tmp-012345/host.o"):
    os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
    with open(os.path.join(top, name), "wb"):
        pass
judge("after killed", top, start(top, compile_command()), [0])
if listed(top, "out") != ["m.qmod"]:
    failures.append(f"after killed: left {listed(top, 'out')}")

# Limits.


def limited(name, kind, limit, codes, expected=""):
    top = fresh(name)
    # What a limit leaves of the dynamic loader is not ours to report.
    process = start(top, compile_command(), preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)))
    judge(name, top, process, codes, expected)


limited("file size", resource.RLIMIT_FSIZE, 65536, [1], "File too large")
limited("8 files", resource.RLIMIT_NOFILE, 8, [0, 1])
limited("12 files", resource.RLIMIT_NOFILE, 12, [0, 1])
for megabytes in (400, 500, 700):
    limited(f"{megabytes} MB", resource.RLIMIT_AS, megabytes << 20, [0, 1], "memory")


def as_nobody():
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    os.setgid(65534)
    os.setuid(65534)


if os.getuid() == 0:
    top = fresh("no threads")
    for part in ("in", "out", "tmp"):
        os.chown(os.path.join(top, part), 65534, 65534)
    if subprocess.run([qopt, "--version"], cwd=os.path.join(top, "out"), preexec_fn=as_nobody, capture_output=True, check=False).returncode == 0:
        judge("no threads", top, start(top, compile_command("--threads=4"), preexec_fn=as_nobody), [0, 1])
    else:
        print("not tried: another user cannot reach the tools")

# Standard streams that are closed, full or not read: a run needs none of them, help needs one.

for closed in (0, 1, 2):
    top = fresh(f"closed {closed}")
    process = start(top, compile_command(), preexec_fn=lambda: os.close(closed))  # pylint: disable=cell-var-from-loop
    judge(f"closed {closed}", top, process, [0])
top = fresh("help")
judge("help closed", top, start(top, [qopt, "--help"], preexec_fn=lambda: os.close(1)), [1], "standard output")
with open("/dev/full", "wb") as full:
    judge("help full", top, start(top, [qopt, "--help"], stdout=full), [1], "standard output: No space left")
    judge("IR full", top, start(top, [qopt_opt, os.devnull, "--show-dialects"], stdout=full), [1], "No space left")
judge("output full", top, start(top, [qopt, "in/m.onnx", "-o", "/dev/full", "--quiet"]), [1, 2])
reader, writer = os.pipe()
os.close(reader)
process = start(top, [qopt, "--help"], stdout=writer)
os.close(writer)
judge("pipe", top, process, [1], "standard output: Broken pipe")

# Outputs and temporaries on file systems of their own.


def may_mount():
    command = ["unshare", "-m", "bash", "-c", "mount -t tmpfs none tmp"]
    return shutil.which("unshare") and subprocess.run(command, cwd=fresh("mount"), capture_output=True, check=False).returncode == 0


if may_mount():
    lower = compile_command("--until=lower")
    disks = [
        ("full", "mount -t tmpfs -o size=64k none out", "No space left", compile_command()),
        ("full for IR", "mount -t tmpfs -o size=4k none out", "No space left", [*lower[:3], "out/m.mlirbc", *lower[4:]]),
        ("read-only", "mount -t tmpfs -o ro none out", "Read-only file system", compile_command()),
        ("full TMPDIR", "mount -t tmpfs -o size=4k none tmp; head -c 4096 /dev/zero >tmp/f", "no space left for temporary files", compile_command()),
        ("read-only TMPDIR", "mount -t tmpfs -o ro none tmp", "Read-only file system", compile_command()),
    ]
    for name, mount, expected, command in disks:
        top = fresh(name)
        script = f'{mount}; "$@"; code=$?; ls -A out tmp >listing; umount out tmp 2>/dev/null; exit $code'
        judge(name, top, start(top, ["unshare", "-m", "bash", "-c", script, "bash", *command]), [1], expected)
        with open(os.path.join(top, "listing"), encoding="utf-8") as file:
            if ".tmp-" in file.read():
                failures.append(f"{name}: left a temporary")
else:
    print("not tried: full and read-only file systems, for they cannot be mounted here")

# Two runs to one output: each gives all of it.

top = fresh("two")
both = [start(top, compile_command()) for _ in range(2)]
for process in both:
    judge("two", top, process, [0])
if listed(top, "out") != ["m.qmod"]:
    failures.append(f"two: left {listed(top, 'out')}")
judge("two", top, start(top, [qrun, "out/m.qmod", "--verify", "--quiet"]), [0])

# No output is an input, by any name.

os.link(os.path.join(top, "in", "m.onnx"), os.path.join(top, "out", "hard.qmod"))
os.symlink("m.qmod", os.path.join(top, "out", "link.mlir"))
for name, command in [
    ("hard link", [qopt, "in/m.onnx", "-o", "out/hard.qmod", "--quiet"]),
    ("report", compile_command("--report=out/../out/m.qmod")),
    ("json", [qrun, "out/m.qmod", "--info", "--json=out/link.mlir"]),
    ("extract", [qrun, "out/m.qmod", "--extract=weights", "-o", "out/link.mlir"]),
    ("qopt-opt", [qopt_opt, "out/m.qmod", "-o", "out/link.mlir"]),
]:
    judge(name, top, start(top, command), [1], "is to be written", left=["hard.qmod", "link.mlir", "m.qmod"])

if failures:
    print("\n".join(failures))
sys.exit(bool(failures))
