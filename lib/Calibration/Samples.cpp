//===- Samples.cpp - Token windows as a function's inputs -----------------===//
//
// An input is filled by its role. What tokens alone do not tell is refused, never made up.
//
//===----------------------------------------------------------------------===//
#include "qopt/Calibration/Samples.h"
#include "qopt/Dialect/Constants.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Dialect/Qopt/Qopt.h"
#include "qopt/Support/Npy.h"
#include <cstring>
#include <limits>

using namespace mlir;
using namespace qopt;

Result<std::vector<std::vector<int32_t>>> qopt::readTokenWindows(const std::string &path) {
  Result<NpyArray> array = readNpy(path);
  if (!array)
    return array.error();
  Result<std::vector<int64_t>> ids = npyIntegers(*array);
  if (!ids)
    return Error{"token ids: " + ids.error().message};
  if (array->shape.size() != 2)
    return Error{"expected token ids [windows, length] but got " + std::to_string(array->shape.size()) + " dimensions"};
  if (array->numElements() == 0) // [10^18, 0] has no elements and many rows
    return Error{"no tokens"};
  int64_t rows = array->shape[0], length = array->shape[1];
  std::vector<std::vector<int32_t>> windows;
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<int32_t> &window = windows.emplace_back();
    for (int64_t i = row * length; i < (row + 1) * length; ++i) {
      int64_t token = (*ids)[static_cast<size_t>(i)];
      if (token < 0 || token > std::numeric_limits<int32_t>::max())
        return Error{"token " + std::to_string(token) + " in row " + std::to_string(row) + " is out of range"};
      window.push_back(static_cast<int32_t>(token));
    }
  }
  return windows;
}

namespace {

/// Fills an argument of shape [rows, length] with value(row, position).
template <typename Value>
void fill(qrt::Tensor &tensor, int64_t rows, int64_t length, Value value) {
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < length; ++i) {
      int64_t at = row * length + i, number = value(row, i);
      switch (tensor.type()) {
      case ElementType::I64:
        tensor.data<int64_t>()[at] = number;
        break;
      case ElementType::I32:
        tensor.data<int32_t>()[at] = static_cast<int32_t>(number);
        break;
      case ElementType::F32:
        tensor.data<float>()[at] = static_cast<float>(number);
        break;
      default: // checked by the caller: one byte per element
        tensor.data<int8_t>()[at] = static_cast<int8_t>(number);
      }
    }
}

class BatchMaker {
public:
  BatchMaker(func::FuncOp function, const std::vector<std::vector<int32_t>> &windows)
      : function(function), windows(windows) {}

  Status readArguments() {
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      Role role = getArgRole(function, i);
      if (!canBeMade(role, function.getArgumentTypes()[i]))
        return Error{"no calibration values can be made for input \"" + nameOf(i) + "\" (argument " +
                     std::to_string(i) + ", role " + std::string(roleName(role)) + ")"};
      auto type = cast<RankedTensorType>(function.getArgumentTypes()[i]);
      if (role == Role::TokenIds) {
        // Ids of one dimension are one row.
        int64_t rank = type.getRank(), rows = rank == 1 ? 1 : type.getDimSize(0), length = type.getDimSize(rank - 1);
        fixed[0] = ShapedType::isDynamic(rows) ? 0 : rows;
        fixed[1] = ShapedType::isDynamic(length) ? 0 : length;
      }
      roles.push_back(role);
    }
    if (llvm::count(roles, Role::TokenIds) != 1)
      return Error{"expected one input of token ids but got " + std::to_string(llvm::count(roles, Role::TokenIds))};
    return {};
  }

  Result<std::vector<SampleBatch>> run(int64_t batchSize) {
    if (windows.empty())
      return Error{"requires calibration data"};
    if (fixed[0] > 0)
      batchSize = fixed[0];
    std::vector<SampleBatch> batches;
    for (int64_t first = 0; first < int64_t(windows.size()); first += batchSize) {
      int64_t count = std::min<int64_t>(batchSize, windows.size() - first);
      Result<SampleBatch> batch = make(first, count, fixed[0] > 0 ? fixed[0] : count);
      if (!batch)
        return batch.error();
      batches.push_back(std::move(*batch));
    }
    return batches;
  }

