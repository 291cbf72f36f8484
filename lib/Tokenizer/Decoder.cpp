//===- Decoder.cpp - Tokens back to text ----------------------------------===//
//
// The steps of the field "decoder", in order. Each rewrites the list of tokens; what is left
// is joined.
//
//===----------------------------------------------------------------------===//
#include "Decoder.h"
#include "ByteLevel.h"
#include "Unicode.h"
#include "qopt/Support/Utf8.h"
#include <charconv>

using namespace qopt;
using namespace qopt::tokenizer;

using Tokens = std::vector<std::string>;

static constexpr const char *replacementCharacter = "\xEF\xBF\xBD";

/// Joins first: a character of several bytes may be spread over tokens.
static Status decodeByteLevel(Tokens &tokens) {
  std::string bytes;
  for (const std::string &token : tokens)
    bytes += fromByteLevel(token).value_or(token); // an added token may be ordinary text
  tokens = {replaceInvalidUtf8(bytes)};
  return {};
}

/// The byte of a token like <0x0A>.
static std::optional<char> byteOfToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>')
    return std::nullopt;
  unsigned byte = 0;
  auto [end, code] = std::from_chars(token.data() + 3, token.data() + 5, byte, 16);
  if (code != std::errc() || end != token.data() + 5)
    return std::nullopt;
  return static_cast<char>(byte);
}

/// A run of byte tokens becomes its characters, or, when it is not UTF-8, U+FFFD
/// for every byte of it.
static Status decodeByteFallback(Tokens &tokens) {
  Tokens result;
  std::string bytes;
  auto flush = [&] {
    if (isValidUtf8(bytes) && !bytes.empty())
      result.push_back(bytes);
    else
      result.insert(result.end(), bytes.size(), replacementCharacter);
    bytes.clear();
  };
  for (std::string &token : tokens) {
    if (std::optional<char> byte = byteOfToken(token)) {
      bytes += *byte;
      continue;
    }
    flush();
    result.push_back(std::move(token));
  }
  flush();
  tokens = std::move(result);
  return {};
}

/// All tokens in one text.
static std::string concatenate(const Tokens &tokens, std::string_view separator = "") {
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i)
    text.append(i ? separator : "").append(tokens[i]);
  return text;
}

/// The mark for a space becomes a space, but at the beginning it goes where encoding has
/// put one there.
static std::function<Status(Tokens &)> makeMetaspace(const Field &field) {
  std::string replacement = field.stringOr("replacement", "\xE2\x96\x81");
  if (replacement.empty())
    field["replacement"].fail("must not be empty");
  std::string scheme = field.stringOr("prepend_scheme", field.booleanOr("add_prefix_space", true) ? "always" : "never");
  return [pattern = Pattern::literal(replacement), drops = scheme != "never"](Tokens &tokens) -> Status {
    Matcher matcher(pattern);
    for (size_t i = 0; i < tokens.size(); ++i) {
      Result<std::string> text =
          replaceAll(tokens[i], matcher, i == 0 && drops ? "" : " ", replacementLimit(tokens[i].size()));
      if (!text)
        return text.error();
      tokens[i] = std::move(*text);
    }
    return {};
  };
}

/// A pattern within each token. A file could make a text grow without end, so what all
/// steps write together is limited.
static std::function<Status(Tokens &)> makeReplace(const Field &field) {
  return [pattern = Pattern::parse(field["pattern"]), content = field["content"].string()](Tokens &tokens) -> Status {
    size_t size = concatenate(tokens).size();
    size_t left = (size_t(1) << 30) + size; // for all tokens and all steps together
    Matcher matcher(pattern);
    for (std::string &token : tokens) {
      Result<std::string> text = replaceAll(token, matcher, content, left);
      if (!text)
        return text.error();
      left -= text->size();
      token = std::move(*text);
    }
    return {};
  };
}

/// Takes up to `start` and `stop` times `content`, one character, off the ends.
static std::function<Status(Tokens &)> makeStrip(const Field &field) {
  return [content = field["content"].string(), start = field["start"].id(), stop = field["stop"].id()](Tokens &tokens) {
    for (std::string &token : tokens) {
      std::string_view text = token;
      for (int32_t i = 0; i < start && !content.empty() && text.starts_with(content); ++i)
        text.remove_prefix(content.size());
      for (int32_t i = 0; i < stop && !content.empty() && text.ends_with(content); ++i)
        text.remove_suffix(content.size());
      token = std::string(text);
    }
    return Status();
  };
}

void Decoder::add(const Field &field) {
  const std::string &type = field.type();
  if (type == "Sequence") {
    Field parts = field["decoders"];
    for (size_t i = 0; i < parts.size(); ++i)
      add(parts[i]);
  } else if (type == "ByteLevel") {
    steps.push_back(decodeByteLevel);
  } else if (type == "ByteFallback") {
    steps.push_back(decodeByteFallback);
  } else if (type == "Fuse") {
    steps.push_back([](Tokens &tokens) {
      tokens = {concatenate(tokens)};
      return Status();
    });
  } else if (type == "Metaspace") {
    steps.push_back(makeMetaspace(field));
  } else if (type == "Replace") {
    steps.push_back(makeReplace(field));
  } else if (type == "Strip") {
    steps.push_back(makeStrip(field));
  } else {
    field.failType("decoder");
  }
}

Result<std::string> Decoder::apply(Tokens tokens) const {
  for (const auto &step : steps)
    if (Status status = step(tokens); !status)
      return Error{"decoder: " + status.error().message};
  return concatenate(tokens, hasSteps ? "" : " ");
}
