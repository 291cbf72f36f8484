#!/usr/bin/env python3
"""Speed on an NVIDIA GPU: a generated Llama, and matrix products beside cuBLAS.

  gpu.py BIN_DIR [--preset 1b] [--schemes float,...] [--device cuda|sim]

Builds a module per scheme for this GPU, and prints tokens/s at batch 1: of a prompt
(prefill) and of generation (decode), with the part of the memory's bandwidth and of
the tensor cores' peak that they reach. What decode must read is the weights; what
prefill must compute is two operations per weight and token. Products are measured as
models of nothing but the two shapes of a feed-forward layer in turn; those of int8
include the rounding of their input. --device=sim tries out all of it without a GPU.
"""
import argparse, json, os, subprocess, sys, tempfile

import make_llama
from device import Device, NoDevice, cublas_seconds, open_cublas

SCHEMES = ["float", "int8-dynamic", "llm-int8", "rtn-int4{activations=float}", "rtn-int4{activations=int8}"]
INTEGER = {"int8-dynamic", "llm-int8", "rtn-int4{activations=int8}"}
PROMPT = 512  # tokens of qrun --bench


class Bench:
    def __init__(self, arguments, device):
        self.bin, self.kind, self.device = arguments.bin, arguments.device, device
        self.schemes = arguments.schemes.split(",")

    def run(self, tool, *options):
        command = [os.path.join(self.bin, tool), *options, "--quiet"]
        process = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if process.returncode:
            sys.exit(f"gpu.py: {process.stderr.strip()}")

    def measure(self, directory, scheme):
        """What `qrun --bench` and `--info` say of the model."""
        module, result = os.path.join(directory, f"{scheme}.qmod"), os.path.join(directory, "result.json")
        options = ["--target=cpu," + ("cuda" if self.device else "sim")] + ([] if scheme == "float" else [f"--pass-pipeline={scheme}"])
        if self.device:
            options.append(f"--cuda-arch={self.device.arch}")
        self.run("qopt", os.path.join(directory, "model.onnx"), "-o", module, *options)
        figures = {}
        for action in (["--info"], ["--bench", f"--device={self.kind}"]):
            self.run("qrun", module, *action, f"--json={result}")
            with open(result) as file:
                figures.update(json.load(file))
        os.remove(module)
        return figures

    def share(self, value, limit):
        return f"{value / limit:6.1%}" if limit else "     -"


def weights_of(figures):
    """Weights of all linear layers, and the bytes that they take."""
    sizes = [(layer["shape"][0] * layer["shape"][1], layer["bits_per_weight"]) for layer in figures["layers"]]
    return sum(count for count, _ in sizes), sum(count * bits for count, bits in sizes) / 8


def measure_model(bench, preset, work):
    make_llama.make(work, make_llama.PRESETS[preset], "float16", seed=0)
    print(f"{'':27} {'decode t/s':>11} {'bandwidth':>9} {'prefill t/s':>11} {'tensor':>7}")
    for scheme in bench.schemes:
        figures = bench.measure(work, scheme)
        count, size = weights_of(figures)
        decode, prefill = figures["generation_tokens_per_second"], figures["prompt_tokens_per_second"]
        device = bench.device
        print(f"{scheme:27} {decode:>11.1f} {bench.share(decode * size, device and device.bandwidth):>9} {prefill:>11.0f}"
              f" {bench.share(2 * count * prefill, device and device.peak(scheme in INTEGER)):>7}", flush=True)


def make_products(directory, hidden, inner, pairs, rows):
    """A model of 2 * pairs products; its context makes qrun --bench run it on `rows` tokens."""
    os.makedirs(directory, exist_ok=True)
    graph = make_llama.Graph(os.path.join(directory, "model.onnx"), "float16", seed=0)
    x = graph.node("Gather", graph.weight("table", [256, hidden], 1.0), "input_ids", axis=0)
    for i in range(pairs):
        x = graph.node("MatMul", x, graph.weight(f"up.{i}.weight", [hidden, inner], hidden**-0.5))
        x = graph.node("MatMul", x, graph.weight(f"down.{i}.weight", [inner, hidden], inner**-0.5))
    graph.save(graph.node("MatMul", x, graph.weight("lm_head.weight", [hidden, 256], hidden**-0.5)), ["input_ids"], 256, rows)


def measure_products(bench, preset, work):
    hidden, inner = make_llama.PRESETS[preset][:2]
    pairs = make_llama.PRESETS[preset][2]
    cublas, device = open_cublas() if bench.device else None, bench.device
    print(f"\nproducts of {hidden} x {inner} and back, microseconds each\n"
          f"{'':27} {'rows':>5} {'qopt':>9} {'cuBLAS':>9} {'bandwidth':>9} {'tensor':>7}")
    for rows in (1, PROMPT):
        make_products(work, hidden, inner, pairs, rows)
        for scheme in bench.schemes:
            figures = bench.measure(work, scheme)
            count, size = weights_of(figures)
            passes = figures["prompt_tokens_per_second"] / figures["prompt_tokens"]
            beside = None
            if cublas:
                times = [cublas_seconds(device, cublas, rows, n, k, scheme in INTEGER) for n, k in ((inner, hidden), (hidden, inner))]
                beside = None if None in times else sum(times) / 2
            print(f"{scheme:27} {figures['prompt_tokens']:>5} {1e6 / passes / (2 * pairs):>9.1f}"
                  f" {f'{1e6 * beside:.1f}' if beside else '-':>9} {bench.share(passes * size, device and device.bandwidth):>9}"
                  f" {bench.share(2 * count * passes * figures['prompt_tokens'], device and device.peak(scheme in INTEGER)):>7}",
                  flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--preset", choices=make_llama.PRESETS, default="1b")
    parser.add_argument("--schemes", default=",".join(SCHEMES))
    parser.add_argument("--device", choices=["cuda", "sim"], default="cuda")
    arguments = parser.parse_args()
    device = None
    if arguments.device == "cuda":
        try:
            device = Device()
        except NoDevice as reason:
            sys.exit(f"gpu.py: no NVIDIA GPU to measure on: {reason}; --device=sim tries out everything without one")
        print(f"{device.name} ({device.arch}), {device.bandwidth / 1e9:.0f} GB/s\n")
    bench = Bench(arguments, device)
    with tempfile.TemporaryDirectory() as work:
        measure_model(bench, arguments.preset, os.path.join(work, "model"))
        measure_products(bench, arguments.preset, os.path.join(work, "products"))


if __name__ == "__main__":
    main()
