"""What the files beside a model say of it: model_files.py QOPT QRUN MODELDIR FOLDER CPU

The model and its tokenizer are links into a store, as in the cache of a hub; configurations lie beside it or one folder above.
"""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

qopt, qrun, source, folder, cpu = sys.argv[1:6]
folder, source = Path(folder), Path(source).resolve()
faults = []


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=folder)


def expect(what, got, want):
    if got != want:
        faults.append(f"{what}: expected {want!r} but got {got!r}")


def compile(name, near={}, above={}):
    """The JSON of --info and what was said, of a model with these files."""
    repository, model = folder / name, folder / name / "onnx" / "model.onnx"
    model.parent.mkdir(parents=True)
    (folder / "store").mkdir(exist_ok=True)
    for file, link in (("model.onnx", model), ("tokenizer.json", repository / "tokenizer.json")):
        store = folder / "store" / file
        if not store.exists():
            store.write_bytes((source / file).read_bytes())
        link.symlink_to(os.path.relpath(store, link.parent))
    for place, files in ((model.parent, near), (repository, above)):
        for file, content in files.items():
            (place / file).write_text(content if isinstance(content, str) else json.dumps(content))
    done = run(qopt, model, "-o", name + ".qmod", cpu, "--threads=1")
    expect(f"{name}: {done.stderr}", done.returncode, 0)
    return json.loads(run(qrun, name + ".qmod", "--info", "--json=-").stdout), done.stderr


def text(name, tokens):
    return json.loads(run(qrun, name + ".qmod", "--prompt=Once upon a time", f"--max-tokens={tokens}", "--json=-", "--quiet").stdout)


keys = ("context_length", "context_origin", "begin_of_text", "begin_origin", "end_of_text", "end_origin", "rope", "rope_origin")


def facts(info):
    return tuple(info[key] for key in keys)


# Nothing says how long texts may be, so that nothing is assumed.
info, said = compile("alone")
expect("alone", facts(info), (0, "", None, "", [], "", "", ""))
expect("alone: warnings", "warning" in said, False)
expect("alone: text", bool(re.search("context +unknown\n", run(qrun, "alone.qmod", "--info").stdout)), True)
size = os.path.getsize(folder / "alone.qmod")
tokens = text("alone", 8)["tokens"]

# A context of ten million costs nothing; files above the model's folder count, and the first that says what ends texts.
info, said = compile("far", above={
    "config.json": {"max_position_embeddings": 10485760, "rope_theta": 1e4, "eos_token_id": 2, "bos_token_id": 3},
    "generation_config.json": {"eos_token_id": [511, tokens[5]], "bos_token_id": 1}})
expect("far", facts(info), (10485760, "../config.json", 1, "../generation_config.json", [511, tokens[5]],
                            "../generation_config.json", '{"rope_theta":10000.0}', "../config.json"))
expect("far: size", abs(os.path.getsize(folder / "far.qmod") - size) < 4096, True)
ended = text("far", 20)
expect("far: ends", (ended["tokens"], ended["stop"]), (tokens[:tokens.index(tokens[5])], "end_of_text"))

# The model's folder comes first. Tokens may be named; a file that is no JSON is a warning.
info, said = compile("near", near={
    "genai_config.json": {"model": {"context_length": 256, "eos_token_id": 5}}, "config.json": "{",
    "tokenizer_config.json": {"bos_token": {"content": "<s>"}, "eos_token": "</s>"}},
    above={"config.json": {"max_position_embeddings": 128}})
expect("near", facts(info), (256, "genai_config.json", 1, "tokenizer_config.json", [5], "genai_config.json", "", ""))
expect("near: " + said, "onnx/config.json: expected a JSON object, so nothing is read from it" in said, True)
done = run(qrun, "near.qmod", "--prompt", "a " * 300, "--prompt=Once")
expect("near: long", (done.returncode, done.stdout), (1, ""))
expect("near: " + done.stderr, "prompt 1 of 2: the prompt has " in done.stderr and "the context is 256" in done.stderr, True)

# Several prompts, given or as lines of a file: each gives what it gives alone.
(folder / "prompts.txt").write_text("Once upon a time\nThe\nLily and Tom went\n")
alone = [run(qrun, "alone.qmod", "--prompt", line, "--max-tokens=6", "--quiet").stdout
         for line in ("Once upon a time", "The", "Lily and Tom went")]
expect("file", run(qrun, "alone.qmod", "--prompt-file=prompts.txt", "--max-tokens=6", "--quiet").stdout, "\n".join(alone))
both = run(qrun, "alone.qmod", "--prompt=The", "--prompt=Once upon a time", "--max-tokens=6", "--quiet", "--json=-")
expect("both", "".join(item["text"] + "\n" for item in json.loads(both.stdout)), alone[1] + alone[0])

print("\n".join(faults) or "all agree")
sys.exit(bool(faults))
