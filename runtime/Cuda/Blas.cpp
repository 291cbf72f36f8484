//===- Blas.cpp - cuBLAS, opened when it is asked for ---------------------===//
//
// Operands are copied to the device for each product and the result back: with
// thousands of rows in a product that is little beside multiplying.
//
//===----------------------------------------------------------------------===//
#include "../Device.h"
#include "Driver.h"
#include "qopt/Runtime/CudaBlas.h"
#include <array>
#include <dlfcn.h>
#include <utility>

using namespace qrt;
using qopt::Error;

namespace {

using cublasHandle = struct cublasContext *;

// Numbers of cublas_api.h.
constexpr int operationNone = 0, operationTranspose = 1; // cublasOperation_t
constexpr int allocFailed = 3;                           // cublasStatus_t
/// What NVIDIA_TF32_OVERRIDE=1 does not override: CUBLAS_PEDANTIC_MATH.
constexpr int pedanticMath = 2; // cublasMath_t

/// X(name in the library, member, parameters)
#define QRT_CUBLAS_FUNCTIONS(X)                                                                                        \
  X(cublasCreate_v2, create, (cublasHandle * handle))                                                                  \
  X(cublasDestroy_v2, destroy, (cublasHandle handle))                                                                  \
  X(cublasSetStream_v2, setStream, (cublasHandle handle, void *stream))                                                \
  X(cublasSetMathMode, setMathMode, (cublasHandle handle, int mode))                                                   \
  X(cublasSgemm_v2, sgemm,                                                                                             \
    (cublasHandle handle, int opA, int opB, int m, int n, int k, const float *alpha, const float *a, int lda,          \
     const float *b, int ldb, const float *beta, float *c, int ldc))

struct Library {
#define QRT_CUBLAS_MEMBER(symbol, member, parameters) int(*member) parameters = nullptr;
  QRT_CUBLAS_FUNCTIONS(QRT_CUBLAS_MEMBER)
#undef QRT_CUBLAS_MEMBER

  /// The same for all callers; never closed.
  static Result<const Library *> open();
};

Result<Library> openLibrary() {
  void *handle = nullptr;
  for (const char *name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11"})
    if ((handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)))
      break;
  if (!handle)
    return Error{"no cuBLAS on this machine (libcublas.so.13, .12 or .11)"};
  Library library;
#define QRT_CUBLAS_LOOKUP(symbol, member, parameters)                                                                  \
  if (!(library.member = reinterpret_cast<decltype(library.member)>(::dlsym(handle, #symbol))))                        \
    return Error{"cuBLAS lacks " #symbol};
  QRT_CUBLAS_FUNCTIONS(QRT_CUBLAS_LOOKUP)
#undef QRT_CUBLAS_LOOKUP
  return library;
}

Result<const Library *> Library::open() {
  static const Result<Library> library = openLibrary();
  if (!library)
    return library.error();
  return &*library;
}

/// Memory of the device that grows to what is needed.
class Buffer {
public:
  explicit Buffer(Device &device) : device(device) {}
  ~Buffer() { device.release(memory); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;

  Status reserve(int64_t bytes) {
    if (bytes <= size)
      return {};
    device.release(std::exchange(memory, nullptr));
    size = 0;
    Result<void *> allocated = device.allocate(bytes);
    if (!allocated)
      return allocated.error();
    if (!*allocated)
      return Error{"a product on " + device.name() + " needs " + std::to_string(bytes) + " bytes more, but " +
                   std::to_string(device.freeBytes()) + " are free"};
    memory = *allocated;
    size = bytes;
    return {};
  }
  float *data() const { return static_cast<float *>(memory); }

private:
  Device &device;
  void *memory = nullptr;
  int64_t size = 0;
};

class Blas final : public CudaBlas {
public:
  Blas(std::unique_ptr<Device> opened, const Library &library)
      : device(std::move(opened)), library(library), left(*device), right(*device), product(*device) {}
  ~Blas() override {
    if (handle && device->enter())
      library.destroy(handle);
  }

  Status start() {
    if (Status status = check(library.create(&handle), "start on"); !status)
      return status;
    if (Status status = check(library.setMathMode(handle, pedanticMath), "start on"); !status)
      return status;
    return check(library.setStream(handle, device->stream()), "start on");
  }

  Status multiply(const BlasOperand &a, const BlasOperand &b, float *result) override {
    int64_t m = a.isTransposed ? a.cols : a.rows, k = a.isTransposed ? a.rows : a.cols,
            n = b.isTransposed ? b.rows : b.cols;
    if (Status status = device->enter(); !status)
      return status;
    if (Status status = send(left, a); !status)
      return status;
    bool isSquare = a.data == b.data; // x^T x is sent once
    if (!isSquare)
      if (Status status = send(right, b); !status)
        return status;
    if (Status status = product.reserve(m * n * 4); !status)
      return status;
    // To cuBLAS, whose matrices are stored by columns, all three are transposed: it
    // computes result^T = op(b)^T op(a)^T.
    float one = 1, zero = 0;
    auto operation = [](const BlasOperand &x) { return x.isTransposed ? operationTranspose : operationNone; };
    int code = library.sgemm(handle, operation(b), operation(a), int(n), int(m), int(k), &one,
                             isSquare ? left.data() : right.data(), int(b.stride), left.data(), int(a.stride), &zero,
                             product.data(), int(n));
    if (Status status = check(code, "multiply on"); !status)
      return status;
    return device->download(result, product.data(), m * n * 4);
  }

private:
  Status send(Buffer &buffer, const BlasOperand &x) {
    int64_t bytes = ((x.rows - 1) * x.stride + x.cols) * 4;
    if (Status status = buffer.reserve(bytes); !status)
      return status;
    return device->upload(buffer.data(), x.data, bytes);
  }

  Status check(int code, const std::string &doing) {
    if (code == 0)
      return {};
    return Error{"cuBLAS cannot " + doing + " " + device->name() + ": " +
                 (code == allocFailed ? "the device has not enough free memory" : "its reason is not known") +
                 " (status " + std::to_string(code) + ")"};
  }

  std::unique_ptr<Device> device;
  const Library &library;
  cublasHandle handle = nullptr;
  Buffer left, right, product;
};

} // namespace

qopt::Result<std::unique_ptr<CudaBlas>> CudaBlas::open(int index) {
  Result<std::unique_ptr<Device>> device = openCudaDevice(index);
  if (!device)
    return device.error();
  Result<const Library *> library = Library::open();
  if (!library)
    return library.error();
  auto blas = std::make_unique<Blas>(std::move(*device), **library);
  if (Status status = blas->start(); !status)
    return status.error();
  return std::unique_ptr<CudaBlas>(std::move(blas));
}
