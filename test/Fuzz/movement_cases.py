"""Random cases of operators that move elements, and what numpy says that they compute."""
import math

import numpy as np

from case import ANY, INTEGERS, Case, array, axis_of, ints, reduced, shape


def reshape(random):
    x = array(random, shape(random), random.choice(ANY))
    to = list(x.shape)
    random.shuffle(to)
    to.insert(random.randint(0, len(to)), 1)
    target = tuple(to)
    if 0 not in to and random.random() < 0.5:
        to[random.randrange(len(to))] = -1
    attributes = {"allowzero": 1} if 0 in to else {}
    return Case("Reshape", [x, ints(to)], [x.reshape(target)], attributes)


def expand(random):
    dims = shape(random)
    x = array(random, reduced(random, dims), random.choice(ANY + [np.bool_]))
    return Case("Expand", [x, ints(dims)], [np.broadcast_to(x, np.broadcast_shapes(x.shape, dims))])


def transpose(random):
    x = array(random, shape(random), random.choice(ANY + [np.bool_]))
    perm = list(range(x.ndim))
    random.shuffle(perm)
    return Case("Transpose", [x], [x.transpose(perm)], {"perm": perm} if perm else {})


def unsqueeze(random):
    x = array(random, shape(random, most=3), random.choice(ANY))
    axes = random.sample(range(x.ndim + 2), 2) if random.random() < 0.5 else [random.randint(0, x.ndim)]
    rank = x.ndim + len(axes)
    given = [axis - rank if random.random() < 0.5 else axis for axis in axes]
    return Case("Unsqueeze", [x, ints(given)], [np.expand_dims(x, tuple(axes))], constants=[1])


def squeeze(random):
    x = array(random, shape(random), random.choice(ANY))
    ones = [i for i, size in enumerate(x.shape) if size == 1]
    axes = [i for i in ones if random.random() < 0.6]
    if not axes:
        return Case("Squeeze", [x], [np.squeeze(x)])
    given = [axis - x.ndim if random.random() < 0.5 else axis for axis in axes]
    return Case("Squeeze", [x, ints(given)], [np.squeeze(x, tuple(axes))], constants=[1])


def flatten(random):
    x = array(random, shape(random), random.choice(ANY))
    axis = random.randint(-x.ndim, x.ndim)
    at = axis + x.ndim if axis < 0 else axis
    return Case("Flatten", [x], [x.reshape(math.prod(x.shape[:at]), math.prod(x.shape[at:]))], {"axis": axis})


def concat(random):
    dims = shape(random, random.randint(1, 4))
    axis, dtype = axis_of(random, len(dims)), random.choice(ANY + [np.bool_])
    parts = []
    for _ in range(random.randint(1, 4)):
        part = list(dims)
        part[axis] = random.choice([0, 1, 2, 3])
        parts.append(array(random, part, dtype))
    return Case("Concat", parts, [np.concatenate(parts, axis)], {"axis": axis})


def split(random):
    dims, sizes = list(shape(random, random.randint(1, 3))), [random.choice([0, 1, 2, 3]) for _ in range(3)]
    axis = axis_of(random, len(dims))
    dims[axis] = sum(sizes)
    x = array(random, dims, random.choice(ANY))
    return Case("Split", [x, ints(sizes)], np.split(x, np.cumsum(sizes)[:-1], axis), {"axis": axis}, constants=[1])


def slices(random):
    x = array(random, shape(random, random.randint(1, 4)), random.choice(ANY))
    axes = random.sample(range(x.ndim), random.randint(1, x.ndim))
    far = [-(1 << 40), -9, -3, -2, -1, 0, 1, 2, 3, 9, 1 << 40, (1 << 63) - 1]
    starts, ends = ([random.choice(far) for _ in axes] for _ in range(2))
    steps = [random.choice([1, 1, 1, 2, -1, -2, 5]) for _ in axes]
    y = x
    for axis, start, end, step in zip(axes, starts, ends, steps):
        size = x.shape[axis]
        low, high = (0, size) if step > 0 else (-1, size - 1)
        first, last = (at + size if at < 0 else at for at in (start, end))
        first, last = min(max(first, max(low, 0)), high), min(max(last, low), size)
        indices = [i for i in range(first, last, step) if 0 <= i < size]
        y = np.take(y, indices, axis)
    given = [axis - x.ndim if random.random() < 0.4 else axis for axis in axes]
    operands = [x, ints(starts), ints(ends), ints(given), ints(steps)]
    return Case("Slice", operands, [y], constants=[3, 4])


