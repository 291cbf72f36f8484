"""Kinds of faults that were found once, each tried as a kind: what ended in a crash, wrong numbers or a lost file must be
right or one line. (Headers that are not those of the code: forged.py.) trouble.py says how it is called.
"""
import os
import resource

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import trouble
from trouble import compile_command, failures, fresh, judge, module_of, qopt, qrun, read, start

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def make(top, nodes, inputs, constants=None, outputs=None):
    """in/m.onnx. `inputs`: name to (type, dimensions); outputs are the results that nothing reads."""
    values = [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()]
    used = {name for node in nodes for name in node.input}
    outputs = outputs or [name for node in nodes for name in node.output if name not in used]
    results = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    for result in results:
        result.type.Clear()
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", values, results, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    with open(os.path.join(top, "in", "m.onnx"), "wb") as file:
        file.write(model.SerializeToString())


def run(name, top, arrays):
    """The outputs of the model of the case for these inputs."""
    judge(name, top, start(top, compile_command()), [0])
    command = [qrun, "out/m.qmod", "--output=out", "--device=cpu", "--quiet"]
    for key, value in arrays.items():
        np.save(os.path.join(top, "in", key + ".npy"), value)
        command.append(f"--input={key}=in/{key}.npy")
    judge(name, top, start(top, command), [0])
    return {file[:-4]: np.load(os.path.join(top, "out", file)) for file in os.listdir(os.path.join(top, "out")) if file.endswith(".npy")}


def expect(name, got, right):
    for key, value in right.items():
        if key not in got or got[key].shape != value.shape or not np.array_equal(got[key], value):
            failures.append(f"{name}: {key}: {got[key].tolist() if key in got else None} instead of {value.tolist()}")


# Sizes that another input has.

top = fresh("sizes")
nodes = [
    helper.make_node("Shape", ["z"], ["s"]),
    helper.make_node("Expand", ["x", "s"], ["e"]),
    helper.make_node("Neg", ["e"], ["negated"]),
    helper.make_node("ConstantOfShape", ["s"], ["zeros"]),
    helper.make_node("Reshape", ["w", "s"], ["reshaped"]),
    helper.make_node("Exp", ["v"], ["exp"]),
]
# Of v the last dimension is known to the caller alone.
make(top, nodes, {"x": (FLOAT, ["a", "b"]), "z": (FLOAT, ["a", "c"]), "w": (FLOAT, ["n"]), "v": (FLOAT, ["a", 3, "d"])})
for width, depth in ((7, 2), (1, 5), (3, 0)):
    x, z, w, v = np.ones((2, 1), np.float32), np.full((2, width), 3, np.float32), np.arange(2 * width, dtype=np.float32), np.zeros((2, 3, depth), np.float32)
    got = run(f"sizes {width} {depth}", top, {"x": x, "z": z, "w": w, "v": v})
    expect("sizes", got, {"negated": -np.broadcast_to(x, z.shape), "zeros": 0 * z, "reshaped": w.reshape(z.shape), "exp": np.exp(v)})

# Every operator with an axis takes a negative one.

top = fresh("axes")
data, index, pieces = np.arange(24, dtype=np.float32).reshape(2, 3, 4), np.array([0, 1, 0, 1]), {}
nodes, right = [], {}
for axis in range(3):
    axes = {"n": axis - 3, "p": axis}
    for sign, given in axes.items():
        for op, operands, attributes in [
            ("Gather", ["x", "i"], {"axis": given}),
            ("GatherElements", ["x", "j"], {"axis": given}),
            ("Concat", ["x", "x"], {"axis": given}),
            ("Softmax", ["x"], {"axis": given}),
            ("Split", ["x"], {"axis": given, "num_outputs": 1}),
            ("Flatten", ["x"], {"axis": given}),
            ("CumSum", ["x", f"axis{given}"], {}),
            ("ReduceSum", ["x", f"axes{given}"], {}),
            ("Unsqueeze", ["y", f"axes{given}"], {}),
            ("Slice", ["x", "from", "to", f"axes{given}"], {}),
            ("LayerNormalization", ["x", f"scale{axis}"], {"axis": given}),
        ]:
            nodes.append(helper.make_node(op, operands, [f"{op}_{axis}_{sign}"], **attributes))
