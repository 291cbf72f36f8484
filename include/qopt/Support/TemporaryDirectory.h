//===- TemporaryDirectory.h - A directory that vanishes -------------------===//
//
// Tools of others want files. They are gone when the work is done, when it fails and
// when it is interrupted.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_TEMPORARYDIRECTORY_H
#define QOPT_SUPPORT_TEMPORARYDIRECTORY_H

#include "qopt/Support/Result.h"
#include <span>
#include <string>

namespace qopt {

/// A new directory, removed with what is in it at the end of the object's life, by the signals
/// of handleSignals() when there are no directories in it, and after the process was killed
/// by the next one that makes one of the same name.
class TemporaryDirectory {
public:
  /// In $TMPDIR, else /tmp; called `name`, ".tmp-" and more. An error where it cannot be made or
  /// less than 1 MiB is free.
  /// `parent`: elsewhere.
  static Result<TemporaryDirectory> create(const std::string &name, const std::string &parent = "");

  TemporaryDirectory(TemporaryDirectory &&other) noexcept;
  TemporaryDirectory &operator=(TemporaryDirectory &&) = delete;
  ~TemporaryDirectory();

  const std::string &path() const { return directory; }
  /// The path of a file in it, which need not be there.
  std::string file(const std::string &name) const { return directory + "/" + name; }
  /// Writes a file in it; its path. The error names it.
  Result<std::string> write(const std::string &name, std::span<const char> bytes) const;

  /// Puts a file of it, which is on the disk, at `path` in its parent directory.
  Status moveOut(const std::string &name, const std::string &path) const;

private:
  TemporaryDirectory() = default;

  std::string directory;
  int slot = -1;
  int lock = -1; ///< says that this process lives
};

} // namespace qopt

#endif // QOPT_SUPPORT_TEMPORARYDIRECTORY_H
