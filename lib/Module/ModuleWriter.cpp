#include "Layout.h"
#include "qopt/Support/CheckedMath.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Sha256.h"
#include <array>
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

/// Fills in the section offsets. They depend on the length of the header, which
/// contains them: repeated until nothing moves (offsets only grow, so it ends).
static std::string placeSections(ModuleHeader &header) {
  std::string json;
  for (int64_t headerEnd = 0;;) {
    int64_t end = headerEnd;
    for (Section &section : header.sections) {
      section.offset = alignUp(end, alignmentOf(section));
      end = section.offset + section.bytes;
    }
    json = writeHeader(header);
    int64_t needed = alignUp(sizeof(ModulePreamble) + static_cast<int64_t>(json.size()), sectionAlignment);
    if (needed == headerEnd)
      return json;
    headerEnd = needed;
  }
}

Status ModuleWriter::write(const std::string &path, ModuleInfo info, std::span<const Payload> payloads,
                           std::span<const std::span<const char>> weights) {
  Result<int64_t> weightsBytes = placeParameters(info, weights);
  if (!weightsBytes)
    return weightsBytes.error();
  if (Status status = checkInfo(info); !status)
    return status;
  ModuleHeader header{std::move(info), {}};
  for (const Payload &payload : payloads)
    header.sections.push_back({payload.name, 0, static_cast<int64_t>(payload.bytes.size())});
  header.sections.push_back({std::string(kWeightsSection), 0, *weightsBytes});
  std::string json = placeSections(header);
  int64_t fileBytes = alignUp(header.sections.back().offset + header.sections.back().bytes, sectionAlignment);
  // The reader's own checks, so that nothing is written that it would refuse.
  if (Result<ModuleHeader> checked = readHeader(json, moduleVersionMinor, sizeof(ModulePreamble), fileBytes); !checked)
    return checked.error();

  ModulePreamble preamble = {};
  std::memcpy(preamble.magic, moduleMagic, sizeof preamble.magic);
  preamble.versionMajor = moduleVersionMajor;
  preamble.versionMinor = moduleVersionMinor;
  preamble.headerBytes = json.size();
  preamble.fileBytes = static_cast<uint64_t>(fileBytes);

  // The bytes of the file in order: once into the hash, once to the disk.
  auto stream = [&](const Sink &sink) -> Status {
    static constexpr std::array<std::byte, weightsAlignment> zeros = {};
    int64_t position = 0;
    auto put = [&](int64_t offset, Bytes bytes) -> Status {
      if (Status status = sink(Bytes(zeros).first(static_cast<size_t>(offset - position))); !status)
        return status;
      position = offset + static_cast<int64_t>(bytes.size());
      return sink(bytes);
    };
    if (Status status = put(0, std::as_bytes(std::span(&preamble, 1))); !status)
      return status;
    if (Status status = put(position, asBytes(json)); !status)
      return status;
    for (size_t i = 0; i < payloads.size(); ++i)
      if (Status status = put(header.sections[i].offset, asBytes(payloads[i].bytes)); !status)
        return status;
    for (size_t i = 0; i < weights.size(); ++i)
      if (Status status = put(header.sections.back().offset + header.info.parameters[i].offset, asBytes(weights[i]));
          !status)
        return status;
    return put(fileBytes, {});
  };

  Sha256 hash;
  if (Status status = stream([&](Bytes bytes) { return hash.update(bytes), Status(); }); !status)
    return status;
  Sha256::Digest digest = hash.finish();
  std::memcpy(preamble.hash, digest.data(), digest.size());

  Result<AtomicFile> file = AtomicFile::create(path, fileBytes);
  if (!file)
    return file.error();
  if (Status status = stream([&](Bytes bytes) { return file->write(bytes); }); !status)
    return status;
  return file->commit();
}
