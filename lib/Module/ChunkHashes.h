//===- ChunkHashes.h - The bytes of a module behind its header, by pieces -===//
//
// One hash of a whole file means that all of it is read before any of it is used,
// a second for a gigabyte. With a hash for each piece the code is compared before it
// is mapped, and the weights beside the first work, by any number of threads.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_LIB_MODULE_CHUNKHASHES_H
#define QOPT_LIB_MODULE_CHUNKHASHES_H

#include "qopt/Support/Result.h"
#include "qopt/Support/Sha256.h"
#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace qopt {

/// The table of a module: hash i is of those of the bytes [i * chunkBytes, (i + 1) *
/// chunkBytes) of the file that lie behind the header.
struct ChunkHashes {
  // Chunks that lie within the header are there with the hash of no bytes, so that the
  // length of the table depends on the length of the file only.
  int64_t chunkBytes = 0; ///< 0: the file has no table, one hash covers all of it
  std::vector<Sha256::Digest> digests;
};

/// How many hashes a file needs.
inline int64_t numChunks(int64_t fileBytes, int64_t chunkBytes) {
  return fileBytes / chunkBytes + (fileBytes % chunkBytes != 0);
}

/// Compares a file with its table. The file and the table must outlive it.
class ChunkVerifier {
public:
  /// `begin`: where the header ends.
  ChunkVerifier(std::span<const std::byte> file, int64_t begin, const ChunkHashes &table)
      : file(file), begin(begin), table(table) {}
  ~ChunkVerifier();

  /// Compares one chunk now. Returns whether it is as it was written.
  bool matches(int64_t chunk) const;
  /// Leaves `chunk` to start() and finish(). Before both of them.
  void postpone(int64_t chunk) { pending.push_back(chunk); }
  /// Begins with the postponed chunks in a thread beside the caller's work.
  void start();
  /// Compares what is left, together with that thread. Returns whether all postponed
  /// chunks match; the second call and later ones only look that up. Thread-safe.
  bool finish();
  /// One that does not match, after finish() said so.
  int64_t damagedChunk() const { return damaged; }

private:
  void work();

  std::span<const std::byte> file;
  int64_t begin;
  const ChunkHashes &table;
  std::vector<int64_t> pending;
  std::atomic<size_t> next = 0;
  std::atomic<int64_t> damaged = -1; ///< a chunk; -1: none
  std::atomic<bool> isDone = false;
  std::mutex lock; // of `worker`
  std::thread worker;
};

} // namespace qopt

#endif // QOPT_LIB_MODULE_CHUNKHASHES_H
