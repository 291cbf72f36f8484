//===- Probe.h - Recognise parts of a graph by what they compute ----------===//
//
// Exporters write the same mathematics in many ways. Instead of matching every
// spelling, a pass evaluates a part of the graph on small inputs and compares with
// the operator it believes to see.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_REFERENCE_PROBE_H
#define QOPT_REFERENCE_PROBE_H

#include "mlir/IR/Diagnostics.h"
#include "qopt/Reference/Evaluator.h"
#include "llvm/ADT/DenseMap.h"

namespace qopt::reference {

/// While it lives, this thread's diagnostics go nowhere: what is only tried may fail.
class Quiet {
public:
  explicit Quiet(mlir::MLIRContext *context);

private:
  mlir::ScopedDiagnosticHandler handler;
};

/// Evaluates values of one block from given values of others. Everything that is
/// needed in between is run and kept.
class Slice {
public:
  /// Fixes a value; what computes it is not looked at.
  void set(mlir::Value value, Tensor tensor) { values[value] = std::move(tensor); }

  /// Fails, diagnosed, when something needed is an argument that was not given,
  /// cannot be evaluated, or more than kMaxOperators operators would have to run.
  mlir::FailureOr<Tensor> get(mlir::Value value);

  static constexpr int64_t kMaxOperators = 2000;

private:
  llvm::DenseMap<mlir::Value, Tensor> values;
};

/// Whether two tensors have the same shape and differ by at most `tolerance` times
/// the largest magnitude in `expected`. NaN differs from everything.
bool isClose(const Tensor &expected, const Tensor &actual, double tolerance);

} // namespace qopt::reference

#endif // QOPT_REFERENCE_PROBE_H
