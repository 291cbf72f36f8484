#include "qopt/Runtime/LanguageModel.h"
#include "qopt/Support/Half.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <bit>

using namespace qrt;
using qopt::EntryPoint;
using qopt::Error;
using qopt::TensorInfo;

namespace {
enum class Role { InputIds, AttentionMask, PositionIds, Past };

class SessionModel final : public LanguageModel {
public:
  SessionModel(Session &session, const EntryPoint &entry, std::vector<Role> roles, size_t output)
      : session(session), entry(entry), roles(std::move(roles)), output(output),
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
    size_t index = std::find(roles.begin(), roles.end(), Role::InputIds) - roles.begin();
    return entry.inputs[index].dims;
  }

  Session &session;
  const EntryPoint &entry;
  std::vector<Role> roles; // of each input
  size_t output;
  int64_t vocabulary;
};
} // namespace

static int64_t valueAt(Role role, const TokenBatch &batch, int64_t row, int64_t position) {
  switch (role) {
  case Role::InputIds:
    return batch.ids[static_cast<size_t>(row * batch.length + position)];
  case Role::AttentionMask:
    return position >= batch.paddingOf(row);
  case Role::PositionIds:
    return std::max<int64_t>(position - batch.paddingOf(row), 0);
  case Role::Past:
    break; // has no elements
  }
  return 0;
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

static Tensor makeInput(Role role, const TokenBatch &batch, const TensorInfo &info) {
  if (role == Role::Past)
    return Tensor(info.type, {batch.rows, info.dims[1].size, 0, info.dims[3].size});
  switch (info.type) {
  case ElementType::I64:
    return makeInput<int64_t>(role, batch, info.type);
  case ElementType::I32:
    return makeInput<int32_t>(role, batch, info.type);
  case ElementType::F32:
    return makeInput<float>(role, batch, info.type);
  default: // ElementType::Bool, as makeSessionModel() made sure
    return makeInput<uint8_t>(role, batch, info.type);
  }
}

Tensor qrt::widened(Tensor half) {
  if (half.type() == ElementType::F32)
    return half;
  Tensor result(ElementType::F32, half.dims());
  const uint16_t *source = half.data<uint16_t>();
  float *target = result.data<float>();
  bool isBrain = half.type() == ElementType::BF16;
  for (int64_t i = 0, n = half.numElements(); i < n; ++i)
    target[i] = isBrain ? qopt::brainToFloat(source[i]) : qopt::halfToFloat(source[i]);
  return result;
}

Result<Tensor> SessionModel::logits(const TokenBatch &batch) {
  for (size_t i = 0; i < batch.ids.size(); ++i)
    if (batch.ids[i] < 0 || batch.ids[i] >= vocabulary)
      return Error{"token id " + std::to_string(batch.ids[i]) + " at position " +
                   std::to_string(static_cast<int64_t>(i) % batch.length) + " is beyond the vocabulary of " +
                   std::to_string(vocabulary)};
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < roles.size(); ++i)
    inputs.push_back(makeInput(roles[i], batch, entry.inputs[i]));
  Result<std::vector<Tensor>> outputs = session.run(entry.name, inputs);
  if (!outputs)
    return outputs.error();
  Tensor logits = std::move((*outputs)[output]);
  if (logits.dims() != std::vector<int64_t>{batch.rows, batch.length, vocabulary})
    return Error{"expected logits [" + std::to_string(batch.rows) + ", " + std::to_string(batch.length) + ", " +
                 std::to_string(vocabulary) + "], but got [" + std::to_string(logits.dims()[0]) + ", " +
                 std::to_string(logits.dims()[1]) + ", " + std::to_string(logits.dims()[2]) + "]"};
  return widened(std::move(logits));
}

/// What `input` is for; an error names it.
static Result<Role> roleOf(const TensorInfo &input) {
  bool isTable = input.dims.size() == 2;
  auto isKnown = [](const qopt::Dimension &dim) { return dim.symbol.empty(); };
  if (input.dims.size() == 4 && isFloatType(input.type) && isKnown(input.dims[1]) && !isKnown(input.dims[2]) &&
      isKnown(input.dims[3]))
    return Role::Past;
  if (input.name == "input_ids" && isTable && isIndexType(input.type))
    return Role::InputIds;
  if (input.name == "position_ids" && isTable && isIndexType(input.type))
    return Role::PositionIds;
  if (input.name == "attention_mask" && isTable &&
      (isIndexType(input.type) || input.type == ElementType::Bool || input.type == ElementType::F32))
    return Role::AttentionMask;
  return Error{"the model needs the input '" + qopt::printable(input.name) + "' (" + qopt::elementTypeName(input.type) +
               ", " + std::to_string(input.dims.size()) +
               " dimensions), but only input_ids, attention_mask, position_ids and past keys and values can be filled "
               "from text"};
}

Result<std::unique_ptr<LanguageModel>> qrt::makeSessionModel(Session &session) {
  const EntryPoint *entry = nullptr;
  for (const EntryPoint &candidate : session.module().info().entryPoints)
    if (candidate.name == "forward")
      entry = &candidate;
  if (!entry)
    return Error{"the module has no entry point 'forward'"};

  std::vector<Role> roles;
  for (const TensorInfo &input : entry->inputs) {
    Result<Role> role = roleOf(input);
    if (!role)
      return role.error();
    roles.push_back(*role);
  }
  if (std::count(roles.begin(), roles.end(), Role::InputIds) != 1)
    return Error{"the model has no input 'input_ids'"};

  auto isLogits = [](const TensorInfo &info) { return info.dims.size() == 3 && isFloatType(info.type); };
  const std::vector<TensorInfo> &outputs = entry->outputs;
  auto found = std::find_if(outputs.begin(), outputs.end(),
                            [&](const TensorInfo &info) { return info.name == "logits" && isLogits(info); });
  if (found == outputs.end())
    found = std::find_if(outputs.begin(), outputs.end(), isLogits);
  if (found == outputs.end())
    return Error{"the model has no output of floats [batch, sequence, vocabulary]"};
  auto model =
      std::make_unique<SessionModel>(session, *entry, std::move(roles), static_cast<size_t>(found - outputs.begin()));
  if (model->vocabularySize() <= 0)
    return Error{"the size of the model's vocabulary is not known"};
  return std::unique_ptr<LanguageModel>(std::move(model));
}
