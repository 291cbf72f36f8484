//===- Corpus.cpp - Token ids from files of text or ids -------------------===//
//
// What a file is follows from its ending, where documents begin and end from its content or
// from the caller. Everything ends as documents of ids that fit the model's vocabulary.
//
//===----------------------------------------------------------------------===//
#include "Json.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Npy.h"
#include "qopt/Support/Utf8.h"
#include "qopt/Tokenizer/TokenWindows.h"
#include "qopt/Tokenizer/Tokenizer.h"
#include <algorithm>
#include <charconv>

using namespace qopt;
using namespace qopt::tokenizer;

static constexpr std::string_view endOfTextMarker = "<|endoftext|>";
static constexpr std::string_view whiteSpace = " \t\n\v\f\r";
static constexpr size_t maxStandardInput = size_t(1) << 30;

std::optional<DocumentRule> qopt::documentRuleByName(std::string_view name) {
  if (name == "auto")
    return DocumentRule::Automatic;
  if (name == "whole")
    return DocumentRule::Whole;
  if (name == "blank-lines")
    return DocumentRule::BlankLines;
  return std::nullopt;
}

int64_t Corpus::numTokens() const {
  int64_t count = 0;
  for (const std::vector<int32_t> &document : documents)
    count += static_cast<int64_t>(document.size());
  return count;
}

//===----------------------------------------------------------------------===//
// Ids
//===----------------------------------------------------------------------===//

static Error idError(const std::string &where, int64_t id, int64_t vocabularySize) {
  return {where + ": id " + std::to_string(id) +
          (id < 0 ? " is negative" : " is not in the vocabulary of " + std::to_string(vocabularySize))};
}

/// An .npy file: rows that are windows already and are not cut again, or one row, which is
/// a document. Each id is looked at: a wrong one would read outside of the embedding table.
static Result<Corpus> readRows(std::span<const std::byte> file, int64_t vocabularySize) {
  Result<NpyArray> array = parseNpy(file);
  if (!array)
    return array.error();
  size_t rank = array->shape.size();
  if (rank != 1 && rank != 2)
    return Error{"expected token ids [n, length] or [length] but got " + std::to_string(rank) + " dimensions"};
  Result<std::vector<int64_t>> ids = npyIntegers(*array);
  if (!ids)
    return Error{"token ids: " + ids.error().message};
  if (ids->empty()) // [10^18, 0] has no elements and many rows
    return Error{"no tokens"};
  Corpus corpus;
  corpus.isWindows = rank == 2;
  size_t length = static_cast<size_t>(array->shape.back());
  for (size_t i = 0; i < ids->size(); ++i) {
    if (i % length == 0)
      corpus.documents.emplace_back().reserve(length);
    int64_t id = (*ids)[i];
    if (id < 0 || id >= vocabularySize)
      return idError("row " + std::to_string(i / length) + ", token " + std::to_string(i % length), id, vocabularySize);
    corpus.documents.back().push_back(static_cast<int32_t>(id));
  }
  return corpus;
}

