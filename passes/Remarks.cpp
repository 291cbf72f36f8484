//===- Remarks.cpp - Why a pass did less than it can ----------------------===//
//
// All remarks have one category, so that one filter of mlir-opt finds them; the topic is
// the remark's name. "Missed" and "analysis" are the kinds of MLIR's engine that tell what
// is worth a warning from what is as it should be.
//
//===----------------------------------------------------------------------===//
#include "qopt/Passes/Remarks.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace qopt;

static constexpr llvm::StringLiteral kCategory = "qopt";

ArrayRef<RemarkTopic> qopt::allRemarkTopics() {
  static constexpr RemarkTopic all[] = {topics::kGraph,          topics::kLinear, topics::kAttention,
                                        topics::kNormalization,  topics::kRotary, topics::kContext,
                                        topics::kTransformation, topics::kCache,  topics::kKernel};
  return all;
}

bool qopt::areRemarksWanted(Operation *op) { return op->getContext()->getRemarkEngine() != nullptr; }

static remark::RemarkOpts optionsOf(const RemarkTopic &topic) {
  return remark::RemarkOpts::name(topic.name).category(kCategory);
}

void qopt::remarkMissed(Location loc, const RemarkTopic &topic, const Twine &text) {
  remark::missed(loc, optionsOf(topic)) << text.str();
}

void qopt::remarkChosen(Location loc, const RemarkTopic &topic, const Twine &text) {
  remark::analysis(loc, optionsOf(topic)) << text.str();
}

void ReasonListener::notifyMatchFailure(Location loc, function_ref<void(Diagnostic &)> describe) {
  if (!isWanted)
    return;
  Diagnostic diagnostic(loc, DiagnosticSeverity::Remark);
  describe(diagnostic);
  reasons[loc] = diagnostic.str();
}

std::string ReasonListener::reasonOf(Operation *op) const {
  auto found = reasons.find(op->getLoc());
  return found == reasons.end() ? "no pattern takes it" : found->second;
}

std::string qopt::typeText(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}
