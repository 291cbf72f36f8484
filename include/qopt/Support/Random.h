//===- Random.h - Random bits that are the same everywhere ----------------===//
//
// Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators".
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_RANDOM_H
#define QOPT_SUPPORT_RANDOM_H

#include <cstdint>

namespace qopt {

/// The next 64 bits; `state` begins as the seed.
inline uint64_t splitmix64(uint64_t &state) {
  uint64_t z = state += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

} // namespace qopt

#endif // QOPT_SUPPORT_RANDOM_H
