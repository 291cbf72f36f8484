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
        vocabulary(entry.outputs[output].dims[2].size) {
    if (vocabulary < 0)
      vocabulary = session.module().info().vocabularySize;
  }

  Result<Tensor> logits(const TokenBatch &batch) override;
  Result<std::unique_ptr<Decoder>> makeDecoder(int64_t capacity) override { return session.makeDecoder(1, capacity); }
  int64_t vocabularySize() const override { return vocabulary; }
  int64_t contextLength() const override { return session.module().info().contextLength; }
  int64_t fixedRows() const override { return std::max<int64_t>(idDims()[0].size, 0); }
  int64_t fixedLength() const override { return std::max<int64_t>(idDims()[1].size, 0); }
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

static int64_t valueAt(Role role, const TokenBatch &batch, int64_t row, int64_t position) {
  switch (role) {
  case Role::TokenIds:
    return batch.ids[static_cast<size_t>(row * batch.length + position)];
  case Role::AttentionMask:
    return position >= batch.paddingOf(row);
  case Role::PositionIds:
    return std::max<int64_t>(position - batch.paddingOf(row), 0);
  default:
    return 0; // past keys and values have no elements
  }
}

template <typename T>
static Tensor makeInput(Role role, const TokenBatch &batch, ElementType type) {
  Tensor tensor(type, {batch.rows, batch.length});
  T *data = tensor.data<T>();
  for (int64_t row = 0; row < batch.rows; ++row)
    for (int64_t position = 0; position < batch.length; ++position)
      *data++ = static_cast<T>(valueAt(role, batch, row, position));
  return tensor;
}

static Tensor makeInput(const TokenBatch &batch, const TensorInfo &info) {
  if (isPast(info.role))
    return Tensor(info.type, {batch.rows, info.dims[1].size, 0, info.dims[3].size});
  switch (info.type) {
  case ElementType::I64:
    return makeInput<int64_t>(info.role, batch, info.type);
  case ElementType::I32:
    return makeInput<int32_t>(info.role, batch, info.type);
  case ElementType::F32:
    return makeInput<float>(info.role, batch, info.type);
  default: // ElementType::Bool, as makeSessionModel() made sure
    return makeInput<uint8_t>(info.role, batch, info.type);
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

Result<Tensor> SessionModel::logits(const TokenBatch &batch) {
  if (Status status = checkTokens(batch.ids, batch.length, /*firstPosition=*/0, vocabulary); !status)
    return status.error();
  std::vector<Tensor> filled;
  for (const TensorInfo &input : inputs)
    filled.push_back(makeInput(batch, input));
  Result<std::vector<Tensor>> outputs = session.run(entry.name, filled);
  if (!outputs)
    return outputs.error();
  Tensor logits = std::move((*outputs)[output]);
  if (logits.dims() != std::vector<int64_t>{batch.rows, batch.length, vocabulary})
    return Error{"expected logits [" + std::to_string(batch.rows) + ", " + std::to_string(batch.length) + ", " +
                 std::to_string(vocabulary) + "], but got [" + std::to_string(logits.dims()[0]) + ", " +
                 std::to_string(logits.dims()[1]) + ", " + std::to_string(logits.dims()[2]) + "]"};
  return logits;
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
  bool isTable = input.dims.size() == 2;
  bool canMask = isIndexType(input.type) || input.type == ElementType::Bool || input.type == ElementType::F32;
  bool canBeMade = false;
  if (isPast(input.role))
    canBeMade = input.dims.size() == 4 && isFloatType(input.type) && isKnown(input.dims[1]) && isKnown(input.dims[3]);
  else if (input.role == Role::TokenIds || input.role == Role::PositionIds)
    canBeMade = isTable && isIndexType(input.type);
  else if (input.role == Role::AttentionMask)
    canBeMade = isTable && canMask;
  if (canBeMade)
    return {};
  return Error{"the model needs the input '" + qopt::printable(input.name) + "' (" +
               std::string(qopt::roleName(input.role)) + ", " + qopt::elementTypeName(input.type) + ", " +
               std::to_string(input.dims.size()) +
               " dimensions), but only token ids, an attention mask, positions and past keys and values can be filled "
               "from text"};
}

/// Which of `outputs` holds logits for every token; an error says what there is instead.
static Result<size_t> findLogits(const std::vector<TensorInfo> &outputs) {
  auto isLogits = [](const TensorInfo &info) {
    return info.role == Role::Logits && info.dims.size() == 3 && isFloatType(info.type);
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
