//===- HashedFile.h - A file whose chunks are hashed as they fill ---------===//
//
// Parts of a module are written by several threads in any order. Who writes the last
// bytes of a chunk hashes it: then they are still in the system's cache.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_MODULE_HASHEDFILE_H
#define QOPT_LIB_MODULE_HASHEDFILE_H

#include "qopt/Support/File.h"
#include "qopt/Support/Sha256.h"
#include <atomic>
#include <memory>
#include <span>
#include <vector>

namespace qopt {

class HashedFile {
public:
  /// What lies before `begin` counts in no hash.
  HashedFile(AtomicFile file, int64_t begin, int64_t size, int64_t chunkBytes);

  /// Says that [offset, offset + bytes) will be written, each byte once. Before any put();
  /// what nobody announces stays zero.
  void announce(int64_t offset, int64_t bytes);
  /// Writes announced bytes. Thread-safe.
  Status put(int64_t offset, std::span<const std::byte> bytes);
  /// The hashes of all chunks, when all was written.
  Result<std::vector<Sha256::Digest>> finish();
  /// The file, to write what is before `begin`, and to commit.
  AtomicFile &target() { return file; }

private:
  template <typename Body>
  Status forEachChunk(int64_t offset, int64_t bytes, Body body);
  Status hash(int64_t chunk);

  AtomicFile file;
  int64_t begin, size, chunkBytes;
  std::vector<Sha256::Digest> digests;
  std::unique_ptr<std::atomic<int64_t>[]> missing; ///< announced bytes of each chunk
};

} // namespace qopt

#endif // QOPT_LIB_MODULE_HASHEDFILE_H
