//===- Checkpoint.cpp - Calibration that goes on where it stopped ---------===//
//
// The state is JSON that names objects: one for each stage, one for each live value with
// the tensors of all batches.
//
//===----------------------------------------------------------------------===//
#include "Checkpoint.h"
#include "qopt/Support/Utf8.h"
#include <nlohmann/json.hpp>

using namespace mlir;
using namespace qopt;
using Json = nlohmann::ordered_json;

/// Changes with what a state or an object looks like.
static constexpr int64_t kFormat = 1;

Checkpoint::Checkpoint(std::string directory, ObjectStore store, func::FuncOp function, Fingerprint fingerprint)
    : directory(std::move(directory)), store(std::move(store)), fingerprint(std::move(fingerprint)) {
  auto add = [&](Value value) {
    numbers[value] = static_cast<int64_t>(byNumber.size());
    byNumber.push_back(value);
  };
  llvm::for_each(function.getArguments(), add);
  function.walk([&](Operation *op) { llvm::for_each(op->getResults(), add); });
}

Error Checkpoint::failure(const std::string &what) const {
  return {"checkpoint \"" + printable(directory) + "\": " + what};
}

Error Checkpoint::damaged(const std::string &what) const {
  return failure(what + "; remove the directory to begin anew");
}

//===----------------------------------------------------------------------===//
// Going on
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<Checkpoint>> Checkpoint::open(const std::string &directory, func::FuncOp function,
                                                     Fingerprint fingerprint) {
  Result<ObjectStore> store = ObjectStore::open(directory);
  if (!store)
    return Error{"checkpoint \"" + printable(directory) + "\": " + store.error().message +
                 "; give --checkpoint another directory"};
  std::unique_ptr<Checkpoint> checkpoint(
      new Checkpoint(directory, std::move(*store), function, std::move(fingerprint)));
  Result<std::string> state = checkpoint->store.state();
  if (!state)
    return checkpoint->damaged(state.error().message);
  if (!state->empty())
    if (Status status = checkpoint->readState(*state); !status)
      return status.error();
  checkpoint->store.keepOnly(checkpoint->needed());
  return checkpoint;
}

Status Checkpoint::readState(const std::string &text) {
  try {
    Json json = Json::parse(text);
    if (json.at("format").get<int64_t>() != kFormat)
      return failure("has format " + std::to_string(json.at("format").get<int64_t>()) + " but this qopt writes " +
                     std::to_string(kFormat) + "; remove the directory or give another");
    auto stored = json.at("fingerprint").get<Fingerprint>();
    for (const auto &[what, value] : fingerprint)
      if (auto found = stored.find(what); found == stored.end() || found->second != value)
        return failure("was made by another run: " + what +
                       " is not the same; repeat that run, remove the directory or give another");
    stages = json.at("stages").get<std::vector<std::string>>();
    for (const Json &entry : json.at("values")) {
      auto number = entry.at("value").get<int64_t>();
      if (number < 0 || number >= int64_t(byNumber.size()))
        return damaged("names a value that there is not");
      alive[number] = entry.at("objects").get<ValueObjects>();
    }
  } catch (const Json::exception &) {
    return damaged("state has another form than expected");
  }
  return {};
}

Result<StageResult> Checkpoint::readStage(size_t index) const {
  Result<MappedFile> file = store.get(stages[index]);
  if (!file)
    return damaged(file.error().message);
  Result<StageResult> result = qopt::readStage(file->bytes());
  if (!result)
    return damaged("objects/" + stages[index] + " " + result.error().message);
  return result;
}

Status Checkpoint::readValues(LiveValues &values) const {
  values.clear();
  for (const auto &[number, objects] : alive)
    for (Stream stream : {Quantized, Float}) {
      Value value = byNumber[number];
      if (stream == Float && objects[Float].empty()) {
        for (size_t i = 0; i < values.numBatches(); ++i)
          values.share(i, value);
        continue;
      }
      Result<MappedFile> file = store.get(objects[stream]);
      if (!file)
        return damaged(file.error().message);
      std::span<const std::byte> rest = file->bytes();
      for (size_t i = 0; i < values.numBatches(); ++i) {
        Result<qrt::Tensor> tensor = readTensor(rest);
        if (!tensor)
          return damaged("objects/" + objects[stream] + " " + tensor.error().message);
        if (Status status = values.set(i, stream, value, std::move(*tensor)); !status)
          return status;
      }
    }
  return {};
}

//===----------------------------------------------------------------------===//
// Storing
//===----------------------------------------------------------------------===//

Result<std::string> Checkpoint::putValue(LiveValues &values, Stream stream, Value value) {
  return store.put([&](const ObjectStore::Sink &sink) -> Status {
    for (size_t i = 0; i < values.numBatches(); ++i) {
      Result<qrt::Tensor> tensor = values.load(i, stream, value);
      if (!tensor)
        return tensor.error();
      if (Status status = writeTensor(*tensor, sink); !status)
        return status;
    }
    return {};
  });
}

Status Checkpoint::add(const StageResult &result, LiveValues &values) {
  Result<std::string> stage = store.put([&](const ObjectStore::Sink &sink) { return writeStage(result, sink); });
  if (!stage)
    return failure(stage.error().message);
  std::map<int64_t, ValueObjects> now;
  std::map<std::vector<const void *>, std::string> written;
  for (Value value : values.values()) {
    int64_t number = numbers.lookup(value);
    auto before = alive.find(number);
    bool isShared = values.identity(Quantized, value) == values.identity(Float, value);
    for (Stream stream : {Quantized, Float}) {
      if (stream == Float && isShared)
        continue;
      std::string &object = written[values.identity(stream, value)];
      if (object.empty() && before != alive.end())
        object = before->second[stream];
      if (object.empty()) {
        Result<std::string> put = putValue(values, stream, value);
        if (!put)
          return failure(put.error().message);
        object = *put;
      }
      now[number][stream] = object;
    }
  }
  alive = std::move(now);
  stages.push_back(*stage);
  if (Status status = store.publish(describeState(), needed()); !status)
    return failure(status.error().message);
  return {};
}

std::set<std::string> Checkpoint::needed() const {
  std::set<std::string> all(stages.begin(), stages.end());
  for (const auto &[number, objects] : alive)
    for (const std::string &object : objects)
      if (!object.empty())
        all.insert(object);
  return all;
}

std::string Checkpoint::describeState() const {
  Json list = Json::array();
  for (const auto &[number, objects] : alive)
    list.push_back({{"value", number}, {"objects", objects}});
  Json json = {{"format", kFormat}, {"fingerprint", fingerprint}, {"stages", stages}, {"values", list}};
  return json.dump(1) + "\n";
}
