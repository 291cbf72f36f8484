//===- Json.cpp - JSON with errors that say where -------------------------===//
//
// A tokenizer.json comes from anywhere, so it is parsed with limits, and a field that is
// missing or of another kind is reported by its path.
//
//===----------------------------------------------------------------------===//
#include "Json.h"
#include "qopt/Support/Utf8.h"
#include <limits>
#include <vector>

using namespace qopt;
using namespace qopt::tokenizer;

//===----------------------------------------------------------------------===//
// Parsing
//===----------------------------------------------------------------------===//

namespace {
/// Builds the value while it is parsed. The library's own builder would accept
/// any depth, whose destruction or traversal may then overflow the stack, and
/// would keep the last of two equal keys.
class Builder : public nlohmann::json_sax<Json> {
public:
  Json root;
  std::string message;

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(Json(value)); }
  bool number_float(number_float_t value, const string_t &) override { return add(Json(value)); }
  bool string(string_t &value) override { return add(Json(std::move(value))); }
  bool binary(binary_t &) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  // Of two equal keys one would be ignored: which one differs from parser to parser.
  bool key(string_t &name) override {
    auto [place, isNew] = stack.back()->get_ref<Json::object_t &>().try_emplace(std::move(name));
    if (!isNew)
      return fail("key '" + printable(place->first) + "' occurs twice in one object");
    member = &place->second;
    return true;
  }

  bool parse_error(size_t position, const std::string &, const nlohmann::detail::exception &error) override {
    std::string_view text = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 6: syntax error while ..."
    if (size_t at = text.find(": "); at != std::string_view::npos)
      text.remove_prefix(at + 2);
    return fail("is not valid JSON at byte " + std::to_string(position) + ": " + printable(text));
  }

private:
  static constexpr size_t maxDepth = 64;
  std::vector<Json *> stack;
  Json *member = nullptr; // where the value after a key goes

  bool fail(std::string text) {
    if (message.empty())
      message = std::move(text);
    return false;
  }

  /// Puts a value where the parser is: the root, the end of an array, or behind a key.
  Json *place(Json &&value) {
    if (stack.empty())
      return &(root = std::move(value));
    if (stack.back()->is_array()) {
      stack.back()->push_back(std::move(value));
      return &stack.back()->back();
    }
    return &(*member = std::move(value));
  }
  bool add(Json &&value) {
    place(std::move(value));
    return true;
  }
  bool open(Json &&value) {
    if (stack.size() == maxDepth)
      return fail("JSON is nested deeper than " + std::to_string(maxDepth) + " levels");
    stack.push_back(place(std::move(value)));
    return true;
  }
  bool close() {
    stack.pop_back();
    return true;
  }
};
} // namespace

Result<Json> qopt::tokenizer::parseJson(std::string_view text) {
  if (text.empty())
    return Error{"is empty"};
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    return Error{"is UTF-16; JSON must be UTF-8"};
  Builder builder;
  if (!Json::sax_parse(text, &builder))
    return Error{builder.message};
  return std::move(builder.root);
}

//===----------------------------------------------------------------------===//
// Fields
//===----------------------------------------------------------------------===//

/// For messages; long strings are cut.
std::string qopt::tokenizer::describe(const Json &value) {
  switch (value.type()) {
  case Json::value_t::null:
    return "null";
  case Json::value_t::object:
    return "an object";
  case Json::value_t::array:
    return "an array of " + std::to_string(value.size());
  case Json::value_t::string:
    return "'" + printable(value.get_ref<const std::string &>().substr(0, 64)) + "'";
  case Json::value_t::boolean:
    return value.get<bool>() ? "true" : "false";
  default:
    return "the number " + value.dump();
  }
}

/// Ids are below the largest int32_t, so that their number is an int32_t, too.
std::optional<int32_t> qopt::tokenizer::asId(const Json &value) {
  constexpr int64_t limit = std::numeric_limits<int32_t>::max() - 1;
  if (value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(limit))
    return static_cast<int32_t>(value.get<uint64_t>());
  return std::nullopt;
}

void Field::fail(const std::string &message) const { throw FieldError{path.empty() ? message : path + ": " + message}; }

void Field::failExpected(const std::string &what) const { fail("expected " + what + " but got " + describe(*value)); }

void Field::failType(const char *kind) const {
  (*this)["type"].fail("unsupported " + std::string(kind) + " '" + printable(type()) + "'");
}

static std::string join(const std::string &path, const char *key) { return path.empty() ? key : path + "." + key; }

const Json &Field::object() const {
  if (!value->is_object())
    failExpected("an object");
  return *value;
}

Field Field::operator[](const char *key) const {
  auto place = object().find(key);
  if (place == value->end())
    Field(*value, join(path, key)).fail("missing");
  return {*place, join(path, key)};
}

/// null is how some writers say that a field is not there.
std::optional<Field> Field::find(const char *key) const {
  auto place = object().find(key);
  if (place == value->end() || place->is_null())
    return std::nullopt;
  return Field(*place, join(path, key));
}

Field Field::operator[](size_t index) const { return {(*value)[index], path + "[" + std::to_string(index) + "]"}; }

size_t Field::size() const {
  if (!value->is_array())
    failExpected("an array");
  return value->size();
}

const std::string &Field::string() const {
  if (!value->is_string())
    failExpected("a string");
  return value->get_ref<const std::string &>();
}

bool Field::boolean() const {
  if (!value->is_boolean())
    failExpected("true or false");
  return value->get<bool>();
}

int32_t Field::id() const {
  std::optional<int32_t> id = asId(*value);
  if (!id)
    failExpected("an integer from 0 to 2147483646");
  return *id;
}

bool Field::booleanOr(const char *key, bool otherwise) const {
  std::optional<Field> field = find(key);
  return field ? field->boolean() : otherwise;
}

std::string Field::stringOr(const char *key, const char *otherwise) const {
  std::optional<Field> field = find(key);
  return field ? field->string() : otherwise;
}
