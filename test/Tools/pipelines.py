"""pipelines.py LIST QOPT: dumps every pipeline of LIST, a JSON of --print-pipelines, and gives each text back to QOPT."""
import json
import subprocess
import sys

path, qopt = sys.argv[1:]


def dump(pipeline):
    command = [qopt, "--dump-pass-pipeline", "--pass-pipeline=" + pipeline]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


with open(path, encoding="utf-8") as file:
    pipelines = json.load(file)["pipelines"]
assert len(pipelines) > 10, pipelines
for pipeline in pipelines:
    # With each option at its default as without.
    defaults = [f"{option['name']}={option['default']}" for option in pipeline["options"] if option["default"]]
    text = dump(pipeline["name"])
    assert text.startswith("builtin.module("), text
    assert dump(text) == text, pipeline["name"]
    if pipeline["name"] != "float":
        assert text != "builtin.module()", pipeline["name"]
    if not pipeline["is_scheme"] and defaults:
        assert dump(pipeline["name"] + "{" + " ".join(defaults) + "}") == text, pipeline["name"]
