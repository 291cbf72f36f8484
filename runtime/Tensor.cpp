//===- Tensor.cpp - Tensors that own their memory -------------------------===//
//
// Between the C++ face of the runtime and the plain structs that generated code sees.
//
//===----------------------------------------------------------------------===//
#include "HostMemory.h"
#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/CheckedMath.h"
#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <new>

using namespace qrt;

// The C interface says the same numbers by other names.
static_assert(QRT_F32 == int64_t(ElementType::F32) && QRT_U8 == int64_t(ElementType::U8) &&
              QRT_I8 == int64_t(ElementType::I8) && QRT_I32 == int64_t(ElementType::I32) &&
              QRT_I64 == int64_t(ElementType::I64) && QRT_BOOL == int64_t(ElementType::Bool) &&
              QRT_F16 == int64_t(ElementType::F16) && QRT_BF16 == int64_t(ElementType::BF16));

Tensor::Tensor(ElementType type, std::vector<int64_t> dims) : elementType(type), shape(std::move(dims)) {
  assert(qopt::elementBytes(type) > 0 && "unknown element type");
  std::optional<int64_t> elements = qopt::checkedNumElements(shape);
  std::optional<int64_t> size = elements ? qopt::checkedMul(*elements, qopt::elementBytes(type)) : std::nullopt;
  memory.reset(size ? allocateHostMemory(*size) : nullptr, std::free);
  if (!memory)
    throw std::bad_alloc();
}

Tensor Tensor::adopt(const QrtTensor &raw) {
  Tensor tensor;
  tensor.elementType = static_cast<ElementType>(raw.type);
  tensor.shape.assign(raw.dims, raw.dims + raw.rank);
  tensor.memory.reset(raw.data, std::free);
  return tensor;
}

Tensor Tensor::seenAs(std::vector<int64_t> dims) const {
  Tensor result = *this;
  result.shape = std::move(dims);
  assert(result.numElements() <= numElements() && "more elements than there are");
  return result;
}

Tensor Tensor::rowOf(int64_t row) const {
  Tensor result = *this;
  result.shape[0] = 1;
  result.memory = std::shared_ptr<void>(memory, data<char>() + row * result.bytes());
  return result;
}

int64_t Tensor::numElements() const {
  int64_t product = 1;
  for (int64_t dim : shape)
    product *= dim;
  return product;
}

QrtTensor Tensor::raw() const {
  assert(shape.size() <= QRT_MAX_RANK && "more dimensions than the interface has room for");
  QrtTensor result = {memory.get(), static_cast<int64_t>(elementType), static_cast<int64_t>(shape.size()), {}};
  std::copy(shape.begin(), shape.end(), result.dims);
  return result;
}