constants = {"i": index[:2], "j": np.zeros((2, 3, 4), np.int64), "from": [1], "to": [2], "y": np.ones((3, 4), np.float32)}
for axis in range(-3, 3):
    constants |= {f"axis{axis}": np.int64(axis), f"axes{axis}": np.array([axis])}
constants |= {f"scale{axis}": np.ones(data.shape[axis:], np.float32) for axis in range(3)}
make(top, nodes, {"x": (FLOAT, [2, 3, 4])}, constants)
got = run("axes", top, {"x": data})
for name, value in got.items():
    if not np.array_equal(value, got[name[:-1] + "p"]):
        failures.append(f"{name}: not what the same axis gives that is not negative")
if len(got) != 66:
    failures.append(f"axes: {len(got)} results")

# Slices from before the beginning and beyond the end, of a length that only the run time knows.

top = fresh("slices")
far = 2**63 - 1
nodes, constants, right, x = [], {}, {}, np.arange(3)
for begin in (-far - 1, -4, 0, 2, far):
    for end in (-far - 1, -1, 3, 5):
        for step in (-2, 1, 3):
            name = f"y{len(nodes)}"
            constants |= {name + "b": [begin], name + "e": [end], name + "a": [0], name + "s": [step]}
            nodes.append(helper.make_node("Slice", ["x", name + "b", name + "e", name + "a", name + "s"], [name]))
            # ONNX clamps to what is there, where numpy's own rule for None takes over.
            low, high = (0, 3) if step > 0 else (-1, 2)
            first = min(max(begin + 3 if begin < 0 else begin, max(low, 0)), high)
            last = min(max(end + 3 if end < 0 else end, low), 3)
            right[name] = x[list(range(first, last, step))]
make(top, nodes, {"x": (INT64, ["n"])}, constants)
expect("slices", run("slices", top, {"x": x}), right)

# Operands of another type or rank than an operator takes, and what it does not take at all.

top = fresh("operands")
cases = 0
for op, operands, wrong in [
    ("Slice", ["x", "i", "i"], (1, 2)),
    ("Gather", ["x", "i"], (1,)),
    ("GatherElements", ["x", "ii"], (1,)),
    ("GatherND", ["x", "i"], (1,)),
    ("Reshape", ["x", "i"], (1,)),
    ("Expand", ["x", "i"], (1,)),
    ("Tile", ["x", "i"], (1,)),
    ("Unsqueeze", ["x", "i"], (1,)),
    ("ReduceSum", ["x", "i"], (1,)),
    ("CumSum", ["x", "zero"], (1,)),
    ("ConstantOfShape", ["i"], (0,)),
    ("Range", ["zero", "one", "one"], (0, 1, 2)),
    ("MatMul", ["x", "x"], (1,)),
    ("Where", ["c", "x", "x"], (0, 1)),
]:
    for at in wrong:
        for other in ("f", "m", "text", "h"):
            given = [*operands]
            given[at] = other
            top = fresh("operands")
            constants = {"i": np.array([1, 1]), "ii": np.zeros((2, 2), np.int64), "zero": np.int64(0), "one": np.int64(1), "c": np.ones((2, 2), bool)}
            constants |= {"f": np.array([0.5, 1], np.float32), "m": np.zeros((2, 2, 1), np.int64), "h": np.zeros((0,), np.float16)}
            nodes = [helper.make_node(op, given, ["y"])]
            if other == "text":
                nodes.insert(0, helper.make_node("Constant", [], ["text"], value_string="text"))
            make(top, nodes, {"x": (FLOAT, [2, 2])}, {key: value for key, value in constants.items() if key in given}, ["y"])
            judge(f"{op} with {given}", top, start(top, compile_command("--until=lower", output="out/m.mlirbc")), [0, 1], "m.onnx: ")
            cases += 1
