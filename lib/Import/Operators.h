//===- Operators.h - ONNX nodes to operations of the onnx dialect ---------===//
//
// The interface between the importer and the tables of operators.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_OPERATORS_H
#define QOPT_LIB_IMPORT_OPERATORS_H

#include "Tensors.h"
#include "mlir/IR/Builders.h"

namespace qopt {

/// One node on its way into the dialect: its operands and attributes are brought to
/// the form of the newest operator set, then the operation is made and the types of
/// its results inferred. Errors do not name the node.
class NodeImport {
public:
  NodeImport(const pb::NodeProto &node, int64_t opset, mlir::OpBuilder &builder, mlir::Location location,
             Tensors &tensors)
      : node(node), opset(opset), builder(builder), location(location), tensors(tensors) {}

  /// Imports the node with these operands, null where left out. One value per output
  /// that the operator has, perhaps more than the node names.
  Result<llvm::SmallVector<mlir::Value>> run(llvm::ArrayRef<mlir::Value> operands);

  const pb::NodeProto &node;
  const int64_t opset;
  mlir::OpBuilder &builder;
  const mlir::Location location;

  // What the rules of single operators (Operators.cpp) work on.
  llvm::SmallVector<mlir::Value> inputs;
  mlir::NamedAttrList attributes;
  /// Set by a rule that replaces the node: no operation is made then.
  std::optional<llvm::SmallVector<mlir::Value>> results;

  /// Makes the operation onnx.NAME, or the constant it folds to where it computes a shape.
  /// Errors: what the inference of its types says.
  Result<mlir::Operation *> create(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands,
                                   mlir::NamedAttrList attributes);
  /// The same, and its first result.
  Result<mlir::Value> createOne(llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands,
                                llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
  /// The operation that the node names, of its inputs.
  Result<mlir::Operation *> createWide(mlir::NamedAttrList attributes);
  /// Makes `value` the node's only result.
  Status finish(Result<mlir::Value> value);
  mlir::Value constant(mlir::ElementsAttr value);
  mlir::Value constant(llvm::ArrayRef<int64_t> values);
  /// Appends attribute `name`, where given, as a constant operand.
  Status attributeToOperand(llvm::StringRef name);
  /// Removes and returns an attribute; null where absent.
  template <typename T>
  T take(llvm::StringRef name) {
    return llvm::dyn_cast_or_null<T>(attributes.erase(name));
  }
  int64_t takeInt(llvm::StringRef name, int64_t fallback);
  /// Operand `index`; null where it is left out.
  mlir::Value input(size_t index) const { return index < inputs.size() ? inputs[index] : mlir::Value(); }
  bool hasOutput(int index) const { return index < node.output_size() && !node.output(index).empty(); }

private:
  Status convertAttributes();

  Tensors &tensors;
};

} // namespace qopt

#endif // QOPT_LIB_IMPORT_OPERATORS_H
