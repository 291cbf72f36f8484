//===- MlirFile.cpp - MLIR as text and bytecode ---------------------------===//
//
// Text that MLIR's parser does not survive is caught before it: what nests too deep, and
// impossible alignments.
//
//===----------------------------------------------------------------------===//
#include "qopt/Import/MlirFile.h"
#include "Bytecode.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Sha256.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Path.h"

#include <filesystem>

using namespace mlir;
using namespace qopt;

//===----------------------------------------------------------------------===//
// Text that MLIR's parser does not survive
//===----------------------------------------------------------------------===//

/// Deeper text would exhaust the stack of the recursive parser.
static constexpr int kMaxNesting = 256;

/// The deepest nesting of brackets and minus signs in `text`, outside strings and
/// comments.
static int nestingOf(StringRef text) {
  int depth = 0, signs = 0, deepest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
    } else if (c == '/' && text.substr(i).starts_with("//")) {
      i = std::min(text.find('\n', i), text.size());
    } else if (StringRef("({[<").contains(c)) {
      deepest = std::max(deepest, ++depth);
    } else if (StringRef(")}]>").contains(c) && !(c == '>' && i > 0 && text[i - 1] == '-')) {
      depth = std::max(depth - 1, 0);
    }
    signs = c == '-' ? signs + 1 : llvm::isSpace(c) ? signs : 0;
    deepest = std::max(deepest, signs);
  }
  return deepest;
}

/// Where a blob in the resources asks for an alignment that is 0 or more than a
/// page, for which the parser would try to allocate it; npos where none does.
static size_t findBadAlignment(StringRef text) {
  constexpr uint32_t kMaxAlignment = 1 << 16;
  size_t position = text.find("{-#");
  while (position != StringRef::npos) {
    position = text.find("\"0x", position);
    if (position == StringRef::npos)
      break;
    // Little-endian: two digits per byte, the lowest first.
    StringRef digits = text.substr(position + 3, 8);
    uint32_t alignment = 0;
    for (size_t byte = 0; byte < 4 && digits.size() == 8; ++byte)
      alignment |= (llvm::hexDigitValue(digits[2 * byte]) * 16 + llvm::hexDigitValue(digits[2 * byte + 1])) % 256
                   << (8 * byte);
    if (digits.size() == 8 && llvm::all_of(digits, llvm::isHexDigit) && (alignment == 0 || alignment > kMaxAlignment))
      return position;
    position += 3;
  }
  return StringRef::npos;
}

/// Nothing where `text` may be given to the parser, else what is wrong with it.
static Status checkText(StringRef text) {
  if (int depth = nestingOf(text); depth > kMaxNesting)
    return Error{std::to_string(depth) + " nested brackets or signs; expected at most " + std::to_string(kMaxNesting)};
  if (size_t position = findBadAlignment(text); position != StringRef::npos)
    return Error{"the resource at byte " + std::to_string(position) + " has an alignment that is 0 or more than 65536"};
  return {};
}

namespace {
/// The blobs of bytecode stay where the file is mapped.
class MappedBuffer : public llvm::MemoryBuffer {
public:
  MappedBuffer(std::string path, MappedFile mapped) : path(std::move(path)), file(std::move(mapped)) {
    init(file.text().data(), file.text().data() + file.size(), /*RequiresNullTerminator=*/false);
  }
  BufferKind getBufferKind() const override { return MemoryBuffer_MMap; }
  StringRef getBufferIdentifier() const override { return path; }

private:
  std::string path;
  MappedFile file;
};
} // namespace

/// A copy where the sections of bytecode are aligned, with the NUL behind it that text needs.
static Result<std::unique_ptr<llvm::MemoryBuffer>> copyAligned(StringRef contents, const std::string &path) {
  auto copy = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(contents.size(), path, llvm::Align(64));
  if (!copy)
    return Error{"out of memory: needed " + std::to_string(contents.size()) + " bytes for the text"};
  llvm::copy(contents, copy->getBufferStart());
  return std::unique_ptr<llvm::MemoryBuffer>(std::move(copy));
}

/// What is in `path`: bytecode stays where the file is mapped, a pipe is read to its end.
static Result<std::unique_ptr<llvm::MemoryBuffer>> readFile(const std::string &path) {
  std::error_code ignored;
  if (path == "-" || std::filesystem::is_fifo(path, ignored)) {
    Result<std::string> text = path == "-" ? readStandardInput(SIZE_MAX) : readPipe(path);
    if (!text)
      return text.error();
    return copyAligned(*text, path == "-" ? "<stdin>" : path);
  }
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return file.error();
  if (!file->text().starts_with(kBytecodeMagic))
    return copyAligned(file->text(), path);
  return std::unique_ptr<llvm::MemoryBuffer>(std::make_unique<MappedBuffer>(path, std::move(*file)));
}

Result<std::unique_ptr<llvm::MemoryBuffer>> qopt::readMlir(const std::string &path,
                                                           std::optional<std::span<const std::byte>> bytes) {
  Result<std::unique_ptr<llvm::MemoryBuffer>> buffer =
      bytes ? copyAligned(StringRef(reinterpret_cast<const char *>(bytes->data()), bytes->size()), path)
            : readFile(path);
  if (!buffer)
    return buffer;
  StringRef text = (*buffer)->getBuffer();
  if (text.empty())
    return Error{"is empty and holds no operations"};
  if (Status status = isBytecode(**buffer) ? checkSeal(text) : checkText(text); !status)
    return status.error();
  return buffer;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

namespace {
/// Streams to an AtomicFile, remembers the first error, and hashes.
class AtomicStream : public llvm::raw_ostream {
public:
  explicit AtomicStream(AtomicFile &file) : file(file) {}
  ~AtomicStream() override { flush(); }
  Status status;
  Sha256 hash;

private:
  void write_impl(const char *data, size_t size) override {
    hash.update(std::as_bytes(std::span(data, size)));
    if (status)
      status = file.write(std::string_view(data, size));
  }
  uint64_t current_pos() const override { return file.position(); }

  AtomicFile &file;
};
} // namespace

/// Leaves the names of the files that IR was parsed from, without their folders.
static void shortenLocations(ModuleOp module) {
  AttrTypeReplacer replacer;
  replacer.addReplacement([](FileLineColLoc location) -> std::optional<Attribute> {
    StringRef name = llvm::sys::path::filename(location.getFilename());
    return FileLineColLoc::get(location.getContext(), name, location.getLine(), location.getColumn());
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/false, /*replaceLocs=*/true);
}

Status qopt::writeMlir(ModuleOp module, const std::string &path, OpPrintingFlags flags) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return file.error();
  {
    AtomicStream stream(*file);
    bool isSealed = StringRef(path).ends_with(".mlirbc");
    if (isSealed) {
      shortenLocations(module);
      (void)writeBytecodeToFile(module, stream, BytecodeWriterConfig(unsealedProducer()));
    } else {
      module.print(stream, flags);
      stream << '\n';
    }
    stream.flush();
    if (stream.status && isSealed) {
      const std::string digits = toHex(stream.hash.finish());
      stream.status = file->writeAt(sealOffset(), std::as_bytes(std::span(digits)));
    }
    if (!stream.status)
      return stream.status;
  }
  return file->commit();
}
