#!/usr/bin/env python3
"""The parameters of a module, one a line, sorted: name, type, shape and a hash of the bytes.

  weights.py FILE.qmod
"""
import hashlib, json, struct, sys

data = open(sys.argv[1], "rb").read()
header = json.loads(data[64 : 64 + struct.unpack_from("<Q", data, 16)[0]])
base = next(section["offset"] for section in header["sections"] if section["name"] == "weights")
for parameter in sorted(header["parameters"], key=lambda parameter: parameter["name"]):
    begin = base + parameter["offset"]
    digest = hashlib.sha256(data[begin : begin + parameter["bytes"]]).hexdigest()
    print(parameter["name"], parameter["type"], parameter["dims"], digest)
