//===- OperatorTable.h - What is known about each ONNX operator -----------===//
//
// How many inputs and outputs a node may have, since when, and with which attributes,
// stands in the operator's ODS definition. Here is what that does not say: how nodes of
// older operator sets become the newest form, and what stands for operators that the
// dialect does not have.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_OPERATORTABLE_H
#define QOPT_LIB_IMPORT_OPERATORTABLE_H

#include "Operators.h"
#include "qopt/Dialect/Onnx/Onnx.h"

namespace qopt {

/// An operator that the importer accepts.
struct OperatorInfo {
  onnx::OperatorForm form;
  /// Brings a node to the newest form; null where every form is the newest.
  Status (*rule)(NodeImport &) = nullptr;

  bool isVariadic() const { return form.maxInputs == onnx::OperatorForm::kAny; }
  bool isVariadicOut() const { return form.maxOutputs == onnx::OperatorForm::kAny; }
};

/// The operation onnx.NAME; null where the dialect has none.
onnx::OperatorInterface::Concept *lookupOperation(llvm::StringRef name, mlir::MLIRContext *context);
/// The operator of a node, in whichever domain; "ai.onnx" is the default domain too.
std::optional<OperatorInfo> lookupOperator(const pb::NodeProto &node, mlir::MLIRContext *context);
/// Those that onnxruntime adds. Each has a rule that replaces it.
std::optional<OperatorInfo> lookupContribOperator(llvm::StringRef domain, llvm::StringRef name);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_OPERATORTABLE_H
