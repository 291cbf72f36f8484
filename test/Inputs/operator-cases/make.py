#!/usr/bin/env python3
"""Writes models of one node, with inputs and what onnxruntime computes for them.

usage: make.py FOLDER

Each case is FOLDER/NAME.onnx: a graph whose inputs have as many unknown dimensions as an
exporter would leave, and initializers "in/INPUT" and "out/OUTPUT" that nothing reads.
Needs the packages onnx and onnxruntime.
"""
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(7)
TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "bool": TensorProto.BOOL}


def floats(*shape):
    return random.standard_normal(shape).astype(np.float32)


def case(name, op, inputs, outputs, known=1, rows=None, domain="com.microsoft", opset=22, shown=None, **attributes):
    """`known` last dimensions of the inputs are numbers in the graph; of those in `shown` all. Only the first
    rows[b] tokens of text b are kept of results, for what comes behind them has no meaning."""
    given = {k: v for k, v in inputs.items() if v is not None}
    node = helper.make_node(op, [k if v is not None else "" for k, v in inputs.items()], outputs, domain=domain, **attributes)

    def dims(key, shape):
        fixed = len(shape) if key in (shown or ()) else known
        return [f"{key}.{i}" if i < len(shape) - fixed else d for i, d in enumerate(shape)]

    values = [helper.make_tensor_value_info(k, TYPES[v.dtype.name], dims(k, v.shape)) for k, v in given.items()]
    results = [helper.make_tensor_value_info(o, TensorProto.UNDEFINED, None) for o in outputs if o]
    for r in results:
        r.ClearField("type")
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], name, values, results), opset_imports=imports, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for key, value in given.items():
        model.graph.initializer.append(numpy_helper.from_array(value, "in/" + key))
    for key, value in zip([o for o in outputs if o], session.run(None, given)):
        if rows is not None:
            axis = 1 if key == "o" else 2
            value = value.copy()
            for b, count in enumerate(rows[0] if key == "o" else rows[1]):
                np.moveaxis(value[b], axis - 1, 0)[count:] = np.nan
        model.graph.initializer.append(numpy_helper.from_array(value, "out/" + key))
    Path(sys.argv[1], name + ".onnx").write_bytes(model.SerializeToString())


# GroupQueryAttention: texts with lengths of their own, buffers with and without room.
def group_query(name, batch, new, capacity, lengths, total, heads=4, key_heads=2, size=16, packed=False, past=True,
                sink=None, bias=None, positions=None, **attributes):
    angles = np.arange(24)[:, None] / 10.0 ** (np.arange(size // 2) / 4)
    q, k, v = floats(batch, new, heads * size), floats(batch, new, key_heads * size), floats(batch, new, key_heads * size)
    inputs = {"q": np.concatenate([q, k, v], 2) if packed else q, "k": None if packed else k, "v": None if packed else v}
    buffers = [floats(batch, key_heads, capacity, size) for _ in range(2)]
    inputs |= {"past_k": buffers[0] if past else None, "past_v": buffers[1] if past else None}
    inputs |= {"seqlens": np.array(lengths, np.int32) - 1, "total": np.array(total, np.int32)}
    inputs |= {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
    inputs |= {"positions": positions, "bias": bias, "sink": sink}
    attributes = {"num_heads": heads, "kv_num_heads": key_heads, "do_rotary": 1} | attributes
    kept = ([min(new, length) for length in lengths], lengths)
    case(name, "GroupQueryAttention", inputs, ["o", "k2", "v2"], rows=kept, shown=("cos", "sin", "sink"), **attributes)


group_query("gqa-first", 2, 6, 0, [6, 4], 6)
group_query("gqa-packed", 1, 6, 0, [6], 6, packed=True)
group_query("gqa-grows", 1, 3, 5, [8], 8)
group_query("gqa-has-room", 2, 6, 9, [6, 4], 6)
group_query("gqa-step-of-texts", 2, 1, 9, [8, 5], 8, rotary_interleaved=1)
group_query("gqa-full-buffer", 2, 1, 7, [8, 5], 8, scale=0.3)
group_query("gqa-window", 2, 1, 9, [8, 5], 8, local_window_size=3)
group_query("gqa-window-first", 1, 8, 0, [8], 8, local_window_size=3, softcap=1.5)
group_query("gqa-sink", 1, 5, 0, [5], 5, sink=floats(4))
group_query("gqa-sink-step", 2, 1, 9, [8, 5], 8, sink=floats(4), local_window_size=4)
group_query("gqa-smooth", 2, 1, 9, [8, 5], 8, smooth_softmax=1)
group_query("gqa-bias", 1, 2, 6, [8], 8, bias=floats(1, 4, 2, 8), softcap=1.0)
group_query("gqa-bias-step", 2, 1, 9, [8, 5], 8, bias=floats(2, 1, 1, 8), do_rotary=0)
group_query("gqa-positions", 1, 3, 5, [8], 8, positions=np.array([[5, 6, 7]], np.int64))

# MultiHeadAttention and Attention.
q, k, v, wide = floats(2, 5, 12), floats(2, 5, 12), floats(2, 5, 8), floats(2, 5, 12)
shown = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 0]], np.int32)
heads = {"num_heads": 4}
case("mha", "MultiHeadAttention", {"q": q, "k": k, "v": v, "bias": floats(32)}, ["o"], **heads)
case("mha-causal", "MultiHeadAttention", {"q": q, "k": k, "v": v}, ["o"], unidirectional=1, scale=0.4, **heads)
case("mha-mask", "MultiHeadAttention", {"q": q, "k": k, "v": v, "b": None, "mask": shown, "bias": floats(1, 4, 5, 5)},
     ["o"], known=1, **heads)
