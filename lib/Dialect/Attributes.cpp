//===- Attributes.cpp - Verifying our attributes --------------------------===//
//
// A misspelt or misplaced attribute would turn something off without a word, so each
// must be one that its dialect declares, where and as that says.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Attributes.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace qopt;

LogicalResult qopt::verifyAttribute(Operation *op, NamedAttribute attribute, ArrayRef<AttributeRule> rules,
                                    const Twine &where) {
  StringRef name = attribute.getName();
  const auto *rule = llvm::find_if(rules, [&](const AttributeRule &rule) { return rule.name == name; });
  if (rule == rules.end()) {
    InFlightDiagnostic error = op->emitError() << "unknown attribute '" << name << "' on " << where << "; there are ";
    llvm::interleaveComma(rules, error, [&](const AttributeRule &known) { error << "'" << known.name << "'"; });
    return error;
  }
  if (!rule->fits(op))
    return op->emitError() << "attribute '" << name << "' belongs on " << rule->place << ", not on " << where;
  if (!rule->hasType(attribute.getValue()))
    return op->emitError() << "expected attribute '" << name << "' to be " << rule->type << " but got "
                           << attribute.getValue();
  return success();
}
