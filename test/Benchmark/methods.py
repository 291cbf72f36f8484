#!/usr/bin/env python3
"""Every method on the two models of test/Inputs, beside what the original packages reach.

  methods.py BIN_DIR [--only REGEX]    measures, and writes methods.json and the tables of docs/Quantization.md
  methods.py --write                   writes the tables from methods.json
  methods.py --check [BIN_DIR]         whether they are what methods.json gives; with tools: whether every scheme is in
                                       them, and the first method measures as it did

Calibration is on calib.npy, perplexity and mean KL divergence from the float model are over all 48 windows of eval.npy. The head stays float, as in the
packages; groups are of 32 inputs on stories260K and of 128 on tiny-llama where a method has no size of its own. Seconds are CPU time of qopt.
"""
import argparse, json, os, re, resource, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RESULTS, PAGE = os.path.join(HERE, "methods.json"), os.path.join(ROOT, "docs", "Quantization.md")
GROUPS = {"stories260K": 32, "tiny-llama": 128}

# Pipeline ({g}: the group), package to repeat, and the setting of the package as methods.json has it.
METHODS = [
    ("float", "", ""),
    ("int8-weights", "torchao", "torchao int8_weight_only"),
    ("int8-weights", "eetq", "EETQ int8_fp32"),
    ("int8-weights", "quanto", "quanto qint8"),
    ("int8-static", "", ""),
    ("int8-static{{observer=percentile percentile=99.99}}", "", ""),
    ("int8-static{{observer=entropy}}", "", ""),
    ("int8-static", "quanto", "quanto qint8_act_qint8"),
    ("int8-dynamic", "bitsandbytes", "bitsandbytes plain_fp32_thr0"),
    ("llm-int8", "bitsandbytes", "bitsandbytes plain_fp32_thr6"),
    ("smoothquant,int8-dynamic", "", "smoothquant alpha0.5"),
    ("rotate,int8-dynamic", "", "rotation rot_seed0/w8a8"),
    ("fp8", "torchao", "torchao float8_weight_only_row"),
    ("fp8{{scales=tensor}}", "torchao", "torchao float8_weight_only_tensor"),
    ("fp8{{scales=block}}", "torchao", "fp8 finegrained_128x128_weights_only"),
    ("rtn-int8{{group-size={g}}}", "", ""),
    ("gptq-int8{{group-size={g}}}", "gptq", "gptq 8bit_g{g}"),
    ("rtn-int4{{group-size={g}}}", "", ""),
    ("rtn-int4{{group-size={g}}}", "gptq", "gptq_ref rtn_g{g}_sym"),
    ("awq,rtn-int4{{group-size={g}}}", "", ""),
    ("awq{{scheme=rtn-int4{{sym=false group-size={g}}}}},rtn-int4{{sym=false group-size={g}}}", "", "awq awq_g{g}_clip"),
    ("rotate,rtn-int4{{group-size={g}}}", "", "rotation rot_seed0/w4_g{g}"),
    ("int4-weights{{group-size={g}}}", "torchao", "torchao int4_weight_only_g{g}_fp32"),
    ("int4-weights", "quanto", "quanto qint4"),
    ("hqq-int4", "hqq", "hqq 4bit_g64_axis1"),
    ("nf4", "bitsandbytes", "bnb nf4_b64"),
    ("nf4{{double-quant=true}}", "bitsandbytes", "bnb nf4_b64_dq"),
    ("fp4", "bitsandbytes", "bnb fp4_b64"),
    ("mxfp4", "", "mx mxfp4_even"),
    ("mxfp4", "torchao", "mx mxfp4_floor"),
    ("nvfp4", "torchao", "mx nvfp4"),
    ("gptq-int4{{group-size={g}}}", "", ""),
    ("gptq-int4{{group-size={g}}}", "gptq", "gptq 4bit_g{g}"),
    ("gptq-int4{{group-size={g}}}", "gptqmodel", "GPTQModel gar_d0.05_g{g}"),
    ("gptq-int4{{group-size={g}}}", "llm-compressor", "llm-compressor gptq_static_g{g}"),
    ("rtn-int3{{group-size={g}}}", "", ""),
    ("hqq-int3", "hqq", "hqq 3bit_g64_axis1"),
    ("gptq-int3{{group-size={g}}}", "", ""),
    ("gptq-int3{{group-size={g}}}", "gptq", "gptq 3bit_g{g}"),
    ("rtn-int2{{group-size={g}}}", "", ""),
    ("int2-weights", "quanto", "quanto qint2"),
    ("hqq-int2", "hqq", "hqq 2bit_g64_axis1"),
    ("gptq-int2{{group-size={g}}}", "", ""),
    ("gptq-int2{{group-size={g}}}", "gptq", "gptq 2bit_g{g}"),
]

