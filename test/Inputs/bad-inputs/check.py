"""Feeds every malformed file to a tool: check.py TOOL SCRATCH-FOLDER

MANIFEST.tsv names models, tokenizer/MANIFEST.tsv tokenizers and calib/MANIFEST.tsv
calibration data (these two only qopt reads). First column: the file; the one before
the last: what is wrong with it; last: a part of the message it must earn, or
"accepted". A rejected file must give exit code 1 and exactly one line on standard
error, "NAME: error: FILE: ...", nothing on standard output, in less than ten seconds;
no output and no temporary may be left, and an output of before must stay as it was.
"""
import concurrent.futures
import functools
import os
import resource
import shutil
import struct
import subprocess
import sys

tool, scratch = sys.argv[1:]
name = os.path.basename(tool)
here = os.path.dirname(os.path.abspath(__file__))
model = os.path.join(os.path.dirname(here), "stories260K", "model.onnx")


def arguments(folder, path):
    """How the tool is given the file, without the output."""
    if folder == "tokenizer":
        return [model, "--until=import", "--tokenizer=" + path]
    if folder == "calib":
        return [model, "--pass-pipeline=int8-static", "--calibration=" + path]
    return [path]


def rows(folder):
    with open(os.path.join(here, folder, "MANIFEST.tsv"), encoding="utf-8") as file:
        table = [line.rstrip("\n").split("\t") for line in file]
    return [(folder, row[0], row[-2], row[-1]) for row in table if row[0] != "path"]


def run(command):
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_CPU, (10, 10))
    done = subprocess.run(command, capture_output=True, timeout=300, preexec_fn=limit)
    return done, done.stderr.decode("utf-8", "strict").splitlines()


def problem(row):
    """What the tool does wrong with one file, or None."""
    folder, file, wrong, expected = row
    path = os.path.join(scratch, folder, file)
    outputs = os.path.join(scratch, "out", folder, file)
    output = os.path.join(outputs, "out.mlir")
    os.makedirs(outputs)
    for old in [None, b"of before"]:
        if old:
            with open(output, "wb") as stream:
                stream.write(old)
        done, lines = run([tool, *arguments(folder, path), "-o", output])
        if expected == "accepted":
            good = done.returncode == 0 and not any("error" in line for line in lines)
            good = good and os.listdir(outputs) == ["out.mlir"]
            if good:
                with open(output, encoding="utf-8") as stream:
                    stream.read()  # valid UTF-8
        else:
            good = done.returncode == 1 and len(lines) == 1
            good = good and lines[0].startswith(f"{name}: error: {path}:") and expected in lines[0]
            good = good and os.listdir(outputs) == (["out.mlir"] if old else [])
            if old and good:
                with open(output, "rb") as stream:
                    good = stream.read() == old
        if not good or done.stdout:
            text = (done.stdout + done.stderr).decode(errors="replace")
            return (f"{folder}/{file} ({wrong}): exit code {done.returncode}, "
                    f"left {os.listdir(outputs)}, expected: {expected}\n{text}")
        if expected == "accepted":
            break
    return None


shutil.rmtree(scratch, ignore_errors=True)
shutil.copytree(here, scratch)
external = os.path.join(scratch, "onnx", "ext")
with open(os.path.join(external, "w.bin"), "wb") as file:
    file.write(struct.pack("<8f", *range(1, 9)))
os.symlink("w.bin", os.path.join(external, "inner.bin"))
os.symlink("/etc", os.path.join(external, "linkdir"))

todo = rows("")
if name == "qopt":
    todo += rows("tokenizer") + rows("calib")
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    problems = [text for text in pool.map(problem, todo) if text]
print(*problems, f"{len(todo)} files, {len(problems)} failures", sep="\n")
sys.exit(bool(problems) or len(todo) < 60)
