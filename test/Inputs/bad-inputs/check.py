"""Feeds every file of MANIFEST.tsv to a tool: check.py TOOL SCRATCH-FOLDER

Columns: the file, what is wrong with it, and a part of the message it must earn, or
"accepted". A rejected file must give exit code 1 and exactly one line on standard
error, "NAME: error: FILE...", nothing on standard output, no output file, in less
than ten seconds.
"""
import os
import shutil
import struct
import subprocess
import sys
import time

tool, scratch = sys.argv[1:]
name = os.path.basename(tool)
here = os.path.dirname(os.path.abspath(__file__))
shutil.rmtree(scratch, ignore_errors=True)
shutil.copytree(here, scratch)
external = os.path.join(scratch, "onnx", "ext")
with open(os.path.join(external, "w.bin"), "wb") as file:
    file.write(struct.pack("<8f", *range(1, 9)))
os.symlink("w.bin", os.path.join(external, "inner.bin"))
os.symlink("/etc", os.path.join(external, "linkdir"))

failures = 0
with open(os.path.join(here, "MANIFEST.tsv"), encoding="utf-8") as file:
    rows = [line.rstrip("\n").split("\t") for line in file][1:]
for path, wrong, expected in rows:
    source, output = os.path.join(scratch, path), os.path.join(scratch, "out.mlir")
    start = time.monotonic()
    run = subprocess.run([tool, source, "-o", output], capture_output=True, timeout=60)
    seconds = time.monotonic() - start
    lines = run.stderr.decode("utf-8", "strict").splitlines()
    if expected == "accepted":
        good = run.returncode == 0 and not any("error" in line for line in lines) and os.path.exists(output)
        if good:
            with open(output, encoding="utf-8") as file:
                file.read()  # valid UTF-8
    else:
        prefix = f"{name}: error: {source}:"
        good = run.returncode == 1 and len(lines) == 1 and lines[0].startswith(prefix) and expected in lines[0]
        good = good and not os.path.exists(output)
    if os.path.exists(output):
        os.remove(output)
    if not good or run.stdout or seconds > 10:
        failures += 1
        print(f"{path} ({wrong}): exit code {run.returncode} after {seconds:.1f} s, expected: {expected}")
        print(run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace"), sep="")
print(f"{len(rows)} files, {failures} failures")
sys.exit(failures != 0 or not rows)
