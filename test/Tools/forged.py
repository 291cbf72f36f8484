"""Modules whose header is not that of their code: forged.py QOPT QRUN FOLDER

Every hash is made right again, so only the comparison of header and code is left to find it. Each must
be refused in one line before the code is called.
"""
import copy
import hashlib
import json
import os
import struct
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

qopt, qrun, folder = sys.argv[1:]
os.chdir(folder)

nodes = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "z"], ["y"]), helper.make_node("Neg", ["y"], ["n"])]
values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in
          [("x", ["rows", 16]), ("z", ["rows", 8]), ("y", ["rows", 8]), ("n", ["rows", 8])]]
weights = numpy_helper.from_array(np.arange(128, dtype=np.float32).reshape(16, 8), "w")
graph = helper.make_graph(nodes, "g", values[:2], values[2:], [weights])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), "m.onnx")
np.save("x.npy", np.ones((2, 16), np.float32))
np.save("z.npy", np.ones((2, 8), np.float32))
subprocess.run([qopt, "m.onnx", "-o", "m.qmod", "--cpu=x86-64-v3", "--quiet"], check=True)

with open("m.qmod", "rb") as file:
    good = file.read()
header_bytes = struct.unpack("<Q", good[16:24])[0]
header = json.loads(good[64 : 64 + header_bytes])


def sealed(changed):
    """The file with another header: places and hashes as they must be then."""
    end = 0
    while True:
        place = end
        for section in changed["sections"]:
            alignment = 4096 if section["name"] == "weights" else 64
            section["offset"] = place = (place + alignment - 1) // alignment * alignment
            place += section["bytes"]
        size, chunk = (place + 63) // 64 * 64, changed["chunk_bytes"]
        changed["chunk_hashes"] = ["0" * 64] * -(-size // chunk)
        needed = (64 + len(json.dumps(changed)) + 63) // 64 * 64
        if needed == end:
            break
        end = needed
    result = bytearray(size)
    for section, old in zip(changed["sections"], header["sections"]):
        result[section["offset"] : section["offset"] + old["bytes"]] = good[old["offset"] : old["offset"] + old["bytes"]]
    for i in range(len(changed["chunk_hashes"])):
        piece = result[max(end, i * chunk) : (i + 1) * chunk]
        changed["chunk_hashes"][i] = hashlib.sha256(piece).hexdigest()
    text = json.dumps(changed).encode()
    result[64 : 64 + len(text)] = text
    result[:32] = good[:16] + struct.pack("<QQ", len(text), len(result))
    result[32:64] = hashlib.sha256(result[:end]).digest()
    return result


def change(what):
    changed = copy.deepcopy(header)
    what(changed, changed["entry_points"][0], changed["parameters"])
    return changed


def set_all(tensors, axis, size):
    for tensor in tensors:
        tensor["dims"][axis] = size


cases = {
    "an output less": lambda h, e, p: e["outputs"].pop(),
    "an output more": lambda h, e, p: e["outputs"].append(e["outputs"][0]),
    "an input less": lambda h, e, p: e["inputs"].pop(),
    "an input more": lambda h, e, p: e["inputs"].append(e["inputs"][0]),
    "inputs exchanged": lambda h, e, p: e["inputs"].reverse(),
    "another rank": lambda h, e, p: e["inputs"][0]["dims"].append(1),
    "a longer row": lambda h, e, p: set_all(e["inputs"], 1, 32),
    "a shorter row": lambda h, e, p: set_all(e["inputs"][1:], 1, 4),
    "terabytes": lambda h, e, p: set_all(e["inputs"] + e["outputs"], 0, 1 << 40),
    "sizes that need not be equal": lambda h, e, p: set_all(e["inputs"][1:], 0, "other"),
    "another type": lambda h, e, p: e["inputs"][0].update(type="i8"),
    "a parameter less": lambda h, e, p: p.pop(),
    "a parameter of one row": lambda h, e, p: p[0].update(dims=[1, 8], bytes=32),
    "a parameter of another shape": lambda h, e, p: p[0].update(dims=[8, 16]),
    "a parameter of another type": lambda h, e, p: p[0].update(type="i32"),
    "an entry point of another name": lambda h, e, p: e.update(name="backward"),
    "an entry point more": lambda h, e, p: h["entry_points"].append({**e, "name": "again"}),
    "code that is cut": lambda h, e, p: h["sections"][0].update(bytes=h["sections"][0]["bytes"] // 2),
}
failures = []


def run(name, changed, codes):
    with open("forged.qmod", "wb") as stream:
        stream.write(sealed(changed))
    command = [qrun, "forged.qmod", "--input", "x=x.npy", "--input", "z=z.npy", "--device=cpu", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = done.stderr.splitlines()
    if done.returncode not in codes or (done.returncode and (len(lines) != 1 or "SHA-256" in lines[0] or done.stdout)):
        failures.append(f"{name}: exit {done.returncode}: {done.stderr[:300]}")


run("nothing", change(lambda h, e, p: h.update(producer="someone else")), [0])
for name, what in cases.items():
    run(name, change(what), [1])
print("\n".join(failures))
sys.exit(bool(failures))
