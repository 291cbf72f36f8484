//===- ModelInputs.h - Small inputs to probe a decoder with ---------------===//
//
// Passes recognise what a graph computes by running parts of it. The inputs they run it
// with are made here, as small as will do and as a user's could be.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_REFERENCE_MODELINPUTS_H
#define QOPT_REFERENCE_MODELINPUTS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Reference/Probe.h"
#include "llvm/ADT/DenseSet.h"
#include <random>

namespace qopt::reference {

/// Sizes of one call: `past` tokens are in the cache, `length` are new.
struct Sizes {
  int64_t batch, length, past = 0;
};

/// Which tokens a probe hides.
enum class Padding { None, Left, Right, Holes };

/// The arguments of a decoder's function by their role (`qopt.role`). Where no argument
/// has the role of tokens, the first that could be tells how many there are.
class ModelInputs {
public:
  explicit ModelInputs(mlir::func::FuncOp function);

  /// Argument types for a call; dimensions the model fixes stay as they are. Null for what is no tensor.
  llvm::SmallVector<mlir::RankedTensorType> types(Sizes sizes) const;
  /// `wanted`, but for what the model fixes.
  Sizes adapt(Sizes wanted) const;

  /// Gives every input a value. Hidden tokens are 0 in the attention mask;
  /// positions count up without padding and are random below `maxPosition` else;
  /// cached keys and values are random. What is added to scores hides later tokens and those.
  void fill(Slice &slice, Sizes sizes, Padding padding, int64_t maxPosition, std::mt19937 &random) const;

  /// Values that depend on what the tokens are, not only on how many: activations.
  llvm::DenseSet<mlir::Value> activations() const;

  mutable mlir::func::FuncOp function; ///< an op handle: its methods are not const
  mlir::BlockArgument tokens;          ///< [batch, length] or embeddings, may be null
  mlir::BlockArgument attentionMask;   ///< [batch, past + length], may be null
  mlir::BlockArgument attentionBias;   ///< [.., length, past + length], may be null
  mlir::BlockArgument positionIds;     ///< [batch, length], may be null
  mlir::BlockArgument positionRow;     ///< [length], may be null
  bool hasPast = false;                ///< inputs of rank 4: keys and values
};

/// A tensor of standard normal numbers.
Tensor randomTensor(mlir::RankedTensorType type, std::mt19937 &random);

} // namespace qopt::reference

#endif // QOPT_REFERENCE_MODELINPUTS_H
