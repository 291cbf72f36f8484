//===- DeferredData.h - Constants that are made when they are written -----===//
//
// A model's weights need not be in memory to be compiled. Where the driver allows it, the
// codes of a layer and what kernels read of them are resources without data, and this
// table says how their bytes are made, some rows at a time:
//
//   weights in the mapped file -> RowSource (codes, scales) -> DeferredConstant::form
//   (packed for a kernel) -> their place in the module
//
// Whoever wants the bytes of such a constant before (ConstantView::readAs, expanded) gets
// them as of any other. Printed IR would lack them, so that only a compilation that ends in
// a module defers anything.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_DEFERREDDATA_H
#define QOPT_DIALECT_DEFERREDDATA_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectInterface.h"
#include "qopt/Support/Result.h"
#include "llvm/ADT/StringMap.h"
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace qopt {

/// Arrays whose rows are made together, such as the codes and scales of a layer.
class RowSource {
public:
  virtual ~RowSource() = default;
  /// The bytes of the rows [begin, end) of each array. Several threads may ask at once;
  /// rows do not depend on each other.
  virtual Result<std::vector<std::vector<char>>> make(int64_t begin, int64_t end) const = 0;
  /// Called when all rows were made for a module, once.
  virtual void finish() {}
};

/// How the bytes of one constant are made.
struct DeferredConstant {
  /// Where its rows come from; null: `form` knows.
  std::shared_ptr<RowSource> source;
  /// Rows, and how many of them have bytes of their own: `blockBytes` for `blockRows`.
  int64_t rows = 0, blockRows = 1, blockBytes = 0;
  /// Writes the blocks of the rows [begin, end), of which `arrays` has what `source` made.
  std::function<void(llvm::ArrayRef<llvm::ArrayRef<char>> arrays, int64_t begin, int64_t end, char *to)> form;
  /// Of a constant that is an array of `source` as it is: which one; else -1.
  int64_t array = -1;
  /// Of a matrix that is the transpose of a constant with data: that constant; else null.
  mlir::ElementsAttr transposeOf;
  /// Elements are integers of one byte between these, so far as is known.
  int smallest = -128, largest = 127;

  /// Where the block of row `begin` lies, a multiple of blockRows.
  int64_t offsetOf(int64_t begin) const { return begin / blockRows * blockBytes; }
  /// Bytes of the blocks of the rows [begin, end).
  int64_t bytesOf(int64_t begin, int64_t end) const { return (end - begin + blockRows - 1) / blockRows * blockBytes; }
  /// All bytes.
  Result<std::vector<char>> make() const;

  /// The transpose of a matrix with data, whose element type takes whole bytes.
  static DeferredConstant ofTranspose(mlir::ElementsAttr matrix);
  /// The array `index` of `source`, with `rowBytes` bytes in each row.
  static DeferredConstant ofArray(std::shared_ptr<RowSource> source, int64_t index, int64_t rows, int64_t rowBytes);
};

/// Rows that are made at a time: whole blocks of all kernels' layouts, and cache lines of
/// weights that are stored by columns.
inline constexpr int64_t kDeferredRows = 64;

/// The deferred constants of a context, by the keys of their resources.
class DeferredData : public mlir::DialectInterface::Base<DeferredData> {
public:
  explicit DeferredData(mlir::Dialect *dialect) : Base(dialect) {}

  /// Allows constants of `context` to be deferred, which must not be in use by another thread.
  static DeferredData &attach(mlir::MLIRContext &context);
  /// Null where nothing may be deferred.
  static DeferredData *get(mlir::MLIRContext &context);
  /// How `value` is made; null for a constant with data.
  static const DeferredConstant *find(mlir::DenseResourceElementsAttr value);

  /// A new resource without data.
  mlir::DenseResourceElementsAttr add(mlir::RankedTensorType type, llvm::StringRef name, DeferredConstant constant);

private:
  const DeferredConstant *find(llvm::StringRef key);

  std::mutex mutex;
  llvm::StringMap<std::unique_ptr<DeferredConstant>> constants;
};

} // namespace qopt

#endif // QOPT_DIALECT_DEFERREDDATA_H
