//===- OnnxFileFuzzer.cpp - ONNX files and their external data ------------===//
//
// All of the importer that needs no MLIR: the wire format, versions, and where weights say
// they lie.
//
//===----------------------------------------------------------------------===//
#include "Mutators.h"
#include "lib/Import/ExternalData.h"
#include "lib/Import/ModelFile.h"
#include "lib/Import/Wire.h"
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace qopt;
using namespace qopt::fuzz;

static volatile uint64_t used;

static void addBytes(std::span<const std::byte> bytes) {
  uint64_t sum = 0;
  for (std::byte byte : bytes)
    sum += std::to_integer<uint64_t>(byte);
  used = sum;
}

namespace {
/// A folder with what a model may name: a file of 64 bytes, one outside, links to both.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("fuzz-onnx-" + std::to_string(::getpid())) / "model";
  Folder() {
    std::filesystem::create_directories(path / "sub");
    for (const char *name : {"w.bin", "sub/w.bin", "../secret.bin"})
      std::ofstream(path / name) << std::string(64, 'w');
    std::filesystem::create_symlink("w.bin", path / "inside");
    std::filesystem::create_symlink("../secret.bin", path / "outside");
  }
  ~Folder() { std::filesystem::remove_all(path.parent_path()); }
};
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Folder folder;
  std::string path = (folder.path / "model.onnx").string();
  Result<ModelFile> file = ModelFile::open(path, {.bytes = std::as_bytes(std::span(data, size))});
  if (!file)
    return 0;
  ExternalData external(path, /*hasFolder=*/true, /*dataDirectory=*/"");
  for (const pb::TensorProto &tensor : file->model.graph().initializer()) {
    if (tensor.has_raw_data()) {
      RawData raw = decodeRawData(tensor.raw_data());
      addBytes(file->bytes.subspan(raw.offset, raw.size));
    }
    for (uint64_t bytes : {uint64_t(16), uint64_t(64)})
      if (Result<OwnedBytes> found = external.read(tensor, bytes); found) {
        if (found->bytes.size() != bytes)
          std::abort();
        addBytes(found->bytes);
      }
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  return mutateWith(mutateProtobuf, data, size, maxSize, seed);
}
