//===- Resources.h - What a compilation takes -----------------------------===//
//
// Wall time and memory for the report.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_DRIVER_RESOURCES_H
#define QOPT_LIB_DRIVER_RESOURCES_H

#include <chrono>
#include <cstdint>
#include <sys/resource.h>

namespace qopt {

/// Runs from when it is made.
class Stopwatch {
public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
};

/// The most memory that this process has had, in bytes; the kernel counts in KiB. 0 if it
/// does not say.
inline int64_t peakMemory() {
  rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss * int64_t(1024) : 0;
}

} // namespace qopt

#endif // QOPT_LIB_DRIVER_RESOURCES_H