for axis in (-3, 2, 2**62, -(2**63)):
    top = fresh("far")
    make(top, [helper.make_node("CumSum", ["x", "a"], ["y"])], {"x": (FLOAT, ["n", 4])}, {"a": np.int64(axis)})
    judge(f"CumSum along {axis}", top, start(top, compile_command()), [1], str(axis))
for start_, limit, delta in ((-(2**63), -(2**63), -(2**63)), (-(2**63), 2**63 - 1, 2**62), (2**63 - 1, -(2**63), -(2**63))):
    top = fresh("range")
    make(top, [helper.make_node("Range", ["s", "l", "d"], ["y"])], {}, {"s": np.int64(start_), "l": np.int64(limit), "d": np.int64(delta)})
    judge(f"Range from {start_} to {limit} by {delta}", top, start(top, compile_command()), [0, 1], "m.onnx: ")
top = fresh("scalar")
make(top, [helper.make_node("CumSum", ["x", "a"], ["y"])], {"x": (FLOAT, [])}, {"a": np.int64(0)})
expect("CumSum of a scalar", run("CumSum of a scalar", top, {"x": np.float32(3)}), {"y": np.float32(3)})

# IR without a function that can be compiled, and constants that no memory holds.

top = fresh("functions")
for name, text in {
    "a global alone": 'memref.global "private" @g : memref<2xf32> = dense<1.0>',
    "nothing": "module {}",
    "a declaration": "func.func private @forward(%x: tensor<2xf32>) -> tensor<2xf32>",
    "a private function": "func.func private @f(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }",
    "a call of a declaration": "func.func private @g(tensor<2xf32>) -> tensor<2xf32>\nfunc.func @forward(%x: tensor<2xf32>) -> tensor<2xf32> {\n"
    "%y = func.call @g(%x) : (tensor<2xf32>) -> tensor<2xf32>\nreturn %y : tensor<2xf32> }",
    "a recursion": "func.func @forward(%x: tensor<2xf32>) -> tensor<2xf32> {\n%y = func.call @forward(%x) : (tensor<2xf32>) -> tensor<2xf32>\nreturn %y : tensor<2xf32> }",
    "terabytes": "func.func @forward() -> tensor<1000000000000xf32> {\n%w = onnx.Constant dense<1.0> : tensor<1000000000000xf32>\nreturn %w : tensor<1000000000000xf32> }",
}.items():
    with open(os.path.join(top, "in", "m.mlir"), "w", encoding="ascii") as file:
        file.write(text + "\n")
    judge(name, top, start(top, compile_command(model="in/m.mlir")), [1], "m.mlir")

# What is no file: pipes that nobody serves; text that memory does not hold twice; a place that is no line.

top = fresh("pipes")
for pipe in ("in/p.mlir", "out/p.qmod"):
    os.mkfifo(os.path.join(top, pipe))
judge("a pipe to read", top, start(top, compile_command(model="in/p.mlir")), [1], "p.mlir: is a pipe that nobody writes to", left=["p.qmod"])
judge("a pipe to write", top, start(top, compile_command(output="out/p.qmod")), [1], "p.qmod: is a pipe that nobody reads", left=["p.qmod"])
top = fresh("text")
with open(os.path.join(top, "in", "m.mlir"), "wb") as file:
    file.truncate(2 << 30)
limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))  # pylint: disable=unnecessary-lambda-assignment
judge("much text", top, start(top, compile_command(model="in/m.mlir"), preexec_fn=limit), [1], "m.mlir: out of memory: needed 2147483648 bytes")
with open(os.path.join(top, "in", "m.mlir"), "w", encoding="ascii") as file:
    file.write("func.func @forward(%x: tensor<2xf32>) -> tensor<2xf32> { return %x : tensor<2xf32> }")
