//===- SizedFile.cpp - Files written in any order -------------------------===//
//
// The part of AtomicFile for a size that is known: threads write and read at places. What
// cannot be written in any order gets the bytes of an unnamed file at the end.
//
//===----------------------------------------------------------------------===//
#include "PlacedIo.h"
#include "SystemError.h"
#include "qopt/Support/File.h"
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>
#include <utility>
#include <vector>

using namespace qopt;

/// A file without a name; its space is given back when it is closed.
static Result<int> openUnnamed() {
  std::error_code code;
  std::filesystem::path folder = std::filesystem::temp_directory_path(code);
  if (code)
    return Error{"no directory for temporary files: " + code.message()};
  std::string path = (folder / "qopt-XXXXXX").string();
  int file = ::mkostemp(path.data(), O_CLOEXEC);
  if (file < 0)
    return systemError("cannot create a temporary file", errno);
  ::unlink(path.c_str());
  return file;
}

Result<AtomicFile> AtomicFile::createSized(const std::string &path, int64_t size) {
  Result<AtomicFile> result = create(path, size);
  if (!result)
    return result;
  if (result->temporary.empty()) {
    Result<int> unnamed = openUnnamed();
    if (!unnamed)
      return unnamed.error();
    result->stream = std::exchange(result->file, *unnamed);
  }
  // Where nothing could be reserved the file is still empty.
  if (::ftruncate(result->file, size) != 0)
    return systemError("cannot set the size", errno);
  result->written = size;
  return result;
}

Status AtomicFile::writeAt(int64_t offset, std::span<const std::byte> bytes) {
  int code = writeAllAt(file, offset, bytes);
  return code ? Status(systemError("cannot write", code)) : Status();
}

Status AtomicFile::readAt(int64_t offset, std::span<std::byte> bytes) const {
  int code = readAllAt(file, offset, bytes);
  if (code == kFileEnds)
    return Error{"cannot read what was written: the file is too short"};
  return code ? Status(systemError("cannot read what was written", code)) : Status();
}

/// The device or pipe takes the place of the unnamed file.
Status AtomicFile::moveToStream() {
  int64_t size = std::exchange(written, 0);
  std::vector<std::byte> piece(1 << 20);
  AtomicFile target;
  target.file = std::exchange(stream, -1);
  for (int64_t offset = 0; offset < size; offset += static_cast<int64_t>(piece.size())) {
    std::span<std::byte> bytes = std::span(piece).first(std::min<size_t>(piece.size(), size - offset));
    if (Status status = readAt(offset, bytes); !status)
      return status;
    if (Status status = target.write(bytes); !status)
      return status;
  }
  ::close(std::exchange(file, std::exchange(target.file, -1)));
  return {};
}
