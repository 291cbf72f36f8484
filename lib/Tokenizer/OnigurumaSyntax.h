//===- OnigurumaSyntax.h - Oniguruma patterns in PCRE2's syntax -----------===//
//
// Hugging Face's tokenizers use Oniguruma; PCRE2 is what distributions have with a compiler to
// machine code.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_ONIGURUMASYNTAX_H
#define QOPT_LIB_TOKENIZER_ONIGURUMASYNTAX_H

#include "qopt/Support/Result.h"
#include <string>
#include <string_view>

namespace qopt::tokenizer {

/// A pattern with Oniguruma's meaning (Ruby's syntax, as tokenizer.json has it)
/// for PCRE2 with UTF, UCP and MULTILINE. The differences that matter:
///   - \s, \w, \h mean other sets of characters, \uHHHH is another spelling;
///   - [a[bc]] is a union: the inner brackets go. [a[^b]] and [a&&b] have no
///     counterpart and are an error;
///   - (?m) lets the dot match a newline: PCRE2's (?s).
/// Whether the pattern compiles is for PCRE2 to say.
Result<std::string> translateOniguruma(std::string_view pattern);

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_ONIGURUMASYNTAX_H
