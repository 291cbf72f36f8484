//===- Sim.h - GPU kernels run on the CPU ---------------------------------===//
//
// Every GPU thread is a fiber; a block runs on one thread of the pool, blocks in
// parallel. What a GPU would get wrong silently stops the launch here: misaligned
// or out-of-bounds accesses, divergent warp operations and barriers, deadlocks.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_RUNTIME_SIM_H
#define QOPT_RUNTIME_SIM_H

#include "qopt/Runtime/Runtime.h"
#include "qopt/Runtime/SimAbi.h"
#include <array>

namespace qrt {

/// Limits of the simulated device.
inline constexpr int64_t kSimMaxThreads = 1024; ///< of a block
/// Of a block: what sm_86 and sm_89 give, the least of sm_80 and later.
inline constexpr int64_t kSimMaxSharedBytes = 99 << 10;

struct SimLaunch {
  QrtSimKernel kernel = nullptr;
  std::string name; ///< for messages
  std::array<int32_t, 3> grid{1, 1, 1}, block{1, 1, 1};
  int64_t sharedBytes = 0;
  void *const *args = nullptr; ///< args[i] points to the i-th argument
};

/// Fills `map` (QRT_TENSOR_MAP_BYTES, 64-byte aligned) as QrtApi::tensorMap says. Error:
/// what a driver would refuse.
Status simTensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows);

/// Runs all blocks and returns when they are done. An empty grid does nothing.
/// When a thread traps, the launch stops and the Error names kernel, block and
/// thread (the lowest block of those that trapped); memory is then as far as the
/// kernel got. Shared memory starts as 0xAA bytes.
Status simLaunch(const SimLaunch &launch, ThreadPool &threads);

} // namespace qrt

#endif // QOPT_RUNTIME_SIM_H
