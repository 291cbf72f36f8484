//===- TensorFile.cpp - Tensors from and to files -------------------------===//
//
// .npy files and, to read, ONNX's TensorProto.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/TensorFile.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Half.h"
#include "qopt/Support/Npy.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace qrt;
using qopt::Error;
using qopt::NpyType;

static constexpr std::pair<NpyType, ElementType> npyTypes[] = {
    {NpyType::Bool, ElementType::Bool},   {NpyType::Int8, ElementType::I8},   {NpyType::UInt8, ElementType::U8},
    {NpyType::Int32, ElementType::I32},   {NpyType::Int64, ElementType::I64}, {NpyType::Float16, ElementType::F16},
    {NpyType::Float32, ElementType::F32},
};

static Error misfit(auto value, ElementType type) {
  return {"holds " + std::to_string(value) + ", which does not fit into " + qopt::elementTypeName(type)};
}

static Result<Tensor> fromNpy(const qopt::NpyArray &array) {
  if (array.shape.size() > QRT_MAX_RANK)
    return Error{"has " + std::to_string(array.shape.size()) + " dimensions, more than " +
                 std::to_string(QRT_MAX_RANK)};
  for (auto [npy, type] : npyTypes)
    if (npy == array.type) {
      Tensor tensor(type, array.shape);
      if (!array.data.empty())
        std::memcpy(tensor.data<std::byte>(), array.data.data(), array.data.size());
      return tensor;
    }
  if (array.type == NpyType::Float64) {
    Tensor tensor(ElementType::F32, array.shape);
    float *to = tensor.data<float>();
    for (double value : array.as<double>()) {
      float nearest = static_cast<float>(value);
      if (std::isfinite(value) && !std::isfinite(nearest))
        return misfit(value, ElementType::F32);
      *to++ = nearest;
    }
    return tensor;
  }
  Result<std::vector<int64_t>> integers = qopt::npyIntegers(array);
  if (!integers)
    return integers.error();
  Tensor tensor(ElementType::I64, array.shape);
  std::ranges::copy(*integers, tensor.data<int64_t>());
  return tensor;
}

Result<Tensor> qrt::readTensorFile(const std::string &path) {
  if (path.ends_with(".pb")) {
    Result<qopt::MappedFile> file = qopt::MappedFile::open(path);
    if (!file)
      return file.error();
    return parseTensorProto(file->bytes());
  }
  Result<qopt::NpyArray> array = qopt::readNpy(path);
  if (!array)
    return array.error();
  return fromNpy(*array);
}

Status qrt::writeTensorFile(const std::string &path, const Tensor &tensor) {
  if (tensor.type() == ElementType::BF16) {
    Tensor wide(ElementType::F32, tensor.dims());
    qopt::widenBrains(tensor.data<char>(), tensor.numElements(), wide.data<float>());
    return writeTensorFile(path, wide);
  }
  for (auto [npy, type] : npyTypes)
    if (type == tensor.type())
      return qopt::writeNpy(path, npy, tensor.dims(), {tensor.data<std::byte>(), static_cast<size_t>(tensor.bytes())});
  return Error{std::string("elements of type ") + qopt::elementTypeName(tensor.type()) + " cannot be written as .npy"};
}

//===----------------------------------------------------------------------===//
// Conversion
//===----------------------------------------------------------------------===//

/// Calls function(T()) with the C++ type of an integer element type; false when
/// `type` is no such.
template <typename Function>
static bool withIntegerType(ElementType type, Function function) {
  switch (type) {
  case ElementType::I64:
    function(int64_t());
    return true;
  case ElementType::I32:
    function(int32_t());
    return true;
  case ElementType::I8:
    function(int8_t());
    return true;
  case ElementType::U8:
  case ElementType::Bool:
    function(uint8_t());
    return true;
  default:
    return false;
  }
}

static Result<Tensor> convertIntegers(const Tensor &tensor, ElementType type) {
  Tensor result(type, tensor.dims());
  std::optional<int64_t> tooLarge;
  withIntegerType(tensor.type(), [&](auto sourceType) {
    using Source = decltype(sourceType);
    withIntegerType(type, [&](auto targetType) {
      using Target = decltype(targetType);
      int64_t least = type == ElementType::Bool ? 0 : int64_t(std::numeric_limits<Target>::min());
      int64_t most = type == ElementType::Bool ? 1 : int64_t(std::numeric_limits<Target>::max());
      for (int64_t i = 0, n = tensor.numElements(); i < n && !tooLarge; ++i) {
        int64_t value = tensor.data<Source>()[i];
        if (value < least || value > most)
          tooLarge = value;
        result.data<Target>()[i] = static_cast<Target>(value);
      }
    });
  });
  if (tooLarge)
    return misfit(*tooLarge, type);
  return result;
}

static Result<Tensor> convertFloats(const Tensor &tensor, ElementType type) {
  int64_t numElements = tensor.numElements();
  Tensor wide = tensor;
  if (tensor.type() != ElementType::F32) {
    wide = Tensor(ElementType::F32, tensor.dims());
    auto widen = tensor.type() == ElementType::F16 ? qopt::widenHalves : qopt::widenBrains;
    widen(tensor.data<char>(), numElements, wide.data<float>());
  }
  if (type == ElementType::F32)
    return wide;
  bool isHalf = type == ElementType::F16;
  Tensor result(type, tensor.dims());
  for (int64_t i = 0; i < numElements; ++i) {
    float value = wide.data<float>()[i];
    uint16_t bits = isHalf ? qopt::floatToHalf(value) : qopt::nearestBrain(value);
    if (std::isfinite(value) && !std::isfinite(isHalf ? qopt::halfToFloat(bits) : qopt::brainToFloat(bits)))
      return misfit(value, type);
    result.data<uint16_t>()[i] = bits;
  }
  return result;
}

Result<Tensor> qrt::convertTensor(const Tensor &tensor, ElementType type) {
  if (tensor.type() == type)
    return tensor;
  auto isInteger = [](ElementType type) { return withIntegerType(type, [](auto) {}); };
  if (isInteger(tensor.type()) && isInteger(type))
    return convertIntegers(tensor, type);
  if (qopt::isFloatType(tensor.type()) && qopt::isFloatType(type))
    return convertFloats(tensor, type);
  return Error{std::string("has elements of type ") + qopt::elementTypeName(tensor.type()) + ", but " +
               qopt::elementTypeName(type) + " is needed"};
}
