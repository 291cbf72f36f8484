"""code_size.py DIRECTORY: small models of 2 and 64 layers, and token ids for them.

code_size.py FEW MANY RATIO: checks that the second library has at most RATIO times as much code as the first one. What
the code was compiled for, a line of text for each parameter, does not count.
"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Benchmark"))

import numpy as np

import make_llama



def code_bytes(path):
    """Bytes of an ELF file's sections that hold instructions."""
    with open(path, "rb") as file:
        elf = file.read()
    headers, size, count = struct.unpack_from("<Q", elf, 40) + struct.unpack_from("<HH", elf, 58)
    sections = [struct.unpack_from("<IIQQQQ", elf, headers + i * size) for i in range(count)]
    executable = 4
    return sum(section[5] for section in sections if section[2] & executable)


if len(sys.argv) == 2:
    for layers in (2, 64):
        make_llama.make(os.path.join(sys.argv[1], str(layers)), (64, 172, layers, 4, 2, 16, 256, 128), "float16", seed=0)
    np.save(os.path.join(sys.argv[1], "ids.npy"), np.arange(12, dtype=np.int64)[None])
    np.save(os.path.join(sys.argv[1], "mask.npy"), np.ones([1, 12], np.int64))
else:
    few, many = (code_bytes(path) for path in sys.argv[1:3])
    if many > float(sys.argv[3]) * few:
        sys.exit(f"expected at most {sys.argv[3]} times {few} bytes but got {many}")
