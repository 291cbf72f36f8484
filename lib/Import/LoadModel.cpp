//===- LoadModel.cpp - Models in any form ---------------------------------===//
//
// ONNX goes to the importer. MLIR is parsed with its diagnostics caught, and what neither parser
// nor verifier looks at (data that do not fit their types) is checked here.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/CheckData.h"
#include "qopt/Dialect/Onnx/Onnx.h"
#include "qopt/Import/Import.h"
#include "qopt/Support/File.h"
#include "qopt/Support/Utf8.h"

#include "mlir/Bytecode/BytecodeReader.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/SourceMgr.h"

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

/// "FILE:LINE:COLUMN" where `location` is in the text, else "FILE" or "FILE: NAME".
static std::string place(const std::string &path, Location location) {
  if (auto inFile = dyn_cast<FileLineColLoc>(location); inFile && inFile.getLine() > 0)
    if (inFile.getFilename().getValue() == path)
      return printable(path) + ":" + std::to_string(inFile.getLine()) + ":" + std::to_string(inFile.getColumn());
  if (auto name = dyn_cast<NameLoc>(location))
    return printable(path) + ": " + printable(name.getName().getValue());
  return printable(path);
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static OwningOpRef<ModuleOp> loadMlir(const std::string &path, MLIRContext &context, const ImportOptions &options,
                                      std::string &error) {
  ScopedDiagnosticHandler capture(&context, [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
      return failure();
    if (error.empty()) {
      std::string text = diagnostic.str();
      error = place(path, diagnostic.getLocation()) + ": " + printable(StringRef(text).split('\n').first);
    }
    return success();
  });
  llvm::ErrorOr<std::unique_ptr<llvm::MemoryBuffer>> buffer = nullptr;
  if (options.bytes) {
    // The parser wants a NUL behind text, and bytecode where its sections are aligned.
    auto copy = llvm::WritableMemoryBuffer::getNewUninitMemBuffer(options.bytes->size(), path, llvm::Align(64));
    llvm::copy(*options.bytes, reinterpret_cast<std::byte *>(copy->getBufferStart()));
    buffer = std::move(copy);
  } else {
    buffer = llvm::MemoryBuffer::getFile(path);
  }
  if (!buffer) {
    error = printable(path) + ": cannot open: " + buffer.getError().message();
    return nullptr;
  }
  if (!isBytecode((*buffer)->getMemBufferRef())) {
    if (Status status = checkText((*buffer)->getBuffer()); !status) {
      error = printable(path) + ": " + status.error().message;
      return nullptr;
    }
  }
  auto sources = std::make_shared<llvm::SourceMgr>();
  sources->AddNewSourceBuffer(std::move(*buffer), SMLoc());
  ParserConfig config(&context, /*verifyAfterParse=*/true, options.otherResources);
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, config);
  if (!module) {
    if (error.empty())
      error = printable(path) + ": is not MLIR";
    return nullptr;
  }
  if (auto bad = findBadData(*module)) {
    error = place(path, bad->first) + ": " + bad->second.message;
    return nullptr;
  }
  if (module->getBody()->empty()) {
    error = printable(path) + ": holds no operations";
    return nullptr;
  }
  return module;
}

OwningOpRef<ModuleOp> qopt::loadModel(const std::string &path, MLIRContext &context, const ImportOptions &options,
                                      std::string &error) {
  error.clear();
  StringRef name(path);
  if (name.ends_with(".mlir") || name.ends_with(".mlirbc")) {
    // Rejects what is not a regular file before MLIR reads it.
    if (!options.bytes)
      if (Result<MappedFile> file = MappedFile::open(path); !file) {
        error = printable(path) + ": " + file.error().message;
        return nullptr;
      }
    return loadMlir(path, context, options, error);
  }
  return importOnnx(path, context, options, error);
}
