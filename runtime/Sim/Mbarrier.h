//===- Mbarrier.h - Barriers that count bytes, and tensor copies ----------===//
//
// Data of a copy arrive at the wait that a program must have, so that a missing wait is
// seen.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SIM_MBARRIER_H
#define QOPT_RUNTIME_SIM_MBARRIER_H

#include "qopt/Runtime/SimAbi.h"
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace qrt::sim {

class Block;
struct Fiber;

/// What QrtApi::tensorMap writes for the simulator.
struct TensorMap {
  uint64_t magic;
  const char *data;
  int64_t rows, rowBytes, boxRows;
};

struct TensorCopy {
  Fiber *issuer;
  const char *site;
  char *to;
  TensorMap map;
  int32_t x, y;
};

struct Mbarrier {
  uint32_t count = 0;   ///< arrivals of a phase
  uint32_t pending = 0; ///< of them not yet there
  int64_t bytes = 0;    ///< expected and not yet there
  uint32_t phase = 0;
  bool isFenced = false;         ///< since it was initialised
  Fiber *owner = nullptr;        ///< who initialised it
  std::deque<TensorCopy> copies; ///< that have not arrived
  std::vector<Fiber *> waiting;
  char raceSync = 0;
};

/// The mbarriers of a block. Copies arrive as late as can be, at a wait for their
/// barrier, and in order; one that nobody has waited for when the block ends is a
/// fault, as are arrivals beyond the count of a phase.
class Mbarriers {
public:
  explicit Mbarriers(Block &block) : block(block) {}

  void reset() { barriers.clear(); }
  void init(Fiber &self, const char *site, void *address, uint32_t count);
  void fence(Fiber &self);
  void arrive(Fiber &self, const char *site, void *address, uint32_t bytes);
  void wait(Fiber &self, const char *site, void *address, uint32_t parity);
  void copy(Fiber &self, const TensorCopy &copy, const void *map, void *address);

  /// A copy that has not arrived, or null.
  const TensorCopy *findUnfinished() const;
  /// "mbarrier.try_wait.parity #2 for the mbarrier at offset 64, which lacks 1 arrival
  /// and 128 bytes in phase 0".
  std::string describeWait(const Fiber &waiting) const;

private:
  Mbarrier &find(Fiber &self, const char *site, void *address);
  void finishCopy(Mbarrier &barrier);
  void endPhaseIfComplete(Mbarrier &barrier);
  void wake(Mbarrier &barrier);

  Block &block;
  std::map<int64_t, Mbarrier> barriers; ///< by offset in shared memory
};

/// Where byte `offset` of shared memory is under the swizzle of 128 (3), 64 (2) or 32
/// (1) bytes: pieces of 16 bytes change places within rows of so many.
inline int64_t swizzle(int64_t offset, int bits) { return offset ^ ((offset >> 7 & ((1 << bits) - 1)) << 4); }

} // namespace qrt::sim

#endif // QOPT_RUNTIME_SIM_MBARRIER_H
