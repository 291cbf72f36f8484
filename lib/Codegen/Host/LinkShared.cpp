//===- LinkShared.cpp - An object file to a shared object -----------------===//
//
// With lld in this process. It reads and writes files only, so they lie in a
// private directory that is removed whatever happens.
//
//===----------------------------------------------------------------------===//
#include "lld/Common/Driver.h"
#include "mlir/IR/Diagnostics.h"
#include "qopt/Codegen/Host/Steps.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;

namespace {

class PrivateDirectory {
public:
  PrivateDirectory() { error = llvm::sys::fs::createUniqueDirectory("qopt", path); }
  ~PrivateDirectory() {
    if (!error)
      llvm::sys::fs::remove_directories(path);
  }
  std::string file(StringRef name) const {
    SmallString<128> result(path);
    llvm::sys::path::append(result, name);
    return std::string(result);
  }
  std::error_code error;

private:
  SmallString<128> path;
};

} // namespace

FailureOr<std::vector<char>> qopt::host::linkShared(Location loc, ArrayRef<char> object, bool mayImport) {
  PrivateDirectory directory;
  if (directory.error)
    return emitError(loc) << "cannot make a temporary directory: " << directory.error.message();
  std::string input = directory.file("host.o"), output = directory.file("host.so");
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(input, error);
    if (!error) {
      stream.write(object.data(), object.size());
      stream.close();
      error = stream.error();
      stream.clear_error();
    }
    if (error)
      return emitError(loc) << "cannot write " << input << ": " << error.message();
  }
  const char *arguments[] = {"ld.lld",
                             "-shared",
                             "--gc-sections",
                             "-Bsymbolic",
                             "-z",
                             mayImport ? "undefs" : "defs",
                             "--build-id=none",
                             "--hash-style=gnu",
                             "--threads=1",
                             "-o",
                             output.c_str(),
                             input.c_str()};
  std::string out, messages;
  {
    // lld keeps its state in globals.
    static std::mutex mutex;
    std::lock_guard<std::mutex> lock(mutex);
    llvm::raw_string_ostream outStream(out), errorStream(messages);
    lld::Result result = lld::lldMain(arguments, outStream, errorStream, {{lld::Gnu, &lld::elf::link}});
    if (result.retCode != 0) {
      StringRef first = StringRef(messages).split('\n').first;
      return emitError(loc) << "cannot link host code: " << first;
    }
  }
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> linked =
      llvm::MemoryBuffer::getFile(output, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!linked)
    return emitError(loc) << "cannot read " << output << ": " << linked.getError().message();
  return std::vector<char>((*linked)->getBufferStart(), (*linked)->getBufferEnd());
}