case("mha-lengths", "MultiHeadAttention", {"q": q, "k": k, "v": v, "b": None, "mask": np.array([3, 5], np.int32)}, ["o"],
     shown="qkvmask", **heads)
pasts = {"past_k": floats(2, 4, 3, 3), "past_v": floats(2, 4, 3, 3)}
case("mha-past", "MultiHeadAttention", {"q": q, "k": k, "v": wide, "b": None, "m": None, "a": None} | pasts,
     ["o", "k2", "v2"], unidirectional=1, **heads)
case("mha-cross", "MultiHeadAttention", {"q": q, "k": floats(2, 4, 6, 3), "v": floats(2, 4, 6, 3)}, ["o"], known=1, **heads)
x, weights, bias = floats(2, 5, 6), floats(6, 36), floats(36)
parts = {"x": x, "w": weights, "b": bias}
case("attention", "Attention", parts, ["o"], shown="w", **heads)
case("attention-mask", "Attention", parts | {"mask": shown}, ["o"], shown="w", **heads)
case("attention-ends", "Attention", parts | {"mask": np.array([5, 4, 2, 0], np.int32)}, ["o"], shown=("x", "w", "mask"), **heads)
case("attention-past", "Attention", parts | {"m": None, "past": floats(2, 2, 4, 3, 3)}, ["o", "p2"], shown=("w",),
     unidirectional=1, **heads)

# RotaryEmbedding.
angles = np.arange(20)[:, None] / 10.0 ** (np.arange(4) / 4)
tables = {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}
positions = np.array([[0, 1, 2, 3, 4], [3, 4, 5, 6, 7]], np.int64)
rows = floats(2, 5, 32)
case("rotary", "RotaryEmbedding", {"x": rows, "p": positions} | tables, ["o"])
case("rotary-interleaved", "RotaryEmbedding", {"x": rows, "p": positions} | tables, ["o"], interleaved=1)
case("rotary-partial", "RotaryEmbedding", {"x": rows, "p": positions} | tables, ["o"], num_heads=2, rotary_embedding_dim=8)
case("rotary-offset", "RotaryEmbedding", {"x": rows, "p": np.array([3], np.int64)} | tables, ["o"], shown="p")
case("rotary-heads-first", "RotaryEmbedding", {"x": floats(2, 4, 5, 8), "p": positions} | tables, ["o"])

# Norms, activations, products.
sums = {"x": floats(2, 3, 8), "skip": floats(2, 3, 8), "gamma": floats(8)}
case("skip-simplified", "SkipSimplifiedLayerNormalization", sums | {"bias": floats(8)}, ["o", "", "", "sum"], epsilon=1e-5)
case("skip-layer", "SkipLayerNormalization", sums | {"beta": floats(8), "bias": floats(8)}, ["o", "", "", "sum"], epsilon=1e-5)
case("simplified", "SimplifiedLayerNormalization", {"x": floats(2, 3, 8), "g": floats(8)}, ["o"], domain="", epsilon=1e-5, axis=-1)
case("quick-gelu", "QuickGelu", {"x": floats(2, 8)}, ["o"], alpha=1.3)
case("fast-gelu", "FastGelu", {"x": floats(2, 8), "b": floats(8)}, ["o"])
case("bias-gelu", "BiasGelu", {"x": floats(2, 8), "b": floats(8)}, ["o"])
case("gelu", "Gelu", {"x": floats(2, 8)}, ["o"])
case("fused", "FusedMatMul", {"a": floats(2, 4, 3), "b": floats(2, 5, 4)}, ["o"], transA=1, transB=1, alpha=0.5)
case("fused-batch", "FusedMatMul", {"a": floats(4, 2, 3), "b": floats(2, 4, 5)}, ["o"], transA=1, transBatchA=1)

