"""Counts ONNX's own node cases: node_cases.py FOLDER [--bin DIR] [--only REGEX] [--update FILE.md]

Each folder in FOLDER is one case of ONNX's backend tests: model.onnx and test_data_set_0 with its inputs and outputs. It is
compiled by qopt and run by qrun; the result must be within ONNX's own tolerances. A case passes, or is refused by one line and
exit status 1; anything else is a fault, which is listed and ends this with exit status 1. The counts by operator are printed, or
written to the last section of a document. Needs the packages numpy and onnx.
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
import textwrap

import numpy as np
import onnx
from onnx import numpy_helper

MARK = "<!-- made by test/node_cases.py -->\n"  # in a document, before the counts


def run(command, folder):
    """Exit status, standard output, and standard error of a program that has a minute."""
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=60)
    except subprocess.TimeoutExpired:
        return -1, "", "took more than a minute"
    return result.returncode, result.stdout, result.stderr


def is_refusal(status, stderr):
    errors = [line for line in stderr.splitlines() if not re.match(r"q(opt|run): (warning|note|remark): ", line)]
    return status == 1 and len(errors) == 1 and re.match(r"q(opt|run): error: ", errors[0])


def is_close(want, got):
    if want.shape != got.shape or want.dtype != got.dtype:
        return False
    if want.dtype.kind in "fc":
        return np.allclose(got.astype(np.float64), want.astype(np.float64), rtol=1e-3, atol=1e-7, equal_nan=True)
    return np.array_equal(want, got)


def read_pb(path):
    tensor = onnx.TensorProto()
    with open(path, "rb") as file:
        tensor.ParseFromString(file.read())
    return numpy_helper.to_array(tensor)


def judge(case, tools):
    """("passed" | "refused" | "fault", why)."""
    model = onnx.load(os.path.join(case, "model.onnx"), load_external_data=False)
    stored = {value.name for value in model.graph.initializer}
    inputs = [value.name for value in model.graph.input if value.name not in stored]
    data = os.path.join(case, "test_data_set_0")
    with tempfile.TemporaryDirectory() as folder:
        status, _, stderr = run([os.path.join(tools, "qopt"), os.path.join(case, "model.onnx"), "-o", "m.qmod", "--quiet",
                                 "--threads=1", "--cpu=x86-64-v3"], folder)
        if status != 0:
            return ("refused" if is_refusal(status, stderr) else "fault"), f"qopt, {status}: {stderr.strip()[:300]}"
        given = []
        for i, name in enumerate(inputs):
            given += ["--input", f"{name}={os.path.join(data, f'input_{i}.pb')}"]
        if not given:  # qrun runs a model for its inputs
            return "refused", "has no inputs"
        status, stdout, stderr = run([os.path.join(tools, "qrun"), "m.qmod", "--output=out", "--quiet", "--threads=1",
                                      *given], folder)
        if status != 0:
            return ("refused" if is_refusal(status, stderr) else "fault"), f"qrun, {status}: {stderr.strip()[:300]}"
        files = re.findall(r" -> (\S+\.npy)$", stdout, re.MULTILINE)
        for i, file in enumerate(files):
            want = os.path.join(data, f"output_{i}.pb")
            if os.path.exists(want) and not is_close(read_pb(want), np.load(os.path.join(folder, file))):
                return "fault", f"output {i} differs"
        return ("passed", "") if files else ("fault", "no output")


def describe(counts):
    total = sum(counts.values(), collections.Counter())
    text = (f"Of {sum(total.values())} cases {total['passed']} pass, {total['refused']} are refused and {total['fault']} do neither. "
            "All cases pass of " + ", ".join(op for op in sorted(counts) if set(counts[op]) == {"passed"}) + ".")
    lines = [*textwrap.wrap(text, 150), "", "| operator | cases | pass | refused | neither |", "| --- | --- | --- | --- | --- |"]
    for op in sorted(counts):
        row = counts[op]
        if set(row) != {"passed"}:
            lines.append(f"| {op} | {sum(row.values())} | {row['passed']} | {row['refused']} | {row['fault']} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--only", default="")
    parser.add_argument("--update", metavar="FILE.md", help="a document whose end, behind the line that says so, they become")
    options = parser.parse_args()
    counts, faults = collections.defaultdict(collections.Counter), []
    for name in sorted(os.listdir(options.folder)):
        case = os.path.abspath(os.path.join(options.folder, name))
        if not os.path.exists(os.path.join(case, "model.onnx")) or not re.search(options.only, name):
            continue
        nodes = onnx.load(os.path.join(case, "model.onnx"), load_external_data=False).graph.node
        verdict, why = judge(case, os.path.abspath(options.bin))
        counts[nodes[0].op_type if nodes else "none"][verdict] += 1
        if verdict != "passed":
            print(f"{verdict}: {name}: {why}", file=sys.stderr, flush=True)
        if verdict == "fault":
            faults.append(name)
    if options.update:
        with open(options.update, encoding="utf-8") as file:
            kept, mark, _ = file.read().rpartition(MARK)
        if not mark:
            sys.exit(f"{options.update}: no line {MARK.strip()}")
        with open(options.update, "w", encoding="utf-8") as file:
            file.write(kept + MARK + describe(counts))
    else:
        print(describe(counts), end="")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
