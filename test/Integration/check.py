r"""Compares what qopt computed with a reference; exits 1 with the numbers when it differs.

value  RESULT.json KEY  (NUMBER | REF.json KEY)  --rel X | --abs X | --below X
less   RESULT.json KEY  OTHER.json KEY [--factor F]
                                                at most F times the other
list   RESULT.json KEY  REF.json KEY  --abs X
array  A.npy B.npy --abs X | --of-largest X     the latter: times the largest magnitude of B
codes  MODULE.mlir REF.npz --equal SHARE        int4 codes of the IR against codes [N, K]
same   MODULE.mlir OTHER.mlir --equal SHARE     int4 codes of two files of IR
hashes MODULE.mlir METHODS.json KEY [--swap] [--exponents] [--without PART]
                                                codes and scales of every layer, whose names have no
                                                PART, by their hashes; nibbles of a byte swapped, scales
                                                as e8m0
int8   MODULE.mlir REF.safetensors SUFFIX_CODES SUFFIX_SCALES [--scale-factor F]
                                                int8 codes and scales, bit for bit
scales REPORT.json QUANTO.json                   input scales of every layer
inputs REPORT.json OTHER.json --rel X            the same of two reports
factors BEFORE.mlir AFTER.mlir REF.npz PREFIX --rel X
                                                by what the scales of normalizations were divided
KEY is a path such as fp32.ppl; * takes every element of a list, a dot in a name is \.
"""
import argparse
import hashlib
import json
import re
import struct
import sys

import numpy as np


