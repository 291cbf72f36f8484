//===- StageRunner.h - Whatever can run the functions of a stage module ---===//
//
// Calibration does not care how a stage is computed: by compiled code in practice, by
// the reference evaluator in tests.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_STAGERUNNER_H
#define QOPT_CALIBRATION_STAGERUNNER_H

#include "mlir/IR/BuiltinOps.h"
#include "qopt/Numerics/DeviceProducts.h"
#include "qopt/Numerics/Quantizers.h"
#include "qopt/Runtime/Runtime.h"

namespace qopt {

class StageRunner {
public:
  virtual ~StageRunner() = default;
  /// Runs public function `name`.
  virtual Result<std::vector<qrt::Tensor>> run(llvm::StringRef name, llvm::ArrayRef<qrt::Tensor> inputs) = 0;
  /// What multiplies for Hessians where stages run; null: this CPU does.
  virtual DeviceProducts *products() { return nullptr; }
};

/// Makes a runner of a module of stages, which it may change. Emits an error on failure.
using StageRunnerFactory =
    std::function<mlir::FailureOr<std::unique_ptr<StageRunner>>(mlir::ModuleOp, qrt::ThreadPool &)>;

/// By lib/Reference: slow, exact, for tests.
mlir::FailureOr<std::unique_ptr<StageRunner>> createReferenceRunner(mlir::ModuleOp module, qrt::ThreadPool &threads);

/// The threads of `pool` for lib/Numerics; refers to `pool`.
ParallelFor makeParallelFor(qrt::ThreadPool &pool);

/// The elements of a constant as a tensor of its own, with `isWidened` 16-bit floats in
/// f32. Errors: a type that the runtime does not take, a resource that is missing or of
/// the wrong size.
Result<qrt::Tensor> makeTensor(mlir::ElementsAttr value, bool isWidened = false);

} // namespace qopt

#endif // QOPT_CALIBRATION_STAGERUNNER_H
