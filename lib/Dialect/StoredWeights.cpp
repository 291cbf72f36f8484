//===- StoredWeights.cpp - Weights that a file keeps as codes -------------===//
//
// Where a module is written the parameters are made then, some rows at a time, of the
// mapped file.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/StoredWeights.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "qopt/Dialect/DeferredData.h"
#include "qopt/Dialect/Types.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

static int64_t integerAt(const ConstantView &view, int64_t index) {
  auto type = cast<IntegerType>(view.type.getElementType());
  index = view.isSplat ? 0 : index;
  uint64_t bits = view.isPacked ? view.packedBits(index) : static_cast<uint8_t>(view.bytes[index]);
  bits &= llvm::maskTrailingOnes<uint64_t>(type.getWidth());
  return type.isUnsigned() ? static_cast<int64_t>(bits) : llvm::SignExtend64(bits, type.getWidth());
}

static double floatAt(const ConstantView &view, int64_t index) {
  index = view.isSplat ? 0 : index;
  auto type = cast<FloatType>(view.type.getElementType());
  uint32_t bits = 0;
  int64_t size = type.getWidth() / 8;
  std::memcpy(&bits, view.bytes.data() + index * size, size);
  if (type.isF32())
    return llvm::bit_cast<float>(bits);
  return llvm::APFloat(type.getFloatSemantics(), llvm::APInt(type.getWidth(), bits)).convertToFloat();
}

int StoredWeights::shift() const {
  return cast<IntegerType>(codes.type.getElementType()).isUnsigned() ? 0 : 1 << (bits() - 1);
}

int64_t StoredWeights::codeAt(int64_t output, int64_t input) const {
  return integerAt(codes, outputsFirst ? output * inputs + input : input * outputs + output);
}

/// Where the scale of a group is, in as many as there are.
static int64_t scaleIndex(const StoredWeights &w, const ConstantView &view, int64_t output, int64_t group) {
  if (view.numElements() == 1)
    return 0;
  if (view.type.getRank() == 1)
    return output;
  return w.outputsFirst ? output * w.groups() + group : group * w.outputs + output;
}

double StoredWeights::scaleAt(int64_t output, int64_t group) const {
  return floatAt(scales, scaleIndex(*this, scales, output, group));
}

double StoredWeights::zeroAt(int64_t output, int64_t group) const {
  if (!zeros)
    return 0;
  int64_t index = scaleIndex(*this, *zeros, output, group);
  return isa<IntegerType>(zeros->type.getElementType()) ? static_cast<double>(integerAt(*zeros, index))
                                                        : floatAt(*zeros, index);
}

static bool isNarrowInteger(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer && (integer.getWidth() == 2 || integer.getWidth() == 4 || integer.getWidth() == 8);
}

std::optional<StoredWeights> StoredWeights::match(onnx::DequantizeLinearOp op, int64_t outputAxis, std::string &why) {
  auto fail = [&](const Twine &reason) {
    why = reason.str();
    return std::nullopt;
  };
  auto textOf = [](Type type) {
    std::string text;
    llvm::raw_string_ostream(text) << type;
    return text;
  };
  std::optional<ConstantView> codes = matchConstant(op.getX()), scales = matchConstant(op.getXScale());
  std::optional<ConstantView> zeros = op.getXZeroPoint() ? matchConstant(op.getXZeroPoint()) : std::nullopt;
  auto isReadable = [](const std::optional<ConstantView> &view) {
    return view && view->isComplete() && !view->deferred;
  };
  if (!isReadable(codes) || !isReadable(scales) || (op.getXZeroPoint() && !isReadable(zeros)))
    return fail("codes, scales and zero points must be constants");
  auto isFloat = [](const ConstantView &view) {
    Type type = view.type.getElementType();
    return type.isF32() || type.isF16() || type.isBF16();
  };
  if (codes->type.getRank() != 2 || codes->numElements() == 0 || !isNarrowInteger(codes->type.getElementType()))
    return fail("expected a matrix of integers of 2, 4 or 8 bits but got " + textOf(codes->type));
  if (!isFloat(*scales) || (zeros && !isFloat(*zeros) && !isNarrowInteger(zeros->type.getElementType())))
    return fail("expected scales of f32, f16 or bf16 but got " + textOf(scales->type));
  StoredWeights result{*codes, *scales, zeros};
  result.outputsFirst = outputAxis == 0;
  result.outputs = codes->type.getDimSize(outputAxis);
  result.inputs = codes->type.getDimSize(1 - outputAxis);
  int64_t axis = onnx::frontAxis(op.getAxis(), 2);
  int64_t block = op.getBlockSize();
  result.groupSize = block ? std::min(block, result.inputs) : result.inputs;
  if (block && axis == outputAxis)
    return fail("its blocks of " + Twine(block) + " are of outputs, not of inputs");
  if (!block && scales->numElements() > 1 && axis != outputAxis)
    return fail("its scales are of inputs, not of outputs");
  int64_t expected = block ? result.outputs * result.groups() : scales->numElements() > 1 ? result.outputs : 1;
  if (scales->numElements() != expected ||
      (zeros && zeros->numElements() != 1 && zeros->numElements() != scales->numElements()))
    return fail("expected " + Twine(expected) + " scales and zero points but got " + textOf(scales->type));
  return result;
}

