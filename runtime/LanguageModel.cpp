//===- LanguageModel.cpp - Token ids in, logits out -----------------------===//
//
// Fills the inputs that an exporter gave a model from rows of token ids.
//
//===----------------------------------------------------------------------===//
#include "qopt/Runtime/LanguageModel.h"
#include "Shapes.h"
#include "qopt/Support/Half.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

using namespace qrt;
using qopt::EntryPoint;
using qopt::Error;
using qopt::Role;
using qopt::TensorInfo;

namespace {
class SessionModel final : public LanguageModel {
public:
  SessionModel(Session &session, const EntryPoint &entry, std::vector<TensorInfo> inputs, size_t output)
      : session(session), entry(entry), inputs(std::move(inputs)), output(output),
        vocabulary(entry.outputs[output].dims.back().size) {
    if (vocabulary < 0)
      vocabulary = session.module().info().vocabularySize;
  }

  Result<Tensor> logits(const TokenBatch &batch) override;
  Result<Tensor> run(const TokenBatch &batch, int64_t used);
  Result<std::unique_ptr<Decoder>> makeDecoder(int64_t rows, int64_t capacity) override {
    if (fixedRows() > 0 && fixedRows() != rows)
      return std::unique_ptr<Decoder>();
    return session.makeDecoder(rows, capacity);
  }
  bool hasAllLogits() const override { return entry.outputs[output].role == Role::Logits; }
  int64_t vocabularySize() const override { return vocabulary; }
  int64_t contextLength() const override {
    int64_t known = session.module().info().contextLength, fixed = fixedLength();
    return known > 0 && fixed > 0 ? std::min(known, fixed) : std::max(known, fixed);
  }
  // Ids of one dimension are one row.
  int64_t fixedRows() const override { return idDims().size() == 1 ? 1 : std::max<int64_t>(idDims()[0].size, 0); }
  int64_t fixedLength() const override { return std::max<int64_t>(idDims().back().size, 0); }
  ThreadPool &threads() override { return session.threads(); }

private:
  const std::vector<qopt::Dimension> &idDims() const {
    auto isTokenIds = [](const TensorInfo &input) { return input.role == Role::TokenIds; };
    return std::find_if(entry.inputs.begin(), entry.inputs.end(), isTokenIds)->dims;
  }

  Session &session;
  const EntryPoint &entry;
  std::vector<TensorInfo> inputs; ///< of `entry`, their sizes known
  size_t output;
  int64_t vocabulary;
};
} // namespace

/// What a token that is there is for a mask, and what the largest number against it.
static double biasAt(ElementType type, bool isShown) {
  switch (type) {
  case ElementType::F16:
    return isShown ? 0 : -65504;
  case ElementType::F32:
  case ElementType::BF16:
    return isShown ? 0 : std::numeric_limits<float>::lowest();
  default:
    return isShown;
  }
}

/// The element of an input of this role that belongs to a token, and, where a bias has one for each pair
/// of tokens, to one that it sees.
static double valueAt(const TensorInfo &info, const TokenBatch &batch, int64_t used, int64_t row, int64_t position,
                      int64_t key) {
  switch (info.role) {
  case Role::TokenIds:
    return batch.ids[static_cast<size_t>(row * batch.length + position)];
  case Role::AttentionMask:
    return position >= batch.paddingOf(row) && position < used;
  case Role::AttentionBias:
    // Filling sees itself, so that each row of scores has one that counts.
    return biasAt(info.type, key == position || (key < position && key >= batch.paddingOf(row)));
  case Role::PositionIds:
    return static_cast<double>(std::max<int64_t>(position - batch.paddingOf(row), 0));
  default:
    return 0; // token types, all logits; past keys and values have no elements
  }
}

/// The sizes of an input for these rows: those that the model fixes, else as many as there are.
static std::vector<int64_t> dimsOf(const TensorInfo &info, const TokenBatch &batch) {
  if (isPast(info.role))
    return {batch.rows, info.dims[1].size, 0, info.dims[3].size};
  if (info.role == Role::LogitsToKeep)
    return std::vector<int64_t>(info.dims.size(), 1);
  std::vector<int64_t> wanted = {batch.length};
  if (info.role == Role::AttentionBias)
    wanted.push_back(batch.length);
  if (info.dims.size() > 3)
    wanted.insert(wanted.begin(), 1);
  if (info.dims.size() > wanted.size())
    wanted.insert(wanted.begin(), batch.rows);
  for (size_t i = 0; i < wanted.size(); ++i)
    if (info.dims[i].size >= 0)
      wanted[i] = info.dims[i].size;
  return wanted;
}

