//===- File.cpp - Whole files, mapped and written at once -----------------===//
//
// A file that is being written has a temporary name until it is complete.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/File.h"
#include "SystemError.h"
#include "qopt/Support/TemporaryDirectory.h"
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace qopt;

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

Result<MappedFile> MappedFile::open(const std::string &path) {
  // Without O_NONBLOCK opening a pipe nobody writes to would wait for ever.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return systemError("cannot open", errno);
  return fromDescriptor(fd);
}

Result<MappedFile> MappedFile::fromDescriptor(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    bool isDirectory = S_ISDIR(info.st_mode);
    ::close(fd);
    return Error{isDirectory ? "is a directory" : "is not a regular file"};
  }
  size_t length = static_cast<size_t>(info.st_size);
  void *address = nullptr;
  if (length > 0) { // mmap refuses an empty file
    address = ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED) {
      int code = errno;
      ::close(fd);
      return systemError("cannot map", code);
    }
  }
  ::close(fd);
  return MappedFile(static_cast<const std::byte *>(address), length);
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : address(std::exchange(other.address, nullptr)), length(std::exchange(other.length, 0)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(address, other.address);
  std::swap(length, other.length);
  return *this;
}

MappedFile::~MappedFile() {
  if (address)
    ::munmap(const_cast<std::byte *>(address), length);
}

Result<std::string> qopt::readStandardInput(size_t limit) {
  std::string text;
  std::array<char, 1 << 16> chunk;
  for (;;) {
    ssize_t count = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      return systemError("cannot read standard input", errno);
    if (count == 0)
      return text;
    if (static_cast<size_t>(count) > limit - text.size())
      return Error{"standard input has more than " + std::to_string(limit) + " bytes"};
    text.append(chunk.data(), static_cast<size_t>(count));
  }
}

//===----------------------------------------------------------------------===//
// Temporaries known to the signal handler
//===----------------------------------------------------------------------===//

namespace {
/// A fixed table: a signal handler may neither lock nor allocate. Writers beyond
/// its size still work, only a signal would leave their temporary behind.
struct TemporarySlot {
  enum State { Free, Busy, Used };
  std::atomic<int> state = Free;
  int directory;
  int flags; // of unlinkat()
  char name[NAME_MAX + 1];
};
} // namespace

static std::array<TemporarySlot, 64> temporaries;
static_assert(std::atomic<int>::is_always_lock_free);

/// -1 when there is no place for it.
static int registerTemporary(int directory, const std::string &name, int flags = 0) {
  if (name.size() > NAME_MAX)
    return -1;
  for (size_t i = 0; i < temporaries.size(); ++i) {
    int expected = TemporarySlot::Free;
    if (!temporaries[i].state.compare_exchange_strong(expected, TemporarySlot::Busy))
      continue;
    temporaries[i].directory = directory;
    temporaries[i].flags = flags;
    std::memcpy(temporaries[i].name, name.c_str(), name.size() + 1);
    temporaries[i].state = TemporarySlot::Used;
    return static_cast<int>(i);
  }
  return -1;
}

static void releaseTemporary(int slot) {
  if (slot >= 0)
    temporaries[static_cast<size_t>(slot)].state = TemporarySlot::Free;
}

static void removeTemporariesAndDie(int signal) {
  for (int flags : {0, AT_REMOVEDIR}) // files first: they may be in the directories
    for (TemporarySlot &slot : temporaries)
      if (slot.state == TemporarySlot::Used && slot.flags == flags)
        ::unlinkat(slot.directory, slot.name, flags);
  ::raise(signal); // SA_RESETHAND restored the default action
}

void qopt::removeTemporariesOnSignal() {
  std::signal(SIGXFSZ, SIG_IGN);
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    struct sigaction previous;
    if (::sigaction(signal, nullptr, &previous) != 0 || previous.sa_handler == SIG_IGN)
      continue;
    struct sigaction action = {};
    action.sa_handler = removeTemporariesAndDie;
    action.sa_flags = SA_RESETHAND;
    ::sigaction(signal, &action, nullptr);
  }
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

/// ".NAME.tmp-RANDOM", with NAME shortened to what a directory entry can hold.
static std::string temporaryName(const std::string &name) {
  static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
  std::random_device random;
  std::string suffix = ".tmp-";
  for (int i = 0; i < 10; ++i)
    suffix += digits[random() % 32];
  return "." + name.substr(0, NAME_MAX - 1 - suffix.size()) + suffix;
}

Result<AtomicFile> AtomicFile::create(const std::string &path, int64_t expectedSize) {
  AtomicFile result;
  std::string target = path;
  struct stat info;
  bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode))
    return Error{"is a directory"};
  if (exists && !S_ISREG(info.st_mode)) {
    result.file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (result.file < 0)
      return systemError("cannot open for writing", errno);
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

  do {
    result.temporary = temporaryName(result.name);
    result.file = ::openat(result.directory, result.temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (result.file < 0 && errno == EEXIST);
  if (result.file < 0) {
    int code = errno;
    result.temporary.clear();
    return systemError("cannot create a temporary beside it", code);
  }
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
  if (::close(std::exchange(file, -1)) != 0)
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

Result<TemporaryDirectory> TemporaryDirectory::create(const std::string &name) {
  std::error_code code;
  std::filesystem::path parent = std::filesystem::temp_directory_path(code);
  if (code)
    return Error{"no directory for temporary files: " + code.message()};
  TemporaryDirectory result;
  std::string path = (parent / (name + "-XXXXXX")).string();
  if (!::mkdtemp(path.data()))
    return systemError(("cannot create a directory in " + parent.string()).c_str(), errno);
  result.directory = path;
  result.slot = registerTemporary(AT_FDCWD, path, AT_REMOVEDIR);
  return result;
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory &&other) noexcept
    : directory(std::exchange(other.directory, {})), slot(std::exchange(other.slot, -1)) {}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!directory.empty())
    std::filesystem::remove_all(directory, ignored);
  releaseTemporary(slot);
}
