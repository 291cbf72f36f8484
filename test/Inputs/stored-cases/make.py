#!/usr/bin/env python3
"""Writes small models whose weights are codes already, in the forms that exporters write.

usage: make.py FOLDER

Each case is FOLDER/NAME.onnx: a graph from x to y, and initializers that nothing reads: "in/x", "out/y"
and "layers", the text of what --list-layers shows of each linear: scheme and activations. y is what numpy
computes; where onnxruntime runs the model, it must agree. Needs the packages onnx and onnxruntime.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

UINT4, INT4, UINT2, INT2 = 21, 22, 25, 26
TYPES = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int16": TensorProto.INT16, "uint16": TensorProto.UINT16,
         "int4": INT4, "uint4": UINT4, "int2": INT2, "uint2": UINT2, "int32": TensorProto.INT32}
BITS = {"int4": 4, "uint4": 4, "int2": 2, "uint2": 2}
random = np.random.default_rng(7)
names = set()


def pack(codes, bits):
    """Integers side by side, the first in the low bits, in a row of bytes."""
    flat = codes.astype(np.int64).reshape(-1) & ((1 << bits) - 1)
    stream = (flat[:, None] >> np.arange(bits)) & 1
    return np.packbits(stream.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def tensor(name, values, kind=None):
    values = np.asarray(values)
    if kind is None:
        return numpy_helper.from_array(values, name)
    raw = pack(values, BITS[kind]) if kind in BITS else values.astype(kind).tobytes()
    return TensorProto(name=name, data_type=TYPES[kind], dims=values.shape, raw_data=raw)


def limits(kind):
    bits = BITS.get(kind, 16 if "16" in kind else 8)
    return (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def codes(kind, shape):
    low, high = limits(kind)
    return random.integers(low, high + 1, shape)


def scales(*shape):
    return random.uniform(0.01, 0.05, shape).astype(np.float32)


def spread(scale, block, size, axis):
    return np.repeat(scale, block, axis).take(range(size), axis)


def quantize(x, s, z, kind):
    low, high = limits(kind)
    return np.clip(np.rint(x.astype(np.float32) / np.float32(s)) + z, low, high)


class Model:
    """A graph from x [2, s, k] to y."""

    def __init__(self, k, opset=21):
        self.nodes, self.constants, self.opset = [], [], opset
        self.x = random.standard_normal((2, 3, k)).astype(np.float32)

    def constant(self, name, values, kind=None):
        self.constants.append(tensor(name, values, kind))
        return name

    def node(self, op, inputs, outputs="", domain="", **attributes):
        outputs = outputs or op + str(len(self.nodes))
        self.nodes.append(helper.make_node(op, inputs, outputs.split(), name=f"/model/n{len(self.nodes)}/{op}", domain=domain,
                                           **attributes))
        return outputs.split()[0]

    def finish(self, name, expected, layers, tolerance=2e-6):
        """`layers`: scheme and activations of each, None for one that becomes float."""
        assert name not in names
        names.add(name)
        y = np.asarray(expected, np.float32)
        x = helper.make_tensor_value_info("x", 1, [2, "s", self.x.shape[-1]])
        result = helper.make_tensor_value_info("y", 1, [2 if i == 0 else f"y.{i}" for i in range(y.ndim)])
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(helper.make_graph(self.nodes, name, [x], [result], self.constants), opset_imports=opsets,
                                  ir_version=10 if self.opset < 25 else 13)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
            theirs = session.run(None, {"x": self.x})[0]
            error = np.abs(theirs - y).max() / np.abs(y).max()
            if not error < max(tolerance, 1e-5):
                print(f"{name}: onnxruntime differs by {error}")
        except Exception as e:
            print(f"{name}: not run by onnxruntime: {str(e)[:90]}")
        text = "\n".join(" ".join(layer) for layer in ([("float", "float")] if layers is None else layers))
        model.graph.initializer.extend([numpy_helper.from_array(self.x, "in/x"), numpy_helper.from_array(y, "out/y"),
                                        tensor("layers", np.frombuffer(text.encode(), np.uint8), "uint8")])
        for value in model.graph.initializer:  # one module holds all cases in the tests
            if value.name == "w.weight":
                value.name = name + ".weight"
        for node in model.graph.node:
            node.input[:] = [name + ".weight" if i == "w.weight" else i for i in node.input]
        Path(sys.argv[1], name + ".onnx").write_bytes(model.SerializeToString())


# DequantizeLinear in front of MatMul: per tensor, per output, in blocks, along the inputs.
def in_front(kind, form, zeros):
    k, n, block = 24, 10, 8
    m = Model(k, 25 if "2" in kind else 21)
    isTransposed = form == "transposed"
    q = codes(kind, (n, k) if isTransposed else (k, n))
    shape = {"tensor": (), "output": (n,), "block": (k // block, n), "transposed": (n, k // block), "input": (k,)}[form]
    s, z = scales(*shape), codes(kind, shape)
    attributes = {"axis": 1} if form in ("output", "transposed") else {"axis": 0}
    attributes.update({"block_size": block} if form in ("block", "transposed") else {})
    inputs = [m.constant("w.weight", q, kind), m.constant("s", s)] + ([m.constant("z", z, kind)] if zeros else [])
    w, axis = m.node("DequantizeLinear", inputs, **attributes), attributes["axis"]

    def wide(a):
        return spread(a, block, k, axis) if "block_size" in attributes else a[:, None] if form == "input" else a

    value = (q - (wide(z) if zeros else 0)) * wide(s)
    if isTransposed:
        w, value = m.node("Transpose", [w], perm=[1, 0]), value.T
    m.node("MatMul", ["x", w], "y")
    isFloat = "16" in kind or form == "input"
    m.finish(f"dq-{kind}-{form}{'-zeros' if zeros else ''}", m.x @ value.astype(np.float32),
             None if isFloat else [(f"stored-int{8 if kind.endswith('8') else 4}", "float")])


for kind, form, zeros in [("int8", "tensor", False), ("int8", "output", True), ("int8", "block", True), ("uint8", "output", True),
                          ("uint8", "transposed", False), ("int4", "output", False), ("int4", "block", True), ("uint4", "tensor", True),
                          ("uint4", "transposed", True), ("int2", "block", False), ("uint2", "transposed", True),
                          ("int16", "output", False), ("int8", "input", True)]:
    in_front(kind, form, zeros)


# MatMulNBits: bits, packed and float zero points, groups in another order, a last block that is not whole.
def n_bits(bits, form):
    k, n, block = (40 if form == "rest" else 64), 12, 16
    m = Model(k)
    groups = -(-k // block)
    q = random.integers(0, 2**bits, (n, groups * block))
    s, z = scales(n, groups), random.integers(0, 2**bits, (n, groups))
    s[0] = -s[0]
    packed = np.frombuffer(pack(q, bits), np.uint8).reshape(n, groups, block * bits // 8)
    inputs = ["x", m.constant("w.weight", packed), m.constant("s", s)]
    zero = np.full((n, groups), 2 ** (bits - 1))
    if form == "zeros":
        inputs, zero = inputs + [m.constant("z", np.array([np.frombuffer(pack(row, bits), np.uint8) for row in z]))], z
    elif form == "floats":
        zero = (z + 0.375).astype(np.float32)
        inputs = inputs + [m.constant("z", zero)]
    order, bias = np.arange(groups * block) // block, 0
    if form == "order":
        order = random.permutation(order)
        inputs = inputs + ["", m.constant("g", order.astype(np.int32))]
    if form == "bias":
        bias = scales(n)
        inputs = inputs + ["", "", m.constant("b", bias)]
    value = ((q - zero[:, order]) * s[:, order])[:, :k].T.astype(np.float32)
    m.node("MatMulNBits", inputs, "y", "com.microsoft", K=k, N=n, bits=bits, block_size=block, accuracy_level=1)
    m.finish(f"nbits-{bits}-{form}", m.x @ value + bias, [(f"stored-int{8 if bits == 8 else 4}", "float")])


for bits, form in [(2, "zeros"), (3, "rest"), (3, "zeros"), (4, "rest"), (4, "zeros"), (4, "floats"), (4, "order"), (4, "bias"),
                   (8, "rest"), (8, "zeros"), (8, "floats")]:
    n_bits(bits, form)


# Activations with one scale, as quantizers and QAT write them.
def rounded(kind, zx, wkind, zw, gemm=False):
    k, n = 32, 12
    m = Model(k)
    s, sw, bias = np.float32(0.021), scales(n), scales(n)
    q = codes(wkind, (n, k) if gemm else (k, n))
    a = m.node("QuantizeLinear", ["x", m.constant("s", s), m.constant("z", np.array(zx), kind)])
    a = m.node("DequantizeLinear", [a, "s", "z"])
    inputs = [m.constant("w.weight", q, wkind), m.constant("sw", sw), m.constant("zw", np.full(n, zw), wkind)]
    w = m.node("DequantizeLinear", inputs, axis=0 if gemm else 1)
    value = (q - zw) * (sw[:, None] if gemm else sw)
    y = (quantize(m.x, s, zx, kind) - zx) * s
    if gemm:
        a = m.node("Reshape", [a, m.constant("flat", np.array([-1, k]))])
        w = m.node("Gemm", [a, w, m.constant("b", bias)], transB=1, alpha=0.5, beta=2.0)
        m.node("Reshape", [w, m.constant("back", np.array([2, -1, n]))], "y")
        y = 0.5 * y @ value.T + 2 * bias
    else:
        m.node("MatMul", [a, w], "y")
        y = y @ value
    isInt = kind != "int16"
    m.finish(f"qdq-{kind}{zx:+}-{wkind}{zw:+}{'-gemm' if gemm else ''}", y,
             [("stored-int8" if isInt or wkind != "int4" else "stored-int4", "int8" if isInt else "float")], 5e-6)


for arguments in [("int8", 0, "int8", 0), ("int8", -17, "uint8", 117), ("uint8", 128, "int8", 0), ("uint8", 93, "int8", 0, True),
                  ("uint8", 93, "uint8", 128), ("uint8", 93, "int4", 0), ("int16", 5, "int8", 0), ("int16", 5, "int4", 0)]:
    rounded(*arguments)


# Ranges measured at run time, and products of integers.
def dynamic(op, wkind, zw, shift=0.0):
    k, n = 32, 12
    m = Model(k, 17)
    m.x += np.float32(shift)
    single = op == "MatMulInteger"
    q, sw, bias = codes(wkind, (k, n)) // 2, np.float32(0.03) if single else scales(n), scales(n)
    w = [m.constant("w.weight", q, wkind), m.constant("sw", sw),
         m.constant("zw", np.array(zw) if single else np.full(n, zw), wkind), m.constant("b", bias)]
    if op != "DynamicQuantizeMatMul":
        m.node("DynamicQuantizeLinear", ["x"], "q s z")
    if single:
        f = m.node("Cast", [m.node(op, ["q", w[0], "z", w[2]])], to=1)
        m.node("Add", [m.node("Mul", [f, m.node("Mul", ["s", w[1]])]), w[3]], "y")
    elif op == "MatMulIntegerToFloat":
        m.node(op, ["q", w[0], "s", w[1], "z", w[2], w[3]], "y", "com.microsoft")
    else:
        m.node(op, ["x"] + w, "y", "com.microsoft")
    low, high = min(m.x.min(), 0), max(m.x.max(), 0)
    s = np.float32((high - low) / np.float32(255))
    z = np.clip(np.rint(-low / s), 0, 255)
    y = ((quantize(m.x, s, z, "uint8") - z) * s) @ ((q - zw) * sw) + bias
    m.finish(f"dynamic-{op}-{wkind}{zw:+}{'-shifted' if shift else ''}", y, [("stored-int8", "int8")], 5e-6)


dynamic("MatMulInteger", "int8", 0)
dynamic("MatMulInteger", "uint8", 121, shift=5)
dynamic("MatMulIntegerToFloat", "int8", 0)
dynamic("DynamicQuantizeMatMul", "uint8", 121)


def qlinear():
    k, n = 32, 12
    m = Model(k)
    q, s, sw, sy = codes("int8", (k, n)), np.float32(0.02), np.float32(0.03), np.float32(0.3)
    a = m.node("QuantizeLinear", ["x", m.constant("s", s), m.constant("z", np.array(3), "uint8")])
    y = m.node("QLinearMatMul", [a, "s", "z", m.constant("w.weight", q, "int8"), m.constant("sw", sw),
                                 m.constant("zw", np.array(0), "int8"), m.constant("sy", sy), m.constant("zy", np.array(100), "uint8")])
    y = m.node("QLinearAdd", [y, "sy", "zy", y, "sy", "zy", m.constant("s2", np.float32(0.7)), "zy"], domain="com.microsoft")
    y = m.node("QLinearSigmoid", [y, "s2", "zy", m.constant("s3", np.float32(1 / 256)), m.constant("z3", np.array(0), "uint8")],
               domain="com.microsoft")
    m.node("DequantizeLinear", [m.node("Transpose", [y], perm=[0, 2, 1]), "s3", "z3"], "y")
    value = ((quantize(m.x, s, 3, "uint8") - 3) * s) @ (q * sw)
    value = (quantize(value, sy, 100, "uint8") - 100) * sy
    value = (quantize(2 * value, 0.7, 100, "uint8") - 100) * np.float32(0.7)
    m.finish("qlinear", quantize(1 / (1 + np.exp(-value)), 1 / 256, 0, "uint8").transpose(0, 2, 1) / 256, [("stored-int8", "int8")])


qlinear()


# Tables: rows are looked up by x, which the model rounds to indices.
def table(name, kind, block, zeros, gather_op=False, tied=False):
    v, k = 14, 32
    m = Model(k)
    m.x = random.integers(0, v, (2, 3, 1)).astype(np.float32)
    ids = m.node("Squeeze", [m.node("Cast", ["x"], to=7), m.constant("last", np.array([-1]))])
    q = codes(kind, (v, k))
    shape = (v, k // block) if block else (v,)
    s, z = scales(*shape), codes(kind, shape)

    def wide(a):
        return spread(a, block, k, 1) if block else a[:, None]

    value = (q - (wide(z) if zeros else 0)) * wide(s)
    if gather_op == "bytes":
        packed, points = [np.array([np.frombuffer(pack(row, 4), np.uint8) for row in values]) for values in (q, z)]
        inputs = [m.constant("w.weight", packed), m.constant("s", s), m.constant("z", points)]
    else:
        inputs = [m.constant("w.weight", q, kind), m.constant("s", s)] + ([m.constant("z", z, kind)] if zeros else [])
    blocks = {"axis": 1, "block_size": block} if block else {"axis": 0}
    if gather_op:
        rows = m.node("GatherBlockQuantized", [inputs[0], ids] + inputs[1:], domain="com.microsoft", block_size=block,
                      gather_axis=0, quantize_axis=1)
    else:
        rows = m.node("Gather", [m.node("DequantizeLinear", inputs, **blocks), ids])
    y = value[m.x[..., 0].astype(int)]
    if tied:
        w = m.node("Transpose", [m.node("DequantizeLinear", inputs, **blocks)], perm=[1, 0])
        rows, y = m.node("MatMul", [rows, w]), y @ value.T
    m.node("Identity", [rows], "y")
    m.finish(name, y, [(f"stored-int{8 if kind.endswith('8') else 4}", "float")] if tied else [])


table("rows-uint8", "uint8", 0, True)
table("rows-int4-blocks", "int4", 16, True)
table("tied-int8", "int8", 0, False, tied=True)
table("tied-uint4-blocks", "uint4", 16, True, tied=True)
table("gather-int4", "int4", 16, False, gather_op=True)
table("gather-uint4", "uint4", 16, True, gather_op=True)
table("gather-bytes", "uint4", 16, True, gather_op="bytes")


# Convolutions of integers: y [batch, outputs, positions] of x [batch, positions, inputs], which the model transposes.
def convolution(name, places, rounded, kind="int8", zeros=True):
    k, n = 16, 12
    m = Model(k)
    w, z = codes(kind, (n, k, places)), codes(kind, n) if zeros else np.zeros(n, np.int64)
    if not rounded:
        z[:] = z[0]  # all that onnxruntime takes
    s, a, b = scales(n), np.float32(0.04), 117
    m.x *= np.float32(1.5)
    xq = quantize(m.x, a, b, "uint8").transpose(0, 2, 1)
    wide = np.pad(xq - b, ((0, 0), (0, 0), (places // 2, places // 2)))
    met = np.stack([wide[..., i : i + m.x.shape[1]] for i in range(places)], 2)  # [batch, inputs, places, positions]
    sums = np.einsum("bkps,nkp->bns", met, w - z[:, None, None])
    x = m.node("Transpose", [m.node("QuantizeLinear", ["x", m.constant("a", a), m.constant("b", np.uint8(b))])], perm=[0, 2, 1])
    pads = [places // 2] * 2
    weight, zero = m.constant("w.weight", w, kind), m.constant("z", z if rounded else z[0], kind)
    if rounded:
        bias = random.integers(-500, 500, n)
        v = np.float32(0.25)
        unit = (a * s)[:, None]
        inputs = [x, "a", "b", weight, m.constant("s", s), zero, m.constant("v", v), m.constant("u", np.uint8(125)),
                  m.constant("bias", bias, "int32")]
        codes_of_y = m.node("QLinearConv", inputs, pads=pads)
        m.node("DequantizeLinear", [codes_of_y, "v", "u"], "y")
        y = (quantize((sums + bias[:, None]) * unit, v, 125, "uint8") - 125.0) * v
    else:
        m.node("Cast", [m.node("ConvInteger", [x, weight, "b", zero], pads=pads)], "y", to=1)
        y = sums
    m.finish(name, y.astype(np.float32), [("stored-int8", "int8" if places == 1 else "float")])


convolution("conv-integer", 1, False, kind="uint8")
convolution("qlinear-conv", 1, True)
convolution("qlinear-conv-3", 3, True, zeros=False)
