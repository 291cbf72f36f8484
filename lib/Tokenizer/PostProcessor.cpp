//===- PostProcessor.cpp - Tokens around a text ---------------------------===//
//
// What the field "post_processor" puts around one text; pairs of texts do not occur here.
//
//===----------------------------------------------------------------------===//
#include "PostProcessor.h"
#include "qopt/Support/Utf8.h"

using namespace qopt;
using namespace qopt::tokenizer;

/// Puts the special tokens of "single" around what is there already.
static void addTemplate(const Field &field, const std::function<bool(int32_t)> &isToken, PostProcessor &result) {
  Field items = field["single"];
  std::vector<int32_t> before, after;
  bool seenText = false;
  for (size_t i = 0; i < items.size(); ++i) {
    if (std::optional<Field> sequence = items[i].find("Sequence")) {
      Field name = (*sequence)["id"];
      if (name.string() != "A" || seenText)
        name.fail("expected the sequence 'A' once");
      seenText = true;
      continue;
    }
    Field name = items[i]["SpecialToken"]["id"];
    std::optional<Field> token = field["special_tokens"].find(name.string().c_str());
    if (!token)
      name.fail("'" + printable(name.string()) + "' is not in special_tokens");
    Field ids = (*token)["ids"];
    for (size_t j = 0; j < ids.size(); ++j) {
      int32_t id = ids[j].id();
      if (!isToken(id))
        ids[j].fail("no token has the id " + std::to_string(id));
      (seenText ? after : before).push_back(id);
    }
  }
  if (!seenText)
    items.fail("expected the sequence 'A' once");
  result.prefix.insert(result.prefix.begin(), before.begin(), before.end());
  result.suffix.insert(result.suffix.end(), after.begin(), after.end());
}

PostProcessor::PostProcessor(const Field &field, const std::function<bool(int32_t)> &isToken) {
  const std::string &type = field.type();
  // Each part of a sequence puts its tokens around those of the parts before it.
  if (type == "Sequence") {
    Field parts = field["processors"];
    for (size_t i = 0; i < parts.size(); ++i) {
      PostProcessor part(parts[i], isToken);
      prefix.insert(prefix.begin(), part.prefix.begin(), part.prefix.end());
      suffix.insert(suffix.end(), part.suffix.begin(), part.suffix.end());
    }
  } else if (type == "TemplateProcessing") {
    addTemplate(field, isToken, *this);
  } else if (type != "ByteLevel") {
    field.failType("post_processor");
  }
}
