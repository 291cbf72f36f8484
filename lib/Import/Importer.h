//===- Importer.h - An ONNX graph to a function ---------------------------===//
//
// The state of one import, which the graph and the graphs in it share.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_IMPORT_IMPORTER_H
#define QOPT_LIB_IMPORT_IMPORTER_H

#include "Tensors.h"
#include "qopt/Import/Import.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace qopt {

class Importer {
public:
  Importer(mlir::MLIRContext *context, const ModelFile &file, const ImportOptions &options)
      : file(file), graph(file.model.graph()), options(options), builder(context), tensors(context, file) {}

  /// Errors begin with the node or tensor that they are about.
  Result<mlir::OwningOpRef<mlir::ModuleOp>> run();

private:
  using Values = llvm::SmallVector<mlir::Value>;
  /// The operator sets that nodes are of: the model's, or a function's.
  using OperatorSets = google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto>;

  // Importer.cpp
  Status importInputs(mlir::func::FuncOp function);
  Status importInitializers(const pb::GraphProto &graph);
  Status importNodes(const pb::GraphProto &graph);
  Status importNode(const pb::NodeProto &node);
  Status importOutputs(mlir::func::FuncOp function);

  // ControlFlow.cpp
  Status importCall(const pb::NodeProto &node, const pb::FunctionProto &function, llvm::ArrayRef<mlir::Value> operands);
  Status importIf(const pb::NodeProto &node, llvm::ArrayRef<mlir::Value> operands);
  Status importLoop(const pb::NodeProto &node, llvm::ArrayRef<mlir::Value> operands);
  Status importScan(const pb::NodeProto &node, llvm::ArrayRef<mlir::Value> operands);
  /// The values of a graph inside a node, whose inputs stand for `operands`. It sees all names around it.
  Result<Values> importInner(const pb::GraphProto &inner, llvm::ArrayRef<mlir::Value> operands);
  Result<mlir::Value> makeOne(const pb::NodeProto &node, llvm::StringRef name, llvm::ArrayRef<mlir::Value> operands,
                              llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
  Result<mlir::Value> choose(const pb::NodeProto &node, int output, mlir::Value condition, mlir::Value yes,
                             mlir::Value no);
  bool isTable(const std::string &name) const;
  void define(const pb::NodeProto &node, llvm::ArrayRef<mlir::Value> results);

  mlir::Location location(llvm::StringRef name) {
    return mlir::NameLoc::get(builder.getStringAttr(prefix + name.str()));
  }
  mlir::Value integer(int64_t value, mlir::ArrayRef<int64_t> shape = {});
  Result<mlir::RankedTensorType> typeOf(const pb::ValueInfoProto &info);
  mlir::ArrayAttr dimNames(const pb::ValueInfoProto &info, mlir::RankedTensorType type);
  bool mayBeInfinite(llvm::StringRef initializer);

  const ModelFile &file;
  const pb::GraphProto &graph;
  const ImportOptions &options;
  mlir::OpBuilder builder;
  Tensors tensors;
  llvm::StringMap<mlir::Value> values;
  llvm::StringSet<> weights;
  const OperatorSets *operatorSets = nullptr;
  std::string prefix; ///< of the names of nodes in a function
  int depth = 0;      ///< of graphs in graphs and calls
  int64_t made = 0;   ///< nodes, those of repeated graphs each time
};

/// An error about a node or a tensor.
Error errorAt(const std::string &name, const std::string &reason);

} // namespace qopt

#endif // QOPT_LIB_IMPORT_IMPORTER_H
