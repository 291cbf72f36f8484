//===- UnlinkedFile.cpp - Numbers that memory is too small for ------------===//
//
// Reading and writing go on where a signal or a limit of the system cut them.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/UnlinkedFile.h"
#include "SystemError.h"
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

using namespace qopt;

Result<UnlinkedFile> UnlinkedFile::create() {
  const char *environment = std::getenv("TMPDIR");
  std::string directory = environment && *environment ? environment : "/tmp";
  int file = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    // File systems without O_TMPFILE.
    std::string name = directory + "/qopt-XXXXXX";
    file = mkostemp(name.data(), O_CLOEXEC);
    if (file >= 0)
      unlink(name.c_str());
  }
  if (file < 0)
    return systemError(("cannot create a temporary file in " + directory).c_str(), errno);
  return UnlinkedFile(file);
}

UnlinkedFile::~UnlinkedFile() {
  if (file >= 0)
    close(file);
}

Status UnlinkedFile::write(int64_t offset, std::span<const char> bytes) {
  std::string what = "cannot keep " + std::to_string(bytes.size()) + " bytes in a temporary file";
  while (!bytes.empty()) {
    ssize_t count = pwrite(file, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return systemError(what.c_str(), count < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return {};
}

Status UnlinkedFile::read(int64_t offset, std::span<char> bytes) const {
  while (!bytes.empty()) {
    ssize_t count = pread(file, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return systemError("cannot read back from a temporary file", errno);
    if (count == 0)
      return Error{"cannot read back from a temporary file: unexpected end"};
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return {};
}
