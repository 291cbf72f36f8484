//===- AssignScheme.cpp - Which linear gets which scheme ------------------===//
//
// Everything that a user may have mistyped is an error here, before any long work starts.
//
//===----------------------------------------------------------------------===//
#include "Assignment.h"
#include "CompiledRunner.h"
#include "qopt/Calibration/CalibrationContext.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Linear.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ASSIGNSCHEME
#include "qopt/Passes/Passes.h.inc"

namespace {

struct AssignScheme : impl::AssignSchemeBase<AssignScheme> {
  using Base::Base;

  void runOnOperation() override {
    Location location = getOperation().getLoc();
    std::vector<std::string> texts(overrides.begin(), overrides.end());
    bool prefersInt8 = true;
    if (CalibrationContext *driver = CalibrationContext::get(getContext())) {
      texts.insert(texts.end(), driver->overrides.begin(), driver->overrides.end());
      prefersInt8 = driver->prefersInt8Activations;
    }
    FailureOr<Assignment> assignment = Assignment::parse(location, scheme, compat, head, texts);
    if (failed(assignment))
      return signalPassFailure();
    int64_t count = 0, numStored = 0, numDone = 0; // by an earlier pipeline
    WalkResult result = getOperation().walk([&](Operation *op) {
      if (auto stored = dyn_cast<QuantizedProductOpInterface>(op)) {
        auto name = getAttr<attrs::Layer>(op);
        bool isDone = name && getAttr<attrs::Scheme>(op);
        numDone += isDone;
        if (!name || isDone)
          return WalkResult::advance();
        ++numStored;
        return failed(assignment->checkStored(stored, name.getValue())) ? WalkResult::interrupt()
                                                                        : WalkResult::advance();
      }
      std::optional<Linear> linear = Linear::match(op);
      if (!linear)
        return WalkResult::advance();
      FailureOr<Scheme> scheme = assignment->choose(*linear, prefersInt8);
      if (failed(scheme))
        return WalkResult::interrupt();
      setAttr<attrs::Scheme>(op, SchemeAttr::get(&getContext(), *scheme));
      ++count;
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return signalPassFailure();
    numLinears += count;
    if (failed(assignment->checkUse(location, count + numStored)))
      return signalPassFailure();
    if (count + numStored + numDone == 0 && assignment->quantizes()) {
      emitError(location) << "found no linear layer to quantize: "
                          << (hasUnnamedProduct()
                                  ? "none of the products with constant weights has a name; qopt-raise names them"
                                  : "no product has a constant matrix as its second factor");
      return signalPassFailure();
    }
    if (CalibrationContext *driver = CalibrationContext::get(getContext()); driver && driver->budget)
      if (failed(chooseWithin(*driver, *assignment)))
        signalPassFailure();
  }

private:
  /// Lets the layers that have the pipeline's scheme choose theirs under the budget of the driver.
  LogicalResult chooseWithin(CalibrationContext &driver, const Assignment &assignment) {
    LayerBudget budget = *driver.budget;
    bool areGiven = !budget.candidates.empty();
    if (!areGiven)
      budget.candidates = assignment.family();
    std::vector<SchemeSpec> candidates;
    for (const std::string &text : budget.candidates) {
      Result<SchemeSpec> spec = SchemeSpec::parse(text);
      if (spec && spec->info->isFloat())
        return emitError(getOperation().getLoc())
               << "--candidate=" << text << ": expected a scheme that quantizes weights";
      if (!spec)
        return emitError(getOperation().getLoc()) << "--candidate=" << text << ": " << spec.error().message;
      candidates.push_back(std::move(*spec));
    }
    std::vector<OpenLayer> layers;
    bool isOpen = false;
    func::FuncOp function;
    WalkResult result = getOperation().walk([&](Operation *op) {
      std::optional<Linear> linear = Linear::match(op);
      if (!linear || linear->variant().weights == WeightMethod::Float)
        return WalkResult::advance();
      function = op->getParentOfType<func::FuncOp>();
      OpenLayer layer{*linear, {linear->scheme}, std::vector<size_t>(candidates.size())};
      if (assignment.isOpen(*linear)) {
        layer = {*linear, {}, {}};
        if (failed(assignment.choose(layer, candidates, driver.prefersInt8Activations)))
          return WalkResult::interrupt();
        isOpen |= layer.schemes.size() > 1;
      }
      layers.push_back(std::move(layer));
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      return failure();
    if (!isOpen)
      return emitError(getOperation().getLoc())
             << budget.option << ": no layer has a choice among " << llvm::join(budget.candidates, ", ")
             << " (--candidate names schemes of other sizes)";
    FailureOr<std::vector<std::vector<int32_t>>> windows = findWindows(getOperation().getLoc(), "");
    if (failed(windows))
      return failure();
    FailureOr<std::vector<size_t>> choices =
        chooseSchemes(function, layers, budget, *windows, chooseRunner(getContext()), driver.choices);
    if (failed(choices))
      return failure();
    for (auto [layer, choice] : llvm::zip(layers, *choices))
      setAttr<attrs::Scheme>(layer.linear.op, layer.schemes[choice]);
    return success();
  }

  /// Whether there is what would be a linear layer if it had a name.
  bool hasUnnamedProduct() {
    auto result = getOperation().walk(
        [](onnx::MatMulOp op) { return matchWeight(op.getB()) ? WalkResult::interrupt() : WalkResult::advance(); });
    return result.wasInterrupted();
  }
};

} // namespace
} // namespace qopt
