#include "qopt/Module/Module.h"
#include "Layout.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Sha256.h"

using namespace qopt;

namespace {
class MappedModule final : public Module {
public:
  MappedModule(MappedFile file, ModuleHeader header) : file(std::move(file)), header(std::move(header)) {
    weights = section(kWeightsSection);
  }

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

private:
  MappedFile file;
  ModuleHeader header;
  std::span<const char> weights;
};
} // namespace

/// The preamble, when the file is a whole .qmod that this program can read.
static Result<ModulePreamble> readPreamble(std::string_view file) {
  ModulePreamble preamble = {};
  if (file.starts_with("version https://git-lfs"))
    return Error{"is a git-lfs pointer, not the module itself; run 'git lfs pull'"};
  if (file.size() < sizeof preamble)
    return Error{"is not a .qmod module: it has only " + std::to_string(file.size()) + " bytes"};
  std::memcpy(&preamble, file.data(), sizeof preamble);
  if (std::memcmp(preamble.magic, moduleMagic, sizeof preamble.magic) != 0)
    return Error{"is not a .qmod module: its first 8 bytes are wrong"};
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

static bool hashMatches(std::span<const std::byte> file, const ModulePreamble &preamble) {
  ModulePreamble unsealed = preamble;
  std::memset(unsealed.hash, 0, sizeof unsealed.hash);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(&unsealed, 1)));
  hash.update(file.subspan(sizeof unsealed));
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
  if (!hashMatches(file->bytes(), *preamble))
    return Error{"is damaged: its SHA-256 does not match its " + std::to_string(file->size()) + " bytes"};

  size_t headerBytes = static_cast<size_t>(preamble->headerBytes);
  Result<ModuleHeader> header =
      readHeader(file->text().substr(sizeof(ModulePreamble), headerBytes), preamble->versionMinor,
                 static_cast<int64_t>(sizeof(ModulePreamble) + headerBytes), static_cast<int64_t>(file->size()));
  if (!header)
    return header.error();
  return std::shared_ptr<const Module>(std::make_shared<MappedModule>(std::move(*file), std::move(*header)));
}
