//===- Wgmma.h - Asynchronous products of a warp --------------------------===//
//
// The hardware may do such a product at any time until it is waited for; the simulator
// makes code that relies on a time fail.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SIM_WGMMA_H
#define QOPT_RUNTIME_SIM_WGMMA_H

#include "Race.h"
#include "qopt/Runtime/SimAbi.h"
#include <array>
#include <iterator>
#include <string>
#include <vector>

namespace qrt::sim {

/// A warp's part of wgmma: 16 rows, which no other warp has to do with, so that the four
/// warps of a warpgroup need not be at the same one at the same time.
///
/// Products are computed when they are waited for. Until then the registers of their
/// sums hold names (NaN as floats, large as integers): code that reads them early gets
/// nonsense, and so does who changes them. That a fence comes before the first product
/// after a wait is checked; which registers were written since is not known.
///
/// To the race detector somebody else reads shared memory, from when a product is started
/// until it is waited for.
class WgmmaQueue {
public:
  using Lanes = std::array<uint32_t *, 32>;
  using Operands = std::array<std::array<uint32_t, 4>, 32>;

  ~WgmmaQueue() { reset(); }

  void reset();
  void fence() { isFenced = true; }
  /// To be called by each lane before start(): what it sees, the product sees.
  void release() { race::release(&raceStart); }
  /// Takes the operands of all lanes; their `sums` become names. What is wrong, or "".
  std::string start(const QrtSimWgmmaKind &kind, const Operands &a, uint64_t descriptor, const Lanes &sums,
                    const char *shared, int64_t sharedBytes);
  void commit() { groupEnds.push_back(products.size()); }
  /// Computes all but the last `pending` groups and puts sums in the place of names
  /// that nothing is to be added to any more.
  void wait(uint32_t pending, const Lanes &sums, uint32_t count, const char *shared);
  /// To be called by each lane after wait(): what products have read may be written.
  void acquire();
  bool isIdle() const { return products.empty(); }

private:
  struct Product {
    QrtSimWgmmaKind kind;
    uint64_t descriptor;
    Operands a;
    size_t accumulators;
  };
  /// The sums of a chain of products; empty when unused.
  using Accumulators = std::vector<uint32_t>; // [lane][word]

  std::string findAccumulators(const QrtSimWgmmaKind &kind, const Lanes &sums, size_t &found);
  bool isNamed(size_t which, const Lanes &sums, uint32_t count, uint32_t &matches) const;
  void readAll(const Product &product, const char *shared);

  std::vector<Product> products; // in order, not yet computed
  std::vector<size_t> groupEnds; // in `products`
  std::vector<Accumulators> accumulators;
  bool isFenced = false;

  // For the race detector: who reads, and places to meet, of the last products in turn.
  void *reader = nullptr;
  char raceStart = 0, raceEnds[64] = {};
  size_t numStarted = 0, numFinished = 0, numFinishedBefore = 0; ///< by the last wait, by the one before
};

} // namespace qrt::sim

#endif // QOPT_RUNTIME_SIM_WGMMA_H
