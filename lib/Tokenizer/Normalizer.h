//===- Normalizer.h - What happens to text before it is split -------------===//
//
// Types: Sequence, Prepend, Replace, Strip, NFC, NFD, NFKC, NFKD (through ICU).
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_NORMALIZER_H
#define QOPT_LIB_TOKENIZER_NORMALIZER_H

#include "Pattern.h"
#include <functional>

namespace qopt::tokenizer {

class Normalizer {
public:
  /// Does nothing.
  Normalizer() = default;
  /// Throws FieldError.
  explicit Normalizer(const Field &field) { add(field); }

  /// Error: a regex gave up, or the text grows without measure.
  Result<std::string> apply(std::string_view text) const;

private:
  void add(const Field &field);
  using Step = std::function<Result<std::string>(std::string text, size_t limit)>;
  std::vector<Step> steps;
};

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_NORMALIZER_H
