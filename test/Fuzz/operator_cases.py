"""Random cases of single operators, and what numpy says that they compute.

Each of GENERATORS makes a Case of random numbers: operator, operands, attributes and the results
that are right.
"""
import math

import numpy as np

import movement_cases as moves
from case import ANY, FLOATS, INTEGERS, Case, array, axis_of, ints, reduced, shape


def unary(op, function, types=FLOATS, low=-3, high=3, result=None):
    def make(random):
        x = array(random, shape(random), random.choice(types), low, high)
        with np.errstate(all="ignore"):
            wide = x.astype(np.float64) if x.dtype.kind == "f" else x
            y = np.asarray(function(wide)).astype(result or x.dtype)
        return Case(op, [x], [y])

    return make


def binary(op, function, types=ANY, result=None, low=-3, high=3):
    def make(random):
        dims, dtype = shape(random), random.choice(types)
        a, b = (array(random, reduced(random, dims), dtype, low, high) for _ in range(2))
        with np.errstate(all="ignore"):
            return Case(op, [a, b], [np.asarray(function(a, b)).astype(result or dtype)])

    return make


def divide(random):
    dims, dtype = shape(random), random.choice(ANY)
    a, b = array(random, reduced(random, dims), dtype, -9, 9), array(random, reduced(random, dims), dtype, 1, 4)
    quotient = np.trunc(a.astype(np.float64) / b) if dtype in INTEGERS else a / b
    return Case("Div", [a, b], [np.asarray(quotient).astype(dtype)])


def modulo(random):
    dims, fmod = shape(random), random.random() < 0.5
    dtype = random.choice(FLOATS if fmod and random.random() < 0.7 else INTEGERS)
    a, b = array(random, reduced(random, dims), dtype, -9, 9), array(random, reduced(random, dims), dtype, 1, 4)
    b = b * dtype(random.choice([1, -1]))
    return Case("Mod", [a, b], [np.asarray((np.fmod if fmod else np.mod)(a, b))], {"fmod": int(fmod)})


def power(random):
    dims = shape(random)
    if random.random() < 0.5:  # integers are exact, whatever double could hold
        a = array(random, reduced(random, dims), random.choice(INTEGERS), -7, 7)
        b = array(random, reduced(random, dims), random.choice(INTEGERS), 0, 21)
    else:
        a = array(random, reduced(random, dims), random.choice(FLOATS), 1, 3)
        b = array(random, reduced(random, dims), random.choice([a.dtype.type, np.int64]), -2, 2)
    with np.errstate(all="ignore"):
        exact = np.vectorize(lambda x, y: int(x) ** int(y), otypes=[object])
        if a.dtype.kind != "i":
            y = np.power(a.astype(np.float64), b)
        elif np.broadcast_shapes(a.shape, b.shape) and 0 in np.broadcast_shapes(a.shape, b.shape):
            y = np.zeros(np.broadcast_shapes(a.shape, b.shape))
        else:
            bits = a.dtype.itemsize * 8
            wrap = np.vectorize(lambda v: (v + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1), otypes=[a.dtype])
            y = wrap(exact(a, b))
        return Case("Pow", [a, b], [np.asarray(y).astype(a.dtype)])


def variadic(op, function):
    def make(random):
        dims, dtype = shape(random), random.choice(ANY)
        operands = [array(random, reduced(random, dims), dtype) for _ in range(random.randint(1, 4))]
        result = operands[0]
        for operand in operands[1:]:
            result = function(result, operand)
        return Case(op, operands, [np.asarray(result).astype(dtype)])

    return make


def where(random):
    dims, dtype = shape(random), random.choice(ANY + [np.bool_])
    c, x, y = (array(random, reduced(random, dims), t) for t in (np.bool_, dtype, dtype))
    return Case("Where", [c, x, y], [np.where(c, x, y)])


def cast(random):
    x = array(random, shape(random), random.choice(ANY + [np.bool_, np.int8, np.uint8]), 0, 100)
    to = random.choice(ANY + [np.bool_, np.int8, np.uint8])
    return Case("Cast", [x], [x.astype(to)], {"to": TYPES[np.dtype(to)]})


def clip(random):
    x = array(random, shape(random), random.choice(ANY), -5, 5)
    low, high = (array(random, (), x.dtype.type, *limits) if random.random() < 0.7 else None for limits in ((-3, 0), (0, 3)))
    y = x if low is None else np.maximum(x, low)
    return Case("Clip", [x, low, high], [np.asarray(y if high is None else np.minimum(y, high))])


