//===- ObjectStore.cpp - A directory of hashed objects --------------------===//
//
// DIR/lock is locked while a process works, DIR/state is a hash and the text it is of,
// DIR/objects holds the rest.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/ObjectStore.h"
#include "SystemError.h"
#include "qopt/Support/Sha256.h"
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace qopt;
namespace fs = std::filesystem;

/// Objects have this name until their hash is known; AtomicFile puts a dot before it.
static constexpr const char *kUnfinished = "unfinished";
static constexpr size_t kHashDigits = 2 * sizeof(Sha256::Digest);

static std::string hashOf(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return toHex(hash.finish());
}

static bool isObjectName(std::string_view name) {
  return name.size() == kHashDigits && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

static Status makeDirectory(const std::string &path) {
  if (::mkdir(path.c_str(), 0777) == 0)
    return {};
  int code = errno;
  if (struct stat info; ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return {};
  return systemError("cannot make the directory", code == EEXIST ? ENOTDIR : code);
}

/// Puts the names in a directory on the disk. Some file systems cannot; then a power cut may
/// lose an object, which get() notices.
static void syncDirectory(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return;
  (void)::fsync(descriptor);
  ::close(descriptor);
}

/// The number of the process in the lock's file, for people.
static std::string holderOf(int lock) {
  char text[32] = {};
  ssize_t count = ::pread(lock, text, sizeof text - 1, 0);
  std::string number(text, static_cast<size_t>(std::max<ssize_t>(count, 0)));
  bool isNumber = !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
  return isNumber ? "process " + number : "another process";
}

Result<ObjectStore> ObjectStore::open(const std::string &directory) {
  if (Status status = makeDirectory(directory); !status)
    return status.error();
  int lock = ::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (lock < 0)
    return systemError("cannot open its lock", errno);
  ObjectStore store(directory, lock);
  // The system gives the lock back with the process.
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    int code = errno;
    if (code != EWOULDBLOCK)
      return systemError("cannot lock it", code);
    return Error{"is in use by " + holderOf(lock)};
  }
  std::string self = std::to_string(::getpid());
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, self.data(), self.size(), 0) != static_cast<ssize_t>(self.size()))
    return systemError("cannot write its lock", errno);
  if (Status status = makeDirectory(directory + "/objects"); !status)
    return status.error();
  return store;
}

ObjectStore::ObjectStore(ObjectStore &&other) noexcept
    : directory(std::move(other.directory)), lock(std::exchange(other.lock, -1)) {}

ObjectStore::~ObjectStore() {
  if (lock >= 0)
    ::close(lock);
}

Result<std::string> ObjectStore::state() const {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(statePath(), ignored)))
    return std::string();
  Result<MappedFile> file = MappedFile::open(statePath());
  if (!file)
    return Error{"state: " + file.error().message};
  std::string_view text = file->text();
  if (text.size() <= kHashDigits || text[kHashDigits] != '\n' ||
      hashOf(file->bytes().subspan(kHashDigits + 1)) != text.substr(0, kHashDigits))
    return Error{"state is damaged: its bytes do not have the hash in its first line"};
  return std::string(text.substr(kHashDigits + 1));
}

Result<std::string> ObjectStore::put(const std::function<Status(const Sink &)> &write) {
  Result<AtomicFile> file = AtomicFile::create(objectPath(kUnfinished));
  if (!file)
    return file.error();
  Sha256 hash;
  Status status = write([&](std::span<const std::byte> bytes) {
    hash.update(bytes);
    return file->write(bytes);
  });
  if (!status)
    return status.error();
  if (Status committed = file->commit(); !committed)
    return committed.error();
  std::string name = toHex(hash.finish());
  if (::rename(objectPath(kUnfinished).c_str(), objectPath(name).c_str()) != 0)
    return systemError("cannot put an object in place", errno);
  return name;
}

Result<MappedFile> ObjectStore::get(const std::string &name) const {
  if (!isObjectName(name))
    return Error{"state names an object that is none"};
  Result<MappedFile> file = MappedFile::open(objectPath(name));
  if (!file)
    return Error{"objects/" + name + ": " + file.error().message};
  if (hashOf(file->bytes()) != name)
    return Error{"objects/" + name + " is damaged: its " + std::to_string(file->size()) +
                 " bytes do not have the hash that it is named by"};
  return file;
}

Status ObjectStore::publish(std::string_view state, const std::set<std::string> &objects) {
  syncDirectory(directory + "/objects");
  std::string text = hashOf(std::as_bytes(std::span(state))) + "\n" + std::string(state);
  if (Status status = writeFileAtomically(statePath(), text); !status)
    return status;
  keepOnly(objects);
  return {};
}

void ObjectStore::keepOnly(const std::set<std::string> &objects) {
  std::error_code code; // what cannot be removed costs space and nothing else
  for (const std::string &folder : {directory, directory + "/objects"})
    for (const fs::directory_entry &entry : fs::directory_iterator(folder, code)) {
      std::string name = entry.path().filename().string();
      bool isUnfinished =
          name.starts_with(".state.tmp-") || name.starts_with(std::string(".") + kUnfinished) || name == kUnfinished;
      if (isUnfinished || (isObjectName(name) && !objects.contains(name)))
        ::unlink(entry.path().c_str());
    }
}
