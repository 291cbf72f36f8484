"""Finds every linear of a model that has one in each form in which exporters write them; exits 1 with what differs.

linear_forms.py QOPT DIRECTORY
"""
import os
import re
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

qopt, directory = sys.argv[1:3]
os.makedirs(directory, exist_ok=True)
os.chdir(directory)
choose = np.random.default_rng(1)
K, HEADS, SIZE, TOKENS = 32, 4, 8, 40
nodes, data, forms, value = [], [], [], "embedded"


def node(op, *inputs, to=None, name=None, **attributes):
    """One node; inputs that are arrays become initializers."""
    names = []
    for x in inputs:
        if not isinstance(x, str):
            data.append(numpy_helper.from_array(np.ascontiguousarray(x), f"c{len(data)}"))
            x = data[-1].name
        names.append(x)
    to = to or f"v{len(nodes)}"
    nodes.append(helper.make_node(op, names, [to], name=f"/{name}/{op}" if name else "", **attributes))
    return to


def w(*shape, kind=np.float32):
    return (choose.standard_normal(shape) / 4).astype(kind)


def ints(*values):
    return np.array(values, np.int64)


def form(make):
    """The next layer of the model, called after the function that makes it of `x`, [batch, sequence, K]."""
    global value
    forms.append(make.__name__)
    value = node("Tanh", make(value, forms[-1]))


def turned(x):
    return node("Transpose", x, perm=[0, 2, 1])


def joined(x):
    """[batch, heads, sequence, size] to [batch, sequence, heads * size]."""
    return node("Reshape", node("Transpose", x, perm=[0, 2, 1, 3]), ints(0, 0, -1))


def apart(x):
    return node("Transpose", node("Reshape", x, ints(0, 0, HEADS, SIZE)), perm=[0, 2, 1, 3])


def flat(x):
    return node("Reshape", x, ints(-1, K))


def likewise(y, x):
    return node("Reshape", y, node("Shape", x))


def product(x, name, weight):
    return node("MatMul", x, weight, name=name)


# The weight comes first, has a batch of one, or is that of several heads.
def left(x, n):
    return turned(node("MatMul", w(K, K), turned(x), name=n))


def unit(x, n):
    return product(x, n, w(1, K, K))


def unit_left(x, n):
    return turned(node("MatMul", w(1, K, K), turned(x), name=n))


def heads(x, n):
    return joined(product(node("Unsqueeze", x, ints(1)), n, w(HEADS, K, SIZE)))


def heads_of_one(x, n):
    return joined(product(node("Unsqueeze", x, ints(1)), n, w(1, HEADS, K, SIZE)))


def heads_summed(x, n):
    return node("ReduceSum", product(apart(x), n, w(HEADS, SIZE, K)), ints(1), keepdims=0)


# Other operators.
def einsum(x, n):
    return node("Einsum", x, w(K, K), equation="bsk,nk->bsn", name=n)


def einsum_left(x, n):
    return node("Einsum", w(K, K), x, equation="nk,bsk->bsn", name=n)


def einsum_heads(x, n):
    return joined(node("Einsum", x, w(HEADS, K, SIZE), equation="bsk,hkd->bhsd", name=n))


def einsum_summed(x, n):
    return node("Einsum", apart(x), w(HEADS, SIZE, K), equation="bhsd,hdn->bsn", name=n)


def conv(x, n):
    return turned(node("Conv", turned(x), w(K, K, 1), w(K), name=n))


def conv_of_images(x, n):
    image = node("Conv", node("Unsqueeze", turned(x), ints(3)), w(K, K, 1, 1), name=n)
    return turned(node("Squeeze", image, ints(3)))


def gemm(x, n):
    return likewise(node("Gemm", flat(x), w(K, K), w(K), alpha=0.5, beta=2.0, transB=1, name=n), x)


def gemm_turned(x, n):
    rows = node("Transpose", flat(x), perm=[1, 0])
    return likewise(node("Gemm", rows, w(K, K), transA=1, name=n), x)


