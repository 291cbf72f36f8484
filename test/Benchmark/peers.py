#!/usr/bin/env python3
"""Speed beside llama.cpp and ONNX Runtime on this machine's CPU.

  peers.py BIN_DIR [--models 1b,110m,smollm2] [--llama-cpp DIR] [--onnxruntime] [--threads 1,2] [--cpu LEVEL]
           [--repeat N] [--work DIR] [--json FILE]

Makes the models (models.py), and runs all programs in turns, so that a machine whose speed drifts treats them alike: a
prompt of 512 tokens, and generation. Prints tokens per second (the medians), their ratio to the peer with the same bits,
and the part of the memory's rate that reading the module's weights for each token is. DIR has llama-bench and
llama-quantize; --cpu takes one level of x86-64 (llama.cpp must then have been built for the same). --onnxruntime adds the
float model, whose head ONNX Runtime computes for all tokens of the prompt: its figure is what it does times the part of
the work that qopt does. Needs numpy and onnx; gguf for llama.cpp.
"""
import argparse, json, os, statistics, subprocess, sys

import machine, models

PROMPT, GENERATED = 512, 32  # as qrun --bench
SCHEMES = {"int4": "rtn-int4", "int8": "int8-dynamic", "float": "float"}
PEERS = {"int4": "Q4_0", "int8": "Q8_0"}
ONNXRUNTIME = """
import json, statistics, sys, time
import numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[2]), 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
ids = (np.arange(512, dtype=np.int64) * 7 % 500)[None]
feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": np.arange(512)[None]}
feeds = {i.name: feeds[i.name] for i in session.get_inputs()}
times = []
for _ in range(4):
    begin = time.time()
    session.run(None, feeds)
    times.append(time.time() - begin)
print(512 / statistics.median(times[1:]))
"""


def output(command):
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit(f"peers.py: {' '.join(command)}: {process.stderr.strip()[-1000:]}")
    return process.stdout


class Qopt:
    def __init__(self, arguments, folder, bits):
        self.qrun, self.name = os.path.join(arguments.bin, "qrun"), "qopt"
        self.module = os.path.join(folder, f"{bits}.qmod")
        scheme = [] if bits == "float" else [f"--pass-pipeline={SCHEMES[bits]}"]
        level = [f"--cpu={arguments.cpu}"] if arguments.cpu else []
        output([os.path.join(arguments.bin, "qopt"), os.path.join(folder, "model.onnx"), "-o", self.module, "--quiet", *scheme, *level])
        info = os.path.join(folder, "info.json")
        output([self.qrun, self.module, "--info", "--quiet", f"--json={info}"])
        with open(info) as file:
            self.weights = next(s["bytes"] for s in json.load(file)["sections"] if s["name"] == "weights")

    def run(self, threads):
        result = self.module + ".json"
        output([self.qrun, self.module, "--bench", f"--threads={threads}", "--quiet", f"--json={result}"])
        with open(result) as file:
            figures = json.load(file)
        self.start = figures["start_seconds"]
        return figures["prompt_tokens_per_second"], figures["generation_tokens_per_second"]


class LlamaCpp:
    start = None  # not said

    def __init__(self, arguments, folder, bits):
        self.bench, self.name = os.path.join(arguments.llama_cpp, "llama-bench"), f"llama.cpp {PEERS[bits]}"
        self.file = os.path.join(folder, f"{PEERS[bits]}.gguf")
        if not os.path.exists(self.file):
            output([os.path.join(arguments.llama_cpp, "llama-quantize"), "--allow-requantize", os.path.join(folder, "model.gguf"), self.file, PEERS[bits]])
        self.weights = os.path.getsize(self.file)

    def run(self, threads):
        text = output([self.bench, "-m", self.file, "-t", str(threads), "-p", str(PROMPT), "-n", str(GENERATED), "-r", "2", "-o", "json"])
        rates = {(row["n_prompt"], row["n_gen"]): row["avg_ts"] for row in json.loads(text)}
        return rates[PROMPT, 0], rates[0, GENERATED]


