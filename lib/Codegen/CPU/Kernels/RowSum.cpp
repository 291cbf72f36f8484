//===- RowSum.cpp - Sums over a row ----------------------------------------===//
//
// Four vectors of sums do not wait for each other.
//
//===----------------------------------------------------------------------===//
#include "RowSum.h"

namespace qopt::kernels {

Value sumRow(Kernel &k, int64_t width, llvm::function_ref<Value(Value, Value, int64_t)> add) {
  constexpr int64_t kSums = 4, kStep = kSums * kLanes;
  Values sums(kSums, k.splat(0.0f));
  int64_t stepped = width / kStep * kStep;
  if (stepped)
    sums = k.forLoop(k.index(0), k.index(stepped), kStep, sums, [&](Value i, ValueRange partial) {
      Values next;
      for (int64_t j = 0; j < kSums; ++j)
        next.push_back(add(partial[j], k.add(i, k.index(j * kLanes)), kLanes));
      return next;
    });
  for (int64_t i = stepped, j = 0; i < width; i += kLanes, ++j)
    sums[j] = add(sums[j], k.index(i), std::min(width - i, kLanes));
  return k.sumLanes(k.add(k.add(sums[0], sums[2]), k.add(sums[1], sums[3])));
}

} // namespace qopt::kernels