# What is between the array and the product.
def sliced(x, n):
    return product(x, n, node("Slice", w(K, 3 * K), ints(K), ints(2 * K), ints(1)))


def concatenated(x, n):
    return product(x, n, node("Concat", w(K, K // 2), w(K, K // 2), axis=1))


def reshaped(x, n):
    return product(x, n, node("Reshape", w(K, HEADS, SIZE), ints(K, K)))


def scaled(x, n):
    return product(x, n, node("Transpose", node("Mul", w(K, K), w(K, 1)), perm=[1, 0]))


def normalised(x, n):
    v = w(K, K)
    data.append(numpy_helper.from_array(v, "v"))
    return product(x, n, node("Mul", node("Div", "v", node("ReduceL2", "v", axes=[1])), w(K, 1)))


def adapted(x, n):
    change = node("Mul", node("MatMul", w(K, 4), w(4, K)), np.float32(2))
    return product(x, n, node("Transpose", node("Add", w(K, K), change), perm=[1, 0]))


# What stays in float: each head multiplies what is its own, and a copy of the weight for each text.
def own_heads(x, n):
    return joined(product(apart(x), n, w(HEADS, SIZE, SIZE)))


def repeated(x, n):
    batch = node("Slice", node("Shape", x), ints(0), ints(1))
    return product(x, n, node("Expand", w(K, K), node("Concat", batch, ints(K, K), axis=0)))


for make in (left, unit, unit_left, heads, heads_of_one, heads_summed, einsum, einsum_left, einsum_heads, einsum_summed, conv,
             conv_of_images, gemm, gemm_turned, sliced, concatenated, reshaped, scaled, normalised, adapted):
    form(make)
linears = list(forms)
for make in (own_heads, repeated):
    form(make)
# Two layers that share a weight, and a head with a name of its own.
shared = w(K, K)
data.append(numpy_helper.from_array(shared, "shared"))
for name in ("once", "again"):
    value = node("Tanh", product(value, name, "shared"))
node("MatMul", value, w(K, TOKENS), to="logits", name="embed_out")
linears += ["once", "again", "embed_out"]
nodes.insert(0, helper.make_node("Gather", ["embedding", "input_ids"], ["embedded"]))
data.append(numpy_helper.from_array(w(TOKENS, K), "embedding"))
ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "seq", TOKENS])
graph = helper.make_graph(nodes, "g", [ids], [logits], data)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "forms.onnx")


def run(*options, fails=False):
    done = subprocess.run([qopt, "forms.onnx", "--cpu=x86-64-v3", *options], capture_output=True, text=True)
    if (done.returncode != 0) != fails:
        sys.exit(f"linear_forms.py: {options}: status {done.returncode}\n{done.stderr}")
    return done.stdout, done.stderr


def expect(what, wanted, got):
    if wanted != got:
        sys.exit(f"linear_forms.py: {what}: expected {wanted} but got {got}")


chosen = ["--pass-pipeline=int8-weights{head=float}", "--override=unit*=skip"]
listed = dict(line.split()[0::3][:2] for line in run(*chosen, "--list-layers")[0].splitlines()[1:])
expect("layers", {n: "float" if n.startswith("unit") or n == "embed_out" else "int8-weights" for n in linears}, listed)
run("-o", "float.qmod")
_, said = run(*chosen, "-o", "int8.qmod")
expect("warning", ["2"], re.findall(r"(\d+) products with constant weights", said))
expect("layers of the real run", [(str(len(linears) - 3), str(len(linears)))], re.findall(r"(\d+) of (\d+) linear", said))
if os.path.getsize("int8.qmod") >= os.path.getsize("float.qmod"):
    sys.exit("linear_forms.py: expected a smaller module")
wrong = ["--pass-pipeline=int8-weights", "--override=nothing=skip"]
expect("error", run(*wrong, "--list-layers", fails=True)[1], run(*wrong, "-o", "int8.qmod", fails=True)[1])
print(f"{len(linears)} linears in {len(linears)} forms")
