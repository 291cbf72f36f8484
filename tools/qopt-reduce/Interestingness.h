//===- Interestingness.h - Whether IR still shows a fault -----------------===//
//
// The answer is that of a program of the user's, with the interface that mlir-reduce asks for:
// it is called with the file as its last argument, and any exit status but 0 is a yes.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_TOOLS_REDUCE_INTERESTINGNESS_H
#define QOPT_TOOLS_REDUCE_INTERESTINGNESS_H

#include "qopt/Support/Result.h"
#include "qopt/Support/TemporaryDirectory.h"
#include "qopt/Support/Utf8.h"
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>
#include <vector>

class InterestingnessTest {
public:
  /// `program` is a path; `arguments` stand before that of the file.
  InterestingnessTest(std::string program, std::vector<std::string> arguments)
      : program(std::move(program)), arguments(std::move(arguments)) {}

  /// Whether the program fails on a file with this text. An error where it cannot be run, is
  /// killed, or ends as shells do that do not find a command (126, 127): that is no answer.
  qopt::Result<bool> operator()(llvm::StringRef text);

  /// The program, to be printed.
  std::string name() const { return qopt::printable(program); }
  /// How often it ran.
  int count() const { return runs; }

private:
  std::string program;
  std::vector<std::string> arguments;
  std::optional<qopt::TemporaryDirectory> directory; ///< of the file that each text is written to
  int runs = 0;
};

#endif // QOPT_TOOLS_REDUCE_INTERESTINGNESS_H