private:
  std::string nameOf(unsigned argument) {
    auto name = getArgAttr<onnx::attrs::Name>(function, argument);
    return name ? name.str() : std::string();
  }

  /// Whether tokens alone tell what an input of this role and type holds.
  static bool canBeMade(Role role, Type input) {
    auto type = dyn_cast<RankedTensorType>(input);
    std::optional<ElementType> element = type ? toElementType(type.getElementType()) : std::nullopt;
    if (!element)
      return false;
    if (isPast(role))
      return type.getRank() >= 3;
    bool isMask = *element == ElementType::F32 || *element == ElementType::Bool;
    return isToldByTokens(role, type.getRank(), isIndexType(*element), isMask);
  }

  /// The sizes of an input: those that the model fixes, else as many as there are.
  static std::vector<int64_t> dimsOf(Role role, RankedTensorType type, int64_t rows, int64_t length) {
    std::vector<int64_t> dims = type.getShape().vec();
    bool hasRows = role == Role::AttentionBias ? dims.size() > 2 : dims.size() > 1;
    for (auto [i, dim] : llvm::enumerate(dims))
      if (ShapedType::isDynamic(dim)) {
        bool isHeads = role == Role::AttentionBias && dims.size() == 4 && i == 1;
        int64_t tokens = isPast(role) ? 0 : role == Role::LogitsToKeep || isHeads ? 1 : length;
        dim = i == 0 && hasRows ? rows : tokens;
      }
    return dims;
  }

  /// Tokens see those before them that count, and themselves.
  template <typename Counts>
  static void fillBias(qrt::Tensor &tensor, int64_t rows, int64_t length, Counts counts) {
    int64_t ofRow = tensor.dims()[0] == 1 ? 1 : rows, perRow = tensor.numElements() / ofRow;
    for (int64_t at = 0; at < tensor.numElements(); ++at) {
      int64_t key = at % length, query = at / length % length;
      bool isShown = key == query || (key < query && counts(at / perRow, key));
      if (tensor.type() == ElementType::F32)
        tensor.data<float>()[at] = isShown ? 0 : std::numeric_limits<float>::lowest();
      else
        tensor.data<int8_t>()[at] = isShown;
    }
  }

  Result<SampleBatch> make(int64_t first, int64_t count, int64_t rows) {
    int64_t length = 0;
    for (int64_t row = 0; row < count; ++row) {
      int64_t size = windows[first + row].size();
      if (size == 0)
        return Error{"calibration window " + std::to_string(first + row) + " is empty"};
      length = std::max(length, size);
    }
    if (fixed[1] > 0 && length > fixed[1])
      return Error{"a calibration window of " + std::to_string(length) + " tokens is longer than the model's " +
                   std::to_string(fixed[1])};
    if (fixed[1] > 0)
      length = fixed[1];

    SampleBatch batch;
    batch.positions = rows * length;
    auto counts = [&](int64_t row, int64_t i) { return row < count && i < int64_t(windows[first + row].size()); };
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < length; ++i)
        batch.tokens += counts(row, i);
    if (batch.tokens != batch.positions)
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t i = 0; i < length; ++i)
          batch.mask.push_back(counts(row, i));

    for (auto [index, role] : llvm::enumerate(roles)) {
      auto type = cast<RankedTensorType>(function.getArgumentTypes()[index]);
      qrt::Tensor &tensor =
          batch.inputs.emplace_back(*toElementType(type.getElementType()), dimsOf(role, type, rows, length));
      switch (role) {
      case Role::TokenIds:
        fill(tensor, rows, length,
             [&](int64_t row, int64_t i) { return counts(row, i) ? windows[first + row][i] : 0; });
        break;
      case Role::AttentionMask:
        fill(tensor, rows, length, counts);
        break;
      case Role::PositionIds:
        fill(tensor, tensor.numElements() / length, length, [](int64_t row, int64_t i) { return i; });
        break;
      case Role::AttentionBias:
        fillBias(tensor, rows, length, counts);
        break;
      default: // past keys and values, token types, logits to keep
        std::memset(tensor.data<char>(), 0, tensor.bytes());
        break;
      }
    }
    return batch;
  }

  func::FuncOp function;
  const std::vector<std::vector<int32_t>> &windows;
  std::vector<Role> roles;
  int64_t fixed[2] = {0, 0}; ///< rows and length that the model prescribes; 0: any
};

} // namespace

Result<std::vector<SampleBatch>>
qopt::makeBatches(func::FuncOp function, const std::vector<std::vector<int32_t>> &windows, int64_t batchSize) {
  BatchMaker maker(function, windows);
  if (Status status = maker.readArguments(); !status)
    return status.error();
  return maker.run(batchSize);
}