/// Decimal numbers between white space, the form that other programs print.
static Result<std::vector<int32_t>> readIds(std::string_view text, int64_t vocabularySize) {
  std::vector<int32_t> ids;
  for (size_t at = text.find_first_not_of(whiteSpace); at != std::string_view::npos;) {
    size_t end = std::min(text.find_first_of(whiteSpace, at), text.size());
    std::string_view word = text.substr(at, end - at);
    std::string where = "token " + std::to_string(ids.size());
    int64_t id = 0;
    auto [stop, code] = std::from_chars(word.data(), word.data() + word.size(), id);
    if (code != std::errc() || stop != word.data() + word.size())
      return Error{where + ": '" + printable(word.substr(0, 64)) + "' is not a 64-bit integer"};
    if (id < 0 || id >= vocabularySize)
      return idError(where, id, vocabularySize);
    ids.push_back(static_cast<int32_t>(id));
    at = text.find_first_not_of(whiteSpace, end);
  }
  return ids;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

namespace {
/// Adds documents of text to a corpus.
class Encoder {
public:
  Encoder(const Tokenizer *tokenizer, int64_t vocabularySize, bool appendEndOfText, Corpus &corpus)
      : tokenizer(tokenizer), vocabularySize(vocabularySize), appendEndOfText(appendEndOfText), corpus(corpus) {}

  Status add(std::string_view text) {
    if (text.empty())
      return {};
    if (!tokenizer)
      return Error{"text needs a tokenizer, and there is none"};
    Result<std::vector<int32_t>> ids = tokenizer->encode(text);
    if (!ids)
      return ids.error();
    if (appendEndOfText && tokenizer->endOfText() >= 0)
      ids->push_back(tokenizer->endOfText());
    auto largest = std::max_element(ids->begin(), ids->end());
    if (largest != ids->end() && *largest >= vocabularySize)
      return Error{"the tokenizer gives id " + std::to_string(*largest) +
                   ", which is not in the model's vocabulary of " + std::to_string(vocabularySize)};
    corpus.documents.push_back(std::move(*ids));
    return {};
  }

private:
  const Tokenizer *tokenizer;
  int64_t vocabularySize;
  bool appendEndOfText;
  Corpus &corpus;
};
} // namespace

static std::string_view trim(std::string_view text, std::string_view characters) {
  size_t begin = text.find_first_not_of(characters);
  if (begin == std::string_view::npos)
    return {};
  return text.substr(begin, text.find_last_not_of(characters) + 1 - begin);
}

/// Some editors begin UTF-8 with a mark that no tokenizer expects.
static std::string_view dropByteOrderMark(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF"))
    text.remove_prefix(3);
  return text;
}

/// The text with "\n" for "\r\n".
static std::string unixNewlines(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n')
      result += text[i];
  return result;
}

/// Calls `visit` with every part of `text` between separators until one fails.
template <typename Visit>
static Status forEachPart(std::string_view text, std::string_view separator, Visit visit) {
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find(separator, begin), text.size());
    if (Status status = visit(text.substr(begin, end - begin)); !status)
      return status;
    begin = end + separator.size();
  }
  return {};
}

/// Cuts text into documents by `rule`. Automatic: a file that separates documents says so
/// with the marker, and any other is one document.
static Status addText(std::string_view file, DocumentRule rule, Encoder &encoder) {
  std::string text = unixNewlines(dropByteOrderMark(file));
  if (rule == DocumentRule::Automatic)
    rule = text.find(endOfTextMarker) != std::string::npos ? DocumentRule::EndOfText : DocumentRule::Whole;
  if (rule == DocumentRule::Whole)
    return encoder.add(text);
  if (rule == DocumentRule::EndOfText)
    return forEachPart(text, endOfTextMarker,
                       [&](std::string_view part) { return encoder.add(trim(part, whiteSpace)); });

  // A line of nothing but spaces is blank, too.
  auto isBlank = [](std::string_view line) { return line.find_first_not_of(whiteSpace) == std::string_view::npos; };
  if (rule == DocumentRule::Lines)
    return forEachPart(text, "\n", [&](std::string_view line) { return isBlank(line) ? Status() : encoder.add(line); });
  std::string document;
  auto flush = [&] {
    Status status = encoder.add(trim(document, "\n"));
    document.clear();
    return status;
  };
  Status status = forEachPart(text, "\n", [&](std::string_view line) {
    if (isBlank(line))
      return flush();
    document.append(line).append("\n");
    return Status();
  });
  return status ? flush() : status;
}

/// Which of `count` tokens the member "attention_mask" hides: padding, which is no text.
static Result<std::vector<bool>> readMask(const Field &root, const Json &line, size_t count) {
  std::vector<bool> isHidden;
  std::optional<Field> mask = root.find("attention_mask");
  if (!mask)
    return std::vector<bool>(count, false);
  if (mask->size() != count)
    mask->fail("has " + std::to_string(mask->size()) + " elements, but input_ids " + std::to_string(count));
  for (const Json &value : line.at("attention_mask")) {
    if (value != 0 && value != 1 && !value.is_boolean())
      return Error{"attention_mask[" + std::to_string(isHidden.size()) + "]: expected 0 or 1 but got " +
                   describe(value)};
    isHidden.push_back(value == 0 || value == false);
  }
  return isHidden;
}

