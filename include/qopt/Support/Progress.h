//===- Progress.h - How far long work is ----------------------------------===//
//
// Quantizing takes minutes. Whoever watches a terminal sees how many are left; a log
// file sees nothing of it.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_PROGRESS_H
#define QOPT_SUPPORT_PROGRESS_H

#include <chrono>
#include <cstdint>
#include <string>

namespace qopt {

/// A line on stderr with a bar and an estimate of the time left, redrawn in
/// place; nothing at all where stderr is not a terminal. The line vanishes with
/// the object.
class Progress {
public:
  Progress(std::string label, bool isQuiet);
  ~Progress() { clear(); }
  Progress(const Progress &) = delete;

  /// `done` of `total` is finished.
  void update(int64_t done, int64_t total);
  /// Removes the line, e.g. before a message.
  void clear();

private:
  using Clock = std::chrono::steady_clock;
  std::string label;
  bool isShown;
  bool isDrawn = false;
  Clock::time_point start = Clock::now(), lastDrawn;
};

} // namespace qopt

#endif // QOPT_SUPPORT_PROGRESS_H