class OnnxRuntime:
    """The float model's prompt only: without a cache each new token would cost the whole text."""

    start = None

    def __init__(self, arguments, folder, bits):
        self.model, self.name, self.weights = os.path.join(folder, "model.onnx"), "onnxruntime", None
        with open(os.path.join(folder, "info.json")) as file:
            layers = json.load(file)["layers"]
        sizes = {layer["name"]: layer["shape"][0] * layer["shape"][1] for layer in layers}
        self.factor = sum(sizes.values()) / (sum(sizes.values()) - sizes["lm_head"])

    def run(self, threads):
        return float(output([sys.executable, "-c", ONNXRUNTIME, self.model, str(threads)])) * self.factor, None


def measure(arguments, name, threads):
    """Rows of one model: {bits, threads, engine, prompt, generation, weights}."""
    folder = models.make(name, arguments.work, with_gguf=bool(arguments.llama_cpp))
    engines = []
    for bits in arguments.bits:
        engines.append((bits, Qopt(arguments, folder, bits)))
        if arguments.llama_cpp and bits in PEERS:
            engines.append((bits, LlamaCpp(arguments, folder, bits)))
        if arguments.onnxruntime and bits == "float":
            engines.append((bits, OnnxRuntime(arguments, folder, bits)))
    rates = {}
    for _ in range(arguments.repeat):
        for count in threads:
            for bits, engine in engines:
                rates.setdefault((bits, count, engine), []).append(engine.run(count))
    rows = []
    for (bits, count, engine), runs in rates.items():
        prompt, generation = (None if None in column else statistics.median(column) for column in zip(*runs))
        rows.append({"model": name, "bits": bits, "threads": count, "engine": engine.name, "prompt": prompt, "generation": generation, "weight_bytes": engine.weights, "start_seconds": engine.start})
    return rows


def print_rows(rows, limits):
    print(f"{'model':8} {'bits':5} {'thr':>3} {'engine':15} {'prompt t/s':>10} {'ratio':>6} {'gen t/s':>8} {'ratio':>6} {'of memory':>9} {'start s':>7}")
    for row in rows:
        ours = next(r for r in rows if (r["model"], r["bits"], r["threads"], r["engine"]) == (row["model"], row["bits"], row["threads"], "qopt"))

        def ratio(key):
            return f"{ours[key] / row[key]:6.2f}" if row is not ours and row[key] and ours[key] else " " * 6

        generation, share = "       -", "        -"
        start = f"{row['start_seconds']:7.3f}" if row["start_seconds"] is not None else "      -"
        if row["generation"]:
            generation = f"{row['generation']:8.1f}"
            share = f"{row['generation'] * row['weight_bytes'] / limits[row['threads']]['bytes_per_second']:9.0%}"
        print(f"{row['model']:8} {row['bits']:5} {row['threads']:3} {row['engine']:15} {row['prompt']:10.1f} {ratio('prompt')} {generation} {ratio('generation')} {share} {start}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--models", default=",".join(models.MODELS))
    parser.add_argument("--bits", default="int4,int8")
    parser.add_argument("--llama-cpp", metavar="DIR")
    parser.add_argument("--onnxruntime", action="store_true")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--cpu", help="level of x86-64, as of qopt")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", default="/tmp/qopt-benchmark", help="where models are made and kept")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    arguments.bits = arguments.bits.split(",") + ["float"] * (arguments.onnxruntime and "float" not in arguments.bits)
    threads = [int(count) for count in arguments.threads.split(",")]
    limits = machine.limits(threads)
    print(machine.cpu())
    for count in threads:
        rate = limits[count]
        print(f"{count} threads: memory {rate['bytes_per_second'] / 1e9:.1f} GB/s, float {rate['float_ops_per_second'] / 1e9:.0f} GFLOP/s, int8 {rate['int8_ops_per_second'] / 1e9:.0f} Gop/s")
    rows = []
    for name in arguments.models.split(","):
        rows += measure(arguments, name, threads)
    print_rows(rows, limits)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"cpu": machine.cpu(), "limits": limits, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
