//===- Attention.cpp - The parts of a decoder layer -----------------------===//
//
// Norms, RotaryEmbedding and Attention as the ONNX specification has
// them (operator sets 23 and 24), but for queries that see no key: they get the
// mean of all values.
//
//===----------------------------------------------------------------------===//
#include "Kernels.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

using namespace mlir;
using namespace qopt;
using namespace qopt::reference;

static Outcome evaluateRMSNormalization(onnx::RMSNormalizationOp op, Operands in, Tensor &out) {
  const Tensor &x = *in[0], &scale = *in[1];
  if (!x.isFloat() || !scale.isFloat())
    return fail(op, "requires float operands");
  int64_t axis = frontAxis(op.getAxis(), x.type.getRank());
  int64_t size = product(shapeOf(x).drop_front(axis));
  std::vector<double> factor(size == 0 ? 0 : x.numElements() / size);
  for (size_t row = 0; row < factor.size(); ++row) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i)
      sum += x.floats[row * size + i] * x.floats[row * size + i];
    factor[row] = 1 / std::sqrt(sum / static_cast<double>(size) + op.getEpsilon().convertToFloat());
  }
  walk<1>(shapeOf(x), {broadcastStrides(shapeOf(scale), x.type.getRank())},
          [&](int64_t i, const std::array<int64_t, 1> &from) {
            out.floats[i] = x.floats[i] * factor[i / size] * scale.floats[from[0]];
          });
  return Outcome::Done;
}

static Outcome evaluateLayerNormalization(onnx::LayerNormalizationOp op, Operands in, Results out) {
  const Tensor &x = *in[0], &scale = *in[1];
  const Tensor *bias = op.getB() ? in[2] : nullptr;
  if (!x.isFloat() || !scale.isFloat() || (bias && !bias->isFloat()))
    return fail(op, "requires float operands");
  int64_t rank = x.type.getRank(), size = product(shapeOf(x).drop_front(frontAxis(op.getAxis(), rank)));
  Tensor &mean = out[1], &factor = out[2];
  for (int64_t row = 0, rows = size == 0 ? 0 : x.numElements() / size; row < rows; ++row) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < size; ++i)
      sum += x.floats[row * size + i];
    mean.floats[row] = sum / static_cast<double>(size);
    for (int64_t i = 0; i < size; ++i)
      squares += std::pow(x.floats[row * size + i] - mean.floats[row], 2);
    factor.floats[row] = 1 / std::sqrt(squares / static_cast<double>(size) + op.getEpsilon().convertToFloat());
  }
  ArrayRef<int64_t> biasShape = shapeOf(bias ? *bias : scale);
  walk<2>(shapeOf(x), {broadcastStrides(shapeOf(scale), rank), broadcastStrides(biasShape, rank)},
          [&](int64_t i, const std::array<int64_t, 2> &from) {
            double normal = (x.floats[i] - mean.floats[i / size]) * factor.floats[i / size];
            out[0].floats[i] = normal * scale.floats[from[0]] + (bias ? bias->floats[from[1]] : 0);
          });
  return Outcome::Done;
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

/// Where head h at position s of batch b starts in [B, H, S, D] or [B, S, H * D].
namespace {
struct Heads {
  int64_t batch, heads, length, size;
  bool sequenceFirst;

  int64_t at(int64_t b, int64_t h, int64_t s) const {
    return (sequenceFirst ? (b * length + s) * heads + h : (b * heads + h) * length + s) * size;
  }
};
} // namespace

static FailureOr<Heads> headsOf(Operation *op, const Tensor &x, int64_t heads) {
  ArrayRef<int64_t> shape = shapeOf(x);
  if (shape.size() == 4)
    return Heads{shape[0], shape[1], shape[2], shape[3], false};
  if (heads < 1 || shape[2] % heads != 0)
    return op->emitOpError("cannot divide ") << shape[2] << " columns into " << heads << " heads";
  return Heads{shape[0], heads, shape[1], shape[2] / heads, true};
}

