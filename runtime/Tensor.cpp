#include "qopt/Module/ElementType.h"
#include "qopt/Runtime/Runtime.h"
#include "qopt/Support/CheckedMath.h"
#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <limits>
#include <new>

using namespace qrt;

int64_t qrt::elementBytes(int64_t type) { return qopt::elementBytes(type); }

Tensor::Tensor(int64_t type, std::vector<int64_t> dims) : elementType(type), shape(std::move(dims)) {
  assert(elementBytes(type) > 0 && "unknown element type");
  std::optional<int64_t> elements = qopt::checkedNumElements(shape);
  std::optional<int64_t> size = elements ? qopt::checkedMul(*elements, elementBytes(type)) : std::nullopt;
  if (!size || *size > std::numeric_limits<int64_t>::max() - 64)
    throw std::bad_alloc();
  // aligned_alloc wants a multiple of the alignment; an empty tensor gets memory too.
  size_t rounded = static_cast<size_t>(std::max<int64_t>(*size, 1) + 63) / 64 * 64;
  memory.reset(std::aligned_alloc(64, rounded), std::free);
  if (!memory)
    throw std::bad_alloc();
}

Tensor Tensor::adopt(const QrtTensor &raw) {
  Tensor tensor;
  tensor.elementType = raw.type;
  tensor.shape.assign(raw.dims, raw.dims + raw.rank);
  tensor.memory.reset(raw.data, std::free);
  return tensor;
}

int64_t Tensor::numElements() const {
  int64_t product = 1;
  for (int64_t dim : shape)
    product *= dim;
  return product;
}

QrtTensor Tensor::raw() const {
  assert(shape.size() <= QRT_MAX_RANK && "more dimensions than the interface has room for");
  QrtTensor result = {memory.get(), elementType, static_cast<int64_t>(shape.size()), {}};
  std::copy(shape.begin(), shape.end(), result.dims);
  return result;
}
