//===- PostProcessor.h - The special tokens around a text -----------------===//
//
// Types: Sequence, TemplateProcessing, ByteLevel (which changes offsets only).
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_POSTPROCESSOR_H
#define QOPT_LIB_TOKENIZER_POSTPROCESSOR_H

#include "Json.h"
#include <functional>
#include <vector>

namespace qopt::tokenizer {

struct PostProcessor {
  PostProcessor() = default;
  /// `isToken` tells the ids that exist. Throws FieldError.
  PostProcessor(const Field &field, const std::function<bool(int32_t)> &isToken);

  /// Ids before and after those of the text.
  std::vector<int32_t> prefix;
  std::vector<int32_t> suffix;
};

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_POSTPROCESSOR_H
