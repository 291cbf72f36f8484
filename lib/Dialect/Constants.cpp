//===- Constants.cpp - Looking at constant data ---------------------------===//
//
// The only place that knows how MLIR keeps the elements of a constant.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/Constants.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Support/Half.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"
#include <cstring>
#include <type_traits>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Finding constants
//===----------------------------------------------------------------------===//

ConstantView qopt::viewConstant(ElementsAttr value) {
  ConstantView view;
  view.value = value;
  view.type = value.getShapedType();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    view.name = resource.getRawHandle().getKey();
    if (const AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      view.bytes = blob->getData();
    if (view.bytes.empty())
      view.deferred = DeferredData::find(resource);
    auto integer = dyn_cast<IntegerType>(view.type.getElementType());
    view.isPacked = integer && (integer.getWidth() == 2 || integer.getWidth() == 4);
  } else if (auto dense = dyn_cast<DenseIntOrFPElementsAttr>(value)) {
    view.bytes = dense.getRawData();
    view.isSplat = dense.isSplat();
    view.isPacked = dense.getElementType().isInteger(1);
  }
  return view;
}

std::optional<ConstantView> qopt::matchConstant(Value value) {
  if (!value)
    return std::nullopt;
  if (auto parameter = value.getDefiningOp<ParameterOp>()) {
    ConstantView view = viewConstant(parameter.getValue());
    view.name = parameter.getName();
    return view;
  }
  ElementsAttr constant;
  if (!matchPattern(value, m_Constant(&constant)))
    return std::nullopt;
  return viewConstant(constant);
}

std::optional<ConstantView> qopt::matchWeight(Value value) {
  auto cast = value ? value.getDefiningOp<onnx::CastOp>() : onnx::CastOp();
  if (!cast || !cast.getTo().isF32())
    return matchConstant(value);
  std::optional<ConstantView> view = matchConstant(cast.getInput());
  if (!view)
    return std::nullopt;
  Type element = view->type.getElementType();
  return element.isF16() || element.isBF16() ? view : std::nullopt;
}

//===----------------------------------------------------------------------===//
// Reading elements
//===----------------------------------------------------------------------===//

int64_t ConstantView::elementBytes() const {
  Type element = type.getElementType();
  return element.isIntOrFloat() ? llvm::divideCeil(element.getIntOrFloatBitWidth(), 8) : 0;
}

bool ConstantView::isComplete() const {
  if (elementBytes() == 0)
    return false;
  // An attribute checks its data itself when it is made.
  if (isa<DenseIntOrFPElementsAttr>(value))
    return true;
  int64_t size =
      isPacked ? int64_t(llvm::divideCeil(numElements() * type.getElementTypeBitWidth(), 8)) : expandedBytes();
  return isa<DenseResourceElementsAttr>(value) && (deferred || int64_t(bytes.size()) == size);
}

bool ConstantView::isWithin(int smallest, int largest) const {
  if (deferred)
    return smallest <= deferred->smallest && deferred->largest <= largest;
  return isComplete() && !isPacked && elementBytes() == 1 &&
         llvm::all_of(bytes, [&](char element) { return smallest <= element && element <= largest; });
}

