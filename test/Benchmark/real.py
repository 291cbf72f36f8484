#!/usr/bin/env python3
"""Every scheme on a real model, SmolLM2-135M-Instruct, beside llama.cpp on the same weights.

  real.py BIN_DIR TEXT [--schemes float,...] [--llama-cpp DIR] [--bytes N] [--work DIR] [--json FILE]

TEXT is cut in two at a line: the first half calibrates, on N bytes of the second half perplexity is measured as llama-perplexity does
(windows of 512 tokens, the second half of each counts) with KL divergence from the float module. llama.cpp runs its own
file of the same weights, which are dequantized Q4_1 and Q8_0; it prints perplexity only. Needs numpy, onnx and gguf.
"""
import argparse, json, os, re, subprocess, sys

import models

SCHEMES = ["float", "int8-weights", "int8-static", "int8-dynamic", "llm-int8", "rtn-int4", "gptq-int4"]
CALIBRATED = {"int8-static", "gptq-int4"}
LLAMA_CPP = ["Q8_0", "Q4_0", "Q4_K_M"]


def run(command):
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if process.returncode:
        sys.exit(f"real.py: {' '.join(command)}: {process.stdout.strip()[-1000:]}")
    return process.stdout


def halves(text, folder, size):
    with open(text, encoding="utf-8") as file:
        lines = file.readlines()
    middle = len(lines) // 2
    paths = [os.path.join(folder, name) for name in ("calibration.txt", "eval.txt")]
    for path, part in zip(paths, (lines[:middle], lines[middle:])):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(part)[: None if path is paths[0] else size])
    return paths


def load(path):
    with open(path) as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("text")
    parser.add_argument("--schemes", default=",".join(SCHEMES))
    parser.add_argument("--llama-cpp", metavar="DIR")
    parser.add_argument("--bytes", type=int, default=100_000)
    parser.add_argument("--work", default="/tmp/qopt-benchmark", help="where models are made and kept")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    folder = models.make(models.REAL, arguments.work, with_gguf=bool(arguments.llama_cpp))
    calibration, evaluation = halves(arguments.text, folder, arguments.bytes)
    reference, report, result = (os.path.join(folder, name) for name in ("float.qmod", "report.json", "result.json"))
    qopt, qrun = (os.path.join(arguments.bin, tool) for tool in ("qopt", "qrun"))
    rows = []
    print(f"{'':14} {'bits/weight':>11} {'whole model':>11} {'MB':>7} {'perplexity':>10} {'mean KL':>8} {'top-1':>6} {'s':>6}")
    schemes = arguments.schemes.split(",")
    for scheme in ["float"] + [s for s in schemes if s != "float"]:
        module = os.path.join(folder, f"{scheme}.qmod")
        options = [] if scheme == "float" else [f"--pass-pipeline={scheme}"]
        if scheme in CALIBRATED:
            options += [f"--calibration={calibration}", "--calibration-length=512"]
        run([qopt, os.path.join(folder, "model.onnx"), *options, "-o", module, f"--report={report}", "--quiet"])
        run([qrun, module, f"--perplexity={evaluation}", "--mode=llama.cpp", f"--compare={reference}", f"--json={result}", "--quiet"])
        total, measured = load(report)["total"], load(result)
        row = {"scheme": scheme, "bits": total["bits_per_weight"], "model_bits": total["model_bits_per_weight"], "bytes": total["module_bytes"],
               "perplexity": measured["perplexity"], "kl": measured["kl_divergence_mean"], "top1": measured["same_top1"], "seconds": total["seconds"]}
        rows.append(row)
        print(f"{scheme:14} {row['bits']:11.3f} {row['model_bits']:11.3f} {row['bytes'] / 1e6:7.1f} {row['perplexity']:10.4f} {row['kl']:8.5f} {row['top1']:6.1%} {row['seconds']:6.1f}", flush=True)
    for kind in LLAMA_CPP if arguments.llama_cpp else []:
        file = os.path.join(folder, f"{kind}.gguf")
        if not os.path.exists(file):
            run([os.path.join(arguments.llama_cpp, "llama-quantize"), "--allow-requantize", os.path.join(folder, "model.gguf"), file, kind])
        text = run([os.path.join(arguments.llama_cpp, "llama-perplexity"), "-m", file, "-f", evaluation, "-c", "512"])
        perplexity = float(re.search(r"PPL = ([0-9.]+)", text).group(1))
        rows.append({"scheme": f"llama.cpp {kind}", "bytes": os.path.getsize(file), "perplexity": perplexity})
        print(f"{'llama.cpp ' + kind:38} {os.path.getsize(file) / 1e6:7.1f} {perplexity:10.4f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
