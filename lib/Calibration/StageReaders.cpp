//===- StageReaders.cpp - The linears that read an observer ---------------===//
//
// Those of one scheme are quantized together.
//
//===----------------------------------------------------------------------===//
#include "StageReaders.h"
#include "qopt/Calibration/WeightQuantizer.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Numerics/Gptq.h"

using namespace mlir;
using namespace qopt;

bool qopt::hasFloatTarget(const Linear &linear) {
  return linear.scheme && linear.scheme.getValue().has(options::floatTarget) &&
         linear.scheme.get(options::floatTarget) != 0;
}

StageReaders::StageReaders(const Stage &stage) : hasResidual(stage.residual) {
  ObserveOp observe = stage.observe;
  llvm::SetVector<Operation *> unique(observe->user_begin(), observe->user_end());
  std::vector<Operation *> users(unique.begin(), unique.end());
  llvm::sort(users, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *op : users)
    if (std::optional<Linear> linear = Linear::match(op);
        linear && linear->scheme && linear->op.getA() == observe.getResult())
      linears[linear->scheme].push_back(*linear);
}

RangeOptions StageReaders::rangeOptions() const {
  RangeOptions result;
  for (auto &[scheme, group] : linears)
    if (scheme.getValue().has(options::observer)) {
      result.rule = scheme.get(options::observer);
      result.search = {scheme.get(options::mseNorm), scheme.get(options::mseShrink),
                       static_cast<int>(scheme.get(options::msePatience))};
      result.momentum = scheme.get(options::momentum);
      result.percentile = scheme.get(options::percentile);
      result.entropyBins = static_cast<int>(scheme.get(options::entropyBins));
      break;
    }
  return result;
}

bool StageReaders::haveFloatTarget() const {
  return llvm::any_of(linears, [](const auto &entry) { return llvm::any_of(entry.second, hasFloatTarget); });
}

const Linear *StageReaders::targetReader() const {
  if (linears.size() != 1 || linears.front().second.size() != 1)
    return nullptr;
  const Linear &linear = linears.front().second.front();
  return hasFloatTarget(linear) ? &linear : nullptr;
}

Value StageReaders::findResidual() const {
  const Linear *linear = targetReader();
  Value value = linear ? onnx::MatMulOp(linear->op).getResult() : Value();
  while (value && value.hasOneUse()) {
    auto add = dyn_cast<onnx::AddOp>(*value.user_begin());
    if (!add)
      break;
    Value other = add->getOperand(add->getOperand(0) == value);
    if (!matchWeight(other))
      return other.getType() == value.getType() ? other : Value();
    value = add.getResult();
  }
  return {};
}

bool StageReaders::sumProduct() const {
  const Linear *linear = targetReader();
  return linear && (hasResidual || wantsProduct(linear->outFeatures, linear->inFeatures));
}

FailureOr<Matrix<float>> StageReaders::targetWeights() const {
  if (!sumProduct())
    return Matrix<float>();
  return readWeights(linears.front().second.front());
}

LogicalResult StageReaders::checkMemory(int64_t free) const {
  for (auto &[scheme, group] : linears) {
    const Linear &linear = group.front();
    int64_t bytes = statisticsBytes(linear, sumProduct());
    if (bytes <= free)
      continue;
    onnx::MatMulOp op = linear.op;
    return op.emitOpError() << "needs " << bytes << " bytes for the Hessian of the " << linear.inFeatures
                            << " inputs of layer \"" << linear.name << "\", but only " << free
                            << " bytes of memory are free";
  }
  return success();
}
