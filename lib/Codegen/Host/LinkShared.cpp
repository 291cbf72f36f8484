//===- LinkShared.cpp - An object file to a shared object -----------------===//
//
// With lld in this process. It reads a file, which lies in a private directory that is removed
// whatever happens, and writes to a pipe.
//
//===----------------------------------------------------------------------===//
#include "lld/Common/Driver.h"
#include "mlir/IR/Diagnostics.h"
#include "qopt/Codegen/Host/Steps.h"
#include "qopt/Support/TemporaryDirectory.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

LLD_HAS_DRIVER(elf)

using namespace mlir;
using namespace qopt;

namespace {

/// What lld writes to is read while it does, into memory: it would map a file, and a full disk
/// is SIGBUS then.
class PipeReader {
public:
  PipeReader() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      return;
    in = ends[1];
    reader = std::thread([this, out = ends[0]] {
      char piece[1 << 16];
      for (ssize_t count; (count = ::read(out, piece, sizeof piece)) != 0;)
        if (count > 0)
          bytes.insert(bytes.end(), piece, piece + count);
        else if (errno != EINTR)
          break;
      ::close(out);
    });
  }
  ~PipeReader() { (void)finish(); }
  bool isOpen() const { return in >= 0; }
  std::string path() const { return "/proc/self/fd/" + std::to_string(in); }
  /// All that was written.
  std::vector<char> finish() {
    if (in >= 0)
      ::close(std::exchange(in, -1));
    if (reader.joinable())
      reader.join();
    return std::move(bytes);
  }

private:
  int in = -1;
  std::vector<char> bytes;
  std::thread reader;
};

} // namespace

FailureOr<std::vector<char>> qopt::host::linkShared(Location loc, ArrayRef<char> object, bool mayImport) {
  Result<TemporaryDirectory> directory = TemporaryDirectory::create("qopt");
  if (!directory)
    return emitError(loc) << directory.error().message;
  Result<std::string> input = directory->write("host.o", {object.data(), object.size()});
  if (!input)
    return emitError(loc) << input.error().message;
  PipeReader output;
  if (!output.isOpen())
    return emitError(loc) << "cannot make a pipe: " << std::strerror(errno);
  std::string path = output.path();
  const char *arguments[] = {
      "ld.lld",          "-shared",          "--gc-sections", "-Bsymbolic", "-z",         mayImport ? "undefs" : "defs",
      "--build-id=none", "--hash-style=gnu", "--threads=1",   "-o",         path.c_str(), input->c_str()};
  std::string out, messages;
  // lld keeps its state in globals.
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  llvm::raw_string_ostream outStream(out), errorStream(messages);
  lld::Result result = lld::lldMain(arguments, outStream, errorStream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return emitError(loc) << "cannot link host code: " << StringRef(messages).split('\n').first;
  return output.finish();
}
