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
constexpr int kSums = 12; // enough to hide the latency of one multiplication

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

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

volatile float sinkFloat;
volatile int sinkInt;

__attribute__((target("avx2"))) void readAll(const char *data, size_t bytes) {
  __m256i sums[4] = {};
  for (size_t i = 0; i < bytes; i += 128)
    for (int j = 0; j < 4; ++j)
      sums[j] = _mm256_xor_si256(sums[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(data + i + 32 * j)));
  sinkInt = _mm256_extract_epi32(_mm256_or_si256(_mm256_or_si256(sums[0], sums[1]), _mm256_or_si256(sums[2], sums[3])), 0);
}

__attribute__((target("avx2,fma"))) void floats(long rounds) {
  __m256 sums[kSums] = {}, a = _mm256_set1_ps(sinkFloat), b = a;
  for (long r = 0; r < rounds; ++r)
    for (int j = 0; j < kSums; ++j)
      asm volatile("vfmadd231ps %1, %2, %0" : "+x"(sums[j]) : "x"(a), "x"(b));
  for (__m256 &sum : sums)
    sinkFloat = sum[0];
}

/// 32 bytes with 32 bytes: vpmaddubsw, vpmaddwd and an addition.
__attribute__((target("avx2"))) void bytesAvx2(long rounds) {
  __m256i sums[kSums] = {}, a = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
  for (long r = 0; r < rounds; ++r)
    for (int j = 0; j < kSums; ++j) {
      __m256i pairs;
      asm volatile("vpmaddubsw %1, %1, %0" : "=x"(pairs) : "x"(a));
      asm volatile("vpmaddwd %1, %0, %0" : "+x"(pairs) : "x"(ones));
      asm volatile("vpaddd %1, %0, %0" : "+x"(sums[j]) : "x"(pairs));
    }
  for (__m256i &sum : sums)
    sinkInt = _mm256_extract_epi32(sum, 0);
}

/// 64 bytes with 64 bytes in one instruction.
__attribute__((target("avx512f,avx512vnni"))) void bytesVnni(long rounds) {
  __m512i sums[kSums] = {}, a = _mm512_set1_epi8(1);
  for (long r = 0; r < rounds; ++r)
    for (int j = 0; j < kSums; ++j)
      asm volatile("vpdpbusd %1, %1, %0" : "+v"(sums[j]) : "v"(a));
  for (__m512i &sum : sums)
    sinkInt = _mm512_reduce_add_epi32(sum);
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
    floatRate = std::max(floatRate, 2.0 * 8 * kSums * rounds * threads / inParallel(threads, [](int) { floats(rounds); }));
    double ops = 2.0 * (hasVnni ? 64 : 32) * kSums * rounds * threads;
    byteRate = std::max(byteRate, ops / inParallel(threads, [=](int) { (hasVnni ? bytesVnni : bytesAvx2)(rounds); }));
  }
  std::printf("{\"bytes_per_second\": %.4g, \"float_ops_per_second\": %.4g, \"int8_ops_per_second\": %.4g}\n", memory,
              floatRate, byteRate);
}
