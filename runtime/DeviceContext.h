//===- DeviceContext.h - One call of an entry point on a device -----------===//
//
// What the code of a device asks the runtime for while it runs: memory of the device,
// launches, the record of errors that kernels find.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_DEVICECONTEXT_H
#define QOPT_LIB_RUNTIME_DEVICECONTEXT_H

#include "Context.h"
#include "Device.h"
#include "DeviceMemory.h"

namespace qrt {

/// The error record between calls.
inline constexpr QrtErrorRecord kNoError = {};

/// `errorRecord` is a QrtErrorRecord in the memory of the device, which holds kNoError.
class DeviceContext final : public QrtContext {
public:
  DeviceContext(ThreadPool &threads, Device &device, DeviceMemory &pool, const qopt::Module &module, void *errorRecord)
      : QrtContext(threads), device(device), pool(pool), module(module), errorRecord(errorRecord) {}
  ~DeviceContext() override {
    for (auto [memory, bytes] : allocations)
      pool.release(memory);
  }

  void *allocate(int64_t bytes) override;
  void release(void *memory) override;
  void launch(const QrtLaunch &launch, void *const *args) override;
  void *errors() override;
  int64_t capability() override { return device.capability(); }
  void tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) override {
    if (!failed())
      note(device.tensorMap(map, data, rows, rowBytes, boxRows));
  }
  void finish() override;

  /// Launches are only recorded: there is nothing to wait for.
  bool isRecording = false;
  /// Whether the code asked for the error record, which is empty between calls.
  bool usesErrors = false;

  /// Keeps an error of the device.
  void note(const Status &status) {
    if (!status)
      fail(QRT_LAUNCH_FAILED, 0, 0, status.error().message);
  }

private:
  Device &device;
  DeviceMemory &pool;
  const qopt::Module &module;
  void *errorRecord;
};

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_DEVICECONTEXT_H