/// The number of type `type` whose bits these are.
static double toDouble(FloatType type, uint64_t bits) {
  llvm::APFloat number(type.getFloatSemantics(),
                       llvm::APInt(type.getWidth(), bits, /*isSigned=*/false, /*implicitTrunc=*/true));
  bool losesInfo;
  number.convert(llvm::APFloat::IEEEdouble(), llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return number.convertToDouble();
}

static int64_t toInteger(IntegerType type, uint64_t bits) {
  if (type.getWidth() >= 64)
    return static_cast<int64_t>(bits);
  if (type.isUnsigned() || type.getWidth() == 1)
    return static_cast<int64_t>(bits & llvm::maskTrailingOnes<uint64_t>(type.getWidth()));
  return llvm::SignExtend64(bits, type.getWidth());
}

/// Whether numbers of type T hold every element of this type.
template <typename T>
static bool canHold(Type element) {
  if (!element.isIntOrFloat() || element.getIntOrFloatBitWidth() > 64)
    return false;
  if constexpr (std::is_same_v<T, float>)
    return element.isF32() || element.isF16() || element.isBF16();
  if constexpr (std::is_same_v<T, double>)
    return isa<FloatType>(element);
  return isa<IntegerType>(element);
}

template <typename T>
std::optional<std::vector<T>> ConstantView::readAs() const {
  Type element = type.getElementType();
  if (!canHold<T>(element) || !isComplete())
    return std::nullopt;
  if (deferred) {
    std::vector<char> made = expanded();
    ConstantView view = *this;
    view.deferred = nullptr;
    view.bytes = made;
    return view.readAs<T>();
  }
  std::vector<T> numbers;
  numbers.reserve(numElements());
  if constexpr (std::is_same_v<T, int64_t>)
    if (isPacked && isa<DenseResourceElementsAttr>(value)) {
      for (int64_t i = 0, n = numElements(); i < n; ++i)
        numbers.push_back(toInteger(cast<IntegerType>(element), packedBits(i)));
      return numbers;
    }
  if constexpr (std::is_same_v<T, int64_t>)
    if (isPacked) {
      auto bits = cast<DenseElementsAttr>(value).getValues<bool>();
      numbers.assign(bits.begin(), bits.end());
      return numbers;
    }
  int64_t size = elementBytes(), count = numElements(), stored = isSplat ? std::min<int64_t>(count, 1) : count;
  if constexpr (std::is_same_v<T, float>) {
    numbers.resize(stored);
    if (element.isF32())
      std::memcpy(numbers.data(), bytes.data(), stored * sizeof(float));
    else
      (element.isF16() ? widenHalves : widenBrains)(bytes.data(), stored, numbers.data());
    stored = 0;
  }
  if constexpr (std::is_same_v<T, double>)
    if (std::optional<std::vector<float>> floats = readAs<float>())
      return std::vector<double>(floats->begin(), floats->end());
  for (int64_t i = 0; i < stored; ++i) {
    uint64_t bits = 0; // little-endian, as the modules are
    std::memcpy(&bits, bytes.data() + i * size, size);
    if constexpr (std::is_same_v<T, int64_t>)
      numbers.push_back(toInteger(cast<IntegerType>(element), bits));
    else
      numbers.push_back(toDouble(cast<FloatType>(element), bits));
  }
  if (isSplat && !numbers.empty())
    numbers.resize(count, numbers.front());
  return numbers;
}

template std::optional<std::vector<float>> ConstantView::readAs() const;
template std::optional<std::vector<double>> ConstantView::readAs() const;
template std::optional<std::vector<int64_t>> ConstantView::readAs() const;

std::vector<char> ConstantView::expanded() const {
  if (deferred) {
    Result<std::vector<char>> made = deferred->make();
    if (made)
      return std::move(*made);
    emitError(UnknownLoc::get(value.getContext())) << made.error().message;
    return std::vector<char>(expandedBytes());
  }
  if (isPacked) {
    std::optional<std::vector<int64_t>> booleans = readAs<int64_t>();
    return std::vector<char>(booleans->begin(), booleans->end());
  }
  if (!isSplat)
    return std::vector<char>(bytes.begin(), bytes.end());
  std::vector<char> repeated;
  repeated.reserve(expandedBytes());
  for (int64_t i = 0; i < numElements(); ++i)
    repeated.insert(repeated.end(), bytes.begin(), bytes.end());
  return repeated;
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

template <typename Bits>
static bool isTransposed(const ConstantView &rows, const ConstantView &columns) {
  int64_t v = rows.type.getDimSize(0), k = rows.type.getDimSize(1);
  auto at = [](const ConstantView &constant, int64_t i) {
    Bits bits; // data of a mapped file need not be aligned
    std::memcpy(&bits, constant.bytes.data() + i * sizeof(Bits), sizeof(Bits));
    return bits;
  };
  // In tiles, so that neither side strides through memory.
  constexpr int64_t tile = 32;
  for (int64_t j0 = 0; j0 < v; j0 += tile)
    for (int64_t i0 = 0; i0 < k; i0 += tile)
      for (int64_t j = j0; j < std::min(j0 + tile, v); ++j)
        for (int64_t i = i0; i < std::min(i0 + tile, k); ++i)
          if (at(rows, j * k + i) != at(columns, i * v + j))
            return false;
  return true;
}

bool qopt::isTransposed(const ConstantView &rows, const ConstantView &columns) {
  if (rows.deferred)
    return false;
  if (columns.deferred) {
    ElementsAttr source = columns.deferred->transposeOf;
    if (!source || source.getShapedType() != rows.type || rows.isSplat || rows.isPacked)
      return false;
    return source == rows.value || viewConstant(source).bytes == rows.bytes;
  }
  auto isUsable = [](const ConstantView &view) {
    return view.type.getRank() == 2 && view.isComplete() && !view.isSplat && !view.isPacked;
  };
  if (!isUsable(rows) || !isUsable(columns) || rows.type.getElementType() != columns.type.getElementType() ||
      rows.type.getDimSize(0) != columns.type.getDimSize(1) || rows.type.getDimSize(1) != columns.type.getDimSize(0))
    return false;
  switch (rows.elementBytes()) {
  case 2:
    return ::isTransposed<uint16_t>(rows, columns);
  case 4:
    return ::isTransposed<uint32_t>(rows, columns);
  default:
    return false;
  }
}

std::optional<ElementType> qopt::toElementType(Type element) {
  if (element.isF32())
    return ElementType::F32;
  if (element.isF16())
    return ElementType::F16;
  if (element.isBF16())
    return ElementType::BF16;
  auto integer = dyn_cast<IntegerType>(element);
  if (!integer)
    return std::nullopt;
  switch (integer.getWidth()) {
  case 1:
    return ElementType::Bool;
  case 8:
    return integer.isUnsigned() ? ElementType::U8 : ElementType::I8;
  case 32:
    return integer.isUnsigned() ? std::nullopt : std::optional(ElementType::I32);
  case 64:
    return integer.isUnsigned() ? std::nullopt : std::optional(ElementType::I64);
  default:
    return std::nullopt;
  }
}