# Operators of ONNX that are written as others.
standard = {"domain": "", "opset": 18}
case("einsum-linear", "Einsum", {"x": floats(2, 3, 4), "w": floats(4, 2, 5)}, ["o"], shown="w", equation="bsd,dhk->bshk", **standard)
case("einsum-scores", "Einsum", {"q": floats(2, 3, 2, 4), "k": floats(2, 5, 2, 4)}, ["o"], equation="bshd,bthd->bhst", **standard)
case("einsum-left", "Einsum", {"w": floats(6, 4), "x": floats(2, 3, 4)}, ["o"], shown="w", equation="nd,...d->...n", **standard)
case("einsum-outer", "Einsum", {"a": floats(3), "b": floats(4)}, ["o"], equation="i,j->ij", **standard)
case("einsum-trace", "Einsum", {"a": floats(3, 3)}, ["o"], equation="ii", **standard)
case("einsum-three", "Einsum", {"a": floats(2, 3), "b": floats(3, 4), "c": floats(4, 2)}, ["o"], equation="ij,jk,kl->il", **standard)
case("conv-linear", "Conv", {"x": floats(2, 4, 5), "w": floats(6, 4, 1), "b": floats(6)}, ["o"], shown="w", **standard)
case("conv-causal", "Conv", {"x": floats(2, 4, 7), "w": floats(4, 1, 3), "b": floats(4)}, ["o"], shown="w", group=4,
     pads=[2, 0], **standard)
case("conv-steps", "Conv", {"x": floats(1, 4, 7, 8), "w": floats(6, 2, 3, 2)}, ["o"], shown="w", group=2, strides=[2, 1],
     dilations=[1, 2], pads=[1, 0, 1, 1], **standard)
numbers = np.array([[0.5, 0, -1], [0, 0, 2]], np.float32)
case("non-zero", "NonZero", {"x": numbers}, ["o"], known=0, **standard)
case("top-k", "TopK", {"x": np.array([[3, 1, 3, 2], [0, 5, 4, 5]], np.float32), "k": np.array([3], np.int64)}, ["o", "i"], **standard)
case("arg-max", "ArgMax", {"x": np.array([[3, 1, 3], [0, 5, 5]], np.float32)}, ["o"], axis=1, select_last_index=1, keepdims=0, **standard)
case("one-hot", "OneHot", {"i": np.array([[1, -2], [4, 9]], np.int64), "d": np.array(5, np.int64), "v": np.array([2, 7], np.float32)},
     ["o"], axis=1, **standard)
case("reduce-l2", "ReduceL2", {"x": floats(2, 3), "a": np.array([1], np.int64)}, ["o"], keepdims=0, **standard)
case("pad-reflect", "Pad", {"x": floats(2, 4), "p": np.array([0, 2, 0, 3], np.int64)}, ["o"], mode="reflect", **standard)
case("pad-constant", "Pad", {"x": floats(3, 4), "p": np.array([1, -1, 0, 2], np.int64), "v": np.array(9, np.float32)}, ["o"], **standard)
case("scatter-elements", "ScatterElements", {"x": floats(3, 4), "i": np.array([[0, -1], [2, 1]], np.int64), "u": floats(2, 2)},
     ["o"], axis=1, **standard)
case("size", "Size", {"x": floats(2, 3)}, ["o"], **standard)
for reduction in ["add", "max"]:
    case("scatter-" + reduction, "ScatterND", {"x": floats(3, 4), "i": np.array([[0], [2], [0]], np.int64), "u": floats(3, 4)}, ["o"],
         known=2, reduction=reduction, **standard)

# Axes that are inputs of the model, too.
axes = {"known": 2, **standard}
case("axes-reduce", "ReduceSum", {"x": floats(2, 3, 4), "a": np.array([-1, 0], np.int64)}, ["o"], keepdims=0, **axes)
case("axes-keep", "ReduceMax", {"x": floats(2, 3, 4), "a": np.array([1], np.int64)}, ["o"], **axes)
case("axes-squeeze", "Squeeze", {"x": floats(1, 3, 1), "a": np.array([2, 0], np.int64)}, ["o"], **axes)
case("axes-unsqueeze", "Unsqueeze", {"x": floats(3, 4), "a": np.array([3, 0], np.int64)}, ["o"], **axes)
case("axes-cumsum", "CumSum", {"x": floats(2, 3), "a": np.array(0, np.int64)}, ["o"], reverse=1, **axes)
case("axes-slice", "Slice", {"x": floats(4, 5), "s": np.array([9, 0], np.int64), "e": np.array([-9, -1], np.int64),
                             "a": np.array([1, 0], np.int64), "t": np.array([-2, 1], np.int64)}, ["o"], **axes)
case("axes-pad", "Pad", {"x": floats(2, 3), "p": np.array([1, 2], np.int64), "v": np.array(9, np.float32), "a": np.array([-1], np.int64)},
     ["o"], **axes)
