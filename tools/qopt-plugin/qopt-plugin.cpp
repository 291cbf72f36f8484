//===- qopt-plugin.cpp - qopt's dialects and passes for mlir-opt ----------===//
//
// Loaded into a program that links LLVM's and MLIR's shared libraries, this has none of
// them itself: there must be one registry of passes, and one address for each type.
//
//===----------------------------------------------------------------------===//
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "qopt/InitAll.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/Path.h"
#include <cstdio>
#include <dlfcn.h>
#include <link.h>

/// The library of the MLIR that this was built with.
static const std::string kLibrary =
    "libMLIR.so." + std::to_string(LLVM_VERSION_MAJOR) + "." + std::to_string(LLVM_VERSION_MINOR);

/// The path that the loader has of this file.
static const char *ownPath() {
  Dl_info file;
  return ::dladdr(reinterpret_cast<const void *>(&ownPath), &file) ? file.dli_fname : "qopt-plugin.so";
}

/// Whether the program itself links that library, which then stands before this file in the loader's list. Any other
/// has objects of another layout, or a registry of passes that is not the one that this adds to.
static bool fitsProgram() {
  bool fits = false;
  ::dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *fits) -> int {
        llvm::StringRef path = info->dlpi_name;
        *static_cast<bool *>(fits) = llvm::sys::path::filename(path) == kLibrary;
        return *static_cast<bool *>(fits) || path == ownPath();
      },
      &fits);
  return fits;
}

/// The version of MLIR's plugin interface, or 0, which every program refuses.
static uint32_t version() {
  static const bool fits = [] {
    bool fits = fitsProgram();
    if (!fits)
      (void)std::fprintf(stderr, "qopt: error: %s: is for programs that link %s, which this one does not\n", ownPath(),
                         kLibrary.c_str());
    return fits;
  }();
  return fits ? MLIR_PLUGIN_API_VERSION : 0;
}

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {version(), "qopt", QOPT_VERSION, [] { qopt::registerAllPasses(); }};
}

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {version(), "qopt", QOPT_VERSION,
          [](mlir::DialectRegistry *registry) { qopt::registerAllDialects(*registry); }};
}
