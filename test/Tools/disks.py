"""Outputs of every kind on disks that are full or read-only, by runs that are killed, by two runs at once, and over
inputs: the old file or the new one, and nothing left behind. trouble.py says how it is called.
"""
import os
import random
import shutil
import subprocess
import time

import trouble
from trouble import compile_command, failures, fresh, judge, listed, qopt, qopt_opt, qrun, read, start

IR = compile_command("--until=raise", output="out/m.mlirbc")
KINDS = {
    "m.qmod": compile_command(),
    "m.mlirbc": IR,
    "m.mlir": compile_command("--until=raise", output="out/m.mlir"),
    "m.onnx": [trouble.qopt_translate, "in/m.onnx", "-o", "out/m.onnx"],
    "n.onnx": [trouble.qopt_translate, "in/m.onnx", "--external-data", "-o", "out/n.onnx"],
}


def outputs(top):
    """The files of a run: a model's data beside it have a name of their own."""
    return {name: read(top, "out", name) for name in listed(top, "out")}


# Killed at any moment: the old output or the new one, and the next run removes what was left.

chance = random.Random(1)
moments = {"m.qmod": 8, "m.mlirbc": 3, "m.mlir": 3, "m.onnx": 3, "n.onnx": 3}
for kind, command in KINDS.items():
    top = fresh("killed " + kind)
    begin = time.monotonic()
    judge("new " + kind, top, start(top, command), [0])
    duration = time.monotonic() - begin
    new = outputs(top)
    # The old one is of another model, but for what has no part of it in its name.
    old = {name: bytes(reversed(data)) for name, data in new.items() if not name.endswith(".data")}
    for moment in range(moments[kind]):
        for name, data in old.items():
            with open(os.path.join(top, "out", name), "wb") as file:
                file.write(data)
        process = start(top, command)
        time.sleep(chance.random() * duration)
        process.kill()
        process.communicate()
        for name in old:
            if read(top, "out", name) not in (old[name], new[name]):
                failures.append(f"killed: {name} is neither the old nor the new one")
    # What a run leaves that is killed while it writes and while it links.
    main = sorted(old)[0]
    for name in (f"out/.{main}.tmp-0123456789", "tmp/qopt.tmp-012345/host.o"):
        os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
        with open(os.path.join(top, name), "wb"):
            pass
    if kind != "m.qmod":  # others link nothing
        shutil.rmtree(os.path.join(top, "tmp", "qopt.tmp-012345"))
    judge("after killed " + kind, top, start(top, command), [0])
    if outputs(top) != new:
        failures.append(f"after killed: {listed(top, 'out')} instead of {sorted(new)}")

# Disks.


def may_mount():
    command = ["unshare", "-m", "bash", "-c", "mount -t tmpfs none tmp"]
    return shutil.which("unshare") and subprocess.run(command, cwd=fresh("mount"), capture_output=True, check=False).returncode == 0


def on_disk(name, mount, expected, command):
    top = fresh(name)
    script = f'{mount}; "$@"; code=$?; ls -A out tmp >listing; umount out tmp 2>/dev/null; exit $code'
    judge(name, top, start(top, ["unshare", "-m", "bash", "-c", script, "bash", *command]), [1], expected)
    if ".tmp-" in read(top, "listing").decode():
        failures.append(f"{name}: left a temporary")


if may_mount():
    for kind, command in KINDS.items():
        size = max(len(data) for data in outputs(os.path.join(trouble.folder, "killed-" + kind)).values())
        # From the first byte on, in the middle, and one page too few.
        for pages in (1, size // 8192, (size - 1) // 4096):
            on_disk(f"{pages} pages for {kind}", f"mount -t tmpfs -o size={4096 * pages} none out", "No space left", command)
        on_disk("read-only for " + kind, "mount -t tmpfs -o ro none out", "Read-only file system", command)
    full = "mount -t tmpfs -o size=4k none tmp; head -c 4096 /dev/zero >tmp/f"
    on_disk("full TMPDIR", full, "no space left for temporary files", compile_command())
    on_disk("read-only TMPDIR", "mount -t tmpfs -o ro none tmp", "Read-only file system", compile_command())
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

# No output is an input, by any name; none takes the place of another where that is not wanted.

os.link(os.path.join(top, "in", "m.onnx"), os.path.join(top, "out", "hard.qmod"))
os.symlink("m.qmod", os.path.join(top, "out", "link.mlir"))
for name, command, expected in [
    ("hard link", [qopt, "in/m.onnx", "-o", "out/hard.qmod", "--quiet"], "is to be written"),
    ("report", compile_command("--report=out/../out/m.qmod"), "is to be written"),
    ("json", [qrun, "out/m.qmod", "--info", "--json=out/link.mlir"], "is to be written"),
    ("extract", [qrun, "out/m.qmod", "--extract=weights", "-o", "out/link.mlir"], "is to be written"),
    ("qopt-opt", [qopt_opt, "out/m.qmod", "-o", "out/link.mlir"], "is to be written"),
    ("no-clobber", compile_command("--no-clobber"), "m.qmod: is there already"),
    ("no-clobber report", compile_command("--no-clobber", "--report=out/m.qmod", output="out/n.qmod"), "m.qmod: is there already"),
]:
    judge(name, top, start(top, command), [1], expected, left=["hard.qmod", "link.mlir", "m.qmod"])

trouble.finish()
