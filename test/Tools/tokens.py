"""Writes the first window of a token file with its mask as .npy and .pb, and its stored logits."""
import os
import sys

import numpy as np
from onnx import numpy_helper

ids = np.load(sys.argv[1])[:1].astype(np.int64)
for name, array in [("ids", ids), ("mask", np.ones_like(ids))]:
    np.save(name + ".npy", array)
    open(name + ".pb", "wb").write(numpy_helper.from_array(array, name).SerializeToString())
logits = np.load(os.path.join(os.path.dirname(sys.argv[1]), "logits_window0.npy"))
np.save("logits.npy", logits.reshape(1, *logits.shape[-2:]))
