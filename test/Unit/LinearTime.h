//===- LinearTime.h - Work that grows as its input does -------------------===//
//
// Processor time, not that of the clock, and the least of some attempts: other processes on
// the machine must not decide.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_UNIT_LINEARTIME_H
#define QOPT_TEST_UNIT_LINEARTIME_H

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <gtest/gtest.h>
#include <limits>
#include <string>
#include <string_view>

namespace qopt::test {

/// Expects that run(2 * size) takes no more than 2.5 times as long as run(size).
template <typename Run>
void expectLinearTime(size_t size, Run run) {
  constexpr int attempts = 6;
  auto measure = [&](size_t n) {
    std::clock_t start = std::clock();
    run(n);
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  };
  double single = std::numeric_limits<double>::infinity(), twice = single;
  for (int i = 0; i < attempts; ++i) {
    single = std::min(single, measure(size));
    twice = std::min(twice, measure(2 * size));
    if (twice <= 2.5 * single)
      return;
  }
  ADD_FAILURE() << single << " s for " << size << ", but " << twice << " s for twice as much";
}

/// `unit` over and over, `size` bytes or a little more.
inline std::string repeated(std::string_view unit, size_t size) {
  std::string text;
  text.reserve(size + unit.size());
  while (text.size() < size)
    text += unit;
  return text;
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_LINEARTIME_H
