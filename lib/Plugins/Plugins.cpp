//===- Plugins.cpp - Passes and dialects of others ------------------------===//
//
// MLIR's own loader takes whatever the dynamic linker takes: with libraries of another LLVM
// there would be two in the process, and a symbol that is missing would end it when it is first
// called. So the file is looked at before it is loaded, and all symbols are resolved at once.
//
//===----------------------------------------------------------------------===//
#include "qopt/Plugins/Plugins.h"
#include "qopt/Support/Utf8.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Demangle/Demangle.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/MemoryBuffer.h"

#include <dlfcn.h>
#include <filesystem>

using namespace qopt;
using llvm::StringRef;

/// LLVM's libraries are compatible within 22.1, not within 22.
static const std::string kLlvmVersion = std::to_string(LLVM_VERSION_MAJOR) + "." + std::to_string(LLVM_VERSION_MINOR);

/// The names of the libraries that a shared library asks for; an error where it is none.
static llvm::Expected<std::vector<std::string>> readNeeded(StringRef bytes) {
  auto file = llvm::object::ELF64LEFile::create(bytes);
  if (!file)
    return file.takeError();
  auto entries = file->dynamicEntries();
  if (!entries)
    return entries.takeError();
  std::vector<uint64_t> names;
  StringRef strings;
  for (const auto &entry : *entries) {
    if (entry.getTag() == llvm::ELF::DT_NEEDED)
      names.push_back(entry.getVal());
    if (entry.getTag() == llvm::ELF::DT_STRTAB) {
      auto address = file->toMappedAddr(entry.getVal());
      if (!address)
        return address.takeError();
      strings = bytes.substr(*address - file->base());
    }
  }
  std::vector<std::string> needed;
  for (uint64_t name : names) {
    StringRef rest = strings.substr(name);
    needed.push_back(rest.substr(0, rest.find('\0')).str());
  }
  return needed;
}

/// What "libMLIR.so.21.1" or "libLLVM-21.so.1" tells of the version: "21.1" or "21"; empty for
/// libraries that are not LLVM's, and where it is not told.
static StringRef llvmVersionIn(StringRef library) {
  if (!library.consume_front("libMLIR") && !library.consume_front("libLLVM"))
    return "";
  return library.drop_until(llvm::isDigit).take_while([](char c) { return llvm::isDigit(c) || c == '.'; }).rtrim('.');
}

/// Why the dynamic linker should not even try.
static Status checkFile(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return Error{"cannot open: " + buffer.getError().message()};
  auto needed = readNeeded((*buffer)->getBuffer());
  if (!needed) {
    llvm::consumeError(needed.takeError());
    return Error{"is no shared library"};
  }
  for (StringRef library : *needed) {
    StringRef version = llvmVersionIn(library);
    if (!version.empty() && version != kLlvmVersion &&
        (version.contains('.') || !StringRef(kLlvmVersion).starts_with((version + ".").str())))
      return Error{"was built with LLVM " + version.str() + " (it needs " + printable(library.str()) +
                   "), but this program has LLVM " + kLlvmVersion};
  }
  return {};
}

/// What the dynamic linker says, in our words where it is about a symbol.
static Error linkerError(const std::string &path) {
  StringRef text = dlerror();
  auto [before, symbol] = text.split("undefined symbol: ");
  if (!symbol.empty()) {
    symbol = symbol.take_until([](char c) { return c == ',' || c == ' ' || c == '\n'; });
    return Error{"needs the symbol " + printable(llvm::demangle(symbol)) + ", which neither this program nor LLVM " +
                 kLlvmVersion + " has"};
  }
  text.consume_front(path + ": ");
  return Error{"cannot be loaded: " + printable(text.split('\n').first.str())};
}

/// Loads the library and calls `entry`, which tells what is in it.
template <typename Info>
static Result<Info> openPlugin(const std::string &path, const char *entry, const char *what) {
  if (Status status = checkFile(path); !status)
    return status.error();
  // As MLIR does: symbols are there for plugins that are loaded later, and nothing is unloaded.
  // Without a slash the linker would look elsewhere.
  std::error_code code;
  std::string absolute = std::filesystem::absolute(path, code).string();
  void *library = dlopen(absolute.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library)
    return linkerError(absolute);
  auto *getInfo = reinterpret_cast<Info (*)()>(dlsym(library, entry));
  if (!getInfo)
    return Error{std::string("is no plugin of ") + what + ": it has no function " + entry};
  Info info = getInfo();
  if (info.apiVersion != MLIR_PLUGIN_API_VERSION)
    return Error{"has version " + std::to_string(info.apiVersion) +
                 " of MLIR's plugin interface, but this program has " + std::to_string(MLIR_PLUGIN_API_VERSION)};
  // Its dialects and passes are others of the same names, which MLIR ends the process for.
  if (info.pluginName && StringRef(info.pluginName) == "qopt")
    return Error{"is qopt's own plugin, for programs that do not have its passes yet"};
  return info;
}

static Result<mlir::PassPluginLibraryInfo> openPassPlugin(const std::string &path) {
  auto info = openPlugin<mlir::PassPluginLibraryInfo>(path, "mlirGetPassPluginInfo", "passes");
  if (info && !info->registerPassRegistryCallbacks)
    return Error{"registers no passes"};
  return info;
}

static Result<mlir::DialectPluginLibraryInfo> openDialectPlugin(const std::string &path) {
  auto info = openPlugin<mlir::DialectPluginLibraryInfo>(path, "mlirGetDialectPluginInfo", "dialects");
  if (info && !info->registerDialectRegistryCallbacks)
    return Error{"registers no dialects"};
  return info;
}

/// "FILE: reason".
static Error inPlugin(const std::string &path, const Error &error) { return {printable(path) + ": " + error.message}; }

Status qopt::loadPlugins(const std::vector<std::string> &passPlugins, const std::vector<std::string> &dialectPlugins,
                         mlir::MLIRContext &context) {
  mlir::DialectRegistry registry;
  for (const std::string &path : dialectPlugins) {
    auto info = openDialectPlugin(path);
    if (!info)
      return inPlugin(path, info.error());
    info->registerDialectRegistryCallbacks(&registry);
  }
  for (const std::string &path : passPlugins) {
    auto info = openPassPlugin(path);
    if (!info)
      return inPlugin(path, info.error());
    info->registerPassRegistryCallbacks();
  }
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  return {};
}

Status qopt::checkPluginOptions(int argc, const char *const *argv) {
  for (int i = 1; i < argc; ++i) {
    auto [name, value] = StringRef(argv[i]).split('=');
    name = name.ltrim('-');
    bool isPass = name == "load-pass-plugin";
    if (!isPass && name != "load-dialect-plugin")
      continue;
    std::string path = value.empty() && i + 1 < argc ? argv[i + 1] : value.str();
    if (isPass) {
      if (auto info = openPassPlugin(path); !info)
        return inPlugin(path, info.error());
    } else if (auto info = openDialectPlugin(path); !info) {
      return inPlugin(path, info.error());
    }
  }
  return {};
}