template <typename T, typename Convert>
static Tensor makeInput(const TokenBatch &batch, int64_t used, const TensorInfo &info, Convert convert) {
  std::vector<int64_t> dims = dimsOf(info, batch);
  Tensor tensor(info.type, dims);
  bool hasKeys = info.role == Role::AttentionBias;
  int64_t keys = hasKeys ? dims.back() : 1, tokens = hasKeys ? dims[dims.size() - 2] : dims.empty() ? 1 : dims.back();
  int64_t heads = dims.size() > 3 ? dims[1] : 1;
  T *data = tensor.data<T>();
  for (int64_t i = 0, n = tensor.numElements(); i < n; ++i)
    data[i] = convert(valueAt(info, batch, used, i / (keys * tokens * heads), i / keys % tokens, i % keys));
  return tensor;
}

static Tensor makeInput(const TokenBatch &batch, int64_t used, const TensorInfo &info) {
  auto as = [](auto type) { return [](double value) { return static_cast<decltype(type)>(value); }; };
  switch (info.type) {
  case ElementType::I64:
    return makeInput<int64_t>(batch, used, info, as(int64_t()));
  case ElementType::I32:
    return makeInput<int32_t>(batch, used, info, as(int32_t()));
  case ElementType::F32:
    return makeInput<float>(batch, used, info, as(float()));
  case ElementType::F16:
    return makeInput<uint16_t>(batch, used, info,
                               [](double value) { return qopt::floatToHalf(static_cast<float>(value)); });
  case ElementType::BF16:
    return makeInput<uint16_t>(batch, used, info,
                               [](double value) { return qopt::floatToBrain(static_cast<float>(value)); });
  default: // ElementType::Bool, as makeSessionModel() made sure
    return makeInput<uint8_t>(batch, used, info, as(uint8_t()));
  }
}

Tensor qrt::widened(Tensor half) {
  if (half.type() == ElementType::F32)
    return half;
  Tensor result(ElementType::F32, half.dims());
  auto widen = half.type() == ElementType::BF16 ? qopt::widenBrains : qopt::widenHalves;
  widen(half.data<char>(), half.numElements(), result.data<float>());
  return result;
}

/// `batch` with as many rows and tokens as a model of fixed sizes takes: what is added stands
/// behind what counts, where no token that counts sees it.
static TokenBatch filledUp(const TokenBatch &batch, int64_t rows, int64_t length) {
  TokenBatch result{std::max(rows, batch.rows), std::max(length, batch.length), {}, batch.padding};
  result.ids.resize(static_cast<size_t>(result.rows * result.length));
  for (int64_t row = 0; row < batch.rows; ++row)
    std::copy_n(batch.ids.begin() + row * batch.length, batch.length, result.ids.begin() + row * result.length);
  if (!batch.padding.empty())
    result.padding.resize(static_cast<size_t>(result.rows));
  return result;
}

Result<Tensor> SessionModel::logits(const TokenBatch &batch) {
  if (Status status = checkTokens(batch.ids, batch.length, /*firstPosition=*/0, vocabulary); !status)
    return status.error();
  bool isWhole = fixedRows() <= batch.rows && fixedLength() <= batch.length;
  TokenBatch larger;
  if (!isWhole)
    larger = filledUp(batch, fixedRows(), fixedLength());
  Result<Tensor> computed = run(isWhole ? batch : larger, batch.length);
  if (!computed || isWhole)
    return computed;
  if (!hasAllLogits() && fixedLength() > batch.length)
    return Error{"the model gives logits behind the last of " + std::to_string(fixedLength()) +
                 " tokens only, but there are " + std::to_string(batch.length)};
  int64_t computedLength = computed->dims()[1], length = std::min(computedLength, batch.length);
  float *data = computed->data<float>();
  for (int64_t row = 1; row < batch.rows; ++row)
    std::memmove(data + row * length * vocabulary, data + row * computedLength * vocabulary,
                 sizeof(float) * static_cast<size_t>(length * vocabulary));
  return computed->seenAs({batch.rows, length, vocabulary});
}

/// Rows and tokens as the model takes them, of which the first `used` tokens of a row count.
Result<Tensor> SessionModel::run(const TokenBatch &batch, int64_t used) {
  bool isPadded = std::any_of(batch.padding.begin(), batch.padding.end(), [](int64_t n) { return n > 0; });
  std::vector<Tensor> filled;
  for (const TensorInfo &input : inputs) {
    filled.push_back(makeInput(batch, used, input));
    bool isShared = input.dims.size() == 1 || (input.dims.size() > 1 && filled.back().dims()[0] != batch.rows);
    if (input.role == Role::PositionIds && isShared && isPadded)
      return Error{"rows of different lengths cannot be filled up: the input '" + qopt::printable(input.name) +
                   "' has the same positions for all"};
  }
  Result<std::vector<Tensor>> outputs = session.run(entry.name, filled);
  if (!outputs)
    return outputs.error();
  Tensor logits = std::move((*outputs)[output]);
  // One row may lack the dimension that counts rows, the last token that which counts tokens.
  int64_t length = hasAllLogits() ? batch.length : 1;
  std::vector<int64_t> wanted{batch.rows, length, vocabulary}, given = logits.dims(), result = wanted;
  std::erase(wanted, 1), std::erase(given, 1);
  if (wanted != given) {
    std::string got;
    for (int64_t dim : logits.dims())
      got += (got.empty() ? "" : ", ") + std::to_string(dim);
    return Error{"expected logits [" + std::to_string(batch.rows) + ", " + std::to_string(length) + ", " +
                 std::to_string(vocabulary) + "], but got [" + got + "]"};
  }
  return logits.seenAs(result);
}

