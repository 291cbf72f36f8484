#!/usr/bin/env python3
"""Turns ONNX's backend node cases into cases.mlir.

usage: convert.py FOLDER < cases.txt > cases.mlir

FOLDER holds one folder per case, as onnx/backend/test/data/node had them:
model.onnx of one node and test_data_set_0/*.pb. Each case becomes a function of
the onnx dialect; its arguments carry the inputs and its results the values that
the specification's own reference gives. Operands that an operator needs as
constants stay constants. Needs the onnx package.
"""
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

# Operands by name ("?": may be missing, "*": any number) for operators whose
# operands come in segments; operands that must be constants; attributes that are
# types or arrays.
SEGMENTS = {"Clip": 3, "Slice": 5, "Attention": 6}
CONSTANTS = {
    "Reshape": [1], "Expand": [1], "Unsqueeze": [1], "Squeeze": [1], "Slice": [1, 2, 3, 4], "Split": [1], "Tile": [1],
    "ReduceMax": [1], "ReduceMean": [1], "ReduceMin": [1], "ReduceProd": [1], "ReduceSum": [1], "ConstantOfShape": [0],
    "Range": [0, 1, 2],
}
ELEMENTS = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bool": "i1", "int8": "i8", "int16": "i16", "int32": "i32",
    "int64": "i64", "uint8": "ui8", "uint16": "ui16", "uint32": "ui32", "uint64": "ui64",
}


def type_of(array):
    dims = "".join(f"{d}x" for d in array.shape)
    return f"tensor<{dims}{ELEMENTS[array.dtype.name]}>"


def literal(array):
    """A dense attribute; numbers as their bits, so that nothing is rounded."""
    if array.size == 0:
        return f"dense<> : {type_of(array)}"
    if array.dtype == bool:
        flat = array.reshape(-1)
        nested = np.array2string(array, separator=",", threshold=sys.maxsize, max_line_width=sys.maxsize)
        nested = nested.replace("\n", "").replace(" ", "").replace("True", "true").replace("False", "false")
        return f"dense<{str(bool(flat[0])).lower() if array.ndim == 0 else nested}> : {type_of(array)}"
    data = np.ascontiguousarray(array).tobytes().hex().upper()
    return f'dense<"0x{data}"> : {type_of(array)}'


def attribute_text(op, attribute):
    value = helper.get_attribute_value(attribute)
    if op == "Cast" and attribute.name == "to":
        return f"to = {ELEMENTS[helper.tensor_dtype_to_np_dtype(value).name]}"
    if attribute.type == onnx.AttributeProto.INT:
        return f"{attribute.name} = {value} : i64"
    if attribute.type == onnx.AttributeProto.FLOAT:
        return f"{attribute.name} = {value!r} : f32"
    if op == "Gelu" and attribute.name == "approximate":
        return f"approximate = #onnx<gelu_approximation {attribute.s.decode()}>"
    if attribute.type == onnx.AttributeProto.STRING:
        return f'{attribute.name} = "{value.decode()}"'
    if attribute.type == onnx.AttributeProto.INTS:
        return f"{attribute.name} = array<i64: {', '.join(map(str, value))}>"
    if attribute.type == onnx.AttributeProto.TENSOR:
        return f"{attribute.name} = {literal(numpy_helper.to_array(attribute.t))}"
    raise ValueError(f"{op}: attribute {attribute.name} of type {attribute.type}")


def read_tensor(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def convert(folder):
    graph = onnx.load(folder / "model.onnx").graph
    (node,) = graph.node
    data = folder / "test_data_set_0"
    inputs = {v.name: read_tensor(data / f"input_{i}.pb") for i, v in enumerate(graph.input)}
    outputs = {v.name: read_tensor(data / f"output_{i}.pb") for i, v in enumerate(graph.output)}
    arguments, body, operands = [], [], []
    for i, name in enumerate(node.input):
        if not name:
            continue
        array = inputs[name]
        operands.append((f"%in{len(operands)}", type_of(array)))
        if i in CONSTANTS.get(node.op_type, []):
            body.append(f'  {operands[-1][0]} = "onnx.Constant"() <{{value = {literal(array)}}}> : () -> {type_of(array)}')
        else:
            arguments.append(f"{operands[-1][0]}: {type_of(array)} {{test.value = {literal(array)}}}")
    attributes = [attribute_text(node.op_type, a) for a in node.attribute]
    if node.op_type == "Transpose" and not attributes:
        rank = inputs[node.input[0]].ndim
        attributes.append(f"perm = array<i64: {', '.join(str(i) for i in reversed(range(rank)))}>")
    if node.op_type == "ConstantOfShape" and not attributes:
        attributes.append("value = dense<0.0> : tensor<1xf32>")
    if node.op_type in SEGMENTS:
        present = [int(i < len(node.input) and node.input[i] != "") for i in range(SEGMENTS[node.op_type])]
        attributes.append(f"operandSegmentSizes = array<i32: {', '.join(map(str, present))}>")
    properties = f" <{{{', '.join(attributes)}}}>" if attributes else ""
    results = [outputs[name] for name in node.output if name]
    types = ", ".join(type_of(r) for r in results)
    marked = ", ".join(f"{type_of(r)} {{test.value = {literal(r)}}}" for r in results)
    names = ", ".join(f"%r{i}" for i in range(len(results)))
    body.append(f'  {names} = "onnx.{node.op_type}"({", ".join(n for n, _ in operands)}){properties} '
                f': ({", ".join(t for _, t in operands)}) -> ({types})')
    print(f"func.func @{folder.name}({', '.join(arguments)}) -> ({marked}) {{")
    print("\n".join(body))
    print(f"  return {names} : {types}\n}}")


def main():
    print("// Made by convert.py from ONNX's backend node cases; see README.md.")
    for line in sys.stdin:
        convert(Path(sys.argv[1]) / line.strip())


main()
