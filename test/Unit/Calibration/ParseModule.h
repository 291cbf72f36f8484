//===- ParseModule.h - IR for tests ---------------------------------------===//
#ifndef QOPT_TEST_UNIT_CALIBRATION_PARSEMODULE_H
#define QOPT_TEST_UNIT_CALIBRATION_PARSEMODULE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include <gtest/gtest.h>

namespace qopt::test {

/// A context with the dialects, and the last diagnostic of it.
class Fixture : public testing::Test {
protected:
  Fixture()
      : handler(&context, [this](mlir::Diagnostic &diagnostic) {
          (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Warning ? warning : error) = diagnostic.str();
          return mlir::success();
        }) {
    context.loadDialect<onnx::OnnxDialect, QoptDialect, mlir::func::FuncDialect>();
  }

  mlir::func::FuncOp parse(llvm::StringRef text) {
    modules.push_back(mlir::parseSourceString<mlir::ModuleOp>(text, &context));
    if (!modules.back())
      throw std::runtime_error("test IR does not parse: " + error);
    return *modules.back()->getOps<mlir::func::FuncOp>().begin();
  }

  mlir::MLIRContext context;
  std::string error, warning;
  mlir::ScopedDiagnosticHandler handler;
  std::vector<mlir::OwningOpRef<mlir::ModuleOp>> modules;
};

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CALIBRATION_PARSEMODULE_H
