//===- TokenizerFuzzer.cpp - Any tokenizer.json, any text -----------------===//
//
// An input is a tokenizer.json, a NUL and a text. What was encoded must decode.
//
//===----------------------------------------------------------------------===//
#include "Mutators.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <cstdlib>

using namespace qopt;
using namespace qopt::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view input(reinterpret_cast<const char *>(data), size);
  size_t end = std::min(input.find('\0'), input.size());
  auto tokenizer = Tokenizer::parse(input.substr(0, end));
  if (!tokenizer)
    return 0;
  std::string_view text = input.substr(std::min(end + 1, size));
  for (bool special : {false, true}) {
    Result<std::vector<int32_t>> ids = (*tokenizer)->encode(text, special);
    if (!ids)
      continue;
    for (int32_t id : *ids)
      if (id < 0 || id >= (*tokenizer)->vocabularySize())
        std::abort();
    (void)(*tokenizer)->decode(*ids, special);
  }
  (void)(*tokenizer)->endOfText();
  (void)(*tokenizer)->beginOfText();
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  auto mutate = [](std::string_view input, Random &random) {
    size_t end = std::min(input.find('\0'), input.size());
    std::string_view text = input.substr(std::min(end + 1, input.size()));
    if (random() % 4 == 0)
      return std::string(input.substr(0, end)) + '\0' + mutateBytes(text, text.size() + 16);
    return mutateJson(input.substr(0, end), random) + '\0' + std::string(text);
  };
  return mutateWith(mutate, data, size, maxSize, seed);
}
