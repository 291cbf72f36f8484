//===- Stages.h - A function cut at its observed values -------------------===//
//
// Observers in order cut a function into stages: stage i computes, from what is
// alive, the value that observer i sees. Between two stages that value can be
// measured and the linears that read it quantized, so that the next stage already
// computes with them: the true-sequential order of GPTQ with one forward pass.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_CALIBRATION_STAGES_H
#define QOPT_CALIBRATION_STAGES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "qopt/Dialect/Linear.h"

namespace qopt {

/// A constant that a stage takes as an argument, so that stages of repeated layers
/// are the same code, and so that weights can be exchanged.
struct StageWeights {
  mlir::ElementsAttr value;
  bool isWidened;               ///< the argument is `value` in f32
  std::optional<Linear> linear; ///< whose weights these are; nothing: another constant
};

/// With fewer calibration tokens for each input of a layer it would learn by heart the errors in what its output is
/// added to.
inline constexpr int64_t kResidualTokensPerInput = 16;

struct Stage {
  ObserveOp observe;                       ///< measures the value at the end of the stage
  mlir::Value residual;                    ///< what the output of its only reader is added to, if that is known then
  std::string function;                    ///< name in StagePlan::module; empty: the value is there already
  llvm::SmallVector<mlir::Value> inputs;   ///< of the cut function: arguments, results of earlier stages, observers
  std::vector<StageWeights> weights;       ///< arguments of the stage after the inputs
  llvm::SmallVector<mlir::Value> outputs;  ///< values that this or a later stage needs
  llvm::SmallVector<mlir::Value> lastUses; ///< inputs and outputs that no later stage reads
};

struct StagePlan {
  /// The distinct stages as public functions. What follows the last observer is not computed.
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<Stage> stages;
  int64_t numDistinct = 0;
};

/// Cuts `function`, which stays as it is. Emits an error for functions of several
/// blocks and for operators with regions.
mlir::FailureOr<StagePlan> outlineStages(mlir::func::FuncOp function);

} // namespace qopt

#endif // QOPT_CALIBRATION_STAGES_H
