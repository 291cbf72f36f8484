"""first_window.py EVAL.npy IDS.npy MASK.npy: the first token window, and a mask of ones."""
import sys

import numpy as np

ids = np.load(sys.argv[1])[:1].astype(np.int64)
np.save(sys.argv[2], ids)
np.save(sys.argv[3], np.ones_like(ids))
