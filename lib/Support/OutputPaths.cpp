//===- OutputPaths.cpp - No output is an input or another output ----------===//
//
// Files that are there are compared by device and inode, others by where they would be.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/OutputPaths.h"
#include "qopt/Support/Tool.h"
#include "qopt/Support/Utf8.h"
#include <filesystem>

using namespace qopt;
namespace fs = std::filesystem;

namespace {

bool isFile(const std::string &path) {
  std::error_code ignored;
  fs::file_status status = fs::status(path, ignored);
  return !path.empty() && path != "-" && (fs::is_regular_file(status) || !fs::exists(status));
}

bool isSame(const std::string &a, const std::string &b) {
  std::error_code code;
  if (fs::equivalent(a, b, code))
    return true;
  fs::path first = fs::weakly_canonical(fs::absolute(a), code), second = fs::weakly_canonical(fs::absolute(b), code);
  return !code && first == second;
}

} // namespace

Status qopt::checkOutputPaths(const std::vector<std::string> &outputs, const std::vector<std::string> &inputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!isFile(outputs[i]))
      continue;
    for (const std::string &input : inputs)
      if (isFile(input) && isSame(outputs[i], input))
        return inFile(outputs[i], {"is to be written, but it is also read: as " + printable(input)});
    for (size_t j = 0; j < i; ++j)
      if (isFile(outputs[j]) && isSame(outputs[i], outputs[j]))
        return inFile(outputs[i], {"is to be written twice: also as " + printable(outputs[j])});
  }
  return {};
}