//===----------------------------------------------------------------------===//
// Making
//===----------------------------------------------------------------------===//

namespace {

/// Arrays of N rows, each with a function that writes one row.
class StoredRows : public RowSource {
public:
  struct Array {
    std::string name;
    int64_t columns; ///< elements of a row; 0: one element, and the array has rank 1
    Type element;
    std::function<void(int64_t row, char *to)> write;
    int smallest = -128, largest = 127;

    int64_t rowBytes() const { return std::max<int64_t>(columns, 1) * element.getIntOrFloatBitWidth() / 8; }
  };

  explicit StoredRows(std::vector<Array> arrays) : arrays(std::move(arrays)) {}

  Result<std::vector<std::vector<char>>> make(int64_t begin, int64_t end) const override {
    std::vector<std::vector<char>> made;
    for (const Array &array : arrays) {
      std::vector<char> &bytes = made.emplace_back((end - begin) * array.rowBytes());
      for (int64_t row = begin; row < end; ++row)
        array.write(row, bytes.data() + (row - begin) * array.rowBytes());
    }
    return made;
  }

  const std::vector<Array> arrays;
};

/// Parameters of the arrays of `rows`, in their order.
SmallVector<Value> createParameters(OpBuilder &builder, Location location, int64_t outputs,
                                    std::shared_ptr<StoredRows> rows) {
  SmallVector<Value> values;
  DeferredData *deferred = DeferredData::get(*builder.getContext());
  std::vector<std::vector<char>> made;
  if (!deferred)
    made = *rows->make(0, outputs);
  for (auto [i, array] : llvm::enumerate(rows->arrays)) {
    auto type = array.columns ? RankedTensorType::get({outputs, array.columns}, array.element)
                              : RankedTensorType::get({outputs}, array.element);
    ElementsAttr value;
    if (deferred) {
      DeferredConstant constant = DeferredConstant::ofArray(rows, static_cast<int64_t>(i), outputs, array.rowBytes());
      constant.smallest = array.smallest;
      constant.largest = array.largest;
      value = deferred->add(type, array.name, std::move(constant));
    } else {
      value = DenseResourceElementsAttr::get(
          type, array.name,
          HeapAsmResourceBlob::allocateAndCopyWithAlign(made[i], /*align=*/64, /*dataIsMutable=*/false));
    }
    values.push_back(ParameterOp::create(builder, location, array.name, value));
  }
  return values;
}

template <typename T>
void put(char *to, int64_t index, T value) {
  std::memcpy(to + index * sizeof(T), &value, sizeof(T));
}

/// int8 codes: those of the file less this number.
int64_t middleOf(const StoredWeights &w) { return w.bits() == 8 && !w.shift() ? 128 : 0; }

StoredRows::Array int8Codes(const StoredWeights &w, StringRef name, Type i8) {
  auto write = [w](int64_t row, char *to) {
    int64_t middle = middleOf(w);
    for (int64_t k = 0; k < w.inputs; ++k)
      to[k] = static_cast<char>(w.codeAt(row, k) - middle);
  };
  return {(name + ".codes").str(), w.inputs, i8, write};
}

/// How far the zero point of an output's int8 codes is from 0.
double offsetOf(const StoredWeights &w, int64_t output) { return w.zeroAt(output, 0) - middleOf(w); }

Value createInt8(OpBuilder &builder, Location location, const StoredWeights &w, StringRef name) {
  auto writeScale = [w](int64_t row, char *to) { put<float>(to, 0, static_cast<float>(w.scaleAt(row, 0))); };
  auto rows = std::make_shared<StoredRows>(std::vector<StoredRows::Array>{
      int8Codes(w, name, builder.getI8Type()), {(name + ".scale").str(), 0, builder.getF32Type(), writeScale}});
  SmallVector<Value> parameters = createParameters(builder, location, w.outputs, rows);
  Value result = DequantizeOp::create(builder, location, parameters[0], parameters[1]);
  std::vector<float> offsets(w.outputs);
  for (int64_t n = 0; n < w.outputs; ++n)
    offsets[n] = static_cast<float>(w.scaleAt(n, 0) * offsetOf(w, n));
  if (llvm::all_of(offsets, [](float offset) { return offset == 0; }))
    return result;
  return onnx::SubOp::create(builder, location, result,
                             createFloats(builder, location, {w.outputs, 1}, offsets, (name + ".offset").str()));
}

/// One matrix of 4-bit codes in groups.
struct Nibbles {
  StoredWeights w;
  int down;      ///< bits of the unsigned code that are left out below
  double factor; ///< of the scale

