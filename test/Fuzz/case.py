"""What random cases of single operators are made of.

Operands have few dimensions, each 0, 1 or a small prime.
"""
import math

import numpy as np

FLOATS = [np.float32, np.float32, np.float16]
INTEGERS = [np.int64, np.int64, np.int32]
ANY = FLOATS + INTEGERS


class Case:
    def __init__(self, op, inputs, outputs, attributes=None, constants=()):
        """`constants`: which operands may be initializers only. None: an operand that is left out."""
        self.op, self.inputs, self.outputs = op, inputs, outputs
        self.attributes, self.constants = attributes or {}, set(constants)


def shape(random, rank=None, most=4):
    rank = random.randint(0, most) if rank is None else rank
    return tuple(random.choice([0, 1, 1, 2, 3, 5, 2, 3, 7][random.random() > 0.3 :]) for _ in range(rank))


def array(random, dims, dtype, low=-3, high=3):
    count = math.prod(dims)
    if dtype == np.bool_:
        values = [random.random() < 0.5 for _ in range(count)]
    elif np.issubdtype(dtype, np.integer):
        values = [random.randint(low, high) for _ in range(count)]
    else:
        values = [round(random.uniform(low, high) * 8) / 8 for _ in range(count)]
    return np.array(values, dtype).reshape(dims)


def reduced(random, dims):
    """Dimensions that broadcast to `dims`."""
    dims = [1 if random.random() < 0.3 else size for size in dims]
    return tuple(dims[random.randint(0, len(dims)) if random.random() < 0.3 else 0 :])


def axis_of(random, rank):
    return random.randint(-rank, rank - 1)


def ints(values):
    return np.array(values, np.int64)
