//===- PackedParameters.h - Weights in the form of kernels ------------------===//
//
// Constant weights are packed when the model is written, or at once where nothing may be
// deferred (Codegen/Packing.h, DeferredData.h). Equal constants share their packed data, and
// a table whose transpose is the weight of a product is stored only once, as that weight.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_LOWER_PACKEDPARAMETERS_H
#define QOPT_PASSES_LOWER_PACKEDPARAMETERS_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Kernel/Kernel.h"
#include "llvm/Support/MathExtras.h"

namespace qopt::lowering {

/// The constant with this element type and rank that `value` is, with all its data.
std::optional<ConstantView> matchData(mlir::Value value, mlir::Type element, int64_t rank);
/// A constant matrix of f32, or one of f16 or bf16 that is cast to f32.
std::optional<ConstantView> matchFloatWeight(mlir::Value value);

/// Packs `n` outputs that begin with a block: `rows[i]` is the first of them in input i.
using PackRows = std::function<void(llvm::ArrayRef<const char *> rows, int64_t n, char *packed)>;

/// Codes of one byte, as packing functions take them.
inline const int8_t *bytesAt(const char *bytes) { return reinterpret_cast<const int8_t *>(bytes); }
inline int8_t *bytesAt(char *bytes) { return reinterpret_cast<int8_t *>(bytes); }

/// Blocks of packed weights with n output columns.
inline int64_t blocksOf(int64_t n) { return llvm::divideCeil(n, kernel::kColumns); }

class PackedParameters {
public:
  /// Remembers the weights of products in the module, before any is converted.
  explicit PackedParameters(mlir::ModuleOp module);

  /// A new parameter of this type, [blocks of outputs][...], that `pack` makes of `inputs`,
  /// constants [outputs][...]. It is named after `source`, one of them, and `form`. Equal
  /// inputs share their data.
  mlir::Value createPacked(mlir::ImplicitLocOpBuilder &b, const ConstantView &source, llvm::StringRef form,
                           mlir::RankedTensorType type, llvm::ArrayRef<ConstantView> inputs, PackRows pack);

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
  /// The same of any inputs: `key` is all that the data are made of, `plan` says how.
  mlir::Value createPlanned(mlir::ImplicitLocOpBuilder &b, const ConstantView &source, llvm::StringRef form,
                            mlir::RankedTensorType type, mlir::Attribute key,
                            llvm::function_ref<DeferredConstant()> plan);

  llvm::SmallVector<ConstantView> weights;
  llvm::DenseSet<mlir::Attribute> columnCodes, dotCodes; ///< of int8 products
  llvm::DenseMap<std::pair<mlir::Attribute, mlir::StringAttr>, mlir::ElementsAttr> packed;
};

} // namespace qopt::lowering

#endif // QOPT_PASSES_LOWER_PACKEDPARAMETERS_H
