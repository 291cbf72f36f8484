//===- Device.h - Where kernels run ---------------------------------------===//
//
// A device has memory of its own and runs the kernels of one module. Everything
// happens in the order in which it was asked for; only download() and
// synchronize() wait. After an error of the device all further calls fail.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_DEVICE_H
#define QOPT_LIB_RUNTIME_DEVICE_H

#include "qopt/Runtime/Runtime.h"

namespace qrt {

/// Launches that can be repeated, with the arguments that they had: what they read may
/// have changed.
class Recording {
public:
  virtual ~Recording() = default;
  virtual Status replay() = 0;
};

class Device {
public:
  virtual ~Device() = default;
  /// "cuda:0", "sim" or "sim:sm_90a".
  virtual const std::string &name() const = 0;
  /// For people: "NVIDIA H100 80GB HBM3, sm_90"; may be empty.
  virtual const std::string &description() const = 0;

  /// Makes the kernels of `module` ready to be launched; once, before anything else.
  /// Returns the section that they come from. Errors: no section for this device,
  /// code that cannot be loaded or lacks a kernel of the module's table.
  virtual Result<std::string> load(const qopt::Module &module) = 0;
  /// To be called first in each thread that uses the device.
  virtual Status enter() = 0;

  /// 256-byte aligned; `bytes` may be 0. Null when there is not so much memory.
  virtual Result<void *> allocate(int64_t bytes) = 0;
  virtual void release(void *memory) = 0;
  /// Bytes that allocate() could give; -1 when unknown.
  virtual int64_t freeBytes() = 0;

  /// `from` may change once this returns.
  virtual Status upload(void *to, const void *from, int64_t bytes) = 0;
  virtual Status download(void *to, const void *from, int64_t bytes) = 0;
  /// What the loaded kernels may use: 90 where those for sm_90a are among them, else 80.
  virtual int64_t capability() = 0;
  /// Fills `map` as QrtApi::tensorMap says; `data` may be wrong.
  virtual Status tensorMap(void *map, const void *data, int64_t rows, int64_t rowBytes, int64_t boxRows) = 0;
  /// No size of the launch is 0 or less, and its kernel is in the table.
  virtual Status launch(const QrtLaunch &launch, void *const *args) = 0;
  virtual Status synchronize() = 0;
  /// The CUstream that carries everything, for libraries that take one; null where there is none.
  virtual void *stream() { return nullptr; }

  /// What `launches` launches is recorded instead of run; it must not do anything else
  /// with the device but allocate. Its memory must live as long as the recording. Null
  /// where the device records nothing; then `launches` is not called.
  virtual Result<std::unique_ptr<Recording>> record(const std::function<Status()> &launches) {
    return std::unique_ptr<Recording>();
  }
};

/// CUDA device number `index`. Errors: no driver, no such device, a driver that
/// does not work.
Result<std::unique_ptr<Device>> openCudaDevice(int index);

/// The simulator; it runs on `threads`, which must outlive the device. `arch` is the one
/// that it models: "" (what every GPU has) or "sm_90a".
std::unique_ptr<Device> makeSimDevice(ThreadPool &threads, std::string arch);

/// Whether there is a CUDA driver with a device at all.
bool hasCudaDevice();

/// Says which devices there are instead of `name`.
qopt::Error noSuchDevice(const std::string &name);

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_DEVICE_H
