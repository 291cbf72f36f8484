//===- TokenWindows.h - Texts and token files, and windows of them --------===//
//
// What calibration and evaluation read. Files by their ending:
//   .txt .raw .md, none, or "-" (standard input)   plain text, see DocumentRule
//   .jsonl    a document a line: {"text": "..."}, or {"input_ids": [1, 2, 3]}, without those that
//             its "attention_mask": [0, 1, 1] hides
//   .tokens   ids in decimal, separated by white space: one document
//   .npy      integers [n, length]: windows, used as they are; [length]: one document
// In text a byte order mark is dropped, CRLF is a newline, NUL is a character, and
// what is not UTF-8 becomes U+FFFD. Text is encoded with the special tokens of the
// tokenizer (usually BOS first); ids in files are taken as they are.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TOKENIZER_TOKENWINDOWS_H
#define QOPT_TOKENIZER_TOKENWINDOWS_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

class Tokenizer;

/// How plain text is cut into documents. Documents that are empty are left out.
enum class DocumentRule {
  /// EndOfText where the text has the marker, else Whole.
  Automatic,
  /// One document, tokenized at once: how packages evaluate WikiText.
  Whole,
  /// Separated by blank lines; newlines around a document do not count.
  BlankLines,
  /// Separated by the marker <|endoftext|>; white space around a document does not count.
  EndOfText,
  /// Every line that is not blank.
  Lines
};

/// The rule that command lines call auto, whole or blank-lines; nothing for another name.
std::optional<DocumentRule> documentRuleByName(std::string_view name);

struct CorpusOptions {
  DocumentRule rule = DocumentRule::Automatic;
  /// Whether Tokenizer::endOfText() follows each document of text.
  bool appendEndOfText = true;
};

/// n rows of `length` ids each.
struct TokenWindows {
  int64_t length = 0;
  std::vector<int32_t> ids;

  int64_t count() const { return length == 0 ? 0 : static_cast<int64_t>(ids.size()) / length; }
  std::span<const int32_t> operator[](int64_t index) const {
    return std::span(ids).subspan(static_cast<size_t>(index * length), static_cast<size_t>(length));
  }
};

/// Documents as ids; of an .npy file, windows.
struct Corpus {
  std::vector<std::vector<int32_t>> documents;
  bool isWindows = false;

  int64_t numTokens() const;
};

/// Reads a file, or standard input where `path` is "-". `tokenizer` may be null for
/// files of ids. Errors: a file that cannot be read, no tokens in it, text without
/// a tokenizer, an id that is negative, not an integer or not below
/// `vocabularySize` (the model's; the message names position, id and size), a
/// malformed line (the message names it, from 1), ids that are not [n, length].
Result<Corpus> readCorpus(const std::string &path, const Tokenizer *tokenizer, int64_t vocabularySize,
                          const CorpusOptions &options = {});

/// The documents joined and cut into windows of `length` that do not overlap; what
/// is left at the end is dropped. Windows of an .npy file stay as they are,
/// whatever `length` is. Error: fewer tokens than one window.
Result<TokenWindows> makeWindows(const Corpus &corpus, int64_t length);

/// `count` of the windows, evenly spaced: window k is number floor(k·n / count) of
/// the n. All of them where there are no more; the caller tells the user.
TokenWindows pickEvenly(const TokenWindows &windows, int64_t count);

/// `count` different windows drawn with the seed (splitmix64), in their old order.
/// All of them where there are no more. The same on every machine.
TokenWindows drawWindows(const TokenWindows &windows, int64_t count, uint64_t seed);

} // namespace qopt

#endif // QOPT_TOKENIZER_TOKENWINDOWS_H
