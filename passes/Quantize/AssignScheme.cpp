//===- AssignScheme.cpp - Which linear gets which scheme ------------------===//
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_ASSIGNSCHEME
#include "qopt/Passes/Passes.h.inc"

namespace {

struct AssignScheme : impl::AssignSchemeBase<AssignScheme> {
  using Base::Base;

  void runOnOperation() override {
    std::optional<SchemeKind> kind = symbolizeSchemeKind(scheme);
    if (!kind) {
      emitError(getOperation().getLoc()) << "unknown scheme \"" << scheme << '"';
      return signalPassFailure();
    }
    auto chosen = SchemeAttr::get(&getContext(), *kind, groupSize, symmetric,
                                  *kind == SchemeKind::LlmInt8 ? Builder(&getContext()).getF32FloatAttr(threshold) : FloatAttr());
    auto left = SchemeAttr::get(&getContext(), SchemeKind::Float, groupSize, symmetric, FloatAttr());
    getOperation().walk([&](onnx::MatMulOp op) {
      auto name = op->getAttrOfType<StringAttr>(kLayerAttr);
      if (!name)
        return;
      bool isHead = name.getValue() == "lm_head";
      op->setAttr(kSchemeAttr, isHead && !head ? left : chosen);
      ++numLinears;
    });
  }
};

} // namespace
} // namespace qopt
