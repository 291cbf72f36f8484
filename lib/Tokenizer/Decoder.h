//===- Decoder.h - From tokens back to text -------------------------------===//
//
// Types: Sequence, ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_DECODER_H
#define QOPT_LIB_TOKENIZER_DECODER_H

#include "Pattern.h"
#include <functional>

namespace qopt::tokenizer {

class Decoder {
public:
  /// Without a decoder the tokens are separated by spaces.
  Decoder() = default;
  /// Throws FieldError.
  explicit Decoder(const Field &field) : hasSteps(true) { add(field); }

  /// The text, valid UTF-8. Error: a regex gave up, or the text grows without measure.
  Result<std::string> apply(std::vector<std::string> tokens) const;

private:
  void add(const Field &field);
  bool hasSteps = false;
  std::vector<std::function<Status(std::vector<std::string> &)>> steps;
};

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_DECODER_H
