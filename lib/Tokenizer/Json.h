//===- Json.h - tokenizer.json, with errors that name the field -----------===//
//
// The parsers of this folder read fields through `Field` and throw FieldError;
// Tokenizer::parse catches it, so no exception leaves the library.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_TOKENIZER_JSON_H
#define QOPT_LIB_TOKENIZER_JSON_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace qopt::tokenizer {

using Json = nlohmann::json;

/// "model.merges[3]: what is wrong".
struct FieldError {
  std::string message;
};

/// Parses JSON from an untrusted file. Errors: a syntax error or invalid UTF-8
/// (with the byte), nesting deeper than 64 levels, a key that occurs twice in one
/// object, an encoding other than UTF-8.
Result<Json> parseJson(std::string_view text);

/// What a value is, for messages: "a string", "the number 7", "an array" ...
std::string describe(const Json &value);

/// A value and the way to it.
class Field {
public:
  explicit Field(const Json &root) : value(&root) {}

  [[noreturn]] void fail(const std::string &message) const;
  /// Throws "expected WHAT but got ...".
  [[noreturn]] void failExpected(const std::string &what) const;

  /// A member that must be there.
  Field operator[](const char *key) const;
  /// A member that may be absent or null.
  std::optional<Field> find(const char *key) const;
  /// An element of an array.
  Field operator[](size_t index) const;
  /// The number of elements; throws for anything but an array.
  size_t size() const;

  const std::string &string() const;
  bool boolean() const;
  /// An integer from 0 to 2^31 - 2, so that one more still fits.
  int32_t id() const;
  const Json &object() const;
  bool isArray() const { return value->is_array(); }
  /// Whether this is the number 0.
  bool isZero() const { return value->is_number() && value->get<double>() == 0; }

  /// Members with a default, absent or null.
  bool booleanOr(const char *key, bool otherwise) const;
  std::string stringOr(const char *key, const char *otherwise) const;
  /// The member "type".
  const std::string &type() const { return (*this)["type"].string(); }
  /// Throws: this is of a kind ("normalizer") whose type we do not know.
  [[noreturn]] void failType(const char *kind) const;

private:
  Field(const Json &value, std::string path) : value(&value), path(std::move(path)) {}
  const Json *value;
  std::string path;
};

/// The id in `value`, if it is an integer from 0 to 2^31 - 2.
std::optional<int32_t> asId(const Json &value);

} // namespace qopt::tokenizer

#endif // QOPT_LIB_TOKENIZER_JSON_H
