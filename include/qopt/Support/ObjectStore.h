//===- ObjectStore.h - A directory of hashed objects ----------------------===//
//
// Long work keeps what it has done here, so that it can go on after it was killed. An
// object's name is the SHA-256 of its bytes. One small file says which objects make up the
// newest state: it is replaced by a rename, after all that it names is on the disk. So a
// state is there as a whole or not at all, whenever the process ends.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_OBJECTSTORE_H
#define QOPT_SUPPORT_OBJECTSTORE_H

#include "qopt/Support/File.h"
#include <functional>
#include <set>

namespace qopt {

/// Error messages do not repeat the directory. Those of damage say which file it is.
class ObjectStore {
public:
  /// Opens `directory`, or makes it (its parent must be there), and locks it until the
  /// object or the process ends, however that ends. Errors: a living process holds it, it is
  /// no directory, it cannot be written.
  static Result<ObjectStore> open(const std::string &directory);
  ObjectStore(ObjectStore &&other) noexcept;
  ObjectStore &operator=(ObjectStore &&) = delete;
  ~ObjectStore();

  /// The newest state; empty where none was published. Errors: it is damaged.
  Result<std::string> state() const;

  /// Takes the next bytes of an object.
  using Sink = std::function<Status(std::span<const std::byte>)>;
  /// Stores what `write` gives to the sink and returns its name.
  Result<std::string> put(const std::function<Status(const Sink &)> &write);
  /// The bytes of an object. Errors: it is missing, or its bytes are not those that were stored.
  Result<MappedFile> get(const std::string &name) const;

  /// Makes `state`, which is not empty, the newest one, then removes objects that are not
  /// among those that it needs.
  Status publish(std::string_view state, const std::set<std::string> &objects);
  /// Removes all other objects: what earlier states needed, and what killed processes left.
  void keepOnly(const std::set<std::string> &objects);

private:
  ObjectStore(std::string directory, int lock) : directory(std::move(directory)), lock(lock) {}
  std::string statePath() const { return directory + "/state"; }
  std::string objectPath(const std::string &name) const { return directory + "/objects/" + name; }

  std::string directory;
  int lock;
};

} // namespace qopt

#endif // QOPT_SUPPORT_OBJECTSTORE_H
