//===- Cancellation.cpp - A compilation that is no longer wanted ----------===//
//
// MLIR asks a handler of the context before it runs a pass.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Cancellation.h"
#include "mlir/IR/DialectInterface.h"
#include "mlir/Pass/PassManager.h"
#include "qopt/Dialect/Qopt/Qopt.h"

using namespace mlir;
using namespace qopt;

namespace {
struct CancellationFlag : DialectInterface::Base<CancellationFlag> {
  CancellationFlag(Dialect *dialect, const std::atomic<bool> &flag) : Base(dialect), flag(flag) {}
  const std::atomic<bool> &flag;
};
} // namespace

void qopt::heedCancellation(MLIRContext &context, const std::atomic<bool> &flag) {
  context.getOrLoadDialect<QoptDialect>()->addInterface<CancellationFlag>(flag);
  context.registerActionHandler([&flag](function_ref<void()> run, const tracing::Action &action) {
    if (!isa<PassExecutionAction>(action) || !flag.load(std::memory_order_relaxed))
      run();
  });
}

bool qopt::isCancelled(MLIRContext &context) {
  Dialect *dialect = context.getLoadedDialect<QoptDialect>();
  auto *interface = dialect ? dialect->getRegisteredInterface<CancellationFlag>() : nullptr;
  return interface && interface->flag.load(std::memory_order_relaxed);
}
