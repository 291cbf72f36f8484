//===- PlacedIo.h - Reading and writing at a place of a file --------------===//
//
// Private to the files that call it. Both go on where a signal or a limit of the system
// cut them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_SUPPORT_PLACEDIO_H
#define QOPT_LIB_SUPPORT_PLACEDIO_H

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unistd.h>

namespace qopt {

/// Writes all of `bytes`: 0, or what errno says of why it could not.
inline int writeAllAt(int file, int64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::pwrite(file, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return count < 0 ? errno : ENOSPC;
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return 0;
}

constexpr int kFileEnds = -1;

/// Fills `bytes`: 0, what errno says, or kFileEnds.
inline int readAllAt(int file, int64_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::pread(file, bytes.data(), bytes.size(), offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return count < 0 ? errno : kFileEnds;
    bytes = bytes.subspan(static_cast<size_t>(count));
    offset += count;
  }
  return 0;
}

} // namespace qopt

#endif // QOPT_LIB_SUPPORT_PLACEDIO_H
