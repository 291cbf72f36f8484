//===- DeviceDecoder.h - Texts that grow on a device ----------------------===//
//
// The caches stay in the memory of the device. A step of one token is recorded, where the
// device can, and repeated for each token.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_RUNTIME_DEVICEDECODER_H
#define QOPT_LIB_RUNTIME_DEVICEDECODER_H

#include "DeviceSession.h"

namespace qrt {

class DeviceDecoder final : public Decoder {
public:
  DeviceDecoder(DeviceSession &session, const CacheEntries &entries, int64_t batch, int64_t capacity)
      : Decoder(entries, batch, capacity), session(session), memory(session.onDevice()) {}
  ~DeviceDecoder() override { (void)session.onDevice().enter(); }

  /// Gets memory for the caches; once, before anything else.
  Status allocate(std::span<const qopt::TensorInfo> caches);

private:
  /// Where the tokens of a call of `rows` rows lie behind their numbers so far.
  static int64_t tokensOffset(int64_t rows) { return (rows * int64_t(sizeof(int64_t)) + 255) / 256 * 256; }

  Result<Tensor> call(const qopt::EntryPoint &entry, const Tensor &ids, int64_t firstRow) override;
  Status upload(void *place, const Tensor &ids, int64_t firstRow);
  Result<Tensor> callOnce(const qopt::EntryPoint &entry, DeviceMemory &from);
  void record(const qopt::EntryPoint &entry);
  Result<Tensor> replay();

  DeviceSession &session;
  /// Of the caches, and of whatever steps of one token use: nothing is freed before the end.
  DeviceMemory memory;
  std::vector<QrtTensor> inputs; ///< tokens, their numbers so far, caches
  std::vector<QrtTensor> caches; ///< of all rows
  void *step = nullptr;          ///< numbers and tokens of a step
  int64_t numSteps = 0;
  std::unique_ptr<Recording> recording;
  QrtTensor recordedLogits = {};
  bool recordedErrors = false;
};

} // namespace qrt

#endif // QOPT_LIB_RUNTIME_DEVICEDECODER_H
