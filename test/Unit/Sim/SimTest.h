//===- SimTest.h - Kernels compiled from text and simulated ---------------===//
#ifndef QOPT_TEST_UNIT_SIM_SIMTEST_H
#define QOPT_TEST_UNIT_SIM_SIMTEST_H

#include "qopt/Runtime/Sim.h"
#include "gtest/gtest.h"
#include <array>
#include <cstring>
#include <random>
#include <string>

namespace qopt::test {

struct Shape {
  std::array<int32_t, 3> grid{1, 1, 1}, block{32, 1, 1};
  int64_t sharedBytes = 0;
  int threads = 2; ///< of the CPU
};

/// A module of gpu.funcs, compiled for the simulator.
class Kernels {
public:
  /// `text`: gpu.funcs; @shared is declared before them.
  explicit Kernels(const std::string &text, bool detectRaces = false);

  /// What the compiler said; empty if it succeeded.
  const std::string &diagnostics() const { return messages; }
  std::span<const char> code() const { return elf; }

  /// Simulates one launch; the message, empty on success.
  template <typename... Arguments>
  std::string run(const std::string &name, const Shape &shape, Arguments... arguments) {
    void *addresses[] = {static_cast<void *>(&arguments)..., nullptr};
    return launch(name, shape, addresses);
  }

private:
  std::string launch(const std::string &name, const Shape &shape, void *const *arguments);

  std::string messages;
  std::vector<char> elf;
  std::shared_ptr<const qrt::HostCode> loaded;
};

/// Replaces each {key} in `text`.
std::string fill(std::string text, const std::vector<std::pair<std::string, std::string>> &values);

/// 64-byte aligned memory.
template <typename T>
class Array {
public:
  explicit Array(size_t count, T value = T()) : count(count), memory(new (std::align_val_t(64)) T[count]) {
    std::fill_n(memory.get(), count, value);
  }
  T *data() { return memory.get(); }
  T &operator[](size_t i) { return memory[i]; }
  size_t size() const { return count; }

private:
  struct Release {
    void operator()(T *p) const { ::operator delete[](p, std::align_val_t(64)); }
  };
  size_t count;
  std::unique_ptr<T[], Release> memory;
};

template <typename T>
Array<T> randomBits(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  Array<T> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<T>(random());
  return values;
}

} // namespace qopt::test

#endif // QOPT_TEST_UNIT_SIM_SIMTEST_H