def reduction(op, function, types=ANY, zero=True):
    def make(random):
        x = array(random, shape(random), random.choice(types), -2, 2)
        if not zero:
            x = array(random, tuple(max(size, 1) for size in x.shape), x.dtype.type, -2, 2)
        keep, axes = random.randint(0, 1), [i for i in range(x.ndim) if random.random() < 0.5]
        attributes = {"keepdims": keep}
        if not axes:
            attributes["noop_with_empty_axes"] = random.randint(0, 1)
            y = x if attributes["noop_with_empty_axes"] else function(x.astype(wide(x)), None, keep)
            return Case(op, [x], [np.asarray(y).astype(x.dtype)], attributes)
        given = [axis - x.ndim if random.random() < 0.5 else axis for axis in axes]
        y = function(x.astype(wide(x)), tuple(axes), keep)
        return Case(op, [x, ints(given)], [np.asarray(y).astype(x.dtype)], attributes, constants=[1])

    return make


def wide(x):
    return np.float64 if x.dtype.kind == "f" else x.dtype


def softmax(random):
    x = array(random, shape(random, random.randint(1, 4)), random.choice(FLOATS))
    axis = axis_of(random, x.ndim)
    y = x.astype(np.float64)
    if x.size:
        y = np.exp(y - y.max(axis, keepdims=True))
        y /= y.sum(axis, keepdims=True)
    return Case("Softmax", [x], [y.astype(x.dtype)], {"axis": axis})


def attention(random):
    """A score that is hidden is the lowest number: a query that sees no key gets the mean of all values."""
    batch, groups, heads = (random.randint(1, 2) for _ in range(3))
    size, width = random.choice([2, 8]), random.choice([3, 8])
    queries, keys, past = random.randint(1, 5), random.randint(1, 5), random.choice([0, 0, 1, 6])
    q, k, v = (array(random, dims, np.float32) for dims in (
        (batch, groups * heads, queries, size), (batch, heads, keys, size), (batch, heads, keys, width)))
    earlier = [array(random, (batch, heads, past, n), np.float32) if past else None for n in (size, width)]
    k2, v2 = (np.concatenate([x for x in (old, new) if x is not None], 2) for old, new in zip(earlier, (k, v)))
    mask, lowest = None, np.finfo(np.float32).min
    scores = q.astype(np.float64) @ np.repeat(k2, groups, 1).swapaxes(2, 3) / math.sqrt(size)
    if random.random() < 0.6:
        mask = array(random, reduced(random, scores.shape[:2]) + scores.shape[2:], random.choice([np.float32, np.bool_]))
        scores = np.where(mask, scores, lowest) if mask.dtype == np.bool_ else scores + mask
    causal = random.randint(0, 1)
    if causal:
        scores = np.where(np.arange(past + keys) <= np.arange(queries)[:, None] + past, scores, lowest)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    results = [shares @ np.repeat(v2, groups, 1)] + random.choice([[], [k2, v2, shares]])
    attributes = {"is_causal": causal} | ({"qk_matmul_output_mode": 3} if len(results) > 1 else {})
    return Case("Attention", [q, k, v, mask, *earlier], [x.astype(np.float32) for x in results], attributes)


def matmul(random):
    m, k, n = (random.choice([0, 1, 2, 3, 5, 17, 33]) for _ in range(3))
    batch, dtype = shape(random, most=2), random.choice(FLOATS + [np.int32])
    a, b = array(random, (*reduced(random, batch), m, k), dtype), array(random, (*reduced(random, batch), k, n), dtype)
    if random.random() < 0.2:
        a = a.reshape(-1)[:k] if a.size >= k else np.zeros(k, dtype)
    return Case("MatMul", [a, b], [np.matmul(a.astype(wide(a)), b.astype(wide(b))).astype(dtype)])


def gemm(random):
    m, k, n = (random.choice([0, 1, 2, 3, 17]) for _ in range(3))
    ta, tb = random.randint(0, 1), random.randint(0, 1)
    a, b = array(random, (k, m) if ta else (m, k), np.float32), array(random, (n, k) if tb else (k, n), np.float32)
    c = array(random, reduced(random, (m, n)), np.float32) if random.random() < 0.6 else None
    alpha, beta = random.choice([1.0, 0.5]), random.choice([1.0, 2.0, 0.0])
    y = alpha * np.matmul(a.T if ta else a, b.T if tb else b) + (0 if c is None else beta * c)
    return Case("Gemm", [a, b, c], [y.astype(np.float32)], {"transA": ta, "transB": tb, "alpha": alpha, "beta": beta})


