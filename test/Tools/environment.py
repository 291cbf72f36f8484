"""Bad luck of the environment: signals, limits, closed streams, files that shrink or change while they are read.

Each must end as its case says: an exit code, one line with a text where it is not 0, nothing left behind. Prints the
cases that do not, and exits with 1 where there are any. trouble.py says how it is called.
"""
import os
import resource
import signal
import subprocess

import numpy as np

import trouble
from trouble import compile_command, failures, fresh, judge, module_of, qopt, qopt_opt, qrun, read, start, wait_for_input

words = read(trouble.stories, "calibration.txt")[:4000]

# Runs that have mapped their model or module and wait for text on standard input.


def waiting(top):
    return wait_for_input(start(top, compile_command("--pass-pipeline=int8-static", "--calibration=-", "--calibration-samples=1")))


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

top = fresh("module", of_stories=True)
module = module_of(top)
measuring = [qrun, "in/m.qmod", "--perplexity=-", "--window=16", "--device=cpu", "--json=out/x.json", "--quiet"]
process = wait_for_input(start(top, measuring))
process.send_signal(signal.SIGTERM)
judge("module and SIGTERM", top, process, [143], "interrupted by SIGTERM")
process = wait_for_input(start(top, measuring))
os.truncate(module, os.path.getsize(module) // 2)
judge("module cut", top, process, [1], "m.qmod", words)
judge("module that is cut", top, start(top, [qrun, "in/m.qmod", "--info"]), [1], "m.qmod")

# Limits.


def limited(name, kind, limit, codes, expected="", command=None):
    top = fresh(name)
    if command:
        module_of(top)
        np.save(os.path.join(top, "in", "x.npy"), np.ones((64, 64), np.float32))
    # What a limit leaves of the dynamic loader is not ours to report.
    process = start(top, command or compile_command(), preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)))
    judge(name, top, process, codes, expected)


run = [qrun, "in/m.qmod", "--input=x=in/x.npy", "--output=out", "--device=cpu", "--quiet"]
limited("file size", resource.RLIMIT_FSIZE, 65536, [1], "File too large")
limited("file size of arrays", resource.RLIMIT_FSIZE, 65536, [1], "File too large", run)
for files in (8, 12):
    limited(f"{files} files", resource.RLIMIT_NOFILE, files, [0, 1])
for files in (4, 6, 8):
    limited(f"{files} files for a module", resource.RLIMIT_NOFILE, files, [0, 1], "", run)
for megabytes in (400, 500, 700):
    limited(f"{megabytes} MB", resource.RLIMIT_AS, megabytes << 20, [0, 1], "memory")
for megabytes in (50, 80, 120):
    limited(f"{megabytes} MB for a module", resource.RLIMIT_AS, megabytes << 20, [0, 1], "", run)


def as_nobody(processes=0):
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    os.setgid(65534)
    os.setuid(65534)


if os.getuid() == 0:
    top = fresh("no threads")
    module_of(top)
    np.save(os.path.join(top, "in", "x.npy"), np.ones((64, 64), np.float32))
    for part in ("in", "out", "tmp"):
        os.chown(os.path.join(top, part), 65534, 65534)
    reaches = [qopt, "--version"]
    if subprocess.run(reaches, cwd=os.path.join(top, "out"), preexec_fn=as_nobody, capture_output=True, check=False).returncode == 0:
        judge("no threads to run", top, start(top, [*run, "--threads=4"], preexec_fn=as_nobody), [0, 1], left=["y.npy"])
        judge("no threads", top, start(top, compile_command("--threads=4"), preexec_fn=as_nobody), [0, 1])
        os.chmod(os.path.join(top, "out"), 0o555)
        judge("read-only directory", top, start(top, compile_command(output="out/new.qmod"), preexec_fn=lambda: as_nobody(1000)),
              [1], "Permission denied", left=["m.qmod", "y.npy"])  # fmt: skip
        os.chmod(os.path.join(top, "out"), 0o755)
    else:
        print("not tried: another user cannot reach the tools")

