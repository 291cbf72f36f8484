//===- Plugins.h - Passes and dialects of others --------------------------===//
//
// Plugins are those of mlir-opt (mlir/Tools/Plugins): shared libraries with the function
// mlirGetPassPluginInfo or mlirGetDialectPluginInfo, built with the LLVM that this program uses.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PLUGINS_PLUGINS_H
#define QOPT_PLUGINS_PLUGINS_H

#include "qopt/Support/Result.h"
#include <vector>

namespace mlir {
class MLIRContext;
}

namespace qopt {

/// Loads plugins for the rest of the process: pipelines can name their passes from then on, and
/// `context` has their dialects. Errors: "FILE: reason" where one is no plugin, is one of another
/// LLVM or of another version of the interface, or lacks a symbol.
Status loadPlugins(const std::vector<std::string> &passPlugins, const std::vector<std::string> &dialectPlugins,
                   mlir::MLIRContext &context);

/// For tools whose command line MLIR reads: looks at the plugins that --load-pass-plugin and
/// --load-dialect-plugin name, because MLIR would go on without those that it cannot load.
Status checkPluginOptions(int argc, const char *const *argv);

} // namespace qopt

#endif // QOPT_PLUGINS_PLUGINS_H
