//===- File.h - Files read by mapping, written all or nothing -------------===//
//
// Error messages do not repeat the path: the tool prints "FILE: " before them.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_FILE_H
#define QOPT_SUPPORT_FILE_H

#include "qopt/Support/Result.h"
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// A regular file mapped read-only. The bytes stay valid as long as the object
/// (moving it keeps them where they are). Where another program cuts the file
/// meanwhile, reading it raises SIGBUS, of which handleSignals() makes an error.
class MappedFile {
public:
  /// Errors: the path cannot be opened, or is a directory, device or pipe.
  static Result<MappedFile> open(const std::string &path);
  /// As open(), of an open file, which messages call `path`; closes `descriptor`.
  static Result<MappedFile> fromDescriptor(int descriptor, const std::string &path);

  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {address, length}; }
  std::string_view text() const { return {reinterpret_cast<const char *>(address), length}; }
  size_t size() const { return length; }

private:
  MappedFile(const std::byte *address, size_t length) : address(address), length(length) {}
  const std::byte *address;
  size_t length;
};

/// The paths of the files that are mapped now.
std::vector<std::string> mappedFiles();

/// All of standard input. An error past `limit` bytes.
Result<std::string> readStandardInput(size_t limit);

/// All of a pipe. An error where nobody writes to it, which could take for ever.
Result<std::string> readPipe(const std::string &path);

/// Writes a file that appears complete or not at all, also when the disk is full
/// or the process is killed: the bytes go to a temporary in the same directory,
/// which replaces `path` in commit(). Without commit() the temporary is removed
/// and an older file at `path` is untouched. A symbolic link is followed, a
/// device or pipe (/dev/null) is written straight. An object belongs to one
/// thread, but for writeAt() and readAt(); several objects may be used at once.
class AtomicFile {
public:
  /// `expectedSize` bytes are reserved at once, so that a disk that is too small
  /// is reported before the work; 0 when the size is not known.
  static Result<AtomicFile> create(const std::string &path, int64_t expectedSize = 0);

  /// A file of `size` bytes that is written in any order, by writeAt() only; what is not
  /// written is zero. A device or pipe gets its bytes in commit().
  static Result<AtomicFile> createSized(const std::string &path, int64_t size);

  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text) { return write(std::as_bytes(std::span(text))); }
  /// Bytes written so far.
  int64_t position() const { return written; }
  /// Several threads may write and read a sized file at once.
  Status writeAt(int64_t offset, std::span<const std::byte> bytes);
  Status readAt(int64_t offset, std::span<std::byte> bytes) const;
  /// Flushes to the disk and puts the file in place. Call once, last. An error where a file
  /// that is mapped was changed since it was opened: what was made of it is neither the old
  /// nor the new.
  Status commit();

private:
  friend class TemporaryDirectory;
  AtomicFile() = default;
  Status openTemporary();
  void discard();
  Status moveToStream();

  int file = -1;
  int stream = -1; // a device or pipe that the bytes of `file` go to
  int directory = -1;
  int slot = -1;
  int64_t written = 0;
  std::string name;
  std::string temporary; // empty when `path` is written straight
};

/// write() and commit() of a whole file.
Status writeFileAtomically(const std::string &path, std::string_view contents);

/// From now on SIGINT, SIGTERM and SIGHUP remove the temporaries of all unfinished AtomicFiles
/// and TemporaryDirectories, and end the process with one line, "NAME: error: ...", and the
/// exit code 128 + signal (a signal that the parent ignores stays ignored). A page of a
/// MappedFile that is not there any more ends it in the same way with code 1. Full pipes and
/// file size limits are errors of what writes. Call at the start of main().
void handleSignals(const char *name);

} // namespace qopt

#endif // QOPT_SUPPORT_FILE_H
