"""linears.py FILE: an ONNX model of linears alone, in which there is little to compile. Their inputs are 64 and 172."""
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

TOKENS, WIDTHS = 40, [64, 172, 64, 172, 64]
choose = numpy.random.default_rng(1)


def weights(name, rows, columns):
    return numpy_helper.from_array(choose.standard_normal((rows, columns), numpy.float32) / 8, name)


nodes, data = [helper.make_node("Gather", ["embedding", "input_ids"], ["x0"])], [weights("embedding", TOKENS, WIDTHS[0])]
for i, (rows, columns) in enumerate(zip(WIDTHS, WIDTHS[1:])):
    nodes.append(helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"y{i}"], name=f"/layers.{i}/linear/MatMul"))
    nodes.append(helper.make_node("Tanh", [f"y{i}"], [f"x{i + 1}"]))
    data.append(weights(f"w{i}", rows, columns))
nodes.append(helper.make_node("MatMul", [f"x{len(WIDTHS) - 1}", "head"], ["logits"], name="/lm_head/MatMul"))
data.append(weights("head", WIDTHS[-1], TOKENS))
ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "seq", TOKENS])
graph = helper.make_graph(nodes, "g", [ids], [logits], data)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
