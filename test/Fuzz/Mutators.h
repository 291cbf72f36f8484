//===- Mutators.h - Mutations that know a format --------------------------===//
//
// Most flipped bits die in the first check of a parser. These change a tree and write it
// out as the format wants it: lengths fit, brackets close.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TEST_FUZZ_MUTATORS_H
#define QOPT_TEST_FUZZ_MUTATORS_H

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>

namespace qopt::fuzz {

using Random = std::minstd_rand;

/// One change to a protobuf message: a field goes, comes twice, changes its place, its
/// number or its contents, at any depth. Lengths around it are made right.
std::string mutateProtobuf(std::string_view message, Random &random);

/// One change to a value of a JSON text; to its characters where it is none.
std::string mutateJson(std::string_view text, Random &random);

/// What libFuzzer does to bytes without a format, to at most `limit` of them.
std::string mutateBytes(std::string_view bytes, size_t limit);

/// The shape of LLVMFuzzerCustomMutator() around a function of text.
template <typename Function>
size_t mutateWith(Function mutate, uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  Random random(seed + 1);
  std::string result = mutate(std::string_view(reinterpret_cast<const char *>(data), size), random);
  if (result.size() > maxSize)
    result.resize(maxSize);
  std::copy(result.begin(), result.end(), data);
  return result.size();
}

/// A file without a name that holds `bytes`, for functions that take paths.
class MemoryFile {
public:
  explicit MemoryFile(std::span<const char> bytes);
  ~MemoryFile();
  MemoryFile(const MemoryFile &) = delete;
  const std::string &path() const { return name; }

private:
  int descriptor;
  std::string name;
};

} // namespace qopt::fuzz

#endif // QOPT_TEST_FUZZ_MUTATORS_H
