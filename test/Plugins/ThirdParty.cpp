//===- ThirdParty.cpp - A plugin of somebody else -------------------------===//
//
// A dialect with one operation, and a pass that puts it in place of qopt's product of int4
// weights: what another compiler's plugin would do, with qopt's own classes. Another pass
// fails.
//
//===----------------------------------------------------------------------===//
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;

namespace {

/// y = x w^T by whatever the third party has for it.
struct ProductOp : Op<ProductOp, OpTrait::OneResult, OpTrait::VariadicOperands, OpTrait::ZeroRegions> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ProductOp)
  using Op::Op;
  static StringRef getOperationName() { return "third.product"; }
  static ArrayRef<StringRef> getAttributeNames() { return {}; }
};

struct ThirdDialect : Dialect {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ThirdDialect)
  explicit ThirdDialect(MLIRContext *context) : Dialect(getDialectNamespace(), context, TypeID::get<ThirdDialect>()) {
    addOperations<ProductOp>();
  }
  static StringRef getDialectNamespace() { return "third"; }
};

struct TakeProducts : PassWrapper<TakeProducts, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TakeProducts)
  StringRef getArgument() const override { return "third-take-products"; }
  StringRef getDescription() const override { return "Products of int4 weights to those of the third party"; }
  void getDependentDialects(DialectRegistry &registry) const override { registry.insert<ThirdDialect>(); }

  void runOnOperation() override {
    getOperation()->walk([](qopt::MatmulW4A16Op op) {
      OpBuilder builder(op);
      OperationState state(op.getLoc(), ProductOp::getOperationName());
      state.addOperands({op.getX(), op.getW(), op.getScale()});
      state.addTypes(op.getY().getType());
      op.getY().replaceAllUsesWith(builder.create(state)->getResult(0));
      op.erase();
    });
  }
};

/// Fails once there are products of codes, and says how many: of a whole pipeline, the last part.
struct RefuseQuantized : PassWrapper<RefuseQuantized, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RefuseQuantized)
  StringRef getArgument() const override { return "third-refuse-quantized"; }
  StringRef getDescription() const override { return "A pass that fails behind others"; }

  void runOnOperation() override {
    int count = 0;
    getOperation()->walk([&](qopt::QuantizedProductOpInterface) { ++count; });
    if (count == 0)
      return;
    emitError(getOperation()->getLoc()) << "third-refuse-quantized found " << count << " products";
    signalPassFailure();
  }
};

} // namespace

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "third", "1.0", [] {
            PassRegistration<TakeProducts>();
            PassRegistration<RefuseQuantized>();
          }};
}

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "third", "1.0", [](DialectRegistry *registry) { registry->insert<ThirdDialect>(); }};
}
