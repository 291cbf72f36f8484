//===- Sha256.cpp - SHA-256 of modules ------------------------------------===//
//
// FIPS 180-4, with the instructions of x86-64 where the machine has them.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Sha256.h"
#include <algorithm>
#include <bit>
#include <cpuid.h>
#include <cstring>
#include <immintrin.h>

using namespace qopt;

alignas(16) static constexpr uint32_t roundConstants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t loadBigEndian(const std::byte *bytes) {
  uint32_t value;
  std::memcpy(&value, bytes, 4);
  return __builtin_bswap32(value);
}

static void compressPlain(uint32_t *state, const std::byte *blocks, size_t count) {
  for (; count > 0; --count, blocks += 64) {
    uint32_t w[64];
    for (int i = 0; i < 16; ++i)
      w[i] = loadBigEndian(blocks + 4 * i);
    for (int i = 16; i < 64; ++i) {
      uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] =
        std::array<uint32_t, 8>{state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]};
    for (int i = 0; i < 64; ++i) {
      uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + roundConstants[i] + w[i];
      uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    uint32_t sum[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; ++i)
      state[i] += sum[i];
  }
}

/// Four rounds per step. The instructions want the state as (ABEF, CDGH) and keep
/// a window of the last 16 schedule words in four registers.
__attribute__((target("sha,sse4.1,ssse3"))) static void compressShaNi(uint32_t *state, const std::byte *blocks,
                                                                      size_t count) {
  const __m128i byteSwap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state));
  __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state + 4));
  __m128i cdab = _mm_shuffle_epi32(dcba, 0xB1), efgh = _mm_shuffle_epi32(hgfe, 0x1B);
  __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xF0);

  for (; count > 0; --count, blocks += 64) {
    const __m128i abefBefore = abef, cdghBefore = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; ++i)
      w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(blocks) + i), byteSwap);
#pragma clang loop unroll(full)
    for (int step = 0; step < 16; ++step) {
      if (step >= 4) {
        // w[step % 4] holds words t-16..t-13 of the schedule; make it t..t+3.
        __m128i &now = w[step % 4];
        const __m128i w12 = w[(step + 1) % 4], w8 = w[(step + 2) % 4], w4 = w[(step + 3) % 4];
        now = _mm_sha256msg1_epu32(now, w12);
        now = _mm_add_epi32(now, _mm_alignr_epi8(w4, w8, 4));
        now = _mm_sha256msg2_epu32(now, w4);
      }
      __m128i sum =
          _mm_add_epi32(w[step % 4], _mm_load_si128(reinterpret_cast<const __m128i *>(roundConstants) + step));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0E));
    }
    abef = _mm_add_epi32(abef, abefBefore);
    cdgh = _mm_add_epi32(cdgh, cdghBefore);
  }

  __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
  _mm_storeu_si128(reinterpret_cast<__m128i *>(state), _mm_blend_epi16(feba, dchg, 0xF0));
  _mm_storeu_si128(reinterpret_cast<__m128i *>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static bool hasShaInstructions() {
  unsigned a, b, c, d;
  bool hasSse41 = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1) && (c & bit_SSSE3);
  return hasSse41 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

Sha256::Sha256(bool allowInstructions)
    : compress(allowInstructions && hasShaInstructions() ? compressShaNi : compressPlain),
      state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19} {}

void Sha256::update(std::span<const std::byte> bytes) {
  size_t used = length % 64;
  length += bytes.size();
  if (used > 0) {
    size_t taken = std::min(bytes.size(), 64 - used);
    std::copy_n(bytes.begin(), taken, pending.begin() + used);
    if (used + taken < 64)
      return;
    compress(state.data(), pending.data(), 1);
    bytes = bytes.subspan(taken);
  }
  compress(state.data(), bytes.data(), bytes.size() / 64);
  bytes = bytes.subspan(bytes.size() / 64 * 64);
  std::copy(bytes.begin(), bytes.end(), pending.begin());
}

Sha256::Digest Sha256::finish() {
  // A one bit, zeros up to 56 modulo 64, and the length in bits, big-endian.
  uint64_t bits = __builtin_bswap64(length * 8);
  std::array<std::byte, 64> padding = {std::byte{0x80}};
  update(std::span(padding).first(1 + (119 - length % 64) % 64));
  update(std::as_bytes(std::span(&bits, 1)));

  Digest digest;
  for (size_t i = 0; i < state.size(); ++i) {
    uint32_t word = __builtin_bswap32(state[i]);
    std::memcpy(digest.data() + 4 * i, &word, 4);
  }
  return digest;
}

std::string qopt::toHex(const Sha256::Digest &digest) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::byte byte : digest) {
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}
