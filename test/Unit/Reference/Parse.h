//===- Parse.h - Modules for the evaluator's tests ------------------------===//
#ifndef QOPT_TEST_UNIT_REFERENCE_PARSE_H
#define QOPT_TEST_UNIT_REFERENCE_PARSE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Reference/Evaluator.h"

namespace qopt::test {

/// A context that knows the dialects and keeps diagnostics to itself.
struct Ir {
  mlir::MLIRContext context;
  std::string diagnostics;

  Ir() {
    context.loadDialect<mlir::func::FuncDialect, onnx::OnnxDialect, QoptDialect>();
    context.allowUnregisteredDialects();
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &diagnostic) {
      llvm::raw_string_ostream(diagnostics) << diagnostic.getLocation() << ": " << diagnostic.str() << '\n';
    });
  }
};

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_REFERENCE_PARSE_H
