//===- ModelInputs.h - What a decoder's inputs are, and small ones to probe with ===//
#ifndef QOPT_PASSES_RAISE_MODELINPUTS_H
#define QOPT_PASSES_RAISE_MODELINPUTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Reference/Probe.h"
#include "llvm/ADT/DenseSet.h"
#include <random>

namespace qopt::raise {

/// Sizes of one call: `past` tokens are in the cache, `length` are new.
struct Sizes {
  int64_t batch, length, past = 0;
};

/// Which tokens a probe hides.
enum class Padding { None, Left, Right, Holes };

/// The arguments of a decoder's function by their role. Inputs are recognised by
/// name, as all exporters keep Hugging Face's, else by type and position.
class ModelInputs {
public:
  explicit ModelInputs(mlir::func::FuncOp function);

  /// Argument types for a call; dimensions the model fixes stay as they are.
  llvm::SmallVector<mlir::RankedTensorType> types(Sizes sizes) const;
  /// The same with every named dimension on its own, for functions that are no
  /// decoders; `seed` chooses the sizes.
  llvm::SmallVector<mlir::RankedTensorType> typesByName(int64_t seed) const;
  /// `wanted`, but for what the model fixes.
  Sizes adapt(Sizes wanted) const;

  /// Gives every input a value. Hidden tokens are 0 in the attention mask;
  /// positions count up without padding and are random below `maxPosition` else;
  /// cached keys and values are random.
  void fill(reference::Slice &slice, Sizes sizes, Padding padding, int64_t maxPosition, std::mt19937 &random) const;

  /// Values that depend on what the tokens are, not only on how many: activations.
  llvm::DenseSet<mlir::Value> activations() const;

  mutable mlir::func::FuncOp function; ///< an op handle: its methods are not const
  mlir::BlockArgument tokens;          ///< input_ids [batch, length] or embeddings
  mlir::BlockArgument attentionMask;   ///< [batch, past + length], may be null
  mlir::BlockArgument positionIds;     ///< [batch, length], may be null
  bool hasPast = false;                ///< inputs of rank 4: keys and values
};

/// A tensor of standard normal numbers.
reference::Tensor randomTensor(mlir::RankedTensorType type, std::mt19937 &random);

/// By how much two ways to compute the same value in `element` may differ.
double toleranceOf(mlir::Type element);

/// The tokens a raised model must work for: `option`, else the module's
/// `qopt.context_length`, else 4096. Fails, diagnosed, outside [1, 2^20].
mlir::FailureOr<int64_t> contextLength(mlir::func::FuncOp function, int64_t option);

/// Erases operators that nothing uses.
void eraseDeadOps(mlir::func::FuncOp function);

/// Makes the function's type say what its terminator returns.
void updateResultTypes(mlir::func::FuncOp function);

/// A constant vector of i64.
mlir::Value createInts(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<int64_t> values);

} // namespace qopt::raise

#endif // QOPT_PASSES_RAISE_MODELINPUTS_H
