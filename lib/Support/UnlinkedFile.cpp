//===- UnlinkedFile.cpp - Numbers that memory is too small for ------------===//
//
// It has no name, so that nothing is left whenever the process ends.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/UnlinkedFile.h"
#include "PlacedIo.h"
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
  int code = writeAllAt(file, offset, std::as_bytes(bytes));
  if (!code)
    return {};
  std::string what = "cannot keep " + std::to_string(bytes.size()) + " bytes in a temporary file";
  return systemError(what.c_str(), code);
}

Status UnlinkedFile::read(int64_t offset, std::span<char> bytes) const {
  int code = readAllAt(file, offset, std::as_writable_bytes(bytes));
  if (code == kFileEnds)
    return Error{"cannot read back from a temporary file: unexpected end"};
  return code ? Status(systemError("cannot read back from a temporary file", code)) : Status();
}
