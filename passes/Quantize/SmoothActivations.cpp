//===- SmoothActivations.cpp - Outliers of activations into weights -------===//
//
// SmoothQuant (Xiao et al., arXiv 2211.10438): the features behind a normalization are divided
// by what calibration saw of them, and the weights that read them take the factor over.
//
//===----------------------------------------------------------------------===//
#include "CompiledRunner.h"
#include "Transforming.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/FloatRun.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Numerics/Observers.h"
#include "qopt/Numerics/Smoothing.h"
#include "qopt/Passes/Remarks.h"
#include "qopt/Passes/Transforms.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_SMOOTHACTIVATIONS
#include "qopt/Passes/Transforms.h.inc"

namespace {

using transform::NormGroup;

/// The largest magnitude of the weights of each input over all linears of a group.
std::vector<float> largestWeights(const NormGroup &group) {
  std::vector<float> largest(group.features());
  for (onnx::MatMulOp linear : group.linears) {
    std::vector<float> weights = transform::readConstant(linear.getB());
    size_t columns = weights.size() / largest.size();
    for (auto [i, weight] : llvm::enumerate(weights))
      largest[i / columns] = std::max(largest[i / columns], std::fabs(weight));
  }
  return largest;
}

struct SmoothActivations : impl::SmoothActivationsBase<SmoothActivations> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    if (alpha >= 0 && alpha <= 1)
      return success();
    return emitError(UnknownLoc::get(context))
           << "smoothquant: expected an alpha between 0 and 1 but got " << std::to_string(double(alpha));
  }

  void runOnOperation() override {
    transform::LeftOut left("smoothquant");
    for (func::FuncOp function : transform::functionsOf(getOperation())) {
      auto onMissed = [&](Operation *op, const Twine &reason) { left.add(op, reason); };
      std::vector<NormGroup> groups = transform::findNormGroups(function, onMissed);
      llvm::erase_if(groups, [&](const NormGroup &group) { return leavesHead(group); });
      if (!groups.empty() && failed(smooth(function, groups, left)))
        return signalPassFailure();
      eraseDeadOps(function);
    }
    if (failed(left.check(getOperation().getLoc(), "a normalization whose result linear layers alone read")))
      signalPassFailure();
  }

private:
  /// As in the package: the head is quantized otherwise, if at all.
  static bool leavesHead(const NormGroup &group) {
    if (transform::isHead(group.linears))
      remarkChosen(group.norm->getLoc(), topics::kTransformation,
                   "smoothquant leaves the normalization in front of the head");
    return transform::isHead(group.linears);
  }

  LogicalResult smooth(func::FuncOp function, ArrayRef<NormGroup> groups, transform::LeftOut &left) {
    auto windows = findWindows(getOperation().getLoc(), calibration);
    if (failed(windows))
      return failure();
    SmallVector<ObserveOp> observers;
    for (const NormGroup &group : groups)
      observers.push_back(transform::observeBehind(group.norm, group.norm->getResult(0), group.linears.front()));
    std::vector<ColumnAbsMaxObserver> seen;
    LogicalResult result =
        runFloat(function, *windows, floatRunOptions(getContext()), chooseRunner(getContext()),
                 [&](const ObservedValue &value, const ParallelFor &) -> Status {
                   ColumnAbsMaxObserver &columns = seen.emplace_back();
                   for (size_t i = 0; i < value.numBatches(); ++i) {
                     Result<qrt::Tensor> x = value.load(i);
                     if (!x)
                       return x.error();
                     int64_t features = x->dims().back();
                     columns.observe({x->data<float>(), x->numElements() / features, features}, value.mask(i));
                   }
                   return {};
                 });
    for (ObserveOp observer : observers)
      observer.erase();
    if (failed(result))
      return failure();
    for (auto [group, columns] : llvm::zip(groups, seen)) {
      transform::moveFactors(group.constants(), group.linears,
                             smoothingScales(columns.absMax(), largestWeights(group), alpha));
      ++numSmoothed;
      left.countDone();
    }
    return success();
  }
};

} // namespace
} // namespace qopt
