//===- Memory.cpp - How much memory there is ------------------------------===//
//
// Linux says it in text files.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Memory.h"
#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace qopt;

namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

/// The number in a file that holds one; a limit that is not set is written as a word.
int64_t readNumber(const std::string &path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : kUnlimited;
}

/// What the control group of this process (version 2) leaves.
int64_t groupMemory() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    if (line.starts_with("0::")) {
      std::string folder = "/sys/fs/cgroup" + line.substr(3);
      int64_t limit = readNumber(folder + "/memory.max"), used = readNumber(folder + "/memory.current");
      if (limit != kUnlimited && used != kUnlimited)
        return std::max<int64_t>(limit - used, 0);
    }
  return kUnlimited;
}

} // namespace

int64_t qopt::availableMemory() {
  int64_t available = kUnlimited;
  std::ifstream file("/proc/meminfo");
  for (std::string name, rest; file >> name; std::getline(file, rest))
    if (int64_t kilobytes = 0; name == "MemAvailable:" && file >> kilobytes)
      available = kilobytes * 1024;
  return std::min(available, groupMemory());
}

void qopt::releaseFreedMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
