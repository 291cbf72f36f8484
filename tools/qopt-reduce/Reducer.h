//===- Reducer.h - The smallest module that a test finds interesting ------===//
//
// Delta debugging (Zeller, Hildebrandt: Simplifying and Isolating Failure-Inducing Input, 2002):
// all places of a reduction at once, then halves, quarters, ..., each of them by itself.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TOOLS_REDUCE_REDUCER_H
#define QOPT_TOOLS_REDUCE_REDUCER_H

#include "Interestingness.h"
#include "Reductions.h"
#include "mlir/IR/OwningOpRef.h"
#include <set>

namespace mlir {
class FallbackAsmResourceMap;
} // namespace mlir

class Reducer {
public:
  /// `resources` are those that no dialect knows, and go with every text.
  Reducer(InterestingnessTest &test, mlir::FallbackAsmResourceMap &resources) : test(test), resources(resources) {}

  /// Called after each step that the test lets pass.
  std::function<void(mlir::ModuleOp)> onStep = [](mlir::ModuleOp) {};

  /// Makes `module`, which the test must find interesting, smaller until no reduction does it at
  /// any place. Errors: the test gives no answer, or does not find `module` interesting.
  qopt::Status reduce(mlir::OwningOpRef<mlir::ModuleOp> &module);

  /// As it is given to the test.
  std::string toText(mlir::ModuleOp module);

private:
  qopt::Result<bool> reduceBy(Reduction reduction, mlir::OwningOpRef<mlir::ModuleOp> &module);
  qopt::Result<bool> isInteresting(mlir::ModuleOp candidate);

  InterestingnessTest &test;
  mlir::FallbackAsmResourceMap &resources;
  std::set<uint64_t> seen; ///< hashes of the texts that were tried
};

#endif // QOPT_TOOLS_REDUCE_REDUCER_H
