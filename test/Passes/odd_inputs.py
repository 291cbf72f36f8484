"""Runs every pass and pipeline of ours alone on odd IR: odd_inputs.py QOPT-OPT FILE [PASS...]

A pass may refuse what it is given, but with a message of its own: exit code 1, and for each
part of the file (`// -----`) that fails an error that says more than that something failed.
A signal, an assertion or a dump of the stack is a fault of the pass, and so is IR that is
wrong afterwards. The passes are those that `QOPT-OPT --help` lists, so that a new one is
tried without anybody naming it here.
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

SEPARATOR = "\n// -----\n"
# What MLIR says when a pass gives no reason, or does not run at all.
NO_REASON = re.compile(r"error: (Failures have been detected|failed to run|Pass .* failed|unable to schedule|$)")
CRASH = re.compile(r"PLEASE submit a bug report|Stack dump|Assertion|UNREACHABLE|runtime error:|AddressSanitizer")


def listed(tool):
    """Our passes and all pipelines, by name and whether it is one pass. The names of MLIR's own passes say neither qopt
    nor onnx."""
    text = subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
    section, names = "", []
    for line in text.splitlines():
        heading = re.match(r"    (\S[^-]*):$", line)
        name = re.match(r"      --([\w-]+)\s", line)
        if heading:
            section = heading.group(1)
        elif name and section == "Pass Pipelines":
            names.append((name.group(1), False))
        elif name and section == "Passes" and re.search("qopt|onnx", name.group(1)):
            names.append((name.group(1), True))
        elif re.match(r"\S", line) or re.match(r"  \S", line) and not line.startswith("  --"):
            section = ""
    return names


def run(tool, name, text, *options):
    """Exit code and standard error of one pass on a file with that text."""
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        file.write(text)
        file.flush()
        command = [tool, file.name, "--allow-unregistered-dialect", "--split-input-file", "--" + name, "-o", os.devnull]
        command += options
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stderr.replace(file.name, "odd.mlir")


def faults_of(tool, name, is_pass, parts):
    code, errors = run(tool, name, SEPARATOR.join(parts))
    if code == 0:
        return []
    faults = []
    for number, part in enumerate(parts, 1):
        code, errors = run(tool, name, part)
        title = part.strip().splitlines()[0] if part.strip() else ""
        reasons = [line for line in errors.splitlines() if "error: " in line]
        if code not in (0, 1) or CRASH.search(errors):
            faults.append(f"--{name} on part {number} ({title}): exit code {code}\n{errors[:3000]}")
        elif code == 1 and (not reasons or NO_REASON.search(reasons[0])):
            faults.append(f"--{name} on part {number} ({title}): fails without a reason\n{errors[:3000]}")
        elif code == 1 and is_pass and run(tool, name, part, "--verify-each=0")[0] == 0:
            # The pass saw nothing wrong; the verifier did, in what it left.
            faults.append(f"--{name} on part {number} ({title}): leaves wrong IR\n{errors[:3000]}")
    return faults


def main():
    tool, path = sys.argv[1:3]
    names = [(name, is_pass) for name, is_pass in listed(tool) if name in sys.argv[3:] or not sys.argv[3:]]
    with open(path, encoding="utf-8") as file:
        parts = file.read().split(SEPARATOR)
    if not names:
        sys.exit("no passes were found in the output of --help")
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        faults = sum(pool.map(lambda name: faults_of(tool, *name, parts), names), [])
    print("\n".join(faults))
    print(f"{len(names)} passes and pipelines, {len(parts)} parts, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
