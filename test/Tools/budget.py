"""budget.py REPORT COMMAND: runs COMMAND with the overrides of a report that layers chose; where they did not, with its
bits per weight as the budget, and then the result, mixed.json, must have no larger divergence."""
import json
import shlex
import subprocess
import sys


def load(path):
    with open(path) as file:
        return json.load(file)


report, command = load(sys.argv[1]), shlex.split(sys.argv[2])
if "overrides" in report:
    subprocess.run(command + [f"--override={text}" for text in report["overrides"]], check=True)
    sys.exit()
bits = report["total"]["bits_per_weight"]
subprocess.run(command + [f"--target-bits={bits * 1.000001}"], check=True)
mixed = load("mixed.json")
if mixed["total"]["bits_per_weight"] > bits * 1.00001 or mixed["eval"]["kl_divergence_mean"] > report["eval"]["kl_divergence_mean"]:
    sys.exit(f"{mixed['total']} {mixed['eval']} is worse than {report['total']} {report['eval']}")
