"""seeds.py INPUTS DIR: the first inputs of each fuzzer, made of the small valid files of the tests."""

import json
import os
import pathlib
import re
import struct
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

inputs, folder = map(pathlib.Path, sys.argv[1:])
MOST = 16 << 10  # what is larger teaches a fuzzer nothing that is not in smaller ones


def seed(fuzzer, name, data):
    if len(data) <= MOST:
        path = folder / fuzzer
        path.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)


def bad_inputs(kind, pattern):
    return sorted((inputs / "bad-inputs" / kind).glob(pattern))


# Modules: a version, a header, a NUL, sections from byte 8192 on.
def header(minor):
    tensor = {"name": "input_ids", "type": "i64", "dims": ["batch", "seq"]}
    logits = {"name": "logits", "type": "f32", "dims": ["batch", "seq", 16]}
    kernel = {"name": "rms_norm", "shared_bytes": 1024, "resources": []}
    layer = {"name": "up", "scheme": "gptq-int4", "out_features": 3, "in_features": 5, "bits_per_weight": 4.5}
    result = {"producer": "qopt 0.1.0", "model": "m.onnx", "pipeline": "", "context_length": 8, "vocabulary_size": 16}
    if minor >= 6:
        result["text"] = {"context_origin": "config.json", "begin_of_text": [1], "begin_origin": "config.json",
                          "end_of_text": [2, 7], "end_origin": "", "rope": "", "rope_origin": ""}
    if minor >= 2:
        kernel["arch"] = ""
    if minor >= 3:
        tensor["role"], logits["role"] = "token_ids", "logits"
    if minor >= 5:
        layer |= {"activations": "int8", "activation_group_size": 0}
    result["entry_points"] = [{"name": "forward", "inputs": [tensor], "outputs": [logits]}]
    result["parameters"] = [
        {"name": "codes", "type": "u8", "dims": [3, 5], "offset": 0, "bytes": 15},
        {"name": "ids", "type": "i64", "dims": [2], "offset": 64, "bytes": 16},
    ]
    result["layers"], result["kernels"] = [layer], [kernel]
    result["sections"] = [
        {"name": "tokenizer", "offset": 8192, "bytes": 10},
        {"name": "weights", "offset": 12288, "bytes": 80},
    ]
    if minor >= 4:
        result |= {"chunk_bytes": 4096, "chunk_hashes": []}
    return json.dumps(result).encode()


for minor in range(7):
    sections = b"0123456789".ljust(4096, b"\0") + bytes(range(80))
    seed("ModuleFuzzer", f"1.{minor}", bytes([minor]) + header(minor) + b"\0" + sections)

# Tokenizers and a text.
text = "Once upon a time, the <s>café</s> had 1,234 naïve\n\n cats 😀!".encode()


def small(path):
    """A tokenizer with a small part of its vocabulary."""
    tokenizer = json.loads(path.read_bytes())
    model = tokenizer["model"]
    pairs = [merge if isinstance(merge, list) else merge.split(" ") for merge in model["merges"][:40]]
    kept = {part for pair in pairs for part in [*pair, "".join(pair)]}
    model["vocab"] = {token: id for token, id in model["vocab"].items() if len(token) == 1 or token in kept}
    model["merges"] = model["merges"][:40]
    tokenizer["added_tokens"] = tokenizer["added_tokens"][:3]
    return tokenizer


def patched(value, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        result[key] = patched(result.get(key), item)
    return {key: item for key, item in result.items() if item is not None}


for path in bad_inputs("tokenizer", "*.json"):
    seed("TokenizerFuzzer", path.name, path.read_bytes() + b"\0" + text)
for name in ["gpt-2", "phi-3"]:
    tokenizer = small(inputs / "tokenizers" / f"{name}.json")
    seed("TokenizerFuzzer", name, json.dumps(tokenizer).encode() + b"\0" + text)
for number, vector in enumerate(json.loads((inputs / "tokenizers" / "vectors.json").read_text())):
    tokenizer = patched(small(inputs / vector["tokenizer"] / "tokenizer.json"), vector["patch"])
    seed("TokenizerFuzzer", f"vector{number}", json.dumps(tokenizer).encode() + b"\0" + text)

# Corpora: the first byte is the ending and how text is cut.
for path in bad_inputs("calib", "*"):
    endings = {".txt": 0, ".jsonl": 1, ".tokens": 2, ".npy": 3}
    if path.suffix in endings:
        for rule in range(5):
            seed("CorpusFuzzer", f"{path.name}.{rule}", bytes([endings[path.suffix] + 4 * rule]) + path.read_bytes())
seed("CorpusFuzzer", "lines", b'\1{"text": "ab a"}\n{"input_ids": [1, 2]}\n')
seed("CorpusFuzzer", "documents", b"\x0ca b\n\nab<|endoftext|>a\r\n")


def npy(array):
    path = folder / "array.npy"
    numpy.save(path, array)
    data = path.read_bytes()
    path.unlink()
    return data


seed("CorpusFuzzer", "windows", b"\3" + npy(numpy.arange(6, dtype=numpy.int64).reshape(2, 3)))

# Tensors.
for dtype in ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]:
    array = numpy.ones((2, 3), dtype)
    seed("TensorFuzzer", f"{dtype}.npy", b"\0" + npy(array))
    seed("TensorFuzzer", f"{dtype}.pb", b"\1" + numpy_helper.from_array(array, "x").SerializeToString())
