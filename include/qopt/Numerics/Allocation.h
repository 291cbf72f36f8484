//===- Allocation.h - Bytes shared out to layers --------------------------===//
//
// Each layer can have one of several sizes, and loses something with each.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_NUMERICS_ALLOCATION_H
#define QOPT_NUMERICS_ALLOCATION_H

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qopt {

struct SizedLoss {
  int64_t bytes = 0;
  double loss = 0;
};

/// Which of its choices each layer gets, so that the sum of losses is least and that of bytes at most
/// `budget`; of equal ones the smaller. Nothing where even the smallest are too many bytes. Exact as long as no more
/// than some thousand sums of bytes compete; beyond that the losses are within a few thousandths of the least.
std::optional<std::vector<size_t>> allocate(std::span<const std::vector<SizedLoss>> layers, int64_t budget);

} // namespace qopt

#endif // QOPT_NUMERICS_ALLOCATION_H
