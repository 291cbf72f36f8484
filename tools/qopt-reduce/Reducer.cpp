//===- Reducer.cpp - The smallest module that a test finds interesting ----===//
//
// Candidates are copies: one that is no valid IR any more, or that the test does not find
// interesting, is thrown away.
//
//===----------------------------------------------------------------------===//
#include "Reducer.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using qopt::Result;
using qopt::Status;

std::string Reducer::toText(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  AsmState state(module, OpPrintingFlags(), /*locationMap=*/nullptr, &resources);
  module->print(stream, state);
  stream << '\n';
  return text;
}

/// Whether the module is valid IR.
static bool isValid(ModuleOp module) {
  ScopedDiagnosticHandler ignore(module.getContext(), [](Diagnostic &) { return success(); });
  return succeeded(verify(module));
}

/// Whether a candidate that was not tried yet is valid and interesting. Erases its dead code.
Result<bool> Reducer::isInteresting(ModuleOp candidate) {
  if (!isValid(candidate))
    return false;
  eraseDeadCode(candidate);
  std::string text = toText(candidate);
  if (!seen.insert(llvm::xxh3_64bits(text)).second)
    return false;
  return test(text);
}

/// Whether any place of one reduction could go.
Result<bool> Reducer::reduceBy(Reduction find, OwningOpRef<ModuleOp> &module) {
  bool isSmaller = false;
  for (size_t chunk = find(*module).size(); chunk > 0; chunk /= 2) {
    // From the end on: users go before what they use.
    for (size_t end = find(*module).size(); end > 0;) {
      size_t begin = end - std::min(chunk, end);
      OwningOpRef<ModuleOp> candidate = module->clone();
      std::vector<Place> places = find(*candidate);
      for (size_t i = end; i > begin; --i)
        places[i - 1]();
      Result<bool> interesting = isInteresting(*candidate);
      if (!interesting)
        return interesting;
      end = begin;
      if (!*interesting)
        continue;
      isSmaller = true;
      module = std::move(candidate);
      onStep(*module);
      end = std::min(end, find(*module).size());
    }
  }
  return isSmaller;
}

Status Reducer::reduce(OwningOpRef<ModuleOp> &module) {
  Result<bool> interesting = isInteresting(*module);
  if (!interesting)
    return interesting.error();
  if (!*interesting)
    return qopt::Error{test.name() + " ends with 0 for it, which means that it is not interesting"};
  for (bool isSmaller = true; isSmaller;) {
    isSmaller = false;
    for (Reduction reduction : allReductions()) {
      Result<bool> step = reduceBy(reduction, module);
      if (!step)
        return step.error();
      isSmaller |= *step;
    }
  }
  return {};
}
