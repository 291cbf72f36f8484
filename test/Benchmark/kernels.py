#!/usr/bin/env python3
"""Registers, shared memory and occupancy of the kernels, as ptxas gives them.

  kernels.py BIN_DIR [--preset layer] [--arch sm_80,sm_90a]

Compiles one layer of Llama-3.2-1B's sizes with every scheme and prints a table in
Markdown, the one of docs/Performance.md. Needs ptxas, no GPU.
"""
import argparse, json, os, re, subprocess, tempfile

import make_llama

SCHEMES = ["float", "int8-dynamic", "llm-int8", "rtn-int4{activations=float}", "rtn-int4{activations=int8}"]
SHARED = {"sm_80": 164, "sm_90a": 228, "sm_100a": 228, "sm_120": 100}  # KiB of a multiprocessor
REGISTERS, THREADS = 65536, {"sm_120": 1536}  # of a multiprocessor; 2,048 threads elsewhere


def occupancy(arch, threads, registers, shared):
    """Warps that run at a time on a multiprocessor, as a part of those that it can hold. A
    warp's registers are given in pieces of 256; a block costs 1 KiB of shared memory."""
    warps, most = -(-threads // 32), THREADS.get(arch, 2048) // 32
    of_warp = -(-registers * 32 // 256) * 256
    blocks = min(32, most // warps, REGISTERS // of_warp // warps, SHARED[arch] * 1024 // (shared + 1024))
    return blocks * warps / most


def read_kernels(bin_dir, model, scheme, archs, work):
    module, info, ptx = (os.path.join(work, name) for name in ("m.qmod", "info.json", "m.ptx"))
    options = [] if scheme == "float" else [f"--pass-pipeline={scheme}"]
    run = lambda tool, *arguments: subprocess.run([os.path.join(bin_dir, tool), *arguments, "--quiet"], check=True,
                                                  stdout=subprocess.DEVNULL)
    run("qopt", model, "-o", module, "--target=cuda", f"--cuda-arch={','.join(archs)}", *options)
    run("qrun", module, "--info", f"--json={info}")
    with open(info) as file:
        described = json.load(file)
    threads = {}
    for section in [section["name"] for section in described["sections"] if section["name"].startswith("ptx")]:
        run("qrun", module, f"--extract={section}", "-o", ptx)
        with open(ptx) as file:
            threads |= re.findall(r"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+)", file.read())
    return [(kernel, int(threads.get(kernel["name"], 0))) for kernel in described["kernels"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("--preset", choices=make_llama.PRESETS, default="layer")
    parser.add_argument("--arch", default="sm_80,sm_90a")
    arguments = parser.parse_args()
    archs = arguments.arch.split(",")
    with tempfile.TemporaryDirectory() as work:
        make_llama.make(work, make_llama.PRESETS[arguments.preset], "float16", seed=0)
        print("| kernel | threads | shared memory | " + " | ".join(f"registers {a} | occupancy" for a in archs) + " |")
        print("| --- | --: | --: |" + " --: | --: |" * len(archs))
        seen = set()
        for scheme in SCHEMES:
            for kernel, threads in read_kernels(arguments.bin, os.path.join(work, "model.onnx"), scheme, archs, work):
                if kernel["name"] in seen or not threads:
                    continue
                seen.add(kernel["name"])
                cells = []
                for arch in archs:
                    use = kernel["resources"].get(arch)
                    if not use:
                        cells += ["-", "-"]
                        continue
                    spills = f" + {use['spill_bytes']} B spilled" if use["spill_bytes"] else ""
                    share = occupancy(arch, threads, use["registers"], kernel["shared_bytes"])
                    cells += [f"{use['registers']}{spills}", f"{share:.0%}"]
                print(f"| {kernel['name']} | {threads} | {kernel['shared_bytes']} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
