//===- KernelCalls.h - Calling kernels from a function on tensors ----------===//
//
// What the conversion of every operator needs: matrices of rows out of tensors of
// any rank, memory for results, one declaration per kernel and configuration, and
// constants rewritten in packed form.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_KERNELCALLS_H
#define QOPT_PASSES_LOWER_KERNELCALLS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/SymbolTable.h"

namespace qopt::lowering {

/// Memory of a kernel's result; `sizes` are those of its unknown dimensions.
struct ResultBuffer {
  llvm::SmallVector<int64_t> shape;
  mlir::Type element;
  llvm::SmallVector<mlir::Value> sizes;
};

class KernelCalls {
public:
  explicit KernelCalls(mlir::ModuleOp module);

  /// Creates operations before the operator being converted.
  mlir::ImplicitLocOpBuilder b;

  mlir::Value dim(mlir::Value tensor, int64_t i);
  /// The tensor with exactly this shape; sizes that become known are checked when
  /// the program runs. `sizes`: the leading dimensions, where better known than from
  /// the tensor.
  mlir::Value withShape(mlir::Value tensor, llvm::ArrayRef<int64_t> shape, mlir::ValueRange sizes = {});
  /// [..., K] as [?, K]; rank 1 is one row. K is known.
  mlir::Value toRows(mlir::Value tensor, int64_t width);
  /// Back: [?, N] to the dimensions of `like` but the last `dropped`, and N, as `type`.
  mlir::Value fromRows(mlir::Value rows, mlir::Value like, int64_t dropped, mlir::Type type);
  /// The last dimension as [heads, size].
  mlir::Value splitHeads(mlir::Value tensor, int64_t heads);
  /// The program fails unless both sizes (index values) are equal.
  void requireEqual(mlir::Value a, mlir::Value b);

  /// Calls @<kernel><suffix>, declaring it if need be, and returns its results. Operands
  /// are tensors, or memrefs that the kernel writes in place.
  llvm::SmallVector<mlir::Value> call(llvm::StringRef kernel, const llvm::Twine &suffix, mlir::ValueRange operands,
                                      llvm::ArrayRef<ResultBuffer> results,
                                      llvm::ArrayRef<mlir::NamedAttribute> config = {});

  /// The bytes of a constant and its name; nothing where the value is no constant of
  /// this element type or its data is missing.
  struct Constant {
    mlir::ElementsAttr value;
    std::string name;
    mlir::Attribute key; ///< all that packed data is made of; null: `value`
  };
  std::optional<Constant> constant(mlir::Value value, mlir::Type element, int64_t rank);
  /// A constant matrix of f32, or one of f16 or bf16 that is cast to f32.
  std::optional<Constant> floatWeight(mlir::Value value);
  /// Those of products in the module, [K, N], before any is converted.
  llvm::ArrayRef<mlir::Value> floatWeights() const { return weights; }
  template <typename T>
  static std::vector<T> elements(mlir::ElementsAttr value);
  /// Where the elements lie; null for a splat.
  template <typename T>
  static const T *data(mlir::ElementsAttr value) {
    std::optional<llvm::ArrayRef<char>> bytes = rawBytes(value);
    return bytes ? reinterpret_cast<const T *>(bytes->data()) : nullptr;
  }
  /// A new parameter with these elements. Equal sources share their data: `make` is
  /// called once per source and form.
  template <typename T>
  mlir::Value parameter(const Constant &source, llvm::StringRef form, llvm::ArrayRef<int64_t> shape, mlir::Type element,
                        llvm::function_ref<std::vector<T>()> make);

private:
  mlir::func::FuncOp declare(llvm::StringRef kernel, const std::string &name, mlir::FunctionType type,
                             mlir::DictionaryAttr config);
  static std::optional<llvm::ArrayRef<char>> rawBytes(mlir::ElementsAttr value);
  static std::vector<char> bytesOf(mlir::ElementsAttr value);
  mlir::Value parameterOfBytes(const Constant &source, llvm::StringRef form, mlir::RankedTensorType type,
                               llvm::function_ref<std::vector<char>()> make);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  llvm::SmallVector<mlir::Value> weights;
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::StringAttr>, mlir::ElementsAttr> packed;
};

template <typename T>
std::vector<T> KernelCalls::elements(mlir::ElementsAttr value) {
  std::vector<char> bytes = bytesOf(value);
  std::vector<T> result(bytes.size() / sizeof(T));
  std::memcpy(result.data(), bytes.data(), result.size() * sizeof(T));
  return result;
}

template <typename T>
mlir::Value KernelCalls::parameter(const Constant &source, llvm::StringRef form, llvm::ArrayRef<int64_t> shape,
                                   mlir::Type element, llvm::function_ref<std::vector<T>()> make) {
  return parameterOfBytes(source, form, mlir::RankedTensorType::get(shape, element), [&] {
    std::vector<T> values = make();
    const char *data = reinterpret_cast<const char *>(values.data());
    return std::vector<char>(data, data + values.size() * sizeof(T));
  });
}

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_KERNELCALLS_H
