#!/usr/bin/env python3
"""Speed and memory of every scheme beside onnxruntime's float model.

  speed.py BIN_DIR [MODEL_DIR] [--repeat N]

Prints one table: seconds and peak memory of qopt, tokens/s of qrun for a prompt
(512 tokens, or the context) and for generation, with 1 and 2 threads. The runs of
all programs take turns, so that a machine whose speed drifts treats them alike;
medians are printed. Nobody keeps a KV cache: each new token recomputes the text.
onnxruntime (PyPI) is optional.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

SCHEMES = ["float", "int8-weights", "int8-static", "int8-dynamic", "llm-int8", "rtn-int4", "gptq-int4"]
HERE = os.path.dirname(os.path.abspath(__file__))


def run(command):
    """Runs a command; its seconds and peak memory in MB."""
    begin = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: failed")
    return time.time() - begin, usage.ru_maxrss / 1024


def onnxruntime_bench(model, threads, prompt_tokens):
    """The same work as qrun --bench. In a process of its own: the peak memory of a
    child counts from the size of its parent."""
    import numpy as np
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]

    def forward(length):
        ids = (np.arange(length, dtype=np.int64) * 7 % 500)[None]
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "position_ids": np.arange(length)[None]}
        session.run(None, {name: feeds[name] for name in names})

    forward(prompt_tokens)
    times = []
    for _ in range(5):
        begin = time.time()
        forward(prompt_tokens)
        times.append(time.time() - begin)
    forward(16)
    begin = time.time()
    for length in range(16, 48):
        forward(length)
    json.dump([prompt_tokens / statistics.median(times), 32 / (time.time() - begin)], sys.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin")
    parser.add_argument("model", nargs="?", default=os.path.join(HERE, "..", "Inputs", "tiny-llama"))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--onnxruntime", type=int, metavar="THREADS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.onnxruntime:
        return onnxruntime_bench(arguments.model, arguments.onnxruntime, 512)
    qopt, qrun = (os.path.join(arguments.bin, tool) for tool in ("qopt", "qrun"))
    onnx = os.path.join(arguments.model, "model.onnx")
    calibration = os.path.join(arguments.model, "calibration.txt")
    with tempfile.TemporaryDirectory() as work:
        compile_cost, speeds, memory = {}, {}, {}
        for scheme in SCHEMES:
            command = [qopt, onnx, "-o", f"{work}/{scheme}.qmod", "--quiet"]
            if scheme != "float":
                command.append(f"--pass-pipeline={scheme}")
            if scheme in ("int8-static", "gptq-int4"):
                command += [f"--calibration={calibration}", "--calibration-length=256", "--documents=blank-lines"]
            compile_cost[scheme] = run(command)
        has_onnxruntime = subprocess.run([sys.executable, "-c", "import onnxruntime"], stderr=subprocess.DEVNULL).returncode == 0
        rows = ["onnxruntime float"] * has_onnxruntime + SCHEMES
        for _ in range(arguments.repeat):
            for threads in (1, 2):
                for row in rows:
                    if row in SCHEMES:
                        result = f"{work}/bench.json"
                        _, peak = run([qrun, f"{work}/{row}.qmod", "--bench", "--device=cpu", f"--threads={threads}",
                                       f"--json={result}", "--quiet"])
                        with open(result) as file:
                            figures = json.load(file)
                        length = figures["prompt_tokens"]
                        speed = figures["prompt_tokens_per_second"], figures["generation_tokens_per_second"]
                        memory[row] = max(peak, memory.get(row, 0))
                    else:
                        speed = json.loads(subprocess.check_output(
                            [sys.executable, __file__, "--onnxruntime", str(threads), arguments.bin, onnx]))
                    speeds.setdefault((row, threads), []).append(speed)
        print(f"{'':18} {'qopt s':>8} {'qopt MB':>8} {'qrun MB':>8}"
              f" {'prompt t/s':>11} {'(2 thr.)':>9} {'new t/s':>9} {'(2 thr.)':>9}")
        for row in rows:
            seconds, peak = (f"{x:.1f}" for x in compile_cost.get(row, (float("nan"),) * 2))
            median = lambda threads, i: statistics.median(s[i] for s in speeds[row, threads])
            print(f"{row:18} {seconds:>8} {peak:>8} {memory.get(row, float('nan')):>8.1f} {median(1, 0):>11.0f}"
                  f" {median(2, 0):>9.0f} {median(1, 1):>9.1f} {median(2, 1):>9.1f}")
        print(f"prompt of {length} tokens; medians of {arguments.repeat} rounds")


if __name__ == "__main__":
    main()
