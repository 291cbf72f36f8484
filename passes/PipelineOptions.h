//===- PipelineOptions.h - What follows a pipeline's name -----------------===//
//
// Options as MLIR writes them, NAME{option=value ...}, of the pipelines that are no
// scheme's. Only Pipelines.cpp includes this.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_PIPELINEOPTIONS_H
#define QOPT_PASSES_PIPELINEOPTIONS_H

#include "SchemePipelines.h"
#include "llvm/Support/raw_ostream.h"

namespace qopt::pipelines {

/// Options of `qopt-prepare`.
struct PrepareOptions : mlir::PassPipelineOptions<PrepareOptions>, AssignmentOptions {
  Option<std::string> scheme{*this, "scheme", llvm::cl::desc("Of every linear but the head: NAME{option=value ...}"),
                             llvm::cl::init("skip")};
  Option<std::string> compat{*this, "compat", llvm::cl::desc("Package whose choices to repeat")};
};

/// Options of `qopt-raise`.
struct RaiseOptions : mlir::PassPipelineOptions<RaiseOptions> {
  Option<bool> dequantize{*this, "dequantize", llvm::cl::desc("Weights that the file has as codes become float"),
                          llvm::cl::init(false)};
};

/// As mlir::PassPipelineRegistration, but what is wrong with the options becomes
/// part of the parser's error instead of a line of its own on stderr.
template <typename Options = mlir::EmptyPipelineOptions>
NamedPipeline makePipeline(llvm::StringRef name, llvm::StringRef summary,
                           std::function<void(mlir::OpPassManager &, const Options &)> build) {
  return {name.str(), summary.str(),
          [build](mlir::OpPassManager &pm, llvm::StringRef text,
                  llvm::function_ref<mlir::LogicalResult(const llvm::Twine &)> errorHandler) {
            Options options;
            std::string message;
            llvm::raw_string_ostream stream(message);
            if (failed(options.parseFromString(text, stream)))
              return errorHandler(llvm::StringRef(message).trim());
            build(pm, options);
            return mlir::success();
          },
          [](llvm::function_ref<void(const mlir::detail::PassOptions &)> handle) { handle(Options()); }};
}

/// The same for one without options.
inline NamedPipeline makePipeline(llvm::StringRef name, llvm::StringRef summary, void (*build)(mlir::OpPassManager &)) {
  return makePipeline<mlir::EmptyPipelineOptions>(
      name, summary, [build](mlir::OpPassManager &pm, const mlir::EmptyPipelineOptions &) { build(pm); });
}

} // namespace qopt::pipelines

#endif // QOPT_PASSES_PIPELINEOPTIONS_H
