//===- DeviceSession.h - A module whose kernels run on a device -----------===//
//
// The section "host:cuda" runs here: it computes sizes, asks for memory of the device
// and launches kernels. Weights are uploaded once, inputs for each call.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_DEVICESESSION_H
#define QOPT_LIB_RUNTIME_DEVICESESSION_H

#include "DeviceContext.h"
#include "qopt/Support/Targets.h"

namespace qrt {

class DeviceSession final : public Session {
public:
  DeviceSession(std::shared_ptr<const qopt::Module> module, int threads) : loaded(std::move(module)), pool(threads) {}
  ~DeviceSession() override {
    if (gpu)
      (void)gpu->enter();
  }

  /// Opens the device and gives it kernels and weights; once, before anything else.
  Status load(const qopt::DeviceName &name, const SessionOptions &options);
  const qopt::Module &module() const override { return *loaded; }
  const std::string &device() const override { return gpu->name(); }
  std::string description() const override {
    std::string text = gpu->description();
    return gpu->name() + " (" + text + (text.empty() ? "" : ", ") + section + ")";
  }
  const std::string &code() const override { return section; }
  int64_t copiedWeightBytes() const override {
    return static_cast<int64_t>(loaded->section(qopt::kWeightsSection).size());
  }
  ThreadPool &threads() override { return pool; }
  Result<std::vector<Tensor>> run(const std::string &name, std::span<const Tensor> inputs) override;
  Result<std::unique_ptr<Decoder>> makeDecoder(int64_t batch, int64_t capacity) override;

  Device &onDevice() { return *gpu; }
  DeviceMemory &scratch() { return *memory; }
  DeviceContext makeContext(DeviceMemory &from) { return {pool, *gpu, from, *loaded, errorRecord}; }
  /// Calls an entry point whose inputs are on the device; its memory comes from `from`.
  Result<std::vector<QrtTensor>> callEntry(DeviceContext &context, const qopt::EntryPoint &entry,
                                           std::span<const QrtTensor> inputs);
  Result<Tensor> download(const QrtTensor &output);
  qopt::Error describe(const DeviceContext &context) const { return describeError(context, *loaded); }

private:
  Status uploadWeights(const SessionOptions &options);
  Result<std::vector<Tensor>> runEntry(const qopt::EntryPoint &entry, std::span<const Tensor> inputs);

  std::shared_ptr<const qopt::Module> loaded;
  ThreadPool pool;
  std::unique_ptr<Device> gpu;
  std::unique_ptr<DeviceMemory> memory; // goes before the device does
  std::string section;
  EntryTable entries;
  void *errorRecord = nullptr;
  std::vector<const void *> parameters;
};

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_DEVICESESSION_H
