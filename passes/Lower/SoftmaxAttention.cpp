//===- SoftmaxAttention.cpp - Attention that was left as it is -------------===//
//
// Raising finds attention that onnx.Attention computes. What has a sink, a score of one more key without a
// value, or several masks, is left as an exporter wrote it:
//
//   softmax([scale q k^T + masks, sinks])[.., :-1] v
//
// A cache can serve it, too, if what was found says so.
//
//===----------------------------------------------------------------------===//
#include "CachedEntry.h"
#include "qopt/Dialect/Types.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::lowering;

/// One less of the last dimension, from its start on.
static bool dropsLast(onnx::SliceOp op) {
  auto starts = onnx::getConstantInts(op.getStarts()), ends = onnx::getConstantInts(op.getEnds());
  auto steps = op.getSteps() ? onnx::getConstantInts(op.getSteps()) : SmallVector<int64_t>{1};
  int64_t rank = typeOf(op.getData()).getRank();
  return starts && ends && onnx::getConstantAxis(op.getAxes(), rank) == rank - 1 && starts->front() == 0 &&
         ends->front() == -1 && steps == SmallVector<int64_t>{1};
}

/// What is behind x - max(x) of rows, which softmax does not change.
static Value withoutMaximum(Value logits) {
  auto sub = logits.getDefiningOp<onnx::SubOp>();
  auto max = sub ? sub.getRhs().getDefiningOp<onnx::ReduceMaxOp>() : onnx::ReduceMaxOp();
  int64_t rank = typeOf(logits).getRank();
  bool isMaximum = max && max.getKeepdims() && max.getData() == sub.getLhs() &&
                   onnx::getConstantAxis(max.getAxes(), rank) == rank - 1;
  return isMaximum ? sub.getLhs() : logits;
}

/// A constant for each head [1, heads, 1, 1], behind what repeats it.
static Value findSinks(Value column, int64_t heads) {
  while (auto expand = column.getDefiningOp<onnx::ExpandOp>())
    column = expand.getInput();
  bool fits = column.getDefiningOp<onnx::ConstantOp>() &&
              typeOf(column).getShape() == ArrayRef<int64_t>{1, heads, 1, 1} && typeOf(column).getElementType().isF32();
  return fits ? column : Value();
}

/// An onnx.Attention in the place of the softmax, without its sinks.
void CachedEntry::raiseSoftmax(onnx::SoftmaxOp softmax, const llvm::DenseSet<Value> &activations) {
  if (typeOf(softmax.getInput()).getRank() != 4 || onnx::frontAxis(softmax.getAxis(), 4) != 3 || !softmax->hasOneUse())
    return;
  int64_t heads = typeOf(softmax.getInput()).getDimSize(1);
  Operation *user = *softmax->getUsers().begin();
  Value logits = withoutMaximum(softmax.getInput()), sinks;
  if (auto concat = logits.getDefiningOp<onnx::ConcatOp>()) {
    auto slice = dyn_cast<onnx::SliceOp>(user);
    bool fits = concat.getInputs().size() == 2 && onnx::frontAxis(concat.getAxis(), 4) == 3 && slice &&
                dropsLast(slice) && slice->hasOneUse();
    sinks = fits ? findSinks(concat.getInputs()[1], heads) : Value();
    if (!sinks)
      return;
    logits = concat.getInputs()[0];
    user = *slice->getUsers().begin();
  }
  auto mix = dyn_cast<onnx::MatMulOp>(user);
  if (!mix || mix.getB().getDefiningOp() == user || typeOf(mix.getB()).getRank() != 4)
    return;
  SmallVector<Value> masks;
  while (auto add = logits.getDefiningOp<onnx::AddOp>()) {
    bool isSecond = activations.contains(add.getLhs());
    if (activations.contains(isSecond ? add.getRhs() : add.getLhs()))
      return;
    masks.push_back(isSecond ? add.getRhs() : add.getLhs());
    logits = isSecond ? add.getLhs() : add.getRhs();
  }
  double scale = 1;
  if (auto mul = logits.getDefiningOp<onnx::MulOp>()) {
    std::optional<double> factor = onnx::getConstantScalar(mul.getRhs());
    if (!factor)
      return;
    scale = *factor;
    logits = mul.getLhs();
  } else if (auto div = logits.getDefiningOp<onnx::DivOp>()) {
    std::optional<double> factor = onnx::getConstantScalar(div.getRhs());
    if (!factor)
      return;
    scale = 1 / *factor;
    logits = div.getLhs();
  }
  auto scores = logits.getDefiningOp<onnx::MatMulOp>();
  auto transpose = scores ? scores.getB().getDefiningOp<onnx::TransposeOp>() : onnx::TransposeOp();
  if (masks.empty() || !transpose || transpose.getPerm() != ArrayRef<int64_t>{0, 1, 3, 2} ||
      typeOf(scores.getA()).getRank() != 4)
    return;
  b.setInsertionPoint(mix);
  Value mask = masks.front();
  for (Value other : ArrayRef(masks).drop_front())
    mask = onnx::AddOp::create(b, mix.getLoc(), mask, other);
  auto attention = onnx::AttentionOp::create(
      b, mix.getLoc(), scores.getA(), transpose.getData(), mix.getB(), mask, /*past_key=*/Value(),
      /*past_value=*/Value(), /*is_causal=*/false, /*q_num_heads=*/0, /*kv_num_heads=*/0,
      b.getF32FloatAttr(static_cast<float>(scale)), APFloat(0.0f));
  if (sinks)
    sinksOf[attention] = sinks;
  mix.getResult().replaceAllUsesWith(attention.getY());
}

void CachedEntry::raiseSoftmaxes() {
  llvm::DenseSet<Value> activations = inputs.activations();
  for (onnx::SoftmaxOp softmax : llvm::make_early_inc_range(body.getOps<onnx::SoftmaxOp>()))
    raiseSoftmax(softmax, activations);
}
