//===- UnlinkedFile.h - Numbers that memory is too small for --------------===//
//
// A temporary file without a name: it is gone with the process, however that ends.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_SUPPORT_UNLINKEDFILE_H
#define QOPT_SUPPORT_UNLINKEDFILE_H

#include "qopt/Support/Result.h"
#include <cstdint>
#include <span>
#include <utility>

namespace qopt {

class UnlinkedFile {
public:
  /// In $TMPDIR, else /tmp.
  static Result<UnlinkedFile> create();

  UnlinkedFile(UnlinkedFile &&other) noexcept : file(std::exchange(other.file, -1)) {}
  UnlinkedFile &operator=(UnlinkedFile &&other) noexcept {
    std::swap(file, other.file);
    return *this;
  }
  ~UnlinkedFile();

  Status write(int64_t offset, std::span<const char> bytes);
  /// May be called by several threads.
  Status read(int64_t offset, std::span<char> bytes) const;

private:
  explicit UnlinkedFile(int file) : file(file) {}

  int file;
};

} // namespace qopt

#endif // QOPT_SUPPORT_UNLINKEDFILE_H
