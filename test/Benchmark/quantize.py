#!/usr/bin/env python3
"""What quantizing costs beside llama.cpp: CPU seconds and memory.

  quantize.py BIN_DIR [--models 1b,110m] [--llama-cpp DIR] [--gptq 110m,layer] [--repeat N] [--work DIR] [--json FILE]

Each program reads the f16 file and writes a quantized one, in turns. CPU seconds are user and system time of the whole
process, all threads; memory is the largest anonymous one, without the pages of mapped files. GPTQ runs on 32 windows of
512 random tokens (16 for `layer`, one layer of the 1B shape), as gptq-int4 and with --compat=gptq. --sparse runs rtn-int4
on an 8B shape whose file is a hole of 16 GB, and writes 5 GB. Needs numpy and onnx; gguf for llama.cpp.
"""
import argparse, json, os, subprocess, sys, time

import numpy as np

import machine, make_llama, models

SCHEMES = {"rtn-int4": "Q4_0", "int8-dynamic": "Q8_0"}


def run(command):
    """CPU seconds, and the largest anonymous memory in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    anonymous = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        try:
            with open(f"/proc/{process.pid}/status") as file:
                anonymous = max([anonymous] + [int(line.split()[1]) for line in file if line.startswith("RssAnon:")])
        except OSError:
            pass
        time.sleep(0.01)
    if status:
        sys.exit(f"quantize.py: {' '.join(command)}: {process.stderr.read().decode().strip()[-1000:]}")
    return usage.ru_utime + usage.ru_stime, anonymous / 1024


def commands(arguments, name):
    """Label and command of each program on one model."""
    folder = models.make(name, arguments.work, with_gguf=bool(arguments.llama_cpp))
    for scheme, peer in SCHEMES.items():
        yield scheme, [os.path.join(arguments.bin, "qopt"), os.path.join(folder, "model.onnx"), f"--pass-pipeline={scheme}", "--quiet", "-o", os.path.join(folder, "q.qmod")]
        if arguments.llama_cpp:
            out = os.path.join(folder, f"{peer}.gguf")
            yield f"llama.cpp {peer}", [os.path.join(arguments.llama_cpp, "llama-quantize"), "--allow-requantize", os.path.join(folder, "model.gguf"), out, peer]


def gptq_commands(arguments, name):
    folder = models.make(name, arguments.work, with_gguf=False)
    tokens = os.path.join(folder, "tokens.npy")
    windows = 16 if name == "layer" else 32
    vocabulary, context = make_llama.PRESETS[name][-2:]
    np.save(tokens, np.random.default_rng(0).integers(0, vocabulary, (windows, min(512, context))))
    for label, options in (("gptq-int4", []), ("gptq-int4, compat", ["--compat=gptq"])):
        yield label, [os.path.join(arguments.bin, "qopt"), os.path.join(folder, "model.onnx"), "--pass-pipeline=gptq-int4", *options, f"--calibration={tokens}", "--quiet", "-o", os.path.join(folder, "q.qmod")]


def sparse_command(arguments):
    """An 8B shape: no byte of its weights is on the disk."""
    folder = os.path.join(arguments.work, "8b-sparse")
    make_llama.make(folder, (4096, 14336, 32, 32, 8, 128, 128256, 8192), "float16", seed=None)
    yield "rtn-int4", [os.path.join(arguments.bin, "qopt"), os.path.join(folder, "model.onnx"), "--pass-pipeline=rtn-int4", "--quiet", "-o", os.path.join(folder, "q.qmod")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--models", default="1b,110m")
    parser.add_argument("--llama-cpp", metavar="DIR")
    parser.add_argument("--gptq", default="110m,layer", help="models, or nothing")
    parser.add_argument("--sparse", action="store_true")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--work", default="/tmp/qopt-benchmark", help="where models are made and kept")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    work = [(name, list(commands(arguments, name))) for name in arguments.models.split(",") if name]
    work += [(name, list(gptq_commands(arguments, name))) for name in arguments.gptq.split(",") if name]
    if arguments.sparse:
        work.append(("8b-sparse", list(sparse_command(arguments))))
    print(machine.cpu())
    print(f"{'model':10} {'program':18} {'CPU s':>8} {'anonymous MB':>12}")
    rows = []
    for name, programs in work:
        figures = {}
        for _ in range(arguments.repeat):
            for label, command in programs:
                figures.setdefault(label, []).append(run(command))
        for label, runs in figures.items():
            seconds, memory = min(s for s, _ in runs), max(m for _, m in runs)
            rows.append({"model": name, "program": label, "cpu_seconds": seconds, "anonymous_mb": memory})
            print(f"{name:10} {label:18} {seconds:8.1f} {memory:12.0f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"cpu": machine.cpu(), "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