# Standard streams that are closed, full or not read: a run needs none of them, help needs one.

for closed in (0, 1, 2):
    top = fresh(f"closed {closed}")
    close = lambda: os.close(closed)  # pylint: disable=cell-var-from-loop,unnecessary-lambda-assignment
    judge(f"closed {closed}", top, start(top, compile_command(), preexec_fn=close), [0])
    command = [qrun, "out/m.qmod", "--verify", "--quiet"]  # its result is a line of text
    judge(f"closed {closed} for a module", top, start(top, command, preexec_fn=close), [int(closed == 1)], "standard output", left=["m.qmod"])
top = fresh("help")
judge("help closed", top, start(top, [qopt, "--help"], preexec_fn=lambda: os.close(1)), [1], "standard output")
with open("/dev/full", "wb") as full:
    judge("help full", top, start(top, [qopt, "--help"], stdout=full), [1], "standard output: No space left")
    judge("IR full", top, start(top, [qopt_opt, os.devnull, "--show-dialects"], stdout=full), [1], "No space left")
judge("output full", top, start(top, [qopt, "in/m.onnx", "-o", "/dev/full", "--quiet"]), [1, 2])
for command in ([qopt, "--help"], [trouble.qopt_translate, "in/m.onnx"]):
    reader, writer = os.pipe()
    os.close(reader)
    process = start(top, command, stdout=writer)
    os.close(writer)
    judge("pipe", top, process, [1], "standard output: Broken pipe")

# Where the process is and what its files are called; each error is one line.

top = fresh("names")
for name in ("a b", "ü", "new\nline", "-dash", "%s", "x" * 200):
    os.link(os.path.join(top, "in", "m.onnx"), os.path.join(top, "in", name + ".onnx"))
    judge(f"name {name!r}", top, start(top, compile_command("--until=raise", model=f"./in/{name}.onnx", output=f"./out/{name}.mlirbc")), [0])
    os.remove(os.path.join(top, "out", name + ".mlirbc"))
    judge(f"no {name!r}", top, start(top, compile_command(model=f"./none/{name}.onnx")), [1], "No such file")
for name, expected in [("no/such/m.qmod", "No such file"), ("in", "expected .qmod"), ("out/" + "d/" * 2100 + "m.qmod", "too long")]:
    judge(name[:20], top, start(top, compile_command(output=name)), [1, 2], expected)
os.mkdir(os.path.join(top, "tmp", "d.qmod"))
process = start(top, compile_command(output="tmp/d.qmod"))
process.wait(100)
os.rmdir(os.path.join(top, "tmp", "d.qmod"))
judge("a directory", top, process, [1], "d.qmod: is a directory")
os.mkdir(os.path.join(top, "tmp", "gone"))
absolute = compile_command("--until=raise", model=os.path.join(top, "in", "m.onnx"), output=os.path.join(top, "out", "m.mlirbc"))
script = 'cd tmp/gone && rmdir ../gone && unset HOME && exec "$@"'
judge("no working directory", top, start(top, ["bash", "-c", script, "bash", *absolute]), [0])

# The same bytes for any number of threads, on one core, whatever other libraries are told.

top = fresh("threads")
results = set()
for how in ([], ["taskset", "-c", str(min(os.sched_getaffinity(0)))]):
    for threads in ("1", "3", "1000"):
        process = start(top, [*how, *compile_command("--pass-pipeline=rtn-int4", "--threads=" + threads)], env={"OMP_NUM_THREADS": "5", "TZ": "Nowhere/None"})
        judge(f"{threads} threads", top, process, [0])
        results.add(read(top, "out", "m.qmod"))
if len(results) != 1:
    failures.append(f"threads: {len(results)} different modules")
judge("0 threads", fresh("0 threads"), start(top, compile_command("--threads=0")), [2], "--threads=0: expected an integer from 1")

trouble.finish()
