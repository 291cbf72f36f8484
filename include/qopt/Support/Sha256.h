//===- Sha256.h - SHA-256 (FIPS 180-4) ------------------------------------===//
//
// Uses the SHA instructions where the processor has them (about 2 GB/s), else
// plain C++ (about 300 MB/s). Both give the same digest.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_SHA256_H
#define QOPT_SUPPORT_SHA256_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace qopt {

class Sha256 {
public:
  using Digest = std::array<std::byte, 32>;

  /// `allowInstructions` false: plain C++ on every machine.
  explicit Sha256(bool allowInstructions = true);
  void update(std::span<const std::byte> bytes);
  /// The digest of everything so far. Call once, last.
  Digest finish();

private:
  using Compress = void (*)(uint32_t *state, const std::byte *blocks, size_t count);

  Compress compress;
  std::array<uint32_t, 8> state;
  std::array<std::byte, 64> pending;
  uint64_t length = 0;
};

/// 64 hexadecimal digits.
std::string toHex(const Sha256::Digest &digest);

} // namespace qopt

#endif // QOPT_SUPPORT_SHA256_H
