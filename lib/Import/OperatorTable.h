//===- OperatorTable.h - What is known about each ONNX operator -----------===//
#ifndef QOPT_LIB_IMPORT_OPERATORTABLE_H
#define QOPT_LIB_IMPORT_OPERATORTABLE_H

#include "Operators.h"

namespace qopt {

/// An operator that the importer accepts.
struct OperatorInfo {
  static constexpr int kAny = -1;

  const char *name;
  int since; // first operator set
  int minInputs, maxInputs;
  int maxOutputs = 1;
  /// Brings a node to the newest form; null where every form is the newest.
  Status (*rule)(NodeImport &) = nullptr;
  /// An attribute that must be there once the rule has run.
  const char *required = nullptr;

  bool isVariadic() const { return maxInputs == kAny; }
  bool isVariadicOut() const { return maxOutputs == kAny; }
};

/// The operator of ONNX's default domain; null where it is not known.
const OperatorInfo *lookupOperator(llvm::StringRef name);
/// The same of the operators that onnxruntime adds. Each has a rule that replaces it.
const OperatorInfo *lookupContribOperator(llvm::StringRef domain, llvm::StringRef name);
/// Either of both; "ai.onnx" is the default domain too.
const OperatorInfo *lookupOperator(const pb::NodeProto &node);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_OPERATORTABLE_H
