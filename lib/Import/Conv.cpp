//===- Conv.cpp - Convolutions as matrix products -------------------------===//
//
// What the kernel meets at each of its places becomes a column beside the others. A kernel of
// one place is a linear over channels: that is how some exporters write one.
//
//===----------------------------------------------------------------------===//
#include "StandardRules.h"
#include "qopt/Dialect/Types.h"
#include <limits>

using namespace mlir;
using namespace qopt;

/// Kernels with more places than this are of images, not of language models.
static constexpr int64_t kMaxPlaces = 256;

namespace {

class Convolution {
public:
  Convolution(NodeImport &node, Value x, Value weight, Value bias, standard::MatrixMaker toFloats)
      : node(node), b(node), x(x), weight(weight), bias(bias), toFloats(toFloats) {}
  Result<Value> run();

private:
  Status readAttributes();
  Status readPads(StringRef automatic);
  Value columns();
  Value project(Value met);

  NodeImport &node;
  OperatorBuilder b;
  Value x, weight; ///< [batch, channels, sizes], [outputs, channels / groups, places]
  Value bias;      ///< [outputs], or null
  standard::MatrixMaker toFloats;
  int64_t rank = 0, groups = 1, places = 1;
  SmallVector<int64_t> kernel, strides, dilations, pads;
};

} // namespace

Status Convolution::readPads(StringRef automatic) {
  auto given = node.take<DenseI64ArrayAttr>("pads");
  pads.assign(2 * rank, 0);
  if (automatic == "NOTSET" || automatic == "VALID") {
    if (given && automatic == "NOTSET")
      pads.assign(given.asArrayRef().begin(), given.asArrayRef().end());
    return pads.size() == 2 * static_cast<size_t>(rank) ? Status() : Status(Error{"requires two pads for each size"});
  }
  if (automatic != "SAME_UPPER" && automatic != "SAME_LOWER")
    return Error{"expected auto_pad to be NOTSET, VALID, SAME_UPPER or SAME_LOWER but got \"" + automatic.str() + "\""};
  for (int64_t i = 0; i < rank; ++i) {
    int64_t size = typeOf(x).getDimSize(i + 2);
    if (ShapedType::isDynamic(size))
      return Error{"auto_pad = " + automatic.str() + " requires sizes that are known"};
    int64_t steps = (size + strides[i] - 1) / strides[i];
    int64_t total = std::max<int64_t>((steps - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - size, 0);
    pads[i] = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[rank + i] = total - pads[i];
  }
  return {};
}

Status Convolution::readAttributes() {
  RankedTensorType type = typeOf(weight);
  rank = typeOf(x).getRank() - 2;
  if (rank < 1 || type.getRank() != rank + 2 || !type.hasStaticShape())
    return Error{"requires an input of rank 3 or more and a kernel of that rank and of known size"};
  kernel.assign(type.getShape().begin() + 2, type.getShape().end());
  node.attributes.erase("kernel_shape"); // the weight has it
  for (int64_t size : kernel)
    places *= size;
  groups = node.takeInt("group", 1);
  if (places < 1 || places > kMaxPlaces || groups < 1 || type.getDimSize(0) % groups != 0)
    return Error{"expected a kernel of 1 to " + std::to_string(kMaxPlaces) + " places but got " +
                 std::to_string(places) + ", in " + std::to_string(groups) + " groups"};
  for (auto [list, name] : {std::pair(&strides, "strides"), {&dilations, "dilations"}}) {
    auto given = node.take<DenseI64ArrayAttr>(name);
    list->assign(rank, 1);
    if (given)
      list->assign(given.asArrayRef().begin(), given.asArrayRef().end());
    if (list->size() != static_cast<size_t>(rank) || llvm::any_of(*list, [](int64_t n) { return n < 1; }))
      return Error{"requires " + std::to_string(rank) + " " + name + " above 0"};
  }
  auto automatic = node.take<StringAttr>("auto_pad");
  return readPads(automatic ? automatic.getValue() : "NOTSET");
}

/// [batch, channels, places, sizes of the result].
Value Convolution::columns() {
  SmallVector<Value> all;
  SmallVector<int64_t> starts, ends, axes;
  for (int64_t place = 0; place < places; ++place) {
    starts.clear(), ends.clear(), axes.clear();
    int64_t left = place, unit = places;
    for (int64_t i = 0; i < rank; ++i) {
      unit /= kernel[i];
      int64_t start = left / unit * dilations[i], behind = (kernel[i] - 1) * dilations[i] - start;
      left %= unit;
      axes.push_back(i + 2);
      starts.push_back(start);
      ends.push_back(behind > 0 ? -behind : std::numeric_limits<int64_t>::max());
    }
    Value met = b.make("Slice", {x, b.ints(starts), b.ints(ends), b.ints(axes), b.ints(strides)});
    all.push_back(b.unsqueeze(met, 2));
  }
  return all.size() == 1 ? all.front() : b.concat(all, 2);
}

/// The weight as a matrix, times what it meets: [batch, outputs, positions]. In one group it is a linear.
Value Convolution::project(Value met) {
  int64_t outputs = typeOf(weight).getDimSize(0), inputs = typeOf(weight).getDimSize(1) * places;
  Value matrix = toFloats(b.reshape(weight, {outputs, inputs}));
  if (groups > 1)
    return b.make("MatMul",
                  {b.reshape(matrix, {groups, outputs / groups, inputs}), b.reshape(met, {0, groups, inputs, -1})});
  Value rows = b.transpose(b.reshape(met, {0, inputs, -1}), {0, 2, 1});
  return b.transpose(b.make("MatMul", {rows, b.transpose(matrix, {1, 0})}), {0, 2, 1});
}

Result<Value> Convolution::run() {
  if (Status status = readAttributes(); !status)
    return status.error();
  for (int64_t i = 0; i < rank; ++i)
    if (pads[i] != 0 || pads[rank + i] != 0)
      x = standard::padAxis(b, x, i + 2, b.ints(pads[i]), b.ints(pads[rank + i]), Value());
  Value met = columns();
  SmallVector<Value> shape = {b.dim(x, 0), b.ints(typeOf(weight).getDimSize(0))};
  for (int64_t i = 0; i < rank; ++i)
    shape.push_back(b.dim(met, i + 3));
  bool isWhole = places == 1 && llvm::all_of(strides, [](int64_t n) { return n == 1; });
  Value product = project(isWhole ? x : met);
  Value result = b.make("Reshape", {product, b.concat(shape, 0)}, b.attribute("allowzero", int64_t(1)));
  if (bias)
    result = b.make("Add", {result, b.unsqueeze(bias, llvm::to_vector(llvm::seq<int64_t>(1, rank + 1)))});
  if (Status status = b.finish(result); !status)
    return status.error();
  return result;
}

Result<Value> standard::convolve(NodeImport &node, Value x, Value weight, Value bias, MatrixMaker toFloats) {
  return Convolution(node, x, weight, bias, toFloats).run();
}

Status standard::importConv(NodeImport &node) {
  Result<Value> result =
      convolve(node, node.inputs[0], node.inputs[1], node.input(2), [](Value matrix) { return matrix; });
  return result ? Status() : result.error();
}
