//===- OtherFormats.cpp - Files that are taken for models -----------------===//
//
// A model's folder holds more than the model, and a download may give another thing than was
// asked for. Each format is known by its first bytes, never by the file's name.
//
//===----------------------------------------------------------------------===//
#include "OtherFormats.h"
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>

using namespace qopt;
using namespace std::string_view_literals;

namespace {
struct Format {
  size_t offset;
  std::string_view magic;
  const char *what, *advice;
};
} // namespace

static constexpr const char *kExport = ", not an ONNX model: export the model it belongs to as ONNX";
static constexpr const char *kUnpack = ", not an ONNX model: unpack it";

static constexpr Format kFormats[] = {
    {0, "version https://git-lfs"sv, "is a git-LFS pointer, not the model: run git lfs pull", ""},
    {0, "QMOD\r\n"sv, "is a module that qopt has made", ", not an ONNX model: give it to qrun"},
    {0, "GGUF"sv, "is a GGUF file", kExport},
    {0, "\x89HDF"sv, "is an HDF5 file", kExport},
    {4, "TFL3"sv, "is a TensorFlow Lite model", kExport},
    {4, "ORTM"sv, "is a model in onnxruntime's own format", ", not an ONNX model: give the .onnx file it was made of"},
    {0, "\x93NUMPY"sv, "is a NumPy array", ", not an ONNX model"},
    {0, "\x7f\x45LF"sv, "is a program or a library", ", not an ONNX model"},
    {0, "PK\x03\x04"sv, "is a zip archive", kUnpack},
    {0, "7z\xbc\xaf\x27\x1c"sv, "is a 7z archive", kUnpack},
    {257, "ustar"sv, "is a tar archive", kUnpack},
    {0, "\x1f\x8b"sv, "is compressed by gzip", kUnpack},
    {0, "BZh"sv, "is compressed by bzip2", kUnpack},
    {0, "\xfd\x37zXZ"sv, "is compressed by xz", kUnpack},
    {0, "\x28\xb5\x2f\xfd"sv, "is compressed by zstd", kUnpack},
};

/// A JSON header behind its length, a 64-bit number.
static bool isSafetensors(std::string_view bytes) {
  uint64_t length = 0;
  if (bytes.size() < 10)
    return false;
  std::memcpy(&length, bytes.data(), sizeof length);
  return length >= 2 && length <= bytes.size() - 8 && bytes.substr(8).starts_with("{\"");
}

/// Protocol 2 to 5, and then an operation that a dictionary, a list, an object, a frame or
/// PyTorch's magic number starts with.
static bool isPickle(std::string_view bytes) {
  return bytes.size() > 2 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5 &&
         "}]c\x95\x8a"sv.find(bytes[2]) != std::string_view::npos;
}

/// Whether `text` begins with this word, in small or capital letters.
static bool beginsWith(std::string_view text, std::string_view word) {
  return std::ranges::equal(text.substr(0, word.size()), word,
                            [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

std::string qopt::describeOtherFormat(std::string_view bytes) {
  if (isSafetensors(bytes))
    return std::string("is a safetensors file") + kExport;
  // Models begin with their IR version, an 8 and a number, and no field has the number 0.
  if (bytes.size() > 3 && bytes[0] == '\x08' && bytes[3] != '\0')
    return "";
  if (bytes.starts_with("PK\x03\x04") && bytes.substr(0, 4096).find("data.pkl") != std::string_view::npos)
    return std::string("is a PyTorch checkpoint") + kExport;
  if (isPickle(bytes))
    return std::string("is a Python pickle") + kExport;
  for (const Format &format : kFormats)
    if (bytes.size() > format.offset && bytes.substr(format.offset).starts_with(format.magic))
      return std::string(format.what) + format.advice;
  std::string_view text = bytes.substr(0, 256);
  if (text.starts_with("\xef\xbb\xbf"))
    text.remove_prefix(3);
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  if (beginsWith(text, "<!doctype html") || beginsWith(text, "<html"))
    return "is an HTML page, not an ONNX model: the download has failed";
  if (beginsWith(text, "{") || beginsWith(text, "["))
    return "is JSON text, not an ONNX model";
  return "";
}
