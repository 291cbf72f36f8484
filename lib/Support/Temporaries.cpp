//===- Temporaries.cpp - What must be gone when the process ends ----------===//
//
// Normally destructors remove temporaries, at signals the table here, and what a killed
// process left, the next one that writes to the same place.
//
//===----------------------------------------------------------------------===//
#include "Temporaries.h"
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace qopt;

namespace {
/// A fixed table: a signal handler may neither lock nor allocate.
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

int qopt::registerTemporary(int directory, const std::string &name, int flags) {
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

void qopt::releaseTemporary(int slot) {
  if (slot >= 0)
    temporaries[static_cast<size_t>(slot)].state = TemporarySlot::Free;
}

/// Calls `visit` with the name of each entry of an open directory. Neither locks nor allocates.
template <typename Visit>
static void forEachEntry(int directory, Visit visit) {
  alignas(8) char buffer[4096];
  for (long bytes; (bytes = ::syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < bytes;) {
      auto *entry = reinterpret_cast<struct dirent64 *>(buffer + at);
      visit(entry->d_name);
      at += entry->d_reclen;
    }
}

/// Removes a directory and the files in it.
static void removeDirectory(int parent, const char *name) {
  int directory = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (directory < 0)
    return;
  forEachEntry(directory, [&](const char *file) { ::unlinkat(directory, file, 0); });
  ::close(directory);
  ::unlinkat(parent, name, AT_REMOVEDIR);
}

void qopt::removeTemporaries() {
  for (int flags : {0, AT_REMOVEDIR}) // files first: they may be in the directories
    for (TemporarySlot &slot : temporaries) {
      if (slot.state != TemporarySlot::Used || slot.flags != flags)
        continue;
      if (flags == AT_REMOVEDIR)
        removeDirectory(slot.directory, slot.name);
      else
        ::unlinkat(slot.directory, slot.name, 0);
    }
}

//===----------------------------------------------------------------------===//
// Those of killed processes
//===----------------------------------------------------------------------===//

bool qopt::lockTemporary(int file) {
  // Who clears up may have found it without a lock and be about to remove it: wait until that is done.
  // Without locks on this file system nobody gets one, so nothing is taken for left behind.
  while (::flock(file, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat info;
  return ::fstat(file, &info) != 0 || info.st_nlink > 0;
}

static void removeUnlessLocked(int directory, const char *name) {
  int file = ::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat info;
  if (file < 0)
    return;
  if (::fstat(file, &info) == 0 && info.st_uid == ::geteuid() && ::flock(file, LOCK_EX | LOCK_NB) == 0) {
    if (S_ISDIR(info.st_mode))
      removeDirectory(directory, name);
    else if (S_ISREG(info.st_mode))
      ::unlinkat(directory, name, 0);
  }
  ::close(file);
}

void qopt::removeLeftBehind(int directory, const std::string &prefix, size_t suffixLength) {
  // A descriptor of its own, for it moves.
  int entries = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (entries < 0)
    return;
  forEachEntry(entries, [&](const char *name) {
    std::string_view text(name);
    if (text.starts_with(prefix) && text.size() == prefix.size() + suffixLength)
      removeUnlessLocked(directory, name);
  });
  ::close(entries);
}