def indices(random, dims, size):
    return array(random, dims if size else tuple(0 for _ in dims) or (0,), random.choice(INTEGERS), -size, max(size - 1, 0))


def gather(random):
    x = array(random, shape(random, random.randint(1, 3)), random.choice(ANY + [np.bool_]))
    axis = axis_of(random, x.ndim)
    chosen = indices(random, shape(random, most=2), x.shape[axis])
    return Case("Gather", [x, chosen], [np.take(x, chosen, axis)], {"axis": axis})


def gather_elements(random):
    x = array(random, shape(random, random.randint(1, 3)), random.choice(ANY))
    axis = axis_of(random, x.ndim)
    dims = [random.randint(0, size) for size in x.shape]
    dims[axis] = random.choice([1, 2, 3]) if x.shape[axis] else 0
    chosen = array(random, dims, np.int64, -x.shape[axis], max(x.shape[axis] - 1, 0))
    y = np.zeros(dims, x.dtype)
    for at in np.ndindex(*dims):
        place = list(at)
        place[axis] = chosen[at]
        y[at] = x[tuple(place)]
    return Case("GatherElements", [x, chosen], [y], {"axis": axis})


def tuples(random, x, depth, dims):
    columns = [array(random, dims, np.int64, -size, size - 1) for size in x.shape[:depth]]
    return np.stack(columns, -1)


def gather_nd(random):
    x = array(random, tuple(max(size, 1) for size in shape(random, random.randint(1, 3))), random.choice(ANY))
    depth = random.randint(1, x.ndim)
    chosen = tuples(random, x, depth, shape(random, most=2))
    return Case("GatherND", [x, chosen], [x[tuple(np.moveaxis(chosen, -1, 0))]])


def scatter_nd(random):
    x = array(random, tuple(max(size, 1) for size in shape(random, random.randint(1, 3))), random.choice(ANY))
    depth = random.randint(1, x.ndim)
    chosen = tuples(random, x, depth, (1,))
    updates = array(random, (1, *x.shape[depth:]), x.dtype.type)
    y = x.copy()
    y[tuple(chosen[0])] = updates[0]
    return Case("ScatterND", [x, chosen, updates], [y])


def tile(random):
    x = array(random, shape(random, most=3), random.choice(ANY))
    repeats = [random.choice([0, 1, 1, 2, 3]) for _ in x.shape]
    return Case("Tile", [x, ints(repeats)], [np.tile(x, repeats) if x.ndim else x])


def trilu(random):
    x = array(random, shape(random, random.randint(2, 3)), random.choice(ANY + [np.bool_]))
    k, upper = random.randint(-4, 4), random.randint(0, 1)
    operands = [x] if k == 0 else [x, np.array(k, np.int64)]
    return Case("Trilu", operands, [(np.triu if upper else np.tril)(x, k)], {"upper": upper})


def ranges(random):
    dtype = random.choice([np.int64, np.int32, np.float32])
    start, limit, delta = random.randint(-5, 5), random.randint(-9, 9), random.choice([1, 2, 3, -1, -2])
    count = max(math.ceil((limit - start) / delta), 0)
    return Case("Range", [np.array(v, dtype) for v in (start, limit, delta)], [(start + delta * np.arange(count)).astype(dtype)])


def cumsum(random):
    x = array(random, shape(random, random.randint(1, 3)), random.choice([np.float32, np.int64, np.int32]))
    axis, exclusive, reverse = axis_of(random, x.ndim), random.randint(0, 1), random.randint(0, 1)
    y = np.flip(x, axis) if reverse else x
    total = np.cumsum(y, axis, dtype=x.dtype)
    total = total - y if exclusive else total
    total = np.flip(total, axis) if reverse else total
    dims = random.choice([(), (1,)])
    return Case("CumSum", [x, np.array(axis, np.int64).reshape(dims)], [total], {"exclusive": exclusive, "reverse": reverse}, constants=[1])
