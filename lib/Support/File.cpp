//===- File.cpp - Whole files, written at once ----------------------------===//
//
// A file that is being written has a temporary name until it is complete.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/File.h"
#include "Mappings.h"
#include "SystemError.h"
#include "Temporaries.h"
#include "qopt/Support/TemporaryDirectory.h"
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

using namespace qopt;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// What comes from `descriptor` until its end, behind `text`; an error past `limit` bytes.
static Result<std::string> readToEnd(int descriptor, std::string text, size_t limit) {
  std::array<char, 1 << 16> chunk;
  for (;;) {
    ssize_t count = ::read(descriptor, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return systemError("cannot be read", errno);
    if (count == 0)
      return text;
    if (static_cast<size_t>(count) > limit - text.size())
      return Error{"has more than " + std::to_string(limit) + " bytes"};
    text.append(chunk.data(), static_cast<size_t>(count));
  }
}

Result<std::string> qopt::readStandardInput(size_t limit) {
  Result<std::string> text = readToEnd(STDIN_FILENO, "", limit);
  if (!text)
    return Error{"standard input " + text.error().message};
  return text;
}

Result<std::string> qopt::readPipe(const std::string &path) {
  // Both the opening and the first byte show whether there is a writer without waiting for one.
  int pipe = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (pipe < 0)
    return systemError("cannot open", errno);
  char first;
  ssize_t count = ::read(pipe, &first, 1);
  Result<std::string> text = Error{"is a pipe that nobody writes to"};
  if (count > 0 || (count < 0 && errno == EAGAIN)) {
    ::fcntl(pipe, F_SETFL, ::fcntl(pipe, F_GETFL) & ~O_NONBLOCK);
    text = readToEnd(pipe, std::string(&first, count > 0), SIZE_MAX);
  }
  ::close(pipe);
  return text;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// Temporaries are called ".NAME.tmp-SUFFIX", with NAME shortened to what a directory entry can
/// hold.
static constexpr size_t kSuffixLength = 10;

static std::string randomSuffix() {
  static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
  std::random_device random;
  std::string suffix;
  for (size_t i = 0; i < kSuffixLength; ++i)
    suffix += digits[random() % 32];
  return suffix;
}

/// Creates the file `temporary` and locks it, having removed those of killed processes.
Status AtomicFile::openTemporary() {
  constexpr std::string_view mark = ".tmp-";
  std::string prefix = "." + name.substr(0, NAME_MAX - 1 - mark.size() - kSuffixLength) + std::string(mark);
  removeLeftBehind(directory, prefix, kSuffixLength);
  for (;;) {
    std::string candidate = prefix + randomSuffix();
    file = ::openat(directory, candidate.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno == EEXIST)
      continue;
    if (file < 0)
      return systemError("cannot create a temporary beside it", errno);
    if (lockTemporary(file)) {
      temporary = std::move(candidate);
      return {};
    }
    ::close(std::exchange(file, -1));
  }
}

Result<AtomicFile> AtomicFile::create(const std::string &path, int64_t expectedSize) {
  AtomicFile result;
  std::string target = path;
  struct stat info;
  bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode))
    return Error{"is a directory"};
  if (exists && !S_ISREG(info.st_mode)) {
    // A pipe without a reader would be waited for without end.
    result.file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (result.file < 0)
      return S_ISFIFO(info.st_mode) && errno == ENXIO ? Error{"is a pipe that nobody reads"}
                                                      : systemError("cannot open for writing", errno);
    ::fcntl(result.file, F_SETFL, ::fcntl(result.file, F_GETFL) & ~O_NONBLOCK);
    return result;
  }
  if (exists) {
    char *resolved = ::realpath(path.c_str(), nullptr);
    if (!resolved)
      return systemError("cannot resolve", errno);
    target = resolved;
    std::free(resolved);
  }

  size_t slash = target.rfind('/');
  std::string folder = slash == std::string::npos ? "." : target.substr(0, slash + 1);
  result.name = slash == std::string::npos ? target : target.substr(slash + 1);
  if (result.name.empty())
    return Error{"is not a file name"};
  if (result.name.size() > NAME_MAX)
    return systemError("cannot create", ENAMETOOLONG);
  result.directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (result.directory < 0)
    return systemError("cannot open its directory", errno);

  if (Status status = result.openTemporary(); !status)
    return status.error();
  result.slot = registerTemporary(result.directory, result.temporary);
  if (exists)
    (void)!::fchmod(result.file, info.st_mode & 07777); // the old mode is a wish, not a duty
  if (expectedSize > 0) {
    int code = ::posix_fallocate(result.file, 0, expectedSize);
    // A file system that cannot reserve says so; then the writes will tell.
    if (code != 0 && code != EOPNOTSUPP && code != EINVAL)
      return systemError(("cannot reserve " + std::to_string(expectedSize) + " bytes").c_str(), code);
  }
  return result;
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : file(std::exchange(other.file, -1)), stream(std::exchange(other.stream, -1)),
      directory(std::exchange(other.directory, -1)), slot(std::exchange(other.slot, -1)), written(other.written),
      name(std::move(other.name)), temporary(std::exchange(other.temporary, {})) {}

AtomicFile::~AtomicFile() { discard(); }

/// Removes the temporary (when there still is one) and lets go of everything.
void AtomicFile::discard() {
  if (!temporary.empty())
    ::unlinkat(directory, temporary.c_str(), 0);
  temporary.clear();
  releaseTemporary(slot);
  slot = -1;
  for (int *descriptor : {&file, &stream, &directory})
    if (*descriptor >= 0)
      ::close(std::exchange(*descriptor, -1));
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return systemError("cannot write", errno);
    bytes = bytes.subspan(static_cast<size_t>(count));
    written += count;
  }
  return {};
}

