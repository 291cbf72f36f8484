//===- qopt-plugin.cpp - qopt's dialects and passes for mlir-opt ----------===//
//
// Loaded into a program that links LLVM's and MLIR's shared libraries, this has none of
// them itself: there must be one registry of passes, and one address for each type.
//
//===----------------------------------------------------------------------===//
#include "mlir/Tools/Plugins/DialectPlugin.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "qopt/InitAll.h"

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "qopt", QOPT_VERSION, [] { qopt::registerAllPasses(); }};
}

extern "C" LLVM_ATTRIBUTE_VISIBILITY_DEFAULT mlir::DialectPluginLibraryInfo mlirGetDialectPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "qopt", QOPT_VERSION,
          [](mlir::DialectRegistry *registry) { qopt::registerAllDialects(*registry); }};
}
