//===- LoadModel.cpp - Models in any form ---------------------------------===//
//
// ONNX goes to the importer. MLIR is parsed with its diagnostics caught, and what neither parser
// nor verifier looks at (data that do not fit their types) is checked here.
//
//===----------------------------------------------------------------------===//
#include "qopt/Dialect/CheckData.h"
#include "qopt/Import/Import.h"
#include "qopt/Import/MlirFile.h"
#include "qopt/Support/Utf8.h"

#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace qopt;

/// "FILE:LINE:COLUMN" where `location` is in the text, else "FILE" or "FILE: NAME".
static std::string place(const std::string &path, Location location) {
  if (auto inFile = dyn_cast<FileLineColLoc>(location); inFile && inFile.getLine() > 0)
    if (inFile.getFilename().getValue() == path)
      return printable(path) + ":" + std::to_string(inFile.getLine()) + ":" + std::to_string(inFile.getColumn());
  if (auto name = dyn_cast<NameLoc>(location))
    return printable(path) + ": " + printable(name.getName().getValue());
  return printable(path);
}

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
  Result<std::unique_ptr<llvm::MemoryBuffer>> buffer = readMlir(path, options.bytes);
  if (!buffer) {
    error = printable(path) + ": " + buffer.error().message;
    return nullptr;
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
  if (name.ends_with(".mlir") || name.ends_with(".mlirbc"))
    return loadMlir(path, context, options, error);
  return importOnnx(path, context, options, error);
}
