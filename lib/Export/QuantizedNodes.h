//===- QuantizedNodes.h - Quantized operations as standard ones -----------===//
//
// What the quantizing pipelines leave in a graph, written with operators that every ONNX reader
// knows: weights as DequantizeLinear of their codes, int8 activations as what their codes are
// worth. Products are then of floats, and differ from ours in the order of sums.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_EXPORT_QUANTIZEDNODES_H
#define QOPT_LIB_EXPORT_QUANTIZEDNODES_H

#include "onnx.pb.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Support/Result.h"
#include <functional>

namespace qopt {

/// Whether an array is read as 4-bit codes or zero points: ONNX has a type for these.
bool isPackedOperand(mlir::OpOperand &use);

class QuantizedNodes {
public:
  using NameOf = std::function<std::string(mlir::Value)>;
  using UniqueName = std::function<std::string(llvm::StringRef)>;
  /// Adds an initializer of these bytes, of another type and shape than the attribute has.
  using AddInitializer = std::function<Status(const std::string &name, mlir::ElementsAttr bytes, int32_t type,
                                              llvm::ArrayRef<int64_t> shape)>;

  QuantizedNodes(pb::GraphProto &graph, NameOf nameOf, UniqueName uniqueName, AddInitializer addInitializer)
      : graph(graph), nameOf(std::move(nameOf)), uniqueName(std::move(uniqueName)),
        addInitializer(std::move(addInitializer)) {}

  /// Writes one operation. The least operator set that has what was written; 0 where `op` is none
  /// that can be written so.
  Result<int64_t> add(mlir::Operation *op);

private:
  /// A matrix [rows, columns] as the operations of the dialect have it.
  struct Weights {
    mlir::Value codes, scale, zeros;
    std::optional<int64_t> groupSize;
    int64_t rows, columns;
  };
  Status addWeights(const Weights &weights, const std::string &output);
  Result<std::string> addPackedCodes(const Weights &weights);
  Result<std::string> addPackedZeros(const Weights &weights, int64_t groups);
  Status addProduct(mlir::Operation *op, const std::string &input, const Weights &weights);
  std::string addCodesAsFloats(mlir::Value codes, mlir::Value scale, int64_t groupSize);
  void addQuantize(QuantizeOp op);
  void addDynamicQuantize(DynamicQuantizeOp op);

  pb::NodeProto &addNode(llvm::StringRef type, llvm::ArrayRef<std::string> inputs, const std::string &output = "");
  std::string addCast(const std::string &input, int32_t type);
  template <typename T>
  std::string addTensor(int32_t type, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<T> elements);
  std::string addInts(llvm::ArrayRef<int64_t> numbers);
  std::string addFloat(float number);
  /// For each column the group that it belongs to.
  std::string addGroupsOfColumns(int64_t columns, int64_t groupSize);

  pb::GraphProto &graph;
  NameOf nameOf;
  UniqueName uniqueName;
  AddInitializer addInitializer;
  int64_t opset = 0;                               ///< that the last operation needs
  llvm::DenseMap<mlir::Value, std::string> packed; ///< initializers that were written
};

} // namespace qopt

#endif // QOPT_LIB_EXPORT_QUANTIZEDNODES_H
