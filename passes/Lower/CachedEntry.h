//===- CachedEntry.h - An entry point with a cache -------------------------===//
//
// What AddCache.cpp makes of a copy of @forward: inputs and results are there, what becomes of
// positions in CachedPositions.cpp, of attention in CachedAttention.cpp and SoftmaxAttention.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_CACHEDENTRY_H
#define QOPT_PASSES_LOWER_CACHEDENTRY_H

#include "SeenKeys.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Reference/ModelInputs.h"

namespace qopt::lowering {

using mlir::ArrayRef;
using mlir::LogicalResult;
using mlir::Operation;
using mlir::StringRef;
using mlir::Twine;
using mlir::Value;

/// Turns a copy of @forward into an entry point with a cache.
class CachedEntry {
public:
  CachedEntry(mlir::func::FuncOp copy, bool isOneToken, mlir::Type cacheType)
      : function(copy), body(copy.front()), b(copy.getContext()), isOneToken(isOneToken), cacheType(cacheType),
        inputs(copy), given(body.getArguments().begin(), body.getArguments().end()), culprit(copy.getLoc()) {}

  LogicalResult run();

  /// Why run() failed, and at which operation.
  const std::string &reason() const { return why; }
  mlir::Location where() const { return culprit; }
  /// Whether the function is a decoder but for what failed: one that nobody would generate
  /// text with misses no cache.
  bool isDecoder() const { return decodes; }

private:
  LogicalResult fail(Operation *op, const Twine &text) {
    culprit = op->getLoc();
    why = text.str();
    return mlir::failure();
  }

  void keepAllRows();
  void dropTokenTypes();
  void separateHeads();
  LogicalResult keepTokens();
  LogicalResult keepLogits();
  void returnOneRow();
  void countTokens();
  bool areCounted(Value value);
  Value positionsLike(mlir::RankedTensorType type);
  void dropTableEnds();
  LogicalResult replacePositions();
  LogicalResult widenTexts(const llvm::DenseMap<mlir::Type, Value> &forms);
  void dropPadding();
  bool isPadding(Value mask);
  std::optional<SeenKeys> seenKeys(onnx::AttentionOp op);
  LogicalResult canBeCached(onnx::AttentionOp op);
  void replace(onnx::AttentionOp op, unsigned layer);
  LogicalResult replaceAttention();
  void raiseSoftmax(onnx::SoftmaxOp softmax, const llvm::DenseSet<Value> &activations);
  void raiseSoftmaxes();
  LogicalResult dropArguments();

  mlir::DictionaryAttr describe(StringRef name, Role role, ArrayRef<StringRef> dims);
  mlir::BlockArgument addArgument(mlir::Type type, const Twine &name, Role role, ArrayRef<StringRef> dims);

  mlir::func::FuncOp function;
  mlir::Block &body;
  mlir::OpBuilder b;
  bool isOneToken;
  mlir::Type cacheType;          ///< of elements
  reference::ModelInputs inputs; ///< of @forward
  mlir::SmallVector<mlir::BlockArgument> given;
  mlir::BlockArgument pastLength;
  Value positions;                                                          ///< [batch or 1, sequence]
  llvm::DenseSet<Operation *> counting;                                     ///< what computes the positions
  llvm::DenseMap<Value, bool> paddingMasks;                                 ///< what was found of masks
  llvm::DenseMap<std::pair<Value, unsigned>, std::optional<SeenKeys>> seen; ///< of masks, causal or not
  llvm::DenseMap<Operation *, Value> sinksOf;                               ///< [1, heads, 1, 1]
  llvm::DenseMap<Value, bool> counted;                                      ///< what was found of positions
  bool decodes = false;
  std::string why;
  mlir::Location culprit;
};

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_CACHEDENTRY_H
