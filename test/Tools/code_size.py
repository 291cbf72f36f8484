"""code_size.py DIRECTORY: small models of 2 and 64 layers, and token ids for them.

code_size.py FEW MANY RATIO: checks that the second file is at most RATIO times as long as the first one.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Benchmark"))

import numpy as np

import make_llama

if len(sys.argv) == 2:
    for layers in (2, 64):
        make_llama.make(os.path.join(sys.argv[1], str(layers)), (64, 172, layers, 4, 2, 16, 256, 128), "float16", seed=0)
    np.save(os.path.join(sys.argv[1], "ids.npy"), np.arange(12, dtype=np.int64)[None])
    np.save(os.path.join(sys.argv[1], "mask.npy"), np.ones([1, 12], np.int64))
else:
    few, many = (os.path.getsize(path) for path in sys.argv[1:3])
    if many > float(sys.argv[3]) * few:
        sys.exit(f"expected at most {sys.argv[3]} times {few} bytes but got {many}")
