//===- ModuleWriter.cpp - Writing a .qmod file ----------------------------===//
//
// Places are decided first, then the bytes stream past: nothing is held twice.
//
//===----------------------------------------------------------------------===//
#include "Layout.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/File.h"
#include <array>
#include <cstddef>
#include <functional>
#include <limits>

using namespace qopt;

namespace {
using Bytes = std::span<const std::byte>;
using Sink = std::function<Status(Bytes)>;
} // namespace

static Bytes asBytes(std::span<const char> chars) { return std::as_bytes(chars); }

/// Gives parameters their offsets in the section "weights"; returns its size.
static Result<int64_t> placeParameters(ModuleInfo &info, std::span<const std::span<const char>> weights) {
  if (weights.size() != info.parameters.size())
    return Error{"data for " + std::to_string(weights.size()) + " parameters was given, but there are " +
                 std::to_string(info.parameters.size())};
  int64_t end = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    Parameter &parameter = info.parameters[i];
    if (static_cast<int64_t>(weights[i].size()) != parameter.bytes)
      return Error{"parameter '" + parameter.name + "' has " + std::to_string(parameter.bytes) + " bytes, but " +
                   std::to_string(weights[i].size()) + " were given"};
    parameter.offset = alignUp(end, parameterAlignment);
    // Rounding up needs room as well.
    std::optional<int64_t> next = checkedAdd(parameter.offset, parameter.bytes);
    if (!next || *next > std::numeric_limits<int64_t>::max() / 2)
      return Error{"weights are larger than 2^62 bytes"};
    end = *next;
  }
  return end;
}

static int64_t fileBytesOf(const ModuleHeader &header) {
  return alignUp(header.sections.back().offset + header.sections.back().bytes, sectionAlignment);
}

/// Fills in the section offsets and makes room for the hashes; returns where the header
/// ends. All depend on the length of the header, which contains them: repeated until
/// nothing moves (offsets only grow, so it ends).
static int64_t placeSections(ModuleHeader &header) {
  header.chunks.chunkBytes = hashedChunkBytes;
  for (int64_t begin = 0;;) {
    int64_t end = begin;
    for (Section &section : header.sections) {
      section.offset = alignUp(end, alignmentOf(section));
      end = section.offset + section.bytes;
    }
    header.chunks.digests.resize(static_cast<size_t>(numChunks(fileBytesOf(header), hashedChunkBytes)));
    int64_t needed = headerEnd(static_cast<int64_t>(writeHeader(header).size()));
    if (needed == begin)
      return begin;
    begin = needed;
  }
}

/// Gives `sink` everything behind the header, in order, with zeros between.
static Status streamSections(const ModuleHeader &header, int64_t begin, std::span<const ModuleWriter::Payload> payloads,
                             std::span<const std::span<const char>> weights, const Sink &sink) {
  static constexpr std::array<std::byte, weightsAlignment> zeros = {};
  int64_t position = begin;
  auto put = [&](int64_t offset, Bytes bytes) -> Status {
    if (Status status = sink(Bytes(zeros).first(static_cast<size_t>(offset - position))); !status)
      return status;
    position = offset + static_cast<int64_t>(bytes.size());
    return sink(bytes);
  };
  for (size_t i = 0; i < payloads.size(); ++i)
    if (Status status = put(header.sections[i].offset, asBytes(payloads[i].bytes)); !status)
      return status;
  for (size_t i = 0; i < weights.size(); ++i)
    if (Status status = put(header.sections.back().offset + header.info.parameters[i].offset, asBytes(weights[i]));
        !status)
      return status;
  return put(fileBytesOf(header), {});
}

/// The preamble and the JSON with the zeros behind it, sealed.
static std::string makeHead(const ModuleHeader &header, int64_t begin) {
  std::string json = writeHeader(header);
  ModulePreamble preamble = {};
  std::memcpy(preamble.magic, moduleMagic, sizeof preamble.magic);
  preamble.versionMajor = moduleVersionMajor;
  preamble.versionMinor = moduleVersionMinor;
  preamble.headerBytes = json.size();
  preamble.fileBytes = static_cast<uint64_t>(fileBytesOf(header));
  std::string head(reinterpret_cast<const char *>(&preamble), sizeof preamble);
  head += json;
  head.resize(static_cast<size_t>(begin));
  Sha256 hash;
  hash.update(std::as_bytes(std::span(head)));
  Sha256::Digest digest = hash.finish();
  std::memcpy(head.data() + offsetof(ModulePreamble, hash), digest.data(), digest.size());
  return head;
}

Status ModuleWriter::write(const std::string &path, ModuleInfo info, std::span<const Payload> payloads,
                           std::span<const std::span<const char>> weights) {
  Result<int64_t> weightsBytes = placeParameters(info, weights);
  if (!weightsBytes)
    return weightsBytes.error();
  if (Status status = checkInfo(info); !status)
    return status;
  ModuleHeader header{std::move(info), {}, {}};
  for (const Payload &payload : payloads)
    header.sections.push_back({payload.name, 0, static_cast<int64_t>(payload.bytes.size())});
  header.sections.push_back({std::string(kWeightsSection), 0, *weightsBytes});
  int64_t begin = placeSections(header), fileBytes = fileBytesOf(header);
  // The reader's own checks, so that nothing is written that it would refuse.
  if (auto checked = readHeader(writeHeader(header), moduleVersionMinor, begin, fileBytes); !checked)
    return checked.error();

  // The bytes pass twice: the table of their hashes comes before them in the file,
  // which may be a pipe.
  ChunkHasher hasher(begin, hashedChunkBytes);
  if (Status status =
          streamSections(header, begin, payloads, weights, [&](Bytes bytes) { return hasher.update(bytes), Status(); });
      !status)
    return status;
  header.chunks.digests = hasher.finish();

  Result<AtomicFile> file = AtomicFile::create(path, fileBytes);
  if (!file)
    return file.error();
  if (Status status = file->write(makeHead(header, begin)); !status)
    return status;
  if (Status status = streamSections(header, begin, payloads, weights, [&](Bytes bytes) { return file->write(bytes); });
      !status)
    return status;
  return file->commit();
}
