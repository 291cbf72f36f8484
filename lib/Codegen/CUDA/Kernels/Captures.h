//===- Captures.h - What a launch of a loop takes with it ------------------===//
//
// The arguments of a launch for values of the host, and the values made again of them
// inside. Memrefs are passed as pointer, sizes and strides.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_CODEGEN_CUDA_KERNELS_CAPTURES_H
#define QOPT_LIB_CODEGEN_CUDA_KERNELS_CAPTURES_H

#include "Kernel.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include <functional>

namespace qopt::cuda {

class Captures {
public:
  explicit Captures(Kernel &k) : k(k), types(k.getContext()) {}

  /// Of the launch; more may follow.
  llvm::SmallVector<Argument> arguments;

  /// Emits a diagnostic on a value that cannot be passed.
  mlir::LogicalResult add(Value value);
  /// An i64 of the host, which size() gives as an index value inside.
  size_t addSize(Value size) { return addArgument(size); }
  Value size(Emitter &t, ValueRange args, size_t i) { return toIndex(t, args[i]); }

  /// Inside: all values that were added, of the launch's arguments.
  void makeAll(Emitter &t, ValueRange args, mlir::IRMapping &mapping);

  static Value toIndex(Emitter &t, Value value);

private:
  size_t addArgument(Value value, bool mayAlias = false);
  mlir::LogicalResult addScalar(Value value);
  void addMemRef(Value value);

  Kernel &k;
  mlir::LLVMTypeConverter types;
  llvm::SmallVector<std::pair<Value, std::function<Value(Emitter &, ValueRange)>>> makers;
};

} // namespace qopt::cuda

#endif // QOPT_LIB_CODEGEN_CUDA_KERNELS_CAPTURES_H
