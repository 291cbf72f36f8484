//===- PackedParameters.h - Weights in the form of kernels ------------------===//
//
// Constant weights are packed while a model is compiled (Codegen/Packing.h). Equal
// constants share their packed data, and a table whose transpose is the weight of a
// product is stored only once, as that weight.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_PACKEDPARAMETERS_H
#define QOPT_PASSES_LOWER_PACKEDPARAMETERS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "llvm/Support/MathExtras.h"

namespace qopt::lowering {

/// The constant with this element type and rank that `value` is, with all its data.
std::optional<ConstantView> matchData(mlir::Value value, mlir::Type element, int64_t rank);
/// A constant matrix of f32, or one of f16 or bf16 that is cast to f32.
std::optional<ConstantView> matchFloatWeight(mlir::Value value);

/// All elements as they lie in memory, splats written out.
template <typename T>
std::vector<T> elementsOf(const ConstantView &constant) {
  std::vector<char> bytes = constant.expanded();
  std::vector<T> result(bytes.size() / sizeof(T));
  std::memcpy(result.data(), bytes.data(), result.size() * sizeof(T));
  return result;
}

/// Blocks of packed weights with n output columns.
inline int64_t blocksOf(int64_t n) { return llvm::divideCeil(n, kernel::kColumns); }

class PackedParameters {
public:
  /// Remembers the weights of products in the module, before any is converted.
  explicit PackedParameters(mlir::ModuleOp module);

  /// A new parameter with these elements, named after `source` and `form`. Equal sources
  /// share their data: `make` is called once per source and form. `key`: all that the
  /// data are made of, where that is more than the source.
  template <typename T>
  mlir::Value create(mlir::ImplicitLocOpBuilder &b, const ConstantView &source, llvm::StringRef form,
                     llvm::ArrayRef<int64_t> shape, mlir::Type element, llvm::function_ref<std::vector<T>()> make,
                     mlir::Attribute key = {}) {
    auto makeBytes = [&] {
      std::vector<T> values = make();
      const char *data = reinterpret_cast<const char *>(values.data());
      return std::vector<char>(data, data + values.size() * sizeof(T));
    };
    return createOfBytes(b, source, form, mlir::RankedTensorType::get(shape, element), makeBytes, key);
  }

  /// The constant weight [K, N] as packFloatWeights has it. Products and gathers with one
  /// weight share it.
  mlir::Value createFloatWeight(mlir::ImplicitLocOpBuilder &b, const ConstantView &weight);

  /// Codes [N, K] as packInt8Columns has them, and as packInt8Dot.
  mlir::Value createInt8Columns(mlir::ImplicitLocOpBuilder &b, const ConstantView &codes);
  mlir::Value createInt8Dot(mlir::ImplicitLocOpBuilder &b, const ConstantView &codes);
  /// Codes [V, K] in the form in which a product in the module reads them; null where none does.
  mlir::Value createAsProduct(mlir::ImplicitLocOpBuilder &b, const ConstantView &codes);

  /// The weight [K, V] of a product in the module that is the table [V, K] transposed, as
  /// that of a head tied to the embedding: then only one of the two need be stored.
  std::optional<ConstantView> findTiedWeight(mlir::Value table) const;

private:
  mlir::Value createOfBytes(mlir::ImplicitLocOpBuilder &b, const ConstantView &source, llvm::StringRef form,
                            mlir::RankedTensorType type, llvm::function_ref<std::vector<char>()> make,
                            mlir::Attribute key);

  llvm::SmallVector<ConstantView> weights;
  llvm::DenseSet<mlir::Attribute> columnCodes, dotCodes; ///< of int8 products
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::StringAttr>, mlir::ElementsAttr> packed;
};

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_PACKEDPARAMETERS_H