# The ablations of LLM.int8(), in the order of its table.
ABLATIONS = [
    ("absmax", "inputs=tensor weights=tensor"),
    ("zero-point", "inputs=tensor weights=tensor zero-point=true"),
    ("absmax, row-wise", "weights=tensor"),
    ("absmax, vector-wise", ""),
    ("zero-point, vector-wise", "zero-point=true"),
]
# What they are tried on: with six features of tiny-llama's norms 40 times as large there are outliers.
COLUMNS = {"stories260K": "stories260K", "tiny-llama": "tiny-llama", "tiny-llama, outliers": "tiny-llama"}


def fail(text):
    sys.exit(f"methods.py: {text}")


def run(command):
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if process.returncode:
        fail(f"{' '.join(command)}: {process.stdout.strip()[-1000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def load(path):
    with open(path) as file:
        return json.load(file)


class Bench:
    """Measures pipelines on the models."""

    def __init__(self, tools):
        self.qopt, self.qrun = (os.path.join(tools, tool) for tool in ("qopt", "qrun"))
        self.work = tempfile.TemporaryDirectory()
        self.floats = {}
        with open("/proc/cpuinfo") as cpus:
            self.cpu = "x86-64-v4" if "avx512_vnni" in cpus.read() else "x86-64-v3"

    def compile(self, model, output, options):
        return run([self.qopt, model, f"--cpu={self.cpu}", "--quiet", "--strict=no", "-o", output, *options])

    def measure(self, pipeline, compat, name, model=None):
        inputs = os.path.join(ROOT, "test", "Inputs")
        model = model or os.path.join(inputs, name, "model.onnx")
        tokens = os.path.join(inputs, "references", name)
        if model not in self.floats:
            self.floats[model] = os.path.join(self.work.name, f"float{len(self.floats)}.qmod")
            self.compile(model, self.floats[model], [])
        module, report, result = (os.path.join(self.work.name, file) for file in ("q.qmod", "report.json", "result.json"))
        parts = pipeline.split(",")
        scheme = parts[-1]
        if scheme != "float" and not compat and not scheme.startswith("round-int8"):
            parts[-1] = scheme[:-1] + " head=float}" if scheme.endswith("}") else scheme + "{head=float}"
        options = [f"--pass-pipeline={','.join(parts)}", f"--report={report}"] + ([f"--compat={compat}"] if compat else [])
        if re.search(r"static|gptq-|awq|smooth", pipeline):
            options.append(f"--calibration={os.path.join(tokens, 'calib.npy')}")
        seconds = self.compile(model, module, options)
        run([self.qrun, module, f"--perplexity={os.path.join(tokens, 'eval.npy')}", f"--compare={self.floats[model]}", f"--json={result}", "--quiet"])
        found = load(result)
        return {
            "bits": round(load(report)["total"]["bits_per_weight"], 3),
            "ppl": round(found["perplexity"], 4),
            "kl": float(f"{found['kl_divergence_mean']:.3g}"),
            "top1": round(100 * found["same_top1"], 2),
            "seconds": round(seconds, 1),
        }


def label(pipeline, compat, group="{g}"):
    return pipeline.replace("{{", "{").replace("}}", "}").replace("{g}", str(group)) + (f", {compat}" if compat else "")


def figures(row):
    if not row:
        return "- | - | -"
    return " | ".join("-" if row.get(key) is None else form.format(row[key]) for key, form in (("ppl", "{:.4f}"), ("kl", "{:.3g}"), ("top1", "{:.1f}")))


def tables(results):
    """The text between the marks of the page."""
    lines = []
    for name, group in GROUPS.items():
        measured, packages = results["measured"][name], results["packages"][name]
        lines += ["", f"{name}, groups of {group}:", "", "| method, package repeated | bits | perplexity | mean KL | top-1 % | CPU s | package | perplexity | mean KL | top-1 % |", "| --- |" + " --- |" * 9]
        for pipeline, compat, package in METHODS:
            row = measured.get(label(pipeline, compat))
            if not row:
                continue
            package = package.format(g=group)
            lines.append(f"| `{label(pipeline, compat, group)}` | {row['bits'] or 32:.3f} | {figures(row)} | {row['seconds']:.1f} | {package or '-'} | {figures(packages.get(package))} |")
    return "\n".join(lines[1:]) + "\n"


def ablation_table(results):
    lines = ["| int8, skipping the head | " + " | ".join(COLUMNS) + " |", "| --- |" + " --- |" * len(COLUMNS)]
    for decompose in (False, True):
        for title, _ in ABLATIONS:
            key = title + (", decomposed" if decompose else "")
            cells = [results["ablations"][column].get(key) for column in COLUMNS]
            lines.append(f"| {key} | " + " | ".join(f"{cell['ppl']:.4f}, {cell['kl']:.3g}" if cell else "-" for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def page_with(results):
    with open(PAGE) as file:
        page = file.read()
    for mark, text in (("methods", tables(results)), ("ablations", ablation_table(results))):
        begin, end = f"<!-- {mark}: what follows is printed by test/Benchmark/methods.py -->\n", "<!-- end -->"
        before, found, after = page.partition(begin)
        if not found:
            fail(f"{PAGE} has no mark {begin.strip()}")
        page = before + begin + text + end + after.partition(end)[2]
    return page


def write(results):
    page = page_with(results)
    with open(PAGE, "w") as file:
        file.write(page)


def check(tools, results):
    with open(PAGE) as file:
        if file.read() != page_with(results):
            fail(f"the tables of {PAGE} are not those of methods.json: run methods.py --write")
    missing = [label(pipeline, compat) for pipeline, compat, _ in METHODS if not any(label(pipeline, compat) in rows for rows in results["measured"].values())]
    if missing:
        fail(f"methods.json has no figures of {', '.join(missing)}: run methods.py BIN_DIR")
    if not tools:
        return
    schemes = json.loads(subprocess.run([os.path.join(tools, "qopt"), "--list-schemes", "--report=-"], stdout=subprocess.PIPE, check=True).stdout)["schemes"]
    listed = {re.split(r"[{]", pipeline.split(",")[-1])[0] for pipeline, _, _ in METHODS}
    if unlisted := {scheme["name"] for scheme in schemes} - listed:
        fail(f"no method of the table is {', '.join(sorted(unlisted))}")
    pipeline, compat = "rtn-int4{{group-size={g}}}", ""
    row, expected = Bench(tools).measure(label(pipeline, "", 32), compat, "stories260K"), results["measured"]["stories260K"][label(pipeline, compat)]
    if abs(row["ppl"] / expected["ppl"] - 1) > 1e-3 or abs(row["kl"] / expected["kl"] - 1) > 1e-2:
        fail(f"{label(pipeline, compat)} now gives {row}, not {expected}: run methods.py BIN_DIR")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin", nargs="?")
    parser.add_argument("--only", default="", help="methods whose label matches")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    results = load(RESULTS)
    if arguments.check:
        return check(arguments.bin, results)
    if not arguments.write:
        if not arguments.bin:
            parser.error("expected BIN_DIR, --write or --check")
        bench = Bench(arguments.bin)

        def keep(table, key, measured):
            table[key] = measured
            print(key, measured, flush=True)
            with open(RESULTS, "w") as file:
                json.dump(results, file, indent=1)
                file.write("\n")

        for name, group in GROUPS.items():
            for pipeline, compat, _ in METHODS:
                if re.search(arguments.only, label(pipeline, compat)):
                    keep(results["measured"][name], label(pipeline, compat), bench.measure(label(pipeline, "", group), compat, name))
        if re.search(arguments.only, "ablations"):
            planted = os.path.join(bench.work.name, "planted")
            run([sys.executable, os.path.join(ROOT, "test", "Integration", "plant_outliers.py"), os.path.join(ROOT, "test", "Inputs", "tiny-llama"), planted])
            for column, name in COLUMNS.items():
                model = os.path.join(planted, "model.onnx") if column != name else None
                for decompose in (False, True):
                    for title, options in ABLATIONS:
                        pipeline = f"round-int8{{{' '.join(filter(None, [options, 'threshold=6' if decompose else '']))}}}".replace("{}", "")
                        keep(results["ablations"][column], title + (", decomposed" if decompose else ""), bench.measure(pipeline, "", name, model))
    write(results)


if __name__ == "__main__":
    main()
