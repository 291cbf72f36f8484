//===- machine.cpp - What this machine's memory and arithmetic allow ------===//
//
// Prints a line of JSON: bytes read per second from a buffer that no cache holds, and
// float and int8 operations per second (two for a multiplication with an addition), of
// THREADS threads. machine.py compiles and runs it.
//
//===----------------------------------------------------------------------===//
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace {
constexpr int kSums = 12;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Calls body(i) on `threads` threads; seconds until all are done.
template <typename Body>
double inParallel(int threads, Body body) {
  double begin = now();
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i)
    others.emplace_back([=] { body(i); });
  body(0);
  for (std::thread &other : others)
    other.join();
  return now() - begin;
}

volatile int sinkInt;

__attribute__((target("avx2"))) void readAll(const char *data, size_t bytes) {
  __m256i sums[4] = {};
  for (size_t i = 0; i < bytes; i += 128)
    for (int j = 0; j < 4; ++j)
      sums[j] = _mm256_xor_si256(sums[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(data + i + 32 * j)));
  sinkInt =
      _mm256_extract_epi32(_mm256_or_si256(_mm256_or_si256(sums[0], sums[1]), _mm256_or_si256(sums[2], sums[3])), 0);
}

// Twelve independent sums hide the latency of one instruction; written out, so that no
// compiler puts them into memory.
#define REPEAT12(text)                                                                                                 \
  text("0") text("1") text("2") text("3") text("4") text("5") text("6") text("7") text("8") text("9") text("10")       \
      text("11")
#define SUMS                                                                                                           \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",  \
      "xmm14"

#define FMA(i) "vfmadd231ps %%ymm12, %%ymm12, %%ymm" i "\n"
void floats(long rounds) {
  asm volatile("vzeroall" ::: SUMS);
  for (long r = 0; r < rounds; ++r)
    asm volatile(REPEAT12(FMA)::: SUMS);
}

/// 32 bytes with 32 bytes: vpmaddubsw, vpmaddwd and an addition.
#define MADD(i)                                                                                                        \
  "vpmaddubsw %%ymm12, %%ymm12, %%ymm13\nvpmaddwd %%ymm12, %%ymm13, %%ymm14\nvpaddd %%ymm14, %%ymm" i ", %%ymm" i "\n"
void bytesAvx2(long rounds) {
  asm volatile("vzeroall" ::: SUMS);
  for (long r = 0; r < rounds; ++r)
    asm volatile(REPEAT12(MADD)::: SUMS);
}

/// 64 bytes with 64 bytes in one instruction.
#define DOT(i) "vpdpbusd %%zmm12, %%zmm12, %%zmm" i "\n"
void bytesVnni(long rounds) {
  asm volatile("vzeroall" ::: SUMS);
  for (long r = 0; r < rounds; ++r)
    asm volatile(REPEAT12(DOT)::: SUMS);
}
} // namespace

int main(int argc, char **argv) {
  int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  constexpr size_t bytes = size_t(1) << 30;
  void *data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    return std::fprintf(stderr, "machine: cannot get %zu bytes\n", bytes), 1;
  madvise(data, bytes, MADV_HUGEPAGE);
  std::memset(data, 1, bytes);
  bool hasVnni = __builtin_cpu_supports("avx512vnni");
  constexpr long rounds = 20'000'000;
  double memory = 0, floatRate = 0, byteRate = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    size_t part = bytes / threads / 128 * 128;
    auto *begin = static_cast<const char *>(data);
    memory = std::max(memory, part * threads / inParallel(threads, [=](int i) { readAll(begin + i * part, part); }));
    floatRate =
        std::max(floatRate, 2.0 * 8 * kSums * rounds * threads / inParallel(threads, [](int) { floats(rounds); }));
    double ops = 2.0 * (hasVnni ? 64 : 32) * kSums * rounds * threads;
    byteRate = std::max(byteRate, ops / inParallel(threads, [=](int) { (hasVnni ? bytesVnni : bytesAvx2)(rounds); }));
  }
  std::printf("{\"bytes_per_second\": %.4g, \"float_ops_per_second\": %.4g, \"int8_ops_per_second\": %.4g}\n", memory,
              floatRate, byteRate);
}