judge("no linear", top, start(top, compile_command("--pass-pipeline=rtn-int4", model="in/m.mlir")), [1], "m.mlir: found no linear layer")

# Pipelines whose text does not close what it opens, numbers of more than 64 bits.

top = fresh("pipelines")
for text in ("builtin.module(", "builtin.module(rtn-int4", "builtin.module(rtn-int4))", "builtin.module)", "builtin.module()x", ")", "rtn-int4{", "rtn-int4}",
             "rtn-int4{group-size=32", "rtn-int4{group-size=32}}", "builtin.module(func.func(canonicalize)", ",", "rtn-int4,", "(", "{}", " "):  # fmt: skip
    judge(f"pipeline {text!r}", top, start(top, compile_command("--until=quantize", "--pass-pipeline=" + text, output="out/m.mlirbc")), [1, 2], "pipeline")
for number in ("99999999999999999999", "-99999999999999999999", "1e99"):
    judge("number", top, start(top, compile_command(f"--pass-pipeline=rtn-int4{{group-size={number}}}")), [1, 2], "group-size")
    judge("number", top, start(top, compile_command("--seed=" + number)), [2], "--seed=")

# A bench of more tokens than memory holds: a length that the model itself prescribes.

for length, compiles in ((1 << 40, False), (1 << 34, True)):
    top = fresh("bench")
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"])
    make(top, [node], {"input_ids": (INT64, ["b", length])}, {"table": np.ones((16, 16), np.float32)})
    judge(f"{length} tokens", top, start(top, compile_command()), [0 if compiles else 1], str(length))
    if compiles:
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000, 3_000_000_000))  # pylint: disable=unnecessary-lambda-assignment
        judge("bench", top, start(top, [qrun, "out/m.qmod", "--bench", "--device=cpu", "--quiet"], preexec_fn=limit), [1], str(length), left=["m.qmod"])

# Files of outputs whose names differ in what a file cannot have; results over the module, the text, each other.

top = fresh("files")
names = ["a/b", "a_b", "a\\b", "a:b", "../a_b", "A_b", ".", "..", "", "a_b_2"]
make(top, [helper.make_node("Identity", ["x"], [name or "empty"]) for name in names], {"x": (INT64, ["n"])})
got = run("names", top, {"x": np.arange(3)})
if len(got) != len(names) or sorted(os.listdir(top)) != ["in", "out", "tmp"]:
    failures.append(f"names: {sorted(got)}, {sorted(os.listdir(top))}")
top = fresh("over")
module = module_of(top)
np.save(os.path.join(top, "in", "x.npy"), np.ones((2, 64), np.float32))
before = {file: read(top, "in", file) for file in os.listdir(os.path.join(top, "in"))}
for command in [
    [qrun, "in/m.qmod", "--input=x=in/x.npy", "--output=out", "--json=in/m.qmod"],
    [qrun, "in/m.qmod", "--input=x=in/x.npy", "--output=out", "--json=in/x.npy"],
    [qrun, "in/m.qmod", "--perplexity=in/x.npy", "--json=in/../in/x.npy"],
    [qrun, "in/m.qmod", "--extract=weights", "--out=in/m.qmod"],
    [qopt, "in/m.onnx", "-o", "out/a.qmod", "--report=out/a.qmod"],
    [qopt, "in/m.onnx", "-o", "out/a.qmod", "--log=in/m.onnx"],
    [qopt, "in/m.onnx", "-o", "out/a.qmod", "--report=out/b", "--log=out/b"],
]:
    judge(" ".join(command[1:]), top, start(top, command), [1, 2], "is to be written")
if before != {file: read(top, "in", file) for file in os.listdir(os.path.join(top, "in"))}:
    failures.append("over: an input has changed")

trouble.finish()
