//===- ModuleWriter.cpp - Writing a .qmod file ----------------------------===//
//
// Places are decided first, then every part is written to its own: nothing is held twice.
//
//===----------------------------------------------------------------------===//
#include "HashedFile.h"
#include "Layout.h"
#include "WriteJobs.h"
#include "qopt/Support/CheckedMath.h"
#include <cstddef>
#include <limits>

using namespace qopt;

/// Gives parameters their offsets in the section "weights"; returns its size.
static Result<int64_t> placeParameters(ModuleInfo &info, std::span<const std::span<const char>> weights,
                                       std::span<ParameterSource *const> sources) {
  if (weights.size() != info.parameters.size())
    return Error{"data for " + std::to_string(weights.size()) + " parameters was given, but there are " +
                 std::to_string(info.parameters.size())};
  std::vector<bool> isMade(weights.size());
  for (const ParameterSource *source : sources)
    for (size_t index : source->parameters())
      isMade[index] = true;
  int64_t end = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    Parameter &parameter = info.parameters[i];
    if (!isMade[i] && static_cast<int64_t>(weights[i].size()) != parameter.bytes)
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
                           std::span<const std::span<const char>> weights, std::span<ParameterSource *const> sources,
                           int threads) {
  Result<int64_t> weightsBytes = placeParameters(info, weights, sources);
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

  Result<AtomicFile> created = AtomicFile::createSized(path, fileBytes);
  if (!created)
    return created.error();
  HashedFile file(std::move(*created), begin, fileBytes, hashedChunkBytes);
  WriteJobs jobs(file);
  for (size_t i = 0; i < payloads.size(); ++i)
    jobs.add(header.sections[i].offset, std::as_bytes(payloads[i].bytes));
  std::vector<int64_t> places;
  for (const Parameter &parameter : header.info.parameters)
    places.push_back(header.sections.back().offset + parameter.offset);
  for (size_t i = 0; i < weights.size(); ++i)
    jobs.add(places[i], std::as_bytes(weights[i]));
  for (ParameterSource *source : sources) {
    for (size_t index : source->parameters())
      file.announce(places[index], header.info.parameters[index].bytes);
    jobs.add(*source, places);
  }
  if (Status status = jobs.run(threads); !status)
    return status;

  // The table of the hashes comes before what they are of.
  Result<std::vector<Sha256::Digest>> digests = file.finish();
  if (!digests)
    return digests.error();
  header.chunks.digests = std::move(*digests);
  std::string head = makeHead(header, begin);
  if (Status status = file.target().writeAt(0, std::as_bytes(std::span(head))); !status)
    return status;
  return file.target().commit();
}