static Outcome evaluateRotaryEmbedding(onnx::RotaryEmbeddingOp op, Operands in, Tensor &out) {
  const Tensor &x = *in[0], &cos = *in[1], &sin = *in[2];
  const Tensor *positions = op.getPositionIds() ? in[3] : nullptr;
  if (!x.isFloat() || !cos.isFloat() || !sin.isFloat() || (positions && positions->isFloat()))
    return fail(op, "requires float operands and integer positions");
  FailureOr<Heads> heads = headsOf(op, x, op.getNumHeads());
  if (failed(heads))
    return Outcome::Failed;
  int64_t rotated = op.getRotaryEmbeddingDim() > 0 ? op.getRotaryEmbeddingDim() : heads->size, half = rotated / 2;
  if (rotated > heads->size || rotated % 2 != 0)
    return fail(op, "cannot rotate " + Twine(rotated) + " of " + Twine(heads->size) + " columns");
  if (shapeOf(cos) != shapeOf(sin) || shapeOf(cos).back() != half)
    return fail(op, "expected caches of " + Twine(half) + " columns but got " + Twine(shapeOf(cos).back()));
  ArrayRef<int64_t> per = positions ? shapeOf(*positions) : shapeOf(cos).drop_back();
  if (per.size() != 2 || (per[0] != 1 && per[0] != heads->batch) || per[1] != heads->length)
    return fail(op, "requires one position per token");
  out.floats = x.floats;
  for (int64_t b = 0; b < heads->batch; ++b)
    for (int64_t s = 0; s < heads->length; ++s) {
      int64_t row = (per[0] == 1 ? 0 : b) * heads->length + s;
      if (positions) {
        row = positions->ints[row];
        if (row < 0 || row >= cos.type.getDimSize(0))
          return fail(op, "expected positions in [0, " + Twine(cos.type.getDimSize(0) - 1) + "] but got " + Twine(row));
      }
      for (int64_t h = 0; h < heads->heads; ++h)
        for (int64_t i = 0; i < half; ++i) {
          int64_t base = heads->at(b, h, s);
          int64_t first = base + (op.getInterleaved() ? 2 * i : i),
                  second = base + (op.getInterleaved() ? 2 * i + 1 : i + half);
          double c = cos.floats[row * half + i], d = sin.floats[row * half + i];
          out.floats[first] = x.floats[first] * c - x.floats[second] * d;
          out.floats[second] = x.floats[second] * c + x.floats[first] * d;
        }
    }
  return Outcome::Done;
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

/// `past` followed by the new rows, as [B, heads, length, size].
static Tensor appendToCache(const Tensor *past, const Tensor &rows, const Heads &heads) {
  int64_t before = past ? past->type.getDimSize(2) : 0;
  Tensor result;
  allocate(result, RankedTensorType::get({heads.batch, heads.heads, before + heads.length, heads.size},
                                         rows.type.getElementType()));
  Heads to{heads.batch, heads.heads, before + heads.length, heads.size, false};
  Heads from{heads.batch, heads.heads, before, heads.size, false};
  for (int64_t b = 0; b < heads.batch; ++b)
    for (int64_t h = 0; h < heads.heads; ++h)
      for (int64_t s = 0; s < before + heads.length; ++s) {
        const double *source = s < before ? &past->floats[from.at(b, h, s)] : &rows.floats[heads.at(b, h, s - before)];
        std::copy_n(source, heads.size, &result.floats[to.at(b, h, s)]);
      }
  return result;
}

static double lowestOf(Type element) {
  llvm::APFloat lowest = llvm::APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(), /*Negative=*/true);
  bool losesInfo;
  lowest.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return lowest.convertToDouble();
}

static LogicalResult checkShapes(onnx::AttentionOp op, const Heads &q, const Heads &k, const Heads &v,
                                 const Tensor *pastKey, const Tensor *pastValue) {
  if (q.batch != k.batch || k.batch != v.batch || k.length != v.length || q.size != k.size || k.heads != v.heads)
    return op.emitOpError("requires Q, K and V of matching batch, length and head size");
  if (q.heads < 1 || k.heads < 1 || q.heads % k.heads != 0)
    return op.emitOpError("requires a multiple of the kv heads as q heads but got ") << q.heads << " and " << k.heads;
  if (!pastKey)
    return success();
  for (auto [past, heads] : {std::pair(pastKey, k), std::pair(pastValue, v)}) {
    ArrayRef<int64_t> shape = shapeOf(*past);
    if (shape[0] != heads.batch || shape[1] != heads.heads || shape[3] != heads.size ||
        shape[2] != pastKey->type.getDimSize(2))
      return op.emitOpError("requires past_key and past_value to match K and V");
  }
  return success();
}

