//===- ModuleFuzzer.cpp - Modules with any header -------------------------===//
//
// An input is a version, the text of a header, a NUL and the sections. The hashes are made
// right here, or nothing but the first check would ever run.
//
//===----------------------------------------------------------------------===//
#include "Mutators.h"
#include "lib/Module/Layout.h"
#include "qopt/Runtime/Describe.h"
#include "qopt/Runtime/Runtime.h"
#include <nlohmann/json.hpp>

using namespace qopt;
using namespace qopt::fuzz;
using Json = nlohmann::ordered_json;

/// Headers are filled up to here with spaces, so that the first section has a place that
/// does not move with them.
static constexpr size_t kFirstSection = 8192;

static Sha256::Digest hashOf(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

/// Puts hashes of `file` into the table of a header that has one.
static std::string withHashes(const std::string &header, std::span<const std::byte> file) {
  Json json = Json::parse(header, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("chunk_bytes") || !json["chunk_bytes"].is_number_unsigned())
    return header;
  auto chunkBytes = json["chunk_bytes"].get<uint64_t>();
  if (chunkBytes == 0 || file.size() / chunkBytes > 64)
    return header;
  Json list = Json::array();
  for (uint64_t begin = 0; begin < file.size(); begin += chunkBytes) {
    uint64_t first = std::max<uint64_t>(begin, kFirstSection), last = std::min(begin + chunkBytes, file.size());
    list.push_back(toHex(hashOf(first < last ? file.subspan(first, last - first) : file.first(0))));
  }
  json["chunk_hashes"] = list;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

static std::string makeFile(uint8_t minor, std::string header, std::string_view sections) {
  std::string file(kFirstSection, '\0');
  file += sections;
  header = withHashes(header, std::as_bytes(std::span(file)));
  if (header.size() > kFirstSection - sizeof(ModulePreamble))
    return {};
  header.resize(kFirstSection - sizeof(ModulePreamble), ' ');
  header.copy(&file[sizeof(ModulePreamble)], header.size());
  ModulePreamble preamble = {};
  std::memcpy(preamble.magic, moduleMagic, sizeof preamble.magic);
  preamble.versionMajor = moduleVersionMajor;
  preamble.versionMinor = minor % (moduleVersionMinor + 1);
  preamble.headerBytes = header.size();
  preamble.fileBytes = file.size();
  std::memcpy(file.data(), &preamble, sizeof preamble);
  bool hasChunks = preamble.versionMinor >= firstMinorWithChunks;
  Sha256::Digest digest = hashOf(std::as_bytes(std::span(file)).first(hasChunks ? kFirstSection : file.size()));
  std::memcpy(preamble.hash, digest.data(), digest.size());
  std::memcpy(file.data(), &preamble, sizeof preamble);
  return file;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  std::string_view input(reinterpret_cast<const char *>(data + 1), size - 1);
  size_t end = std::min(input.find('\0'), input.size());
  std::string_view sections = input.substr(std::min(end + 1, input.size()));
  std::string file = makeFile(data[0], std::string(input.substr(0, end)), sections);
  MemoryFile memory{std::span<const char>(file)};
  auto module = Module::open(memory.path());
  if (!module)
    return 0;
  (*module)->startVerifying();
  (void)qrt::describeModule(**module);
  (void)qrt::describeModuleAsJson(**module);
  uint64_t sum = 0; // every byte that the header promises
  for (const Section &section : (*module)->sections())
    for (char byte : (*module)->section(section.name))
      sum += static_cast<uint8_t>(byte);
  for (size_t i = 0; i < (*module)->info().parameters.size(); ++i)
    for (char byte : (*module)->parameter(i))
      sum += static_cast<uint8_t>(byte);
  static volatile uint64_t used;
  used = sum;
  (void)(*module)->verify();
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  auto mutate = [](std::string_view input, Random &random) {
    if (input.empty() || random() % 16 == 0)
      return mutateBytes(input, input.size() + 16);
    size_t end = std::min(input.find('\0', 1), input.size());
    return std::string(input.substr(0, 1)) + mutateJson(input.substr(1, end - 1), random) +
           std::string(input.substr(end));
  };
  return mutateWith(mutate, data, size, maxSize, seed);
}
