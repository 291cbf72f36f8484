//===- ChunkHashes.cpp - Hashes of the pieces of a file -------------------===//
//
// A chunk is small enough that few bytes beside the code are read early, and large
// enough that the table is a thousandth of the file.
//
//===----------------------------------------------------------------------===//
#include "ChunkHashes.h"
#include <algorithm>
#include <system_error>

using namespace qopt;

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

// Chunks that lie within the header are there with the hash of no bytes, so that the
// length of the table depends on the length of the file only.
ChunkHasher::ChunkHasher(int64_t begin, int64_t chunkBytes)
    : position(begin), chunkBytes(chunkBytes), digests(static_cast<size_t>(begin / chunkBytes), Sha256().finish()) {}

void ChunkHasher::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    int64_t left = chunkBytes - position % chunkBytes;
    std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), static_cast<size_t>(left)));
    hash.update(piece);
    bytes = bytes.subspan(piece.size());
    position += static_cast<int64_t>(piece.size());
    if (position % chunkBytes == 0) {
      digests.push_back(hash.finish());
      hash = Sha256();
    }
  }
}

std::vector<Sha256::Digest> ChunkHasher::finish() {
  if (position % chunkBytes != 0)
    digests.push_back(hash.finish());
  return std::move(digests);
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

bool ChunkVerifier::matches(int64_t chunk) const {
  int64_t size = static_cast<int64_t>(file.size());
  int64_t last = std::min(size, (chunk + 1) * table.chunkBytes);
  int64_t first = std::min(last, std::max(begin, chunk * table.chunkBytes));
  Sha256 hash;
  hash.update(file.subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
  return hash.finish() == table.digests[static_cast<size_t>(chunk)];
}

void ChunkVerifier::work() {
  for (size_t i; !isDamaged && (i = next++) < pending.size();)
    if (!matches(pending[i]))
      isDamaged = true;
}

void ChunkVerifier::start() {
  std::lock_guard guard(lock);
  if (isDone || pending.empty() || worker.joinable())
    return;
  try {
    worker = std::thread([this] { work(); });
  } catch (const std::system_error &) {
    // The system gives no more threads: finish() does it all.
  }
}

bool ChunkVerifier::finish() {
  if (!isDone) {
    std::lock_guard guard(lock);
    work();
    if (worker.joinable())
      worker.join();
    isDone = true;
  }
  return !isDamaged;
}

ChunkVerifier::~ChunkVerifier() {
  next = pending.size(); // what is left is of no interest any more
  if (worker.joinable())
    worker.join();
}
