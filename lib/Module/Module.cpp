//===- Module.cpp - Reading a .qmod file ----------------------------------===//
//
// The header is compared with its hash before it is read, and what could do harm (code,
// integers that may be places in memory) before anyone sees it. The rest of the weights
// is compared beside the first work.
//
//===----------------------------------------------------------------------===//
#include "qopt/Module/Module.h"
#include "Layout.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Utf8.h"
#include <algorithm>
#include <set>

using namespace qopt;

/// `place`: which part it is that does not match; empty where one hash is that of all.
static Error damageError(int64_t fileBytes, const std::string &place) {
  return {"is damaged: its SHA-256 does not match its " + std::to_string(fileBytes) + " bytes" +
          (place.empty() ? "" : " in " + place)};
}

namespace {
class MappedModule final : public Module {
public:
  /// `begin`: where the header ends.
  MappedModule(MappedFile mapped, ModuleHeader given, int64_t begin)
      : file(std::move(mapped)), header(std::move(given)), verifier(file.bytes(), begin, header.chunks) {
    weights = section(kWeightsSection);
  }

  /// Compares what must be right before it is used, and leaves the rest for later.
  Status verifyFirstPart();

  const ModuleInfo &info() const override { return header.info; }
  const std::vector<Section> &sections() const override { return header.sections; }
  int64_t fileBytes() const override { return static_cast<int64_t>(file.size()); }
  std::span<const char> section(std::string_view name) const override {
    for (const Section &section : header.sections)
      if (section.name == name)
        return std::span(file.text()).subspan(static_cast<size_t>(section.offset), static_cast<size_t>(section.bytes));
    return {};
  }
  std::span<const char> parameter(size_t index) const override {
    const Parameter &parameter = header.info.parameters[index];
    return weights.subspan(static_cast<size_t>(parameter.offset), static_cast<size_t>(parameter.bytes));
  }
  void startVerifying() const override { verifier.start(); }
  Status verify() const override { return verifier.finish() ? Status() : damageOf(verifier.damagedChunk()); }

private:
  /// The error of a chunk that does not match, with the sections that lie in it.
  Error damageOf(int64_t chunk) const;

  MappedFile file;
  ModuleHeader header;
  std::span<const char> weights;
  mutable ChunkVerifier verifier;
};
} // namespace

/// Whether elements may say where to read or write: a wrong one is worse than a wrong
/// number. Codes of 8 bits never do.
static bool mayBePlaces(ElementType type) { return !isFloatType(type) && elementBytes(type) > 1; }

Error MappedModule::damageOf(int64_t chunk) const {
  int64_t begin = chunk * header.chunks.chunkBytes, end = begin + header.chunks.chunkBytes;
  std::string names;
  for (const Section &section : header.sections)
    if (section.offset < end && section.offset + section.bytes > begin)
      names += (names.empty() ? "" : ", ") + printable(section.name);
  return damageError(fileBytes(), names.empty() ? "what fills it up" : names);
}

Status MappedModule::verifyFirstPart() {
  if (header.chunks.chunkBytes == 0)
    return {}; // one hash of the whole file was compared
  const Section &last = header.sections.back();
  auto chunkOf = [&](int64_t offset) { return offset / header.chunks.chunkBytes; };
  std::set<int64_t> places;
  for (const Parameter &parameter : header.info.parameters)
    if (mayBePlaces(parameter.type) && parameter.bytes > 0)
      for (int64_t begin = last.offset + parameter.offset, chunk = chunkOf(begin);
           chunk <= chunkOf(begin + parameter.bytes - 1); ++chunk)
        places.insert(chunk);
  for (int64_t chunk = 0; chunk < static_cast<int64_t>(header.chunks.digests.size()); ++chunk) {
    if (chunk * header.chunks.chunkBytes >= last.offset && !places.contains(chunk))
      verifier.postpone(chunk);
    else if (!verifier.matches(chunk))
      return damageOf(chunk);
  }
  return {};
}

/// The preamble, when the file is a whole .qmod that this program can read.
static Result<ModulePreamble> readPreamble(std::string_view file) {
  ModulePreamble preamble = {};
  if (file.starts_with("version https://git-lfs"))
    return Error{"is a git-lfs pointer, not the module itself; run 'git lfs pull'"};
  if (file.size() < sizeof preamble)
    return Error{"is not a .qmod module: it has only " + std::to_string(file.size()) + " bytes"};
  std::memcpy(&preamble, file.data(), sizeof preamble);
  if (std::memcmp(preamble.magic, moduleMagic, sizeof preamble.magic) != 0)
    return Error{"is not a .qmod module: its first 8 bytes are wrong; qopt makes modules of models"};
  if (preamble.versionMajor != moduleVersionMajor || preamble.versionMinor > moduleVersionMinor)
    return Error{"has format version " + std::to_string(preamble.versionMajor) + "." +
                 std::to_string(preamble.versionMinor) + ", but this program reads " +
                 std::to_string(moduleVersionMajor) + ".0 to " + std::to_string(moduleVersionMajor) + "." +
                 std::to_string(moduleVersionMinor)};
  if (preamble.fileBytes != file.size())
    return Error{"has " + std::to_string(file.size()) + " bytes, but its header says " +
                 std::to_string(preamble.fileBytes)};
  if (preamble.headerBytes > file.size() - sizeof preamble)
    return Error{"has " + std::to_string(file.size()) + " bytes, too few for a header of " +
                 std::to_string(preamble.headerBytes)};
  return preamble;
}

/// Whether `hashed`, which begins with the preamble, is what was hashed.
static bool hashMatches(std::span<const std::byte> hashed, const ModulePreamble &preamble) {
  ModulePreamble unsealed = preamble;
  std::memset(unsealed.hash, 0, sizeof unsealed.hash);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(&unsealed, 1)));
  hash.update(hashed.subspan(sizeof unsealed));
  Sha256::Digest digest = hash.finish();
  return std::memcmp(digest.data(), preamble.hash, digest.size()) == 0;
}

Result<std::shared_ptr<const Module>> Module::open(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.error();
  Result<ModulePreamble> preamble = readPreamble(file->text());
  if (!preamble)
    return preamble.error();
  int64_t fileBytes = static_cast<int64_t>(file->size());
  size_t headerBytes = static_cast<size_t>(preamble->headerBytes);
  bool hasChunks = preamble->versionMinor >= firstMinorWithChunks;
  int64_t begin = hasChunks ? std::min(headerEnd(static_cast<int64_t>(headerBytes)), fileBytes) : fileBytes;
  Result<ModuleHeader> header =
      readHeader(file->text().substr(sizeof(ModulePreamble), headerBytes), preamble->versionMinor,
                 static_cast<int64_t>(sizeof(ModulePreamble) + headerBytes), fileBytes);
  // What the header says is of no use then, but what is wrong with it may help.
  if (!hashMatches(file->bytes().first(static_cast<size_t>(begin)), *preamble)) {
    Error error = damageError(fileBytes, hasChunks ? "the header" : "");
    return header ? error : Error{error.message + ": " + header.error().message};
  }
  if (!header)
    return header.error();
  auto module = std::make_shared<MappedModule>(std::move(*file), std::move(*header), begin);
  if (Status status = module->verifyFirstPart(); !status)
    return status.error();
  return std::shared_ptr<const Module>(std::move(module));
}
