//===- ContribNorms.cpp - onnxruntime's normalizations --------------------===//
//
// Norms that had no standard operator, and norms of sums, of which the sum is a result
// too. Statistics that training wants are computed where something reads them.
//
//===----------------------------------------------------------------------===//
#include "ContribOperators.h"
#include "OperatorBuilder.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;

static float valueOf(NamedAttribute attribute) {
  return static_cast<float>(cast<FloatAttr>(attribute.getValue()).getValueAsDouble());
}

/// 1 / sqrt(mean square + epsilon) of each row, as f32.
static Value inverseRms(OperatorBuilder &b, NodeImport &node, Value rows, NamedAttribute epsilon) {
  Value x = b.cast(rows, node.builder.getF32Type());
  Value square = b.make("ReduceMean", {b.make("Mul", {x, x}), b.ints(-1)});
  Value shifted = b.hasFailed() ? Value() : b.make("Add", {square, b.floatLike(square, valueOf(epsilon))});
  return b.make("Reciprocal", b.make("Sqrt", shifted));
}

/// RMSNormalization before it was standard; the second output is 1 / sqrt(mean square).
Status contrib::importSimplifiedLayerNorm(NodeImport &node) {
  OperatorBuilder b(node);
  int64_t axis = node.takeInt("axis", -1), rank = typeOf(node.inputs[0]).getRank();
  NamedAttribute epsilon = b.takeFloat("epsilon", 1e-5f);
  node.attributes.erase("stash_type"); // f32, as always here
  Value normalized = b.make("RMSNormalization", node.inputs, {b.attribute("axis", axis), epsilon});
  if (!node.hasOutput(1))
    return b.finish(normalized);
  if (axis != -1 && axis != rank - 1)
    return Error{"inv_std_var over more than the last dimension is not supported"};
  return b.finish({normalized, inverseRms(b, node, node.inputs[0], epsilon)});
}

/// input + skip + bias, where there is one.
static Value sumOf(OperatorBuilder &b, NodeImport &node, size_t bias) {
  Value sum = b.make("Add", {node.inputs[0], node.inputs[1]});
  return node.input(bias) ? b.make("Add", {sum, node.inputs[bias]}) : sum;
}

Status contrib::importSkipSimplifiedLayerNorm(NodeImport &node) {
  OperatorBuilder b(node);
  NamedAttribute epsilon = b.takeFloat("epsilon", 1e-12f);
  Value sum = sumOf(b, node, 3), normalized = b.make("RMSNormalization", {sum, node.inputs[2]}, epsilon);
  SmallVector<Value> results = {normalized, Value(), Value(), sum};
  if (node.hasOutput(1))
    results[1] = b.make("ReduceMean", {b.cast(sum, node.builder.getF32Type()), b.ints(-1)});
  if (node.hasOutput(2))
    results[2] = inverseRms(b, node, sum, epsilon);
  return b.finish(results);
}

Status contrib::importSkipLayerNorm(NodeImport &node) {
  OperatorBuilder b(node);
  NamedAttribute epsilon = b.takeFloat("epsilon", 1e-12f);
  Value sum = sumOf(b, node, 4), beta = node.input(3);
  SmallVector<Value> results = b.makeAll("LayerNormalization", {sum, node.inputs[2], beta}, epsilon);
  results.push_back(sum);
  return b.finish(results);
}