def layer_norm(random):
    x = array(random, tuple(max(size, 1) for size in shape(random, random.randint(1, 4))), np.float32)
    axis = axis_of(random, x.ndim)
    scale, bias = (array(random, x.shape[axis:], np.float32) for _ in range(2))
    axes, wider = tuple(range(axis % x.ndim, x.ndim)), x.astype(np.float64)
    if random.random() < 0.5:
        y = wider / np.sqrt((wider**2).mean(axes, keepdims=True) + 1e-5) * scale
        return Case("RMSNormalization", [x, scale], [y.astype(np.float32)], {"axis": axis})
    y = (wider - wider.mean(axes, keepdims=True)) / np.sqrt(wider.var(axes, keepdims=True) + 1e-5) * scale + bias
    return Case("LayerNormalization", [x, scale, bias], [y.astype(np.float32)], {"axis": axis})


def shape_of(random):
    x = array(random, shape(random), random.choice(ANY))
    start, end = random.randint(-5, 5), random.randint(-5, 5)
    return Case("Shape", [x], [ints(x.shape[max(start + x.ndim if start < 0 else start, 0):max(end + x.ndim if end < 0 else end, 0)])], {"start": start, "end": end})


def constant_of_shape(random):
    dims = shape(random)
    value = array(random, (1,), random.choice(ANY))
    return Case("ConstantOfShape", [ints(dims)], [np.full(dims, value[0])], {"value": value})


TYPES = {np.dtype(t): n for t, n in ((np.float32, 1), (np.uint8, 2), (np.int8, 3), (np.int32, 6), (np.int64, 7), (np.bool_, 9), (np.float16, 10))}

erf = np.vectorize(math.erf, otypes=[np.float64])
GENERATORS = [
    unary("Abs", np.abs, ANY), unary("Neg", np.negative, ANY), unary("Ceil", np.ceil), unary("Floor", np.floor),
    unary("Cos", np.cos), unary("Sin", np.sin), unary("Exp", np.exp), unary("Log", np.log, low=0.25), unary("Sqrt", np.sqrt, low=0),
    unary("Erf", erf), unary("Tanh", np.tanh), unary("Reciprocal", lambda x: 1 / x, low=0.5), unary("Round", np.rint),
    unary("Relu", lambda x: np.maximum(x, 0), ANY), unary("Sigmoid", lambda x: 1 / (1 + np.exp(-x))), unary("Sign", np.sign, ANY),
    unary("Softplus", lambda x: np.log1p(np.exp(x))), unary("Not", np.logical_not, [np.bool_]), unary("Identity", lambda x: x, ANY + [np.bool_]),
    unary("IsNaN", np.isnan, FLOATS, result=np.bool_), unary("IsInf", np.isinf, FLOATS, result=np.bool_),
    binary("Add", np.add), binary("Sub", np.subtract), binary("Mul", np.multiply), divide, modulo, power,
    binary("And", np.logical_and, [np.bool_]), binary("Or", np.logical_or, [np.bool_]), binary("Xor", np.logical_xor, [np.bool_]),
    binary("Equal", np.equal, ANY + [np.bool_], np.bool_), binary("Less", np.less, ANY, np.bool_), binary("Greater", np.greater, ANY, np.bool_),
    binary("LessOrEqual", np.less_equal, ANY, np.bool_), binary("GreaterOrEqual", np.greater_equal, ANY, np.bool_),
    variadic("Max", np.maximum), variadic("Min", np.minimum), variadic("Sum", np.add), where, cast, clip, moves.reshape, moves.expand, moves.transpose,
    moves.unsqueeze, moves.squeeze, moves.flatten, moves.concat, moves.split, moves.slices, moves.gather, moves.gather_elements, moves.gather_nd, moves.scatter_nd, moves.tile, moves.trilu, moves.ranges, moves.cumsum,
    reduction("ReduceMax", lambda x, axes, keep: np.max(x, axes, keepdims=bool(keep)), zero=False),
    reduction("ReduceMin", lambda x, axes, keep: np.min(x, axes, keepdims=bool(keep)), zero=False),
    reduction("ReduceMean", lambda x, axes, keep: np.mean(x, axes, keepdims=bool(keep)), FLOATS, zero=False),
    reduction("ReduceSum", lambda x, axes, keep: np.sum(x, axes, keepdims=bool(keep))),
    reduction("ReduceProd", lambda x, axes, keep: np.prod(x, axes, keepdims=bool(keep))),
    softmax, attention, matmul, gemm, layer_norm, shape_of, constant_of_shape,
]
