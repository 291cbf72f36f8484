//===- ExternalData.cpp - Weights outside the model file ------------------===//
//
// Paths in a model are written by whoever made it. The kernel resolves them (openat2), so that
// no check of ours can be overtaken by a link that changes in between.
//
//===----------------------------------------------------------------------===//
#include "ExternalData.h"
#include "qopt/Support/Utf8.h"
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <linux/openat2.h>
#include <optional>
#include <sys/syscall.h>
#include <unistd.h>

using namespace qopt;

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

static std::string directoryOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

/// Without openat2 (Linux before 5.6): one component after the other, no links.
static int openWithoutLinks(int directory, const std::string &location) {
  int current = ::dup(directory);
  for (size_t begin = 0; current >= 0;) {
    size_t slash = location.find('/', begin);
    bool last = slash == std::string::npos;
    std::string part = location.substr(begin, last ? std::string::npos : slash - begin);
    if (part == "..") {
      ::close(current);
      errno = EXDEV;
      return -1;
    }
    int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
    int next = ::openat(current, part.empty() ? "." : part.c_str(), flags);
    int code = errno;
    ::close(current);
    errno = code;
    if (last)
      return next;
    current = next;
    begin = slash + 1;
  }
  return -1;
}

/// Opens `location` where the path stays beneath `folder`; -1 and errno otherwise.
static int openBeneath(const std::string &folder, const std::string &location) {
  int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0)
    return -1;
  // O_NONBLOCK, as a pipe in the place of a file would wait for a writer.
  open_how how = {};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  int file = static_cast<int>(::syscall(SYS_openat2, directory, location.c_str(), &how, sizeof how));
  if (file < 0 && (errno == ENOSYS || errno == EPERM))
    file = openWithoutLinks(directory, location);
  int code = errno;
  ::close(directory);
  errno = code;
  return file;
}

static std::optional<std::string> realPath(const std::string &path) {
  char *resolved = ::realpath(path.c_str(), nullptr);
  if (!resolved)
    return std::nullopt;
  std::string result = resolved;
  std::free(resolved);
  return result;
}

/// The second try, for a model that is a symbolic link: see the class comment.
static int openBesideRealModel(const std::string &modelPath, const std::string &location) {
  std::optional<std::string> model = realPath(modelPath);
  if (!model)
    return -1;
  std::string folder = directoryOf(*model);
  if (int file = openBeneath(folder, location); file >= 0)
    return file;
  std::optional<std::string> data = realPath(directoryOf(modelPath) + "/" + location);
  if (!data || !data->starts_with(folder))
    return -1;
  return openBeneath(folder, data->substr(folder.size()));
}

static bool isLink(const std::string &path) {
  char target;
  return ::readlink(path.c_str(), &target, 1) >= 0;
}

Result<std::shared_ptr<const MappedFile>> ExternalData::open(const std::string &location) {
  if (auto found = files.find(location); found != files.end())
    return found->second;
  if (location.empty())
    return Error{"there is no location"};
  if (!hasFolder && dataDirectory.empty())
    return Error{"the model is in memory, and no directory was given for its data"};
  if (location.find('\0') != std::string::npos)
    return Error{"the path holds a NUL byte"};
  if (location.front() == '/')
    return Error{"the path is absolute; expected one relative to the model's directory"};
  std::string folder = dataDirectory;
  int descriptor = folder.empty() ? -1 : openBeneath(folder, location);
  if (descriptor < 0 && hasFolder) {
    folder = directoryOf(modelPath);
    descriptor = openBeneath(folder, location);
  }
  int code = errno;
  if (descriptor < 0 && hasFolder && isLink(modelPath))
    descriptor = openBesideRealModel(modelPath, location);
  if (descriptor < 0 && (code == EXDEV || code == ELOOP))
    return Error{hasFolder ? "the path leaves the model's directory; --data-dir=DIR allows another one"
                           : "the path leaves the directory for the model's data"};
  if (descriptor < 0)
    return Error{std::string("cannot open: ") + std::strerror(code)};
  Result<MappedFile> file = MappedFile::fromDescriptor(descriptor, (std::filesystem::path(folder) / location).string());
  if (!file)
    return file.error();
  auto shared = std::make_shared<const MappedFile>(std::move(*file));
  files.emplace(location, shared);
  return shared;
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

namespace {
struct Entries {
  std::string location;
  std::optional<uint64_t> offset, length;
};
} // namespace

static Result<Entries> parseEntries(const pb::TensorProto &tensor) {
  Entries entries;
  bool hasLocation = false;
  for (const pb::StringStringEntryProto &entry : tensor.external_data()) {
    const std::string &key = entry.key(), &value = entry.value();
    if (key == "location") {
      if (std::exchange(hasLocation, true))
        return Error{"external data has two locations"};
      entries.location = value;
    } else if (key == "offset" || key == "length") {
      std::optional<uint64_t> &number = key == "offset" ? entries.offset : entries.length;
      if (number)
        return Error{"external data has two entries \"" + key + "\""};
      uint64_t parsed = 0;
      auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), parsed);
      if (code != std::errc() || end != value.data() + value.size())
        return Error{"external data: expected a number of bytes as " + key + " but got \"" + printable(value) + "\""};
      number = parsed;
    } else if (key != "checksum" && !key.starts_with("prepacked")) { // the latter is onnxruntime's
      return Error{"external data: unknown entry \"" + printable(key) + "\""};
    }
  }
  return entries;
}

Result<OwnedBytes> ExternalData::read(const pb::TensorProto &tensor, uint64_t size) {
  Result<Entries> entries = parseEntries(tensor);
  if (!entries)
    return entries.error();
  uint64_t offset = entries->offset.value_or(0), length = entries->length.value_or(size);
  std::string what = "external data \"" + printable(entries->location) + "\" (" + std::to_string(length) +
                     " bytes at offset " + std::to_string(offset) + "): ";
  Result<std::shared_ptr<const MappedFile>> file = open(entries->location);
  if (!file)
    return Error{what + file.error().message};
  if (length != size)
    return Error{what + "the shape needs " + std::to_string(size) + " bytes"};
  if (offset > (*file)->size() || length > (*file)->size() - offset)
    return Error{what + "the file has " + std::to_string((*file)->size()) + " bytes"};
  return OwnedBytes{*file, (*file)->bytes().subspan(offset, length)};
}