  /// Negative scales are made positive: s (q - z) = -s ((15 - q) - (15 - z)).
  bool isMirrored(int64_t output, int64_t group) const { return w.scaleAt(output, group) < 0; }
  int codeAt(int64_t output, int64_t input) const {
    int code = static_cast<int>((w.codeAt(output, input) + w.shift()) >> down) & 15;
    return isMirrored(output, input / w.groupSize) ? 15 - code : code;
  }
  int zeroAt(int64_t output, int64_t group) const {
    int64_t whole = static_cast<int64_t>(w.zeroAt(output, group)) + w.shift();
    int zero = static_cast<int>(w.bits() == 8 ? (whole >> down) & 15 : whole);
    return isMirrored(output, group) ? 15 - zero : zero;
  }

  Value create(OpBuilder &builder, Location location, StringRef name) const {
    int64_t groups = w.groups(), bytes = llvm::divideCeil(w.inputs, 2);
    bool isHalf = factor == 1 && w.scales.type.getElementType().isF16();
    auto writeCodes = [self = *this, bytes](int64_t row, char *to) {
      for (int64_t b = 0; b < bytes; ++b) {
        int high = 2 * b + 1 < self.w.inputs ? self.codeAt(row, 2 * b + 1) : 0;
        to[b] = static_cast<char>(self.codeAt(row, 2 * b) | high << 4);
      }
    };
    auto writeScales = [self = *this, groups, isHalf](int64_t row, char *to) {
      for (int64_t g = 0; g < groups; ++g) {
        float scale = static_cast<float>(std::abs(self.w.scaleAt(row, g)) * self.factor);
        if (isHalf)
          put<_Float16>(to, g, static_cast<_Float16>(scale));
        else
          put<float>(to, g, scale);
      }
    };
    auto writeZeros = [self = *this, groups](int64_t row, char *to) {
      for (int64_t g = 0; g < groups; ++g)
        to[g] = static_cast<char>(self.zeroAt(row, g));
    };
    int smallest = 8, largest = 8;
    for (int64_t n = 0; n < w.outputs; ++n)
      for (int64_t g = 0; g < groups; ++g) {
        smallest = std::min(smallest, zeroAt(n, g));
        largest = std::max(largest, zeroAt(n, g));
      }
    std::vector<StoredRows::Array> arrays = {
        {(name + ".codes").str(), bytes, builder.getI8Type(), writeCodes},
        {(name + ".scale").str(), groups, isHalf ? Type(builder.getF16Type()) : Type(builder.getF32Type()),
         writeScales},
    };
    if (smallest != 8 || largest != 8)
      arrays.push_back({(name + ".zeros").str(), groups, builder.getI8Type(), writeZeros, smallest, largest});
    SmallVector<Value> parameters =
        createParameters(builder, location, w.outputs, std::make_shared<StoredRows>(std::move(arrays)));
    IntegerAttr columns = w.inputs % 2 ? builder.getI64IntegerAttr(w.inputs) : IntegerAttr();
    return DequantizeOp::create(builder, location, parameters[0], parameters[1],
                                parameters.size() > 2 ? parameters[2] : Value(), builder.getI64IntegerAttr(w.groupSize),
                                columns, /*table=*/DenseF32ArrayAttr());
  }
};

/// Whether all zero points are integers that a code of 4 bits can be (of 8, in two parts).
bool hasSmallZeros(const StoredWeights &w) {
  int largest = w.bits() == 8 ? 255 : 15;
  for (int64_t n = 0; n < w.outputs; ++n)
    for (int64_t g = 0; g < w.groups(); ++g) {
      double zero = w.zeroAt(n, g) + w.shift();
      if (zero != std::floor(zero) || zero < 0 || zero > largest)
        return false;
    }
  return true;
}

/// Zero points that are no codes: the matrix without them, less one whose codes are all 1.
Value createWithOffsets(OpBuilder &builder, Location location, const StoredWeights &weights, StringRef name) {
  if (weights.inputs % weights.groupSize)
    return {};
  StoredWeights w = weights;
  w.zeros.reset();
  Value codes = createStoredWeights(builder, location, w, name, /*asInt8=*/false);
  int64_t n = w.outputs, groups = w.groups();
  std::vector<float> offsets;
  for (int64_t row = 0; row < n; ++row)
    for (int64_t g = 0; g < groups; ++g)
      offsets.push_back(static_cast<float>(weights.scaleAt(row, g) * weights.zeroAt(row, g)));
  auto ones =
      DenseElementsAttr::get(RankedTensorType::get({n, (w.inputs + 1) / 2}, builder.getI8Type()), APInt(8, 0x11));
  auto zeros = DenseElementsAttr::get(RankedTensorType::get({n, groups}, builder.getI8Type()), APInt(8, 0));
  IntegerAttr columns = w.inputs % 2 ? builder.getI64IntegerAttr(w.inputs) : IntegerAttr();
  Value offset = DequantizeOp::create(builder, location, onnx::ConstantOp::create(builder, location, ones),
                                      createFloats(builder, location, {n, groups}, offsets, (name + ".offset").str()),
                                      onnx::ConstantOp::create(builder, location, zeros),
                                      builder.getI64IntegerAttr(w.groupSize), columns, /*table=*/DenseF32ArrayAttr());
  return onnx::SubOp::create(builder, location, codes, offset);
}

} // namespace

