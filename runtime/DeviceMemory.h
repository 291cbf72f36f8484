//===- DeviceMemory.h - Memory of a device, kept between calls ------------===//
//
// Allocating on a GPU takes longer than a kernel. What a call of an entry point
// releases is therefore kept and given to the next call, which asks for the same
// sizes when its inputs have the same; what a call did not need is freed when it
// ends. Everything on a device happens in order, so memory can be given out again
// before the kernels that used it are done.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_DEVICEMEMORY_H
#define QOPT_LIB_RUNTIME_DEVICEMEMORY_H

#include "Device.h"
#include <unordered_map>

namespace qrt {

class DeviceMemory {
public:
  explicit DeviceMemory(Device &device) : device(device) {}
  DeviceMemory(const DeviceMemory &) = delete;
  ~DeviceMemory();

  /// Error: there is not so much; it says how much was needed and is free.
  Result<void *> allocate(int64_t bytes);
  /// Keeps the memory for the next allocation. `memory` must be from allocate().
  void release(void *memory);
  /// Frees kept memory that was not used since the last call of this function.
  void endCall();

private:
  struct Block {
    void *memory = nullptr;
    int64_t bytes = 0;
    bool wasUsed = false;
  };
  void *takeKept(int64_t bytes);
  void freeKept(bool onlyUnused);

  Device &device;
  std::vector<Block> kept;
  std::unordered_map<void *, int64_t> given; // bytes of what is in use
};

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_DEVICEMEMORY_H
