//===- ExtractParameters.cpp - Constants to the parameter table -----------===//
//
// Weights are not part of the code: every large constant becomes a global without
// a value, an entry of the table that the caller of an entry point passes. Equal
// constants share an entry; the order is that of first use.
//
//===----------------------------------------------------------------------===//
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "qopt/Codegen/HostAbi.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Passes/Passes.h"

using namespace mlir;

namespace qopt {
#define GEN_PASS_DEF_EXTRACTPARAMETERS
#include "qopt/Passes/Passes.h.inc"

namespace {

struct ExtractParameters : impl::ExtractParametersBase<ExtractParameters> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<std::tuple<Operation *, ElementsAttr, StringRef>> constants;
    module.walk([&](Operation *op) {
      if (auto parameter = dyn_cast<ParameterOp>(op))
        constants.emplace_back(op, parameter.getValue(), parameter.getName());
      else if (auto constant = dyn_cast<onnx::ConstantOp>(op))
        constants.emplace_back(op, constant.getValue(), StringRef());
    });
    SymbolTable symbols(module);
    llvm::DenseMap<Attribute, memref::GlobalOp> globals;
    Operation *last = nullptr;
    for (auto [op, value, name] : constants) {
      OpBuilder builder(op);
      auto type = cast<RankedTensorType>(value.getType());
      auto buffer = MemRefType::get(type.getShape(), type.getElementType());
      memref::GlobalOp &global = globals[value];
      if (!global) {
        OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
        if (last)
          top.setInsertionPointAfter(last);
        std::string given = nameOf(value, name);
        global = memref::GlobalOp::create(top, op->getLoc(), "parameter_" + std::to_string(globals.size() - 1),
                                          top.getStringAttr("private"), buffer, Attribute(), /*constant=*/false,
                                          IntegerAttr());
        setAttr<attrs::Value>(global, value);
        setAttr<attrs::Name>(global, top.getStringAttr(given));
        symbols.insert(global);
        last = global;
        ++numParameters;
      }
      Value read = memref::GetGlobalOp::create(builder, op->getLoc(), buffer, global.getSymName());
      Value tensor = bufferization::ToTensorOp::create(builder, op->getLoc(), type, read, /*restrict=*/true);
      op->getResult(0).replaceAllUsesWith(tensor);
      op->erase();
    }
  }

  /// A resource is called by its key: the name of the initializer.
  static std::string nameOf(ElementsAttr value, StringRef given) {
    return given.empty() ? viewConstant(value).name.str() : given.str();
  }
};

} // namespace
} // namespace qopt
