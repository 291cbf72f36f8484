//===- Reductions.h - Ways to make a module smaller -----------------------===//
//
// Each way finds the places in a module where it applies, and applies to any of them together.
// Nothing keeps the meaning of the module; whether it may go is for the user's test to say.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TOOLS_REDUCE_REDUCTIONS_H
#define QOPT_TOOLS_REDUCE_REDUCTIONS_H

#include "mlir/IR/BuiltinOps.h"
#include <functional>
#include <vector>

/// What is done at one place. A place is void once another of the same list was done: all that
/// are chosen are done from the last to the first, so that each still finds what it was made for.
using Place = std::function<void()>;

/// Finds all places in a module, in an order that depends on nothing but the module: a copy has
/// the same.
using Reduction = std::vector<Place> (*)(mlir::ModuleOp);

/// All ways, those first that take the most away.
llvm::ArrayRef<Reduction> allReductions();

/// Erases what is left without users. The module must be valid.
void eraseDeadCode(mlir::ModuleOp module);

#endif // QOPT_TOOLS_REDUCE_REDUCTIONS_H
