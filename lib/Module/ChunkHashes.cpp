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

bool ChunkVerifier::matches(int64_t chunk) const {
  int64_t size = static_cast<int64_t>(file.size());
  int64_t last = std::min(size, (chunk + 1) * table.chunkBytes);
  int64_t first = std::min(last, std::max(begin, chunk * table.chunkBytes));
  Sha256 hash;
  hash.update(file.subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)));
  return hash.finish() == table.digests[static_cast<size_t>(chunk)];
}

void ChunkVerifier::work() {
  for (size_t i; damaged < 0 && (i = next++) < pending.size();)
    if (!matches(pending[i]))
      damaged = pending[i];
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
  return damaged < 0;
}

ChunkVerifier::~ChunkVerifier() {
  next = pending.size(); // what is left is of no interest any more
  if (worker.joinable())
    worker.join();
}
