//===- TensorFuzzer.cpp - Tensors from files ------------------------------===//
//
// The first byte chooses: an .npy, or a TensorProto of ONNX's test data.
//
//===----------------------------------------------------------------------===//
#include "Mutators.h"
#include "qopt/Runtime/TensorFile.h"
#include "qopt/Support/Npy.h"
#include <cstdlib>

using namespace qopt;
using namespace qopt::fuzz;

static volatile uint64_t used;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  auto bytes = std::as_bytes(std::span(data + 1, size - 1));
  uint64_t sum = 0;
  if (data[0] % 2 == 0) {
    Result<NpyArray> array = parseNpy(bytes);
    if (!array)
      return 0;
    int64_t count = 1;
    for (int64_t dim : array->shape)
      count *= dim;
    if (count != array->numElements())
      std::abort();
    for (std::byte byte : array->data)
      sum += std::to_integer<uint64_t>(byte);
  } else {
    Result<qrt::Tensor> tensor = qrt::parseTensorProto(bytes);
    if (!tensor)
      return 0;
    for (int64_t i = 0; i < tensor->bytes(); ++i)
      sum += tensor->data<uint8_t>()[i];
    for (ElementType type : {ElementType::I64, ElementType::I32, ElementType::I8, ElementType::U8, ElementType::Bool})
      (void)qrt::convertTensor(*tensor, type);
  }
  used = sum;
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  auto mutate = [](std::string_view input, Random &random) {
    if (input.empty() || input[0] % 2 == 0)
      return mutateBytes(input, input.size() + 16);
    return input[0] + mutateProtobuf(input.substr(1), random);
  };
  return mutateWith(mutate, data, size, maxSize, seed);
}
