//===- RotateActivations.cpp - Hadamard rotations into weights ------------===//
//
// QuaRot's and SpinQuant's R1 and R2 (arXiv 2404.00456, 2405.16406): the residual stream, and the
// values of each head, multiplied by an orthogonal matrix that the weights around them undo.
//
//===----------------------------------------------------------------------===//
#include "FeatureSpace.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Calibration/StageRunner.h"
#include "qopt/Dialect/Functions.h"
#include "qopt/Dialect/Types.h"
#include "qopt/Passes/Remarks.h"
#include "qopt/Passes/Transforms.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ROTATEACTIVATIONS
#include "qopt/Passes/Transforms.h.inc"

namespace {

using namespace transform;

struct RotateActivations : impl::RotateActivationsBase<RotateActivations> {
  using Base::Base;

  LogicalResult initialize(MLIRContext *context) override {
    if (seed >= 0)
      return success();
    return emitError(UnknownLoc::get(context)) << "rotate: expected a seed of at least 0 but got " << int64_t(seed);
  }

  void runOnOperation() override {
    CalibrationContext *driver = CalibrationContext::get(getContext());
    qrt::ThreadPool threads(driver ? driver->threads : 1);
    parallelFor = makeParallelFor(threads);
    state = static_cast<uint64_t>(int64_t(seed));
    LeftOut left("rotate");
    for (func::FuncOp function : functionsOf(getOperation())) {
      rotateSpaces(function, left);
      if (heads)
        for (auto attention : function.getOps<onnx::AttentionOp>())
          rotateHeads(attention, left);
      eraseDeadOps(function);
    }
    if (failed(left.check(getOperation().getLoc(), "activations between products with constant weights, with nothing "
                                                   "but sums and normalizations of scale 1 on the way")))
      signalPassFailure();
  }

private:
  /// The next matrix, which a remark describes where it is none of Hadamard's.
  Rotation nextRotation(Location location, int64_t order) {
    Rotation rotation = Rotation::random(order, state);
    if (!rotation.isHadamard())
      remarkChosen(location, topics::kTransformation,
                   "rotate knows no Hadamard matrix of order " + Twine(order) + " and takes a random orthogonal one");
    return rotation;
  }

  /// What normalizations give to linears, with all that must be rotated alike.
  void rotateSpaces(func::FuncOp function, LeftOut &left) {
    std::vector<FeatureSpace> spaces;
    for (const NormGroup &group :
         findNormGroups(function, [&](Operation *op, const Twine &why) { left.add(op, why); })) {
      Value result = group.norm->getResult(0);
      if (llvm::any_of(spaces, [&](const FeatureSpace &space) { return space.contains(result); }))
        continue;
      FeatureSpace &space = spaces.emplace_back(result);
      if (!space.obstacle()) {
        space.rotate(nextRotation(group.norm->getLoc(), space.size()), parallelFor);
        ++numSpaces;
        left.countDone();
        continue;
      }
      left.add(space.obstacle(), "the " + Twine(space.size()) + " features in front of " +
                                     layerName(group.linears.front()) + ": " + space.reason());
    }
  }

  void rotateHeads(onnx::AttentionOp attention, LeftOut &left) {
    std::string why;
    std::optional<ValueHeads> values = ValueHeads::match(attention, why);
    if (!values)
      return left.add(attention, "the values of an attention: " + why);
    values->rotate(nextRotation(attention.getLoc(), values->headSize), parallelFor);
    ++numHeads;
    left.countDone();
  }

  ParallelFor parallelFor;
  uint64_t state = 0; ///< of the random bits
};

} // namespace
} // namespace qopt
