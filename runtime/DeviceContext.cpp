//===- DeviceContext.cpp - One call of an entry point on a device ---------===//
//
// A launch is checked against the module's table before the device sees it; what went
// wrong is asked for once, when the entry point has returned.
//
//===----------------------------------------------------------------------===//
#include "DeviceContext.h"

using namespace qrt;

void *DeviceContext::allocate(int64_t bytes) {
  Result<void *> memory = pool.allocate(bytes);
  if (!memory) {
    fail(QRT_OUT_OF_MEMORY, bytes, 0, memory.error().message);
    return nullptr;
  }
  allocations.emplace(*memory, bytes);
  return *memory;
}

void DeviceContext::release(void *memory) {
  if (allocations.erase(memory) != 0)
    pool.release(memory);
}

void DeviceContext::launch(const QrtLaunch &launch, void *const *args) {
  if (failed())
    return;
  const auto &kernels = module.info().kernels;
  if (launch.kernel < 0 || launch.kernel >= static_cast<int64_t>(kernels.size()))
    return fail(QRT_LAUNCH_FAILED, launch.kernel, 0,
                "the code of the module launches kernel " + std::to_string(launch.kernel) + ", but its table has " +
                    std::to_string(kernels.size()));
  bool isEmpty = false, isPossible = launch.sharedBytes >= 0;
  for (int i = 0; i < 3; ++i) {
    isEmpty |= launch.grid[i] == 0;
    isPossible &= launch.grid[i] >= 0 && launch.block[i] > 0;
  }
  if (!isPossible)
    return fail(QRT_LAUNCH_FAILED, launch.kernel, 0,
                "the code of the module launches kernel " + kernels[static_cast<size_t>(launch.kernel)].name +
                    " with an impossible number of blocks or threads");
  if (!isEmpty)
    note(device.launch(launch, args));
}

void *DeviceContext::errors() {
  usesErrors = true;
  return errorRecord;
}

void DeviceContext::finish() {
  if (isRecording)
    return;
  QrtErrorRecord found = kNoError;
  if (!failed()) // else whatever still runs: nothing of this call is used
    note(usesErrors ? device.download(&found, errorRecord, sizeof found) : device.synchronize());
  if (found.code != QRT_OK)
    fail(found.code, found.a, found.b);
  if (failed() && usesErrors)
    (void)device.upload(errorRecord, &kNoError, sizeof kNoError);
}
