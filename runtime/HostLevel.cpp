//===- HostLevel.cpp - Which host code this machine can run ---------------===//
//
// The processor is asked for each instruction set of a level, for LLVM uses all of them.
//
//===----------------------------------------------------------------------===//
#include "HostLevel.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <iterator>

using namespace qrt;
using qopt::Error;
using qopt::HostLevel;

bool qrt::machineHas(const HostLevel &level) {
  __builtin_cpu_init();
  bool hasV3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("lzcnt") &&
               __builtin_cpu_supports("movbe");
  if (level == qopt::kHostV3)
    return hasV3;
  return hasV3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni");
}

/// All levels, best first.
static std::vector<HostLevel> levelsBestFirst() {
  return {std::rbegin(qopt::kHostLevels), std::rend(qopt::kHostLevels)};
}

std::string qrt::hostLevel() {
  for (const HostLevel &level : levelsBestFirst())
    if (machineHas(level))
      return std::string(level.name);
  return {};
}

/// The names, with `separator` between them.
static std::string join(const std::vector<HostLevel> &levels, const char *separator) {
  std::string result;
  for (const HostLevel &level : levels)
    result += (result.empty() ? "" : separator) + std::string(level.name);
  return result;
}

Result<HostLevel> qrt::chooseLevel(const qopt::Module &module, const std::string &forced) {
  std::vector<HostLevel> inModule = levelsBestFirst();
  std::erase_if(inModule, [&](const HostLevel &level) { return module.section(qopt::hostSection(level)).empty(); });
  if (inModule.empty())
    return Error{"the module has no code for a CPU"};
  if (!forced.empty() && !qopt::findHostLevel(forced))
    return Error{"host level '" + qopt::printable(forced) + "' is not known; there are " +
                 join(levelsBestFirst(), " and ")};
  for (const HostLevel &level : inModule)
    if (machineHas(level) && (forced.empty() || forced == level.name))
      return level;
  std::string best = hostLevel();
  std::string machine = "this machine is " + (best.empty() ? "below " + std::string(qopt::kHostV3.name) : best);
  if (!forced.empty())
    return Error{"host level " + forced + " was asked for, but the module has " + join(inModule, ", ") + " and " +
                 machine};
  return Error{"the module has code for " + join(inModule, ", ") + ", but " + machine};
}
