//===- MappedFile.cpp - Files read by mapping -----------------------------===//
//
// Whoever cuts a mapped file ends all that read it with SIGBUS. All mappings are in a list, so
// that the handler of the signal can name the file, and that files which changed while
// they were read are noticed.
//
//===----------------------------------------------------------------------===//
#include "Mappings.h"
#include "SystemError.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

using namespace qopt;

//===----------------------------------------------------------------------===//
// The list of all mappings
//===----------------------------------------------------------------------===//

namespace {
/// Entries are used again and never freed: a signal handler may look at one at any time.
struct Mapping {
  std::atomic<const std::byte *> begin = nullptr; ///< null: the entry is free
  std::atomic<size_t> length = 0;
  char name[512] = {}; ///< as it is printed
  std::string path;    ///< only with the lock
  struct stat info;    ///< when it was opened; only with the lock
  Mapping *next = nullptr;
};
} // namespace

static std::atomic<Mapping *> mappings = nullptr;
static std::mutex lock; // of writers

static void addMapping(const std::byte *begin, size_t length, const std::string &path, const struct stat &info) {
  std::lock_guard guard(lock);
  Mapping *entry = mappings;
  while (entry && entry->begin)
    entry = entry->next;
  if (!entry) {
    entry = new Mapping;
    entry->next = mappings;
    mappings = entry;
  }
  std::string name = printable(path);
  name.copy(entry->name, sizeof entry->name - 1);
  entry->name[std::min(name.size(), sizeof entry->name - 1)] = 0;
  entry->path = path;
  entry->info = info;
  entry->length = length;
  entry->begin = begin;
}

static void removeMapping(const std::byte *begin) {
  std::lock_guard guard(lock);
  for (Mapping *entry = mappings; entry; entry = entry->next)
    if (entry->begin == begin)
      entry->begin = nullptr;
}

const char *qopt::mappedFileAt(const void *address) {
  for (Mapping *entry = mappings; entry; entry = entry->next) {
    const std::byte *begin = entry->begin;
    // The last page is mapped as a whole.
    if (begin && address >= begin && static_cast<const std::byte *>(address) < begin + entry->length + 4096)
      return entry->name;
  }
  return nullptr;
}

static bool isSameFile(const struct stat &a, const struct stat &b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

Status qopt::checkMappedFilesUnchanged() {
  std::lock_guard guard(lock);
  for (Mapping *entry = mappings; entry; entry = entry->next) {
    // A file that was replaced by renaming is still mapped as it was.
    struct stat now;
    if (!entry->begin || ::stat(entry->path.c_str(), &now) != 0 || !isSameFile(now, entry->info))
      continue;
    if (now.st_size != entry->info.st_size || now.st_mtim.tv_sec != entry->info.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != entry->info.st_mtim.tv_nsec)
      return Error{printable(entry->path) + " changed while it was read"};
  }
  return {};
}

std::vector<std::string> qopt::mappedFiles() {
  std::lock_guard guard(lock);
  std::vector<std::string> paths;
  for (Mapping *entry = mappings; entry; entry = entry->next)
    if (entry->begin)
      paths.push_back(entry->path);
  return paths;
}

//===----------------------------------------------------------------------===//
// MappedFile
//===----------------------------------------------------------------------===//

Result<MappedFile> MappedFile::open(const std::string &path) {
  // Without O_NONBLOCK opening a pipe nobody writes to would wait for ever.
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return systemError("cannot open", errno);
  return fromDescriptor(fd, path);
}

Result<MappedFile> MappedFile::fromDescriptor(int fd, const std::string &path) {
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
    addMapping(static_cast<const std::byte *>(address), length, path, info);
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
  if (!address)
    return;
  removeMapping(address);
  ::munmap(const_cast<std::byte *>(address), length);
}
