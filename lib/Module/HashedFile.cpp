//===- HashedFile.cpp - A file whose chunks are hashed as they fill -------===//
//
// Each chunk counts the bytes that it lacks.
//
//===----------------------------------------------------------------------===//
#include "HashedFile.h"
#include "ChunkHashes.h"
#include <algorithm>

using namespace qopt;

HashedFile::HashedFile(AtomicFile file, int64_t begin, int64_t size, int64_t chunkBytes)
    : file(std::move(file)), begin(begin), size(size), chunkBytes(chunkBytes),
      digests(static_cast<size_t>(numChunks(size, chunkBytes)), Sha256().finish()),
      missing(new std::atomic<int64_t>[digests.size()]()) {}

template <typename Body>
Status HashedFile::forEachChunk(int64_t offset, int64_t bytes, Body body) {
  for (int64_t end = offset + bytes; offset < end;) {
    int64_t chunk = offset / chunkBytes, last = std::min(end, (chunk + 1) * chunkBytes);
    if (Status status = body(chunk, offset, last - offset); !status)
      return status;
    offset = last;
  }
  return {};
}

void HashedFile::announce(int64_t offset, int64_t bytes) {
  (void)forEachChunk(offset, bytes, [&](int64_t chunk, int64_t, int64_t count) {
    missing[chunk] += count;
    return Status();
  });
}

Status HashedFile::put(int64_t offset, std::span<const std::byte> bytes) {
  if (Status status = file.writeAt(offset, bytes); !status)
    return status;
  return forEachChunk(offset, static_cast<int64_t>(bytes.size()), [&](int64_t chunk, int64_t first, int64_t count) {
    if (missing[chunk].fetch_sub(count) != count)
      return Status();
    if (count < chunkBytes)
      return hash(chunk);
    Sha256 sha; // all of the chunk is here
    sha.update(bytes.subspan(static_cast<size_t>(first - offset), static_cast<size_t>(count)));
    digests[static_cast<size_t>(chunk)] = sha.finish();
    return Status();
  });
}

Status HashedFile::hash(int64_t chunk) {
  int64_t last = std::min(size, (chunk + 1) * chunkBytes), first = std::max(begin, chunk * chunkBytes);
  std::vector<std::byte> bytes(static_cast<size_t>(std::max<int64_t>(last - first, 0)));
  if (Status status = file.readAt(first, bytes); !status)
    return status;
  Sha256 sha;
  sha.update(bytes);
  digests[static_cast<size_t>(chunk)] = sha.finish();
  return {};
}

Result<std::vector<Sha256::Digest>> HashedFile::finish() {
  // Chunks of nothing but padding were announced by nobody.
  for (int64_t chunk = begin / chunkBytes; chunk < static_cast<int64_t>(digests.size()); ++chunk)
    if (digests[static_cast<size_t>(chunk)] == Sha256().finish())
      if (Status status = hash(chunk); !status)
        return status.error();
  return std::move(digests);
}
