//===- TemporaryDirectory.h - A directory that vanishes -------------------===//
//
// Tools of others want files. They are gone when the work is done, when it fails and
// when it is interrupted.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_TEMPORARYDIRECTORY_H
#define QOPT_SUPPORT_TEMPORARYDIRECTORY_H

#include "qopt/Support/Result.h"
#include <string>

namespace qopt {

/// A new directory, removed with what is in it at the end of the object's life. The
/// signals of removeTemporariesOnSignal() remove it too when nothing but
/// unfinished AtomicFiles are in it.
class TemporaryDirectory {
public:
  /// In $TMPDIR, else /tmp; its name begins with `name`.
  static Result<TemporaryDirectory> create(const std::string &name);

  TemporaryDirectory(TemporaryDirectory &&other) noexcept;
  TemporaryDirectory &operator=(TemporaryDirectory &&) = delete;
  ~TemporaryDirectory();

  const std::string &path() const { return directory; }

private:
  TemporaryDirectory() = default;

  std::string directory;
  int slot = -1;
};

} // namespace qopt

#endif // QOPT_SUPPORT_TEMPORARYDIRECTORY_H
