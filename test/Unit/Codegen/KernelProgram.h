//===- KernelProgram.h - Kernels compiled in process, for tests ------------===//
#ifndef QOPT_TEST_UNIT_CODEGEN_KERNELPROGRAM_H
#define QOPT_TEST_UNIT_CODEGEN_KERNELPROGRAM_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace qopt::test {

/// A dense array and its descriptor as a memref.
struct Buffer {
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  template <typename T>
  T *as() {
    return reinterpret_cast<T *>(bytes.data());
  }
};

template <typename T>
Buffer makeBuffer(std::vector<int64_t> shape, llvm::ArrayRef<T> values = {}) {
  size_t count = 1;
  for (int64_t d : shape)
    count *= d;
  Buffer buffer{std::move(shape), std::vector<char>(count * sizeof(T))};
  if (!values.empty())
    std::copy(values.begin(), values.end(), buffer.as<T>());
  return buffer;
}

/// Code levels that this machine can run.
std::vector<std::string> runnableLevels();

/// Calls of the failure function since the last run() began: {code, a, b}.
extern std::vector<std::array<int64_t, 3>> failures;

/// Kernels of one module, compiled for one level. Parallel loops run in order.
class KernelProgram {
public:
  /// `functions`: text of functions that hold a kernel each (KernelText.h). Exits on any error.
  KernelProgram(const std::string &functions, llvm::StringRef level, bool keepsAssembly = false);
  ~KernelProgram();

  void run(llvm::StringRef kernel, llvm::ArrayRef<Buffer *> operands);
  /// The assembly text of all kernels, if it was kept.
  const std::string &assembly() const { return text; }

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
  std::string text;
};

std::vector<float> randomFloats(size_t count, unsigned seed, float deviation = 1.0f);
std::vector<int8_t> randomBytes(size_t count, unsigned seed);

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_CODEGEN_KERNELPROGRAM_H