Status AtomicFile::commit() {
  if (stream >= 0)
    if (Status status = moveToStream(); !status)
      return status;
  if (temporary.empty()) {
    int closed = ::close(std::exchange(file, -1));
    return closed == 0 ? Status() : Status(systemError("cannot close", errno));
  }
  // The reserved size may have been more than what was written.
  if (::ftruncate(file, written) != 0)
    return systemError("cannot set the size", errno);
  if (::fsync(file) != 0)
    return systemError("cannot flush to the disk", errno);
  if (Status status = checkMappedFilesUnchanged(); !status)
    return status;
  // The lock ends with the descriptor, and without it the file could be taken for left behind.
  int lock = ::dup(file);
  if (::close(std::exchange(file, lock)) != 0)
    return systemError("cannot close", errno);
  if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0)
    return systemError("cannot put the file in place", errno);
  temporary.clear();
  // The file is there; whether its directory entry survives a power cut is all
  // that a failure here could change, and some file systems cannot do it.
  (void)::fsync(directory);
  discard();
  return {};
}

Status qopt::writeFileAtomically(const std::string &path, std::string_view contents) {
  Result<AtomicFile> file = AtomicFile::create(path, static_cast<int64_t>(contents.size()));
  if (!file)
    return file.error();
  if (Status status = file->write(contents); !status)
    return status;
  return file->commit();
}

//===----------------------------------------------------------------------===//
// TemporaryDirectory
//===----------------------------------------------------------------------===//

Result<TemporaryDirectory> TemporaryDirectory::create(const std::string &name, const std::string &given) {
  std::error_code code;
  std::filesystem::path parent =
      given.empty() ? std::filesystem::temp_directory_path(code) : std::filesystem::path(given);
  if (code)
    return Error{"no directory for temporary files: " + code.message()};
  std::string prefix = name + ".tmp-";
  if (int entries = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); entries >= 0) {
    removeLeftBehind(entries, prefix, 6);
    ::close(entries);
  }
  // Where the disk is as good as full, that is said before the work.
  struct statvfs room;
  constexpr uint64_t least = 1 << 20;
  if (::statvfs(parent.c_str(), &room) == 0 && room.f_blocks > 0 && room.f_bavail < least / room.f_frsize)
    return Error{"no space left for temporary files in " + parent.string() + ": " +
                 std::to_string(room.f_bavail * room.f_frsize) + " bytes are free, expected at least " +
                 std::to_string(least)};
  for (;;) {
    std::string path = (parent / (prefix + "XXXXXX")).string();
    if (!::mkdtemp(path.data()))
      return systemError(("cannot create a temporary directory in " + parent.string()).c_str(), errno);
    int lock = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int reason = errno;
    if (lock >= 0 && lockTemporary(lock)) {
      TemporaryDirectory result;
      result.directory = path;
      result.lock = lock;
      result.slot = registerTemporary(AT_FDCWD, path, AT_REMOVEDIR);
      return result;
    }
    if (lock >= 0)
      ::close(lock);
    else if (reason != ENOENT) { // else another process took it for left behind before it was locked
      ::rmdir(path.c_str());
      return systemError(("cannot open the temporary directory " + path).c_str(), reason);
    }
  }
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory &&other) noexcept
    : directory(std::exchange(other.directory, {})), slot(std::exchange(other.slot, -1)),
      lock(std::exchange(other.lock, -1)) {}

Result<std::string> TemporaryDirectory::write(const std::string &name, std::span<const char> bytes) const {
  std::string path = file(name);
  AtomicFile target; // without a temporary name: the directory is one
  target.file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  Status status = target.file < 0 ? Status(systemError("cannot create", errno)) : target.write(std::as_bytes(bytes));
  if (status)
    status = target.commit();
  return status ? Result<std::string>(path) : Error{"temporary file " + path + ": " + status.error().message};
}

Status TemporaryDirectory::moveOut(const std::string &name, const std::string &path) const {
  if (::rename(file(name).c_str(), path.c_str()) != 0)
    return systemError("cannot put the file in place", errno);
  // As in AtomicFile::commit().
  if (int parent = ::open(std::filesystem::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      parent >= 0) {
    (void)::fsync(parent);
    ::close(parent);
  }
  return {};
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!directory.empty())
    std::filesystem::remove_all(directory, ignored);
  releaseTemporary(slot);
  if (lock >= 0)
    ::close(lock);
}
