#!/usr/bin/env python3
"""Writes an ONNX model with quantized weights as one of floats, by what the ONNX specification says of the operators.

usage: plain_float.py QUANTIZED.onnx FLOAT.onnx

DequantizeLinear (also of UINT4 in blocks), Cast and Transpose of constants become constants; what is left of QuantizeLinear
and DequantizeLinear becomes Div, Round, Clip and Mul. Prints how many nodes of each kind were there.
"""
import collections
import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper

UINT4 = 21


def to_array(tensor):
    if tensor.data_type != UINT4:
        return numpy_helper.to_array(tensor)
    packed = np.frombuffer(tensor.raw_data, np.uint8)
    assert len(packed) == (np.prod(tensor.dims) + 1) // 2
    codes = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)
    return codes[: np.prod(tensor.dims)].reshape(tensor.dims)


def dequantize(attributes, codes, scale, zeros=None):
    axis = attributes.get("axis", 1)
    if "block_size" in attributes:
        size, count = attributes["block_size"], codes.shape[axis]
        assert scale.shape[axis] == -(-count // size)
        blocks = np.arange(count) // size
        scale = np.take(scale, blocks, axis)
        zeros = None if zeros is None else np.take(zeros, blocks, axis)
    elif scale.ndim == 1:
        shape = [1] * codes.ndim
        shape[axis] = -1
        scale = scale.reshape(shape)
        zeros = None if zeros is None else zeros.reshape(shape)
    exact = codes.astype(np.int32) - (0 if zeros is None else zeros.astype(np.int32))
    return exact.astype(np.float32) * scale


def evaluate(node, inputs):
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Cast" and attributes["to"] == onnx.TensorProto.FLOAT:
        return inputs[0].astype(np.float32)
    if node.op_type == "Transpose":
        return np.ascontiguousarray(inputs[0].transpose(attributes["perm"]))
    if node.op_type == "DequantizeLinear":
        return dequantize(attributes, *inputs)
    return None


def main():
    model = onnx.load(sys.argv[1])
    graph = model.graph
    counts = collections.Counter(node.op_type for node in graph.node)
    print("\n".join(f"{kind}: {count}" for kind, count in sorted(counts.items())))
    print("opset:", model.opset_import[0].version, "UINT4:", sum(t.data_type == UINT4 for t in graph.initializer))
    constants = {tensor.name: to_array(tensor) for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        known = [constants[name] for name in node.input if name in constants]
        value = evaluate(node, known) if len(known) == len(node.input) else None
        if value is not None:
            constants[node.output[0]] = value
        elif node.op_type == "QuantizeLinear":
            assert known[-1].dtype == np.int8 and not known[-1].any(), "codes are signed around 0"
            name = node.output[0]
            constants[name + ".least"], constants[name + ".most"] = np.float32(-128), np.float32(127)
            nodes.append(helper.make_node("Div", node.input[:2], [name + ".scaled"]))
            nodes.append(helper.make_node("Round", [name + ".scaled"], [name + ".rounded"]))
            nodes.append(helper.make_node("Clip", [name + ".rounded", name + ".least", name + ".most"], [name]))
        elif node.op_type == "DequantizeLinear":
            nodes.append(helper.make_node("Mul", node.input[:2], node.output))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(constants[name], name) for name in constants if name in used)
    onnx.save(model, sys.argv[2])


main()
