r"""Writes a float32 model in a type of 16 bits.

to_half.py MODEL.onnx OUT.onnx float16|bfloat16 [--values]

All of it: weights, numbers, casts and outputs, but for the frequencies of rotary embeddings,
which exporters keep. With --values only the numbers are rounded and the types stay: the same
model, computed in float32.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

source, target, kind = sys.argv[1:4]
narrow = TensorProto.FLOAT16 if kind == "float16" else TensorProto.BFLOAT16
only_values = "--values" in sys.argv


def bits(values):
    if narrow == TensorProto.FLOAT16:
        return np.clip(values, -65504, 65504).astype(np.float16).view(np.uint16)
    largest = np.array([0x7F7F0000], np.uint32).view(np.float32)[0]
    words = np.clip(values, -largest, largest).view(np.uint32).astype(np.uint64)
    return ((words + 0x7FFF + (words >> 16 & 1)) >> 16).astype(np.uint16)


def floats(words):
    if narrow == TensorProto.FLOAT16:
        return words.view(np.float16).astype(np.float32)
    return (words.astype(np.uint32) << 16).view(np.float32)


def convert(tensor):
    if tensor.data_type != TensorProto.FLOAT:
        return
    values = np.ascontiguousarray(numpy_helper.to_array(tensor)).reshape(-1)
    if only_values and np.any(np.abs(values) > 65504):
        return  # what hides scores: the lowest number of the type
    words = bits(values)
    tensor.ClearField("float_data")
    if only_values:
        tensor.raw_data = floats(words).tobytes()
    else:
        tensor.data_type = narrow
        tensor.raw_data = words.tobytes()


model = onnx.load(source)
for tensor in model.graph.initializer:
    convert(tensor)
for node in model.graph.node:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR and np.prod(attribute.t.dims) == 1:
            convert(attribute.t)
        elif node.op_type == "Cast" and attribute.i == TensorProto.FLOAT and not only_values:
            attribute.i = narrow
if not only_values:
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.elem_type = narrow
onnx.save(model, target)
