//===- OperatorBuilder.h - Several operators in place of a node -----------===//
//
// What rules use that write one operator as others.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_OPERATORBUILDER_H
#define QOPT_LIB_IMPORT_OPERATORBUILDER_H

#include "Operators.h"

namespace qopt {

/// Makes operations one after the other. An operation that cannot be made is the last one:
/// all that follow are null, and finish() says why.
class OperatorBuilder {
public:
  explicit OperatorBuilder(NodeImport &node) : node(node), b(node.builder) {}

  /// The first result of onnx.NAME. Null operands are left out.
  mlir::Value make(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands,
                   llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
  /// All results; none after a failure.
  llvm::SmallVector<mlir::Value> makeAll(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands,
                                         llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
  /// Makes `values` the node's results.
  Status finish(llvm::ArrayRef<mlir::Value> values);
  bool hasFailed() const { return static_cast<bool>(failure); }

  mlir::NamedAttribute attribute(llvm::StringRef name, int64_t value) const;
  mlir::NamedAttribute attribute(llvm::StringRef name, float value) const;
  mlir::NamedAttribute attribute(llvm::StringRef name, llvm::ArrayRef<int64_t> values) const;
  /// The node's float attribute, or `fallback`.
  mlir::NamedAttribute takeFloat(llvm::StringRef name, float fallback);

  /// i64 constants of rank 1, and of rank 0.
  mlir::Value ints(llvm::ArrayRef<int64_t> values) { return hasFailed() ? mlir::Value() : node.constant(values); }
  mlir::Value scalar(int64_t value);
  /// Float constants of rank 0; `like` gives the element type.
  mlir::Value constant(const llvm::APFloat &value, mlir::FloatType element);
  mlir::Value floatLike(mlir::Value like, double value);

  /// Size of one dimension, [1] of i64.
  mlir::Value dim(mlir::Value value, int64_t axis);
  /// Integers of any shape, flat and as i64.
  mlir::Value flatInts(mlir::Value value);
  /// first, first + 1, ... below `limit`, which has one element; [limit - first].
  mlir::Value count(int64_t first, mlir::Value limit);
  mlir::Value reshape(mlir::Value value, llvm::ArrayRef<int64_t> shape);
  mlir::Value unsqueeze(mlir::Value value, llvm::ArrayRef<int64_t> axes);
  mlir::Value transpose(mlir::Value value, llvm::ArrayRef<int64_t> perm);
  /// Elements `begin` to `end`, [1] each, of one dimension.
  mlir::Value slice(mlir::Value value, int64_t axis, mlir::Value begin, mlir::Value end);
  mlir::Value concat(llvm::ArrayRef<mlir::Value> values, int64_t axis);
  mlir::Value cast(mlir::Value value, mlir::Type element);
  llvm::SmallVector<mlir::Value> split(mlir::Value value, llvm::ArrayRef<int64_t> sizes, int64_t axis);

private:
  NodeImport &node;
  mlir::OpBuilder &b;
  std::optional<Error> failure;
};

} // namespace qopt

#endif // QOPT_LIB_IMPORT_OPERATORBUILDER_H
