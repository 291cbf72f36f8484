//===- Reductions.cpp - Reductions, softmax and running sums --------------===//
//
// In double over the reduced axes, in row-major order.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/TypeSwitch.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

namespace {
enum class Reduction { Max, Mean, Min, Prod, Sum };
} // namespace

static double startOf(Reduction kind) {
  switch (kind) {
  case Reduction::Max:
    return -std::numeric_limits<double>::infinity();
  case Reduction::Min:
    return std::numeric_limits<double>::infinity();
  case Reduction::Prod:
    return 1;
  case Reduction::Mean:
  case Reduction::Sum:
    return 0;
  }
  llvm_unreachable("unknown reduction");
}

static void accumulate(Reduction kind, double &sum, double value) {
  switch (kind) {
  case Reduction::Max:
    sum = std::isnan(sum) || sum > value ? sum : value;
    return;
  case Reduction::Min:
    sum = std::isnan(sum) || sum < value ? sum : value;
    return;
  case Reduction::Prod:
    sum *= value;
    return;
  case Reduction::Mean:
  case Reduction::Sum:
    sum += value;
    return;
  }
}

static void accumulate(Reduction kind, int64_t &sum, int64_t value, bool first) {
  switch (kind) {
  case Reduction::Max:
    sum = first ? value : std::max(sum, value);
    return;
  case Reduction::Min:
    sum = first ? value : std::min(sum, value);
    return;
  case Reduction::Prod:
    sum = static_cast<int64_t>(static_cast<uint64_t>(first ? 1 : sum) * static_cast<uint64_t>(value));
    return;
  case Reduction::Mean:
  case Reduction::Sum:
    sum = static_cast<int64_t>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(value));
    return;
  }
}

template <typename Op>
static Outcome reduce(Op op, Reduction kind, Operands in, Tensor &out) {
  const Tensor &data = *in[0];
  int64_t rank = data.type.getRank();
  SmallVector<bool> reduced(rank, false);
  if (op.getAxes())
    for (int64_t axis : in[1]->ints)
      reduced[frontAxis(axis, rank)] = true;
  if ((!op.getAxes() || in[1]->ints.empty()) && !op.getNoopWithEmptyAxes())
    reduced.assign(rank, true);
  // Strides into the result: 0 along what is reduced.
  Dims strides(rank, 0);
  int64_t step = 1, count = 1;
  for (int64_t axis = rank - 1; axis >= 0; --axis) {
    if (reduced[axis]) {
      count *= data.type.getDimSize(axis);
    } else {
      strides[axis] = step;
      step *= data.type.getDimSize(axis);
    }
  }
  std::fill(out.floats.begin(), out.floats.end(), startOf(kind));
  std::vector<bool> seen(out.numElements(), false);
  walk<1>(shapeOf(data), {strides}, [&](int64_t i, const std::array<int64_t, 1> &to) {
    if (data.isFloat())
      accumulate(kind, out.floats[to[0]], data.floats[i]);
    else
      accumulate(kind, out.ints[to[0]], data.ints[i], !seen[to[0]]);
    seen[to[0]] = true;
  });
  if (kind == Reduction::Prod)
    for (size_t i = 0; i < out.ints.size(); ++i)
      out.ints[i] = seen[i] ? out.ints[i] : 1;
  if (kind == Reduction::Mean) {
    for (double &value : out.floats)
      value /= static_cast<double>(count);
    for (int64_t &value : out.ints)
      value = count == 0 ? 0 : value / count;
  }
  return Outcome::Done;
}

static Outcome evaluateSoftmax(onnx::SoftmaxOp op, const Tensor &in, Tensor &out) {
  if (!in.isFloat())
    return fail(op, "requires a float operand");
  int64_t axis = frontAxis(op.getAxis(), in.type.getRank()), size = in.type.getDimSize(axis);
  int64_t inner = product(shapeOf(in).drop_front(axis + 1)), outer = product(shapeOf(in).take_front(axis));
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t j = 0; j < inner; ++j) {
      auto at = [&](int64_t i) { return (o * size + i) * inner + j; };
      double max = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t i = 0; i < size; ++i)
        max = std::max(max, in.floats[at(i)]);
      for (int64_t i = 0; i < size; ++i)
        sum += out.floats[at(i)] = std::exp(in.floats[at(i)] - max);
      for (int64_t i = 0; i < size; ++i)
        out.floats[at(i)] /= sum;
    }
  return Outcome::Done;
}

static Outcome evaluateCumSum(onnx::CumSumOp op, Operands in, Tensor &out) {
  const Tensor &x = *in[0];
  int64_t rank = x.type.getRank();
  if (in[1]->isFloat() || in[1]->numElements() != 1 || in[1]->ints[0] < -rank || in[1]->ints[0] >= rank)
    return fail(op, "requires one axis in [" + Twine(-rank) + ", " + Twine(rank - 1) + "]");
  int64_t axis = frontAxis(in[1]->ints[0], rank), size = x.type.getDimSize(axis);
  int64_t inner = product(shapeOf(x).drop_front(axis + 1)), outer = product(shapeOf(x).take_front(axis));
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t j = 0; j < inner; ++j) {
      double floatSum = 0;
      uint64_t intSum = 0;
      for (int64_t i = 0; i < size; ++i) {
        int64_t at = (o * size + (op.getReverse() ? size - 1 - i : i)) * inner + j;
        double beforeFloat = floatSum;
        uint64_t beforeInt = intSum;
        if (x.isFloat()) {
          floatSum += x.floats[at];
          out.floats[at] = op.getExclusive() ? beforeFloat : floatSum;
        } else {
          intSum += static_cast<uint64_t>(x.ints[at]);
          out.ints[at] = static_cast<int64_t>(op.getExclusive() ? beforeInt : intSum);
        }
      }
    }
  return Outcome::Done;
}

Outcome reference::evaluateReduction(Operation *op, Operands in, Results out) {
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::ReduceMaxOp reduction) { return reduce(reduction, Reduction::Max, in, out[0]); })
      .Case([&](onnx::ReduceMeanOp reduction) { return reduce(reduction, Reduction::Mean, in, out[0]); })
      .Case([&](onnx::ReduceMinOp reduction) { return reduce(reduction, Reduction::Min, in, out[0]); })
      .Case([&](onnx::ReduceProdOp reduction) { return reduce(reduction, Reduction::Prod, in, out[0]); })
      .Case([&](onnx::ReduceSumOp reduction) { return reduce(reduction, Reduction::Sum, in, out[0]); })
      .Case([&](onnx::SoftmaxOp softmax) { return evaluateSoftmax(softmax, *in[0], out[0]); })
      .Case([&](onnx::CumSumOp sum) { return evaluateCumSum(sum, in, out[0]); })
      .Default([](Operation *) { return Outcome::NotMine; });
}