/// One line of a .jsonl: an object with "text", or else with "input_ids", without those that
/// its "attention_mask" hides. A member that is null is not there.
static Status addJsonLine(std::string_view line, int64_t vocabularySize, Encoder &encoder, Corpus &corpus) {
  Result<Json> parsed = parseJson(replaceInvalidUtf8(line));
  if (!parsed)
    return parsed.error();
  Field root(*parsed);
  if (std::optional<Field> text = root.find("text"))
    return encoder.add(text->string());
  std::optional<Field> list = root.find("input_ids");
  if (!list)
    root.fail("has neither 'text' nor 'input_ids'");
  std::vector<int32_t> ids;
  list->size(); // an error for anything but an array
  Result<std::vector<bool>> isHidden = readMask(root, *parsed, list->size());
  if (!isHidden)
    return isHidden.error();
  size_t index = 0;
  for (const Json &value : parsed->at("input_ids")) {
    std::string where = "input_ids[" + std::to_string(index) + "]";
    if (!value.is_number_integer())
      return Error{where + ": expected an integer but got " + describe(value)};
    std::optional<int32_t> id = asId(value);
    if (!id || *id >= vocabularySize)
      return Error{where + ": id " + value.dump() +
                   (value.is_number_unsigned() ? " is not in the vocabulary of " + std::to_string(vocabularySize)
                                               : " is negative")};
    if (!(*isHidden)[index++])
      ids.push_back(*id);
  }
  if (!ids.empty())
    corpus.documents.push_back(std::move(ids));
  return {};
}

/// An error names the line, as the fields of a line do not.
static Status addJsonLines(std::string_view file, int64_t vocabularySize, DocumentRule rule, Encoder &encoder,
                           Corpus &corpus) {
  size_t number = 0;
  return forEachPart(dropByteOrderMark(file), "\n", [&](std::string_view line) -> Status {
    ++number;
    line = trim(line, whiteSpace);
    if (line.empty())
      return {};
    Status status;
    size_t numBefore = corpus.documents.size();
    try {
      status = addJsonLine(line, vocabularySize, encoder, corpus);
    } catch (const FieldError &error) {
      status = Error{error.message};
    }
    if (status && rule == DocumentRule::Lines && corpus.documents.size() == numBefore)
      status = Error{"holds no token, or 'attention_mask' hides all"};
    return status ? status : Status(Error{"line " + std::to_string(number) + ": " + status.error().message});
  });
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

/// The ending of the file name with its dot; empty when there is none.
static std::string_view endingOf(std::string_view path) {
  path = path.substr(path.rfind('/') + 1); // npos + 1 is 0
  size_t dot = path.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? std::string_view() : path.substr(dot);
}

/// Standard input has no ending and is text.
static Result<Corpus> parseCorpus(std::string_view ending, std::string_view file, const Tokenizer *tokenizer,
                                  int64_t vocabularySize, const CorpusOptions &options) {
  if (ending == ".npy")
    return readRows(std::as_bytes(std::span(file)), vocabularySize);
  Corpus corpus;
  Encoder encoder(tokenizer, vocabularySize, options.appendEndOfText, corpus);
  Status status;
  if (ending == ".tokens") {
    Result<std::vector<int32_t>> ids = readIds(dropByteOrderMark(file), vocabularySize);
    if (!ids)
      return ids.error();
    corpus.documents.push_back(std::move(*ids));
  } else if (ending == ".jsonl") {
    status = addJsonLines(file, vocabularySize, options.rule, encoder, corpus);
  } else if (ending.empty() || ending == ".txt" || ending == ".raw" || ending == ".md") {
    status = addText(file, options.rule, encoder);
  } else {
    return Error{"expected a .txt, .jsonl, .tokens or .npy file"};
  }
  if (!status)
    return status.error();
  if (corpus.numTokens() == 0)
    return Error{"no tokens"};
  return corpus;
}

Result<Corpus> qopt::readCorpus(const std::string &path, const Tokenizer *tokenizer, int64_t vocabularySize,
                                const CorpusOptions &options) {
  if (path == "-") {
    Result<std::string> text = readStandardInput(maxStandardInput);
    if (!text)
      return text.error();
    return parseCorpus("", *text, tokenizer, vocabularySize, options);
  }
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.error();
  return parseCorpus(endingOf(path), file->text(), tokenizer, vocabularySize, options);
}