Value qopt::createFloats(OpBuilder &builder, Location location, ArrayRef<int64_t> shape, ArrayRef<float> values,
                         StringRef name) {
  auto type = RankedTensorType::get(shape, builder.getF32Type());
  AsmResourceBlob blob = HeapAsmResourceBlob::allocateAndCopyWithAlign(
      ArrayRef<char>(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)), /*align=*/64,
      /*dataIsMutable=*/false);
  return onnx::ConstantOp::create(builder, location, DenseResourceElementsAttr::get(type, name, std::move(blob)));
}

Value qopt::createStoredWeights(OpBuilder &builder, Location location, const StoredWeights &weights, StringRef name,
                                bool asInt8) {
  bool isPerOutput = weights.groups() == 1;
  if (isPerOutput && (weights.bits() == 8 || asInt8))
    return createInt8(builder, location, weights, name);
  if (asInt8)
    return {};
  if (!hasSmallZeros(weights))
    return createWithOffsets(builder, location, weights, name);
  if (weights.bits() < 8)
    return Nibbles{weights, 0, 1}.create(builder, location, name);
  Value high = Nibbles{weights, 4, 16}.create(builder, location, (name + ".high").str());
  Value low = Nibbles{weights, 0, 1}.create(builder, location, (name + ".low").str());
  return onnx::AddOp::create(builder, location, high, low);
}

Value qopt::createStoredCodes(OpBuilder &builder, Location location, const StoredWeights &weights, StringRef name) {
  auto rows =
      std::make_shared<StoredRows>(std::vector<StoredRows::Array>{int8Codes(weights, name, builder.getI8Type())});
  return createParameters(builder, location, weights.outputs, rows).front();
}
