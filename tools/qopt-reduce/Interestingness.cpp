//===- Interestingness.cpp - Whether IR still shows a fault ---------------===//
//
// One temporary file serves all texts, and goes as those of all tools do when the run is interrupted. What the program
// prints would be seen hundreds of times, and is dropped.
//
//===----------------------------------------------------------------------===//
#include "Interestingness.h"
#include "qopt/Support/Utf8.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace qopt;
using llvm::StringRef;

Result<bool> InterestingnessTest::operator()(StringRef text) {
  if (!directory) {
    Result<TemporaryDirectory> created = TemporaryDirectory::create("qopt-reduce");
    if (!created)
      return created.error();
    directory.emplace(std::move(*created));
  }
  std::string path = directory->file("candidate.mlir");
  std::error_code code;
  llvm::raw_fd_ostream file(path, code);
  if (!code) {
    file << text;
    file.close();
    code = file.error();
    file.clear_error();
  }
  if (code)
    return Error{path + ": cannot be written: " + code.message()};

  std::vector<StringRef> command{program};
  command.insert(command.end(), arguments.begin(), arguments.end());
  command.push_back(path);
  std::string reason;
  std::optional<StringRef> nothing[] = {"", "", ""}; // /dev/null
  int status = llvm::sys::ExecuteAndWait(program, command, /*Env=*/std::nullopt, nothing, /*SecondsToWait=*/0,
                                         /*MemoryLimit=*/0, &reason);
  ++runs;
  if (status < 0) // also where it ends with 126 or 127
    return Error{name() + " gives no answer: " + printable(reason)};
  return status != 0;
}
