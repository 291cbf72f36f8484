//===- Arrays.cpp - qrun --input NAME=FILE --output=DIR -------------------===//
//
// Runs the first entry point once on arrays from files, so that any program can compare what a
// module computes.
//
//===----------------------------------------------------------------------===//
#include "Commands.h"
#include "qopt/Runtime/Describe.h"
#include "qopt/Runtime/TensorFile.h"
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

using namespace qopt;
using qrt::Tensor;
using Json = nlohmann::ordered_json;

/// The files by input name.
static Result<std::map<std::string, std::string>> parseInputs(const std::vector<std::string> &inputs) {
  std::map<std::string, std::string> files;
  for (const std::string &input : inputs) {
    size_t equals = input.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == input.size())
      return usageError("--input=" + printable(input) + ": expected NAME=FILE");
    if (!files.emplace(input.substr(0, equals), input.substr(equals + 1)).second)
      return usageError("--input " + printable(input.substr(0, equals)) + " was given twice");
  }
  return files;
}

/// Gather counts negative rows from the end, but no token is meant so.
static Status checkNoneNegative(const Tensor &ids) {
  Result<Tensor> wide = qrt::convertTensor(ids, ElementType::I64);
  for (int64_t i = 0, n = wide ? wide->numElements() : 0; i < n; ++i)
    if (int64_t id = wide->data<int64_t>()[i]; id < 0)
      return Error{"token id " + std::to_string(id) + " at element " + std::to_string(i) + " is negative"};
  return {};
}

/// The tensors in declared order.
static Result<std::vector<Tensor>> readInputs(const EntryPoint &entry, std::map<std::string, std::string> files) {
  std::vector<Tensor> tensors;
  for (const TensorInfo &input : entry.inputs) {
    auto found = files.find(input.name);
    if (found == files.end())
      return Error{"input '" + printable(input.name) + "' " + qrt::describeType(input) + " was not given"};
    Result<Tensor> tensor = qrt::readTensorFile(found->second);
    if (!tensor)
      return inFile(found->second, tensor.error());
    tensor = qrt::convertTensor(*tensor, input.type);
    if (!tensor)
      return inFile(found->second, tensor.error());
    if (input.role == Role::TokenIds)
      if (Status status = checkNoneNegative(*tensor); !status)
        return inFile(found->second, status.error());
    tensors.push_back(std::move(*tensor));
    files.erase(found);
  }
  if (!files.empty())
    return Error{"the model has no input '" + printable(files.begin()->first) + "'"};
  return tensors;
}

/// A file name for an output: its own, with what cannot be in one replaced, and with a number
/// where another output of `taken` has got the same.
static std::string fileNameFor(const std::string &output, std::set<std::string> &taken) {
  std::string name = output;
  for (char &c : name)
    if (c == '/' || c == '\0')
      c = '_';
  std::string unique = name;
  for (int number = 2; !taken.insert(unique).second; ++number)
    unique = name + "_" + std::to_string(number);
  return unique + ".npy";
}

/// Reads the inputs, runs the module, and says what came out and how long that took.
Status runOnce(const Request &request) {
  Result<std::map<std::string, std::string>> files = parseInputs(request.inputs);
  if (!files)
    return files.error();
  auto session = openSession(request, request.modulePath);
  if (!session)
    return session.error();
  const std::vector<EntryPoint> &entries = (*session)->module().info().entryPoints;
  if (entries.empty())
    return inFile(request.modulePath, {"has no entry point"});
  const EntryPoint &entry = entries.front();
  Result<std::vector<Tensor>> inputs = readInputs(entry, std::move(*files));
  if (!inputs)
    return inputs.error();
  auto start = std::chrono::steady_clock::now();
  Result<std::vector<Tensor>> outputs = (*session)->run(entry.name, *inputs);
  if (!outputs)
    return inFile(request.modulePath, outputs.error());
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  std::vector<std::string> paths(outputs->size());
  std::set<std::string> taken;
  if (!request.outputFolder.empty())
    for (size_t i = 0; i < paths.size(); ++i)
      paths[i] = request.outputFolder + "/" + fileNameFor(entry.outputs[i].name, taken);
  std::vector<std::string> all = paths;
  all.push_back(request.jsonFile);
  if (Status status = checkOutputPaths(all, request.filesRead()); !status)
    return status;
  // Made only now: a call that fails leaves no empty folder.
  if (!request.outputFolder.empty()) {
    std::error_code code;
    std::filesystem::create_directories(request.outputFolder, code);
    if (code)
      return inFile(request.outputFolder, {"cannot create: " + code.message()});
  }
  Json json = {
      {"outputs", Json::array()}, {"device", (*session)->device()}, {"code", (*session)->code()}, {"seconds", seconds}};
  for (size_t i = 0; i < outputs->size(); ++i) {
    const TensorInfo &info = entry.outputs[i];
    const std::string &path = paths[i];
    if (!path.empty()) {
      if (Status status = qrt::writeTensorFile(path, (*outputs)[i]); !status)
        return inFile(path, status.error());
    }
    // The module declares dimensions by name; what is printed are their sizes.
    TensorInfo actual = info;
    for (size_t axis = 0; axis < actual.dims.size(); ++axis)
      actual.dims[axis] = {(*outputs)[i].dims()[axis], ""};
    if (!request.jsonToStdout())
      std::printf("%s %s%s%s\n", printable(info.name).c_str(), qrt::describeType(actual).c_str(),
                  path.empty() ? "" : " -> ", printable(path).c_str());
    json["outputs"].push_back({{"name", info.name}, {"dims", (*outputs)[i].dims()}, {"file", path}});
  }
  return writeJson(request, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}