for kind, values in [(TensorProto.FLOAT, [1.5, 2]), (TensorProto.INT64, [1, -2]), (TensorProto.INT32, [3, 4])]:
    seed("TensorFuzzer", f"typed{kind}.pb", b"\1" + helper.make_tensor("x", kind, [2], values).SerializeToString())


# Models: those of the tests, one with external data, one of a decoder's operators.
def external(location, offset, length):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in [("location", location), ("offset", offset), ("length", length)]:
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(nodes, initializers, shape=(2, 4)):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


models = {path.name: path.read_bytes() for path in bad_inputs("onnx", "*.onnx")}
for location in ["w.bin", "sub/w.bin", "sub/../w.bin", "inside", "outside", "../secret.bin"]:
    name = re.sub(r"\W", "_", location)
    tensor = external(location, "16", "16")
    models[f"external_{name}.onnx"] = model([helper.make_node("Add", ["x", "w"], ["y"])], [tensor])
weights = numpy_helper.from_array(numpy.ones((4, 4), numpy.float32), "w")
shape = numpy_helper.from_array(numpy.array([-1, 2, 2]), "shape")
axes = numpy_helper.from_array(numpy.array([-1]), "axes")
models["operators.onnx"] = model(
    [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="/layers.0/q_proj/MatMul"),
        helper.make_node("Reshape", ["a", "shape"], ["b"]),
        helper.make_node("Transpose", ["b"], ["c"], perm=[1, 0, 2]),
        helper.make_node("Softmax", ["c"], ["d"], axis=-1),
        helper.make_node("ReduceMean", ["d", "axes"], ["e"], keepdims=1),
        helper.make_node("Sub", ["d", "e"], ["f"]),
        helper.make_node("Slice", ["f", "axes", "axes", "axes"], ["g"]),
        helper.make_node("Concat", ["f", "g"], ["h"], axis=0),
        helper.make_node("Cast", ["h"], ["i"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT),
    ],
    [weights, shape, axes],
)
for name, data in models.items():
    seed("OnnxFileFuzzer", name, data)
    seed("ModelFuzzer", name, data)

# MLIR: functions of the tests, one by one.
for path in [*sorted((inputs.parent / "Passes").glob("raise-*.mlir")), *bad_inputs("mlir", "*.mlir*")]:
    for number, part in enumerate(re.split(rb"^// -----$", path.read_bytes(), flags=re.M)):
        seed("MlirFuzzer", f"{path.name}.{number}", re.sub(rb"^// ?(RUN|CHECK).*\n", b"", part, flags=re.M))
cases = (inputs / "onnx-node-tests" / "cases.mlir").read_bytes()
for number, part in enumerate(re.findall(rb"^func\.func .*?^}\n", cases, flags=re.M | re.S)[::7]):
    seed("MlirFuzzer", f"case{number}", part.replace(b"func.func private", b"func.func"))

# Options.
for number, text in enumerate(["*.down_proj=rtn-int4{group-size=32}", "re:layers\\.[0-9]\\..*=skip", "lm_[gh]*=float"]):
    seed("OptionsFuzzer", f"override{number}", b"\0" + text.encode())
pipelines = ["gptq-int4{group-size=32 sym=false}", "llm-int8{outliers=static threshold=6.0}", "qopt-raise,rtn-int4"]
pipelines += ["builtin.module(qopt-assign-scheme{scheme=rtn-int4 overrides={a=skip,b=float}},canonicalize)"]
for number, text in enumerate(pipelines):
    seed("OptionsFuzzer", f"pipeline{number}", bytes([1 + 2 * number]) + text.encode())