def lookup(path, key):
    def descend(value, parts):
        if not parts:
            return value
        if parts[0] == "*":
            return [descend(element, parts[1:]) for element in value]
        return descend(value[int(parts[0]) if isinstance(value, list) else parts[0]], parts[1:])

    return descend(json.load(open(path)), [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", key)])


def resources(path):
    """The dense resources of a .mlir file: name -> bytes."""
    text = open(path).read()
    return {
        (name or quoted): bytes.fromhex(data)[4:]
        for quoted, name, data in re.findall(r'(?:"([^"\n]+)"|([\w.$-]+)): "0x([0-9A-Fa-f]*)"', text)
    }


def parameters(path):
    """The parameters of a .mlir file: name -> (bytes, shape, element type)."""
    blobs, text, result = resources(path), open(path).read(), {}
    pattern = r'qopt\.parameter "([^"]+)" dense_resource<"?([^>"]+)"?> : tensor<([0-9x]+)x(\w+)>'
    for name, key, shape, element in re.findall(pattern, text):
        result[name] = (blobs[key], [int(d) for d in shape.split("x")], element)
    return result


def safetensors(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    types = {"F32": np.float32, "I8": np.int8, "F16": np.float16}
    result = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            array = np.frombuffer(data[8 + length + begin : 8 + length + end], types[entry["dtype"]])
            result[name] = array.reshape(entry["shape"])
    return result


def fail(message):
    sys.exit("check.py: " + message)


def check_value(args):
    result = lookup(args.files[0], args.files[1])
    if args.below is not None:
        print(f"{args.files[1]} = {result}, at most {args.below}")
        if not result <= args.below:
            fail(f"{args.files[1]} = {result} is above {args.below}")
        return
    expected = float(args.files[2]) if len(args.files) == 3 else lookup(args.files[2], args.files[3])
    difference = abs(result - expected)
    allowed = args.abs if args.abs is not None else args.rel * abs(expected)
    print(f"{args.files[1]} = {result}, expected {expected}, difference {difference:.3g} of {allowed:.3g}")
    if not difference <= allowed:
        fail(f"{args.files[1]} = {result} differs from {expected} by {difference}, more than {allowed}")


def check_less(args):
    result, other = (lookup(*args.files[i : i + 2]) for i in (0, 2))
    print(f"{args.files[1]} = {result}, at most {args.factor} times {other}")
    if not result <= args.factor * other:
        fail(f"{args.files[1]} = {result} is more than {args.factor} times {other}")


def check_list(args):
    a, b = (np.array(lookup(*args.files[i : i + 2])) for i in (0, 2))
    if a.shape != b.shape:
        fail(f"{a.shape} values, expected {b.shape}")
    print(f"{a.size} values, largest difference {np.abs(a - b).max():.3g} of {args.abs}")
    if not np.abs(a - b).max() <= args.abs:
        fail(f"value {np.abs(a - b).argmax()} differs by {np.abs(a - b).max()}, more than {args.abs}")


def check_array(args):
    a, b = (np.load(f) for f in args.files)
    b = b.reshape(a.shape)
    allowed = args.abs if args.abs is not None else args.of_largest * np.abs(b).max()
    print(f"{a.size} elements, largest difference {np.abs(a - b).max():.3g} of {allowed:.3g}")
    if not np.abs(a - b).max() <= allowed:
        fail(f"an element differs by {np.abs(a - b).max()}, more than {allowed}")


def check_codes(args):
    found, equal, total = parameters(args.files[0]), 0, 0
    for layer, expected in np.load(args.files[1]).items():
        data, shape, _ = found[layer + ".weight.codes"]
        packed = np.frombuffer(data, np.uint8).reshape(shape)
        codes = np.stack([packed & 15, packed >> 4], -1).reshape(shape[0], -1)[:, : expected.shape[1]]
        same = int((codes == expected).sum())
        equal, total = equal + same, total + expected.size
        print(f"{layer}: {same / expected.size:.5f}")
    print(f"all: {equal / total:.5f} equal, at least {args.equal}")
    if total == 0 or equal < args.equal * total:
        fail(f"{equal} of {total} codes are equal, expected a share of at least {args.equal}")


def check_same(args):
    found, other = (parameters(path) for path in args.files)
    equal, total = 0, 0
    for name in [n for n in found if n.endswith(".weight.codes")]:
        a, b = (np.frombuffer(codes[name][0], np.uint8) for codes in (found, other))
        equal += sum(int((x == y).sum()) for x, y in ((a & 15, b & 15), (a >> 4, b >> 4)))
        total += 2 * a.size
    print(f"{equal} of {total} codes are equal")
    if total == 0 or equal < args.equal * total:
        fail(f"{equal} of {total} codes are equal, expected a share of at least {args.equal}")


def check_hashes(args):
    found, methods = parameters(args.files[0]), json.load(open(args.files[1]))
    reference, layers = methods[args.files[2]], 0

    def expect(what, layer, array, expected):
        if hashlib.sha256(array.tobytes()).hexdigest()[:16] != expected:
            fail(f"{what} of {layer} are not those of {args.files[2]}")

    for i, layer in enumerate(methods["layers"]):
        if reference["codes"][i] == "" or (args.without and args.without in layer):
            continue
        codes = np.frombuffer(found[layer + ".weight.codes"][0], np.uint8)
        expect("codes", layer, codes >> 4 | codes << 4 if args.swap else codes, reference["codes"][i])
        layers += 1
        if "scales" not in reference:
            continue
        data, _, element = found[layer + ".weight.scale"]
        scales = np.frombuffer(data, {"f16": np.float16, "f32": np.float32}[element]).astype(np.float32)
        expect("scales", layer, (np.log2(scales) + 127).astype(np.uint8) if args.exponents else scales,
               reference["scales"][i])
    print(f"{layers} layers equal bit for bit")
    if layers == 0:
        fail("nothing to compare")


def check_int8(args):
    module, reference, code_suffix, scale_suffix = args.files
    found, layers = parameters(module), 0
    expected = safetensors(reference)
    for name in [n for n in expected if n.endswith(code_suffix)]:
        layer = name[: -len(code_suffix)]
        data, shape, _ = found[layer + ".weight.codes"]
        if not np.array_equal(np.frombuffer(data, np.int8).reshape(shape), expected[name]):
            fail(f"codes of {layer} differ")
        scales = np.frombuffer(found[layer + ".weight.scale"][0], np.float32)
        want = (expected[layer + scale_suffix].reshape(-1) * np.float32(1) / np.float32(args.scale_divisor)).astype(np.float32)
        if not np.array_equal(scales, want):
            fail(f"scales of {layer} differ by {np.abs(scales - want).max()}")
        layers += 1
    print(f"{layers} layers equal bit for bit")
    if layers == 0:
        fail("nothing to compare")


def check_scales(args):
    """The first layer's q, k and v see the same input as in quanto's pass; later ones differ by its rounding."""
    expected = lookup(args.files[1], "qint8_act_qint8.scales")
    layers = {layer["name"]: layer for layer in json.load(open(args.files[0]))["layers"]}
    for name, reference in expected.items():
        first = re.fullmatch(r"model\.layers\.0\.self_attn\.[qkv]_proj", name)
        difference = abs(layers[name]["input_scale"] / reference["input_scale"] - 1)
        print(f"{name}: {difference:.2g}")
        if not difference <= (1e-5 if first else 5e-3):
            fail(f"input scale of {name} is {layers[name]['input_scale']}, expected {reference['input_scale']}")


def check_inputs(args):
    scales = [{layer["name"]: layer.get("input_scale") for layer in json.load(open(f))["layers"]} for f in args.files]
    if scales[0].keys() != scales[1].keys() or not any(scales[0].values()):
        fail("the reports have other layers, or no input scales")
    for name, scale in scales[0].items():
        if (scale is None) != (scales[1][name] is None):
            fail(f"only one report has an input scale of {name}")
        if scale is not None and not abs(scale / scales[1][name] - 1) <= args.rel:
            fail(f"input scale of {name} is {scale}, expected {scales[1][name]}")


def check_factors(args):
    before, after, reference, prefix = args.files
    arrays = [resources(before), resources(after)]

    def scale(found, name):
        keys = [key for key in found if re.fullmatch(re.escape(name) + r"\.weight(_\d+)?", key)]
        if len(keys) != 1:
            fail(f"{len(keys)} arrays are called {name}.weight")
        return np.frombuffer(found[keys[0]], np.float32)

    count = 0
    for key, expected in np.load(reference).items():
        if not key.startswith(prefix + "/"):
            continue
        name = key[len(prefix) + 1 :]
        factors = scale(arrays[0], name) / scale(arrays[1], name)
        difference = np.abs(factors / expected - 1).max()
        print(f"{name}: {difference:.2g} of {args.rel}")
        if not difference <= args.rel:
            fail(f"factors of {name} differ by {difference}, more than {args.rel}")
        count += 1
    if count == 0:
        fail(f"the reference has nothing of {prefix}")


CHECKS = {
    "factors": check_factors,
    "value": check_value,
    "less": check_less,
    "list": check_list,
    "array": check_array,
    "codes": check_codes,
    "hashes": check_hashes,
    "int8": check_int8,
    "scales": check_scales,
    "inputs": check_inputs,
    "same": check_same,
}
parser = argparse.ArgumentParser()
parser.add_argument("what", choices=CHECKS)
parser.add_argument("files", nargs="+")
parser.add_argument("--swap", action="store_true")
parser.add_argument("--exponents", action="store_true")
parser.add_argument("--without")
parser.add_argument("--rel", type=float)
parser.add_argument("--abs", type=float)
parser.add_argument("--of-largest", type=float)
parser.add_argument("--below", type=float)
parser.add_argument("--equal", type=float)
parser.add_argument("--factor", type=float, default=1)
parser.add_argument("--scale-divisor", type=float, default=1)
arguments = parser.parse_args()
CHECKS[arguments.what](arguments)