/// The inputs of `entry`. Where exporters gave the heads of a past, or their size, names instead of numbers,
/// they are those of the keys or values that come out, if these agree.
static std::vector<TensorInfo> inputsOf(const EntryPoint &entry) {
  std::vector<TensorInfo> inputs = entry.inputs;
  for (TensorInfo &input : inputs) {
    if (!isPast(input.role) || input.dims.size() != 4)
      continue;
    Role present = input.role == Role::PastKey ? Role::PresentKey : Role::PresentValue;
    for (size_t i : {1, 3}) {
      std::set<int64_t> sizes;
      for (const TensorInfo &output : entry.outputs)
        if (output.role == present && output.dims.size() == 4)
          sizes.insert(output.dims[i].size);
      if (input.dims[i].size < 0 && sizes.size() == 1 && *sizes.begin() >= 0)
        input.dims[i] = {*sizes.begin(), ""};
    }
  }
  return inputs;
}

/// Whether values for `input` can be made from token ids; an error names it.
static Status checkInput(const TensorInfo &input) {
  auto isKnown = [](const qopt::Dimension &dim) { return dim.symbol.empty(); };
  size_t rank = input.dims.size();
  bool isFloat = isFloatType(input.type), isMask = isFloat || input.type == ElementType::Bool;
  if (qopt::isPast(input.role)
          ? rank == 4 && isFloat && isKnown(input.dims[1]) && isKnown(input.dims[3])
          : qopt::isToldByTokens(input.role, static_cast<int64_t>(rank), isIndexType(input.type), isMask))
    return {};
  return Error{
      "the model needs the input '" + qopt::printable(input.name) + "' (" + std::string(qopt::roleName(input.role)) +
      ", " + qopt::elementTypeName(input.type) + ", " + std::to_string(input.dims.size()) +
      " dimensions), but only token ids, masks, positions, token types, the number of logits and past keys and "
      "values can be filled from text"};
}

/// Which of `outputs` holds logits; an error says what there is instead.
static Result<size_t> findLogits(const std::vector<TensorInfo> &outputs) {
  auto isLogits = [](const TensorInfo &info) {
    return (info.role == Role::Logits || info.role == Role::LastLogits) && info.dims.size() >= 1 &&
           info.dims.size() <= 3 && isFloatType(info.type);
  };
  auto found = std::find_if(outputs.begin(), outputs.end(), isLogits);
  if (found != outputs.end())
    return static_cast<size_t>(found - outputs.begin());
  std::string others;
  for (const TensorInfo &output : outputs)
    others += (others.empty() ? "" : ", ") + ("'" + qopt::printable(output.name) + "': ") +
              std::string(qopt::roleName(output.role));
  return Error{"the model has no output of logits [batch, sequence, vocabulary], " +
               (others.empty() ? "and no other" : "only " + others)};
}

Result<std::unique_ptr<LanguageModel>> qrt::makeSessionModel(Session &session) {
  const EntryPoint *entry = nullptr;
  for (const EntryPoint &candidate : session.module().info().entryPoints)
    if (candidate.name == "forward")
      entry = &candidate;
  if (!entry)
    return Error{"the module has no entry point 'forward'"};

  std::vector<TensorInfo> inputs = inputsOf(*entry);
  for (const TensorInfo &input : inputs)
    if (Status status = checkInput(input); !status)
      return status.error();
  auto isTokenIds = [](const TensorInfo &input) { return input.role == Role::TokenIds; };
  if (std::count_if(entry->inputs.begin(), entry->inputs.end(), isTokenIds) != 1)
    return Error{"the model has no input of token ids"};
  Result<size_t> output = findLogits(entry->outputs);
  if (!output)
    return output.error();
  auto model = std::make_unique<SessionModel>(session, *entry, std::move(inputs), *output);
  if (model->vocabularySize() <= 0)
    return Error{"the size of the model's vocabulary is not known"};
  return std::unique_ptr<LanguageModel>(std::move(model));
}
