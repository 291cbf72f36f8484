//===- Half.cpp - Arrays of 16-bit floats ---------------------------------===//
//
// One number at a time is a call of the compiler's library where the baseline has no
// instruction for it; the clones have one for eight or sixteen.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/Half.h"
#include "qopt/Support/CpuClones.h"
#include <cstring>

using namespace qopt;

QOPT_CPU_CLONES void qopt::widenHalves(const char *__restrict from, int64_t count, float *__restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    _Float16 half;
    std::memcpy(&half, from + 2 * i, sizeof half);
    to[i] = static_cast<float>(half);
  }
}

QOPT_CPU_CLONES void qopt::widenBrains(const char *__restrict from, int64_t count, float *__restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    to[i] = brainToFloat(bits);
  }
}
