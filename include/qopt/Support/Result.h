//===- Result.h - A value or an error message -----------------------------===//
//
// Errors in the parts that know no LLVM (runtime, tokenizer, module, numerics).
// A message continues "qopt: error: FILE: ": lower-case, one line, with numbers,
// no final period. The tool that prints it adds its own name.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_RESULT_H
#define QOPT_SUPPORT_RESULT_H

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace qopt {

/// Why something failed.
struct Error {
  std::string message;
  bool isUsage = false; ///< the command line is wrong: see usageError() in Tool.h
};

/// Either a T or an Error.
///
///   Result<File> file = File::open(path);
///   if (!file)
///     return file.error();
template <typename T>
class [[nodiscard]] Result {
public:
  Result(T value) : state(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state.index() == 0; }
  T &operator*() { return std::get<0>(state); }
  const T &operator*() const { return std::get<0>(state); }
  T *operator->() { return &std::get<0>(state); }
  const T *operator->() const { return &std::get<0>(state); }
  const Error &error() const { return std::get<1>(state); }

private:
  std::variant<T, Error> state;
};

/// Success or an Error.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(Error error) : state(std::move(error)) {}

  explicit operator bool() const { return !state.has_value(); }
  const Error &error() const { return *state; }

private:
  std::optional<Error> state;
};

} // namespace qopt

#endif // QOPT_SUPPORT_RESULT_H
