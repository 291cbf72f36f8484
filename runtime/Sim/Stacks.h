//===- Stacks.h - Stacks of fibers, and switching between them ------------===//
//
// Tens of thousands of simulated threads need stacks that cost little when they are not
// used.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SIM_STACKS_H
#define QOPT_RUNTIME_SIM_STACKS_H

#include <cstddef>
#include <vector>

namespace qrt::sim {

/// Stacks for the fibers of one block, each with a page below it that may not be
/// touched. Stacks that are given back are used again.
class Stacks {
public:
  Stacks() = default;
  Stacks(const Stacks &) = delete;
  ~Stacks() { clear(); }
  /// The upper end of a stack, null when there is no memory.
  char *take();
  void giveBack(char *top) { unused.push_back(top); }
  /// All stacks are unused from now on.
  void reset() { unused = tops; }
  /// Returns the memory to the system.
  void clear();

private:
  std::vector<char *> tops, unused;
  std::vector<void *> mappings;
};

/// What a stack must hold so that switching to the returned address calls
/// `function(argument)`, which must not return.
void *prepareStack(char *top, void (*function)(void *), void *argument);

/// Saves where this stack is in `*from` and goes on at `to`.
extern "C" void qrtSimSwitch(void **from, void *to);

} // namespace qrt::sim

#endif // QOPT_RUNTIME_SIM_STACKS_H