static Outcome evaluateAttentionOp(onnx::AttentionOp op, Operands in, Results out) {
  unsigned next = 3;
  const Tensor *mask = op.getAttnMask() ? in[next++] : nullptr;
  const Tensor *pastKey = op.getPastKey() ? in[next++] : nullptr, *pastValue = op.getPastValue() ? in[next++] : nullptr;
  for (const Tensor *operand : {in[0], in[1], in[2], pastKey, pastValue})
    if (operand && !operand->isFloat())
      return fail(op, "requires float operands");
  FailureOr<Heads> q = headsOf(op, *in[0], op.getQNumHeads()), k = headsOf(op, *in[1], op.getKvNumHeads()),
                   v = headsOf(op, *in[2], op.getKvNumHeads());
  if (failed(q) || failed(k) || failed(v) || failed(checkShapes(op, *q, *k, *v, pastKey, pastValue)))
    return Outcome::Failed;
  Tensor keys = appendToCache(pastKey, *in[1], *k), values = appendToCache(pastValue, *in[2], *v);
  int64_t past = pastKey ? pastKey->type.getDimSize(2) : 0, total = past + k->length;
  Dims scoreShape = {q->batch, q->heads, q->length, total}, maskStrides(4, 0);
  if (mask) {
    ArrayRef<int64_t> shape = shapeOf(*mask);
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t wanted = shape.size() <= 4 ? scoreShape[4 - shape.size() + i] : -1;
      if (shape[i] != 1 && shape[i] != wanted)
        return fail(op, "cannot broadcast dimension " + Twine(i) + " of the mask from " + Twine(shape[i]));
    }
    if (shape.size() > 4)
      return fail(op, "requires a mask of rank 4 or less");
    maskStrides = broadcastStrides(shape, 4);
  }
  Type element = in[0]->type.getElementType();
  double lowest = lowestOf(element), softcap = op.getSoftcap().convertToFloat();
  double scale = op.getScale() ? op.getScale()->convertToFloat() : 1 / std::sqrt(static_cast<double>(q->size));
  Heads cache{q->batch, k->heads, total, k->size, false}, valueCache{q->batch, k->heads, total, v->size, false};
  Heads result{q->batch, q->heads, q->length, v->size, q->sequenceFirst};
  if (!out[0].type.hasStaticShape() || out[0].numElements() != q->batch * q->heads * q->length * v->size)
    return fail(op, "requires a result of the shape of Q and V");
  std::vector<double> scores(total);
  for (int64_t b = 0; b < q->batch; ++b)
    for (int64_t h = 0; h < q->heads; ++h)
      for (int64_t i = 0; i < q->length; ++i) {
        int64_t kvHead = h / (q->heads / k->heads);
        double max = lowest, sum = 0;
        for (int64_t j = 0; j < total; ++j) {
          double score = 0;
          for (int64_t d = 0; d < q->size; ++d)
            score += in[0]->floats[q->at(b, h, i) + d] * keys.floats[cache.at(b, kvHead, j) + d];
          score *= scale;
          if (softcap > 0)
            score = softcap * std::tanh(score / softcap);
          int64_t m = b * maskStrides[0] + h * maskStrides[1] + i * maskStrides[2] + j * maskStrides[3];
          if (mask && mask->isFloat())
            score = roundTo(element, score + mask->floats[m]);
          bool hidden = (op.getIsCausal() && j > i + past) || (mask && !mask->isFloat() && mask->ints[m] == 0);
          scores[j] = hidden || score < lowest ? lowest : score;
          max = std::max(max, scores[j]);
        }
        for (double &score : scores)
          sum += score = std::exp(score - max);
        for (int64_t d = 0; d < v->size; ++d) {
          double value = 0;
          for (int64_t j = 0; j < total; ++j)
            value += scores[j] * values.floats[valueCache.at(b, kvHead, j) + d];
          out[0].floats[result.at(b, h, i) + d] = value / sum;
        }
      }
  if (op.getPresentKey())
    out[1] = std::move(keys);
  if (op.getPresentValue())
    out[op.getPresentKey() ? 2 : 1] = std::move(values);
  return Outcome::Done;
}

Outcome reference::evaluateAttention(Operation *op, Operands in, Results out) {
  return llvm::TypeSwitch<Operation *, Outcome>(op)
      .Case([&](onnx::RMSNormalizationOp norm) { return evaluateRMSNormalization(norm, in, out[0]); })
      .Case([&](onnx::LayerNormalizationOp norm) { return evaluateLayerNormalization(norm, in, out); })
      .Case([&](onnx::RotaryEmbeddingOp rotary) { return evaluateRotaryEmbedding(rotary, in, out[0]); })
      .Case([&](onnx::AttentionOp attention) { return evaluateAttentionOp(attention, in, out); })
      .Default([](Operation *) { return Outcome::NotMine; });
}
