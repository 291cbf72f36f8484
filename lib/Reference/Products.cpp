//===- Products.cpp - Matrix products of floats and integers --------------===//
//
// Sums are exact for integers and in double for floats.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

/// out[m, n] = sum_k a[k] b[k], the operands' elements given by strides.
static void multiply(const Tensor &a, int64_t aOffset, int64_t aRow, int64_t aInner, const Tensor &b, int64_t bOffset,
                     int64_t bInner, int64_t bColumn, Tensor &out, int64_t outOffset, int64_t m, int64_t n, int64_t k) {
  std::vector<double> row(n);
  for (int64_t i = 0; i < m; ++i) {
    if (!a.isFloat()) {
      for (int64_t j = 0; j < n; ++j) {
        uint64_t sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += static_cast<uint64_t>(a.ints[aOffset + i * aRow + l * aInner]) *
                 static_cast<uint64_t>(b.ints[bOffset + l * bInner + j * bColumn]);
        out.ints[outOffset + i * n + j] = static_cast<int64_t>(sum);
      }
      continue;
    }
    std::fill(row.begin(), row.end(), 0.0);
    for (int64_t l = 0; l < k; ++l) {
      double x = a.floats[aOffset + i * aRow + l * aInner];
      const double *values = b.floats.data() + bOffset + l * bInner;
      for (int64_t j = 0; j < n; ++j)
        row[j] += x * values[j * bColumn];
    }
    std::copy(row.begin(), row.end(), out.floats.begin() + outOffset + i * n);
  }
}

static Outcome evaluateMatMul(Operation *op, Operands in, Tensor &out) {
  const Tensor &a = *in[0], &b = *in[1];
  // Vectors count as a row on the left and as a column on the right.
  Dims aShape(shapeOf(a)), bShape(shapeOf(b));
  if (aShape.size() == 1)
    aShape.insert(aShape.begin(), 1);
  if (bShape.size() == 1)
    bShape.push_back(1);
  int64_t m = aShape[aShape.size() - 2], k = aShape.back(), n = bShape.back();
  ArrayRef<int64_t> aBatch = ArrayRef(aShape).drop_back(2), bBatch = ArrayRef(bShape).drop_back(2);
  int64_t rank = std::max(aBatch.size(), bBatch.size());
  Dims batch = Dims(shapeOf(out).take_front(rank));
  std::array<Dims, 2> strides = {broadcastStrides(aBatch, rank), broadcastStrides(bBatch, rank)};
  walk(batch, strides, [&](int64_t i, const std::array<int64_t, 2> &from) {
    multiply(a, from[0] * m * k, k, 1, b, from[1] * k * n, n, 1, out, i * m * n, m, n, k);
  });
  return Outcome::Done;
}

static Outcome evaluateGemm(onnx::GemmOp op, Operands in, Tensor &out) {
  const Tensor &a = *in[0], &b = *in[1];
  if (!a.isFloat())
    return fail(op, "requires float operands");
  int64_t m = out.type.getDimSize(0), n = out.type.getDimSize(1), k = a.type.getDimSize(op.getTransA() ? 0 : 1);
  multiply(a, 0, op.getTransA() ? 1 : k, op.getTransA() ? m : 1, b, 0, op.getTransB() ? 1 : n, op.getTransB() ? k : 1,
           out, 0, m, n, k);
  double alpha = op.getAlpha().convertToFloat(), beta = op.getBeta().convertToFloat();
  Dims strides = op.getC() ? broadcastStrides(shapeOf(*in[2]), 2) : Dims{0, 0};
  walk<1>(shapeOf(out), {strides}, [&](int64_t i, const std::array<int64_t, 1> &from) {
    out.floats[i] = alpha * out.floats[i] + (op.getC() ? beta * in[2]->floats[from[0]] : 0);
  });
  return Outcome::Done;
}

Outcome reference::evaluateProduct(Operation *op, Operands in, Results out) {
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::MatMulOp) { return evaluateMatMul(op, in, out[0]); })
      .Case([&](onnx::GemmOp gemm) { return evaluateGemm(gemm, in, out[0]); })
      .Default([](Operation *) { return Outcome::NotMine; });
}
