//===- TokenRows.h - What a decoder computes for each token alone ----------===//
//
// Decides whether a model may be called with some of its tokens only, and cuts it to the
// last one.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_TOKENROWS_H
#define QOPT_PASSES_LOWER_TOKENROWS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/MapVector.h"

namespace qopt::lowering {

/// Values [batch, .., sequence, ..] that hold a row for each token, and the operations
/// that make them. All but attention make a row from the same token's rows and
/// constants only.
class TokenRows {
public:
  /// Follows `tokens` and `positions`, both [batch, sequence], through the function. Returns an operation
  /// that is not known to treat tokens so, or null where all do; `ignored` ones are not looked at.
  mlir::Operation *find(mlir::func::FuncOp function, mlir::ValueRange sources,
                        const llvm::DenseSet<mlir::Operation *> &ignored);

  /// Afterwards the function computes only the last token's row of what it returns, as
  /// far back as nothing else needs the other rows. No type changes.
  void cutToLast(mlir::func::FuncOp function);

private:
  /// How an operation treats rows: which operands it reads row by row, the others being the same for
  /// all tokens, and the dimension of its results that counts tokens.
  struct Alone {
    llvm::SmallVector<unsigned> operands;
    int64_t axis = 1;
  };
  std::optional<Alone> findAlone(mlir::Operation *op) const;
  std::optional<Alone> treat(mlir::Operation *op) const;
  std::optional<Alone> treatElementwise(mlir::Operation *op) const;
  bool areRows(mlir::Operation *op, llvm::ArrayRef<unsigned> operands) const;
  /// The dimension of `value` that counts tokens; 0 where it has the last token's row only, -1 where
  /// it is no rows.
  int64_t axisOf(mlir::Value value) const;

  llvm::DenseMap<mlir::Value, int64_t> rows; ///< with axisOf
  llvm::DenseSet<mlir::Value> constants;
  /// What makes rows, in order; with its operands that are rows if it treats each alone,
  /// else with none.
  llvm::MapVector<mlir::Operation *, llvm::SmallVector<unsigned>> makers;
};

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_TOKENROWS_H
