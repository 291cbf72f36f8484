//===- PipelineOptions.h - What follows a pipeline's name -----------------===//
//
// Options as MLIR writes them, NAME{option=value ...}, and what they mean to the
// passes. Only Pipelines.cpp includes this.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_PIPELINEOPTIONS_H
#define QOPT_PASSES_PIPELINEOPTIONS_H

#include "mlir/Pass/PassRegistry.h"
#include "qopt/Passes/Passes.h"
#include "llvm/Support/raw_ostream.h"

namespace qopt::pipelines {

/// Whether a scheme repeats what the package it comes from does.
enum class Compat { None, Package };

/// Options of every scheme.
struct SchemeOptions : virtual mlir::detail::PassOptions {
  Option<bool> head{*this, "head", llvm::cl::desc("Quantize the output layer too"), llvm::cl::init(false)};
  ListOption<std::string> overrides{*this, "overrides", llvm::cl::desc("PATTERN=SPEC per layer; the last match wins")};
};

struct PlainOptions : mlir::PassPipelineOptions<PlainOptions>, SchemeOptions {};

struct LlmInt8Options : mlir::PassPipelineOptions<LlmInt8Options>, SchemeOptions {
  Option<std::string> calibration{*this, "calibration", llvm::cl::desc("Token ids [n, length] as .npy")};
  Option<double> threshold{*this, "threshold", llvm::cl::desc("Magnitude from which a column stays in float"),
                           llvm::cl::init(6.0)};
  Option<std::string> outliers{
      *this, "outliers", llvm::cl::desc("These columns are found in each call (dynamic) or by calibration (static)"),
      llvm::cl::init("dynamic")};
};

struct StaticOptions : mlir::PassPipelineOptions<StaticOptions>, SchemeOptions {
  Option<std::string> calibration{*this, "calibration", llvm::cl::desc("Token ids [n, length] as .npy")};
  Option<std::string> observer{*this, "observer", llvm::cl::desc("How input scales are chosen: mse or absmax"),
                               llvm::cl::init("mse")};
  Option<Compat> compat{*this, "compat", llvm::cl::desc("Whose choices to repeat"), llvm::cl::init(Compat::None),
                        llvm::cl::values(clEnumValN(Compat::None, "none", "qopt's own"),
                                         clEnumValN(Compat::Package, "quanto", "A moving average over batches of 2"))};
};

/// Options of the int4 schemes.
struct GroupOptions : SchemeOptions {
  Option<int64_t> groupSize{*this, "group-size", llvm::cl::desc("Inputs per scale; -1: a whole row"),
                            llvm::cl::init(128)};
  Option<bool> sym{*this, "sym", llvm::cl::desc("Codes around a fixed zero point"), llvm::cl::init(true)};
  Option<std::string> grid{*this, "grid", llvm::cl::desc("How scales are chosen: search or minmax"),
                           llvm::cl::init("search")};
};

struct RtnOptions : mlir::PassPipelineOptions<RtnOptions>, GroupOptions {
  Option<Compat> compat{*this, "compat", llvm::cl::desc("Whose choices to repeat"), llvm::cl::init(Compat::None),
                        llvm::cl::values(clEnumValN(Compat::None, "none", "qopt's own"),
                                         clEnumValN(Compat::Package, "gptq", "The baseline of the GPTQ paper"))};
};

struct GptqSchemeOptions : mlir::PassPipelineOptions<GptqSchemeOptions>, GroupOptions {
  Option<std::string> calibration{*this, "calibration", llvm::cl::desc("Token ids [n, length] as .npy")};
  Option<double> dampPercent{*this, "damp-percent", llvm::cl::desc("Share of mean(diag(H)) added to the diagonal"),
                             llvm::cl::init(0.01)};
  Option<bool> actOrder{*this, "act-order", llvm::cl::desc("Columns by falling diag(H)"), llvm::cl::init(true)};
  Option<bool> staticGroups{*this, "static-groups", llvm::cl::desc("Scales from the weights before any update"),
                            llvm::cl::init(true)};
  Option<int64_t> polish{*this, "polish", llvm::cl::desc("Passes of coordinate descent afterwards"), llvm::cl::init(4)};
  Option<bool> refit{*this, "refit", llvm::cl::desc("Least-squares scales before each of these passes"),
                     llvm::cl::init(true)};
  Option<double> floatTarget{*this, "float-target", llvm::cl::desc("How far the float activations are the target"),
                             llvm::cl::init(0.5)};
  Option<Compat> compat{*this, "compat", llvm::cl::desc("Whose choices to repeat"), llvm::cl::init(Compat::None),
                        llvm::cl::values(clEnumValN(Compat::None, "none", "qopt's own"),
                                         clEnumValN(Compat::Package, "gptq", "The reference implementation"))};
};

/// Options of `qopt-prepare`: a scheme by its name and all that any scheme has.
struct PrepareOptions : mlir::PassPipelineOptions<PrepareOptions>, GroupOptions {
  Option<std::string> scheme{*this, "scheme", llvm::cl::desc("Of every linear but the head"), llvm::cl::init("float")};
  Option<double> threshold{*this, "threshold", llvm::cl::desc("llm-int8: magnitude from which a column stays in float"),
                           llvm::cl::init(6.0)};
  Option<std::string> outliers{*this, "outliers", llvm::cl::desc("llm-int8: dynamic or static"),
                               llvm::cl::init("dynamic")};
};

//===----------------------------------------------------------------------===//
// What the options mean to the passes
//===----------------------------------------------------------------------===//

inline AssignSchemeOptions assignment(llvm::StringRef scheme, const SchemeOptions &options) {
  AssignSchemeOptions result;
  result.scheme = scheme.str();
  result.head = options.head;
  result.overrides.assign(options.overrides.begin(), options.overrides.end());
  return result;
}

inline AssignSchemeOptions groupAssignment(llvm::StringRef scheme, const GroupOptions &options) {
  AssignSchemeOptions result = assignment(scheme, options);
  result.groupSize = options.groupSize;
  result.symmetric = options.sym;
  return result;
}

inline AssignSchemeOptions outlierAssignment(const LlmInt8Options &options) {
  AssignSchemeOptions result = assignment("llm-int8", options);
  result.threshold = options.threshold;
  result.outliers = options.outliers;
  return result;
}

inline CalibrateOptions calibration(const LlmInt8Options &options) {
  CalibrateOptions result;
  result.calibration = options.calibration;
  return result;
}

/// quanto calibrates in batches of 2 (here) and keeps .9 of the scale each time.
inline CalibrateOptions calibration(const StaticOptions &options) {
  CalibrateOptions result;
  result.calibration = options.calibration;
  result.observer = options.observer;
  if (options.compat == Compat::Package) {
    result.batchSize = 2;
    result.observer = "moving-average";
  }
  return result;
}

/// The reference has none of the later improvements, unless asked for one by one.
inline CalibrateOptions calibration(const GptqSchemeOptions &options) {
  bool reference = options.compat == Compat::Package;
  auto choose = [&](const auto &option, auto other) {
    return reference && !option.hasValue() ? other : decltype(other)(option);
  };
  CalibrateOptions result;
  result.calibration = options.calibration;
  result.dampPercent = options.dampPercent;
  result.actOrder = choose(options.actOrder, false);
  result.staticGroups = choose(options.staticGroups, false);
  result.grid = choose(options.grid, std::string("minmax"));
  result.polish = choose(options.polish, int64_t(0));
  result.refit = choose(options.refit, false);
  result.floatTarget = choose(options.floatTarget, 0.0);
  result.exactReference = reference;
  return result;
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

/// As mlir::PassPipelineRegistration, but what is wrong with the options becomes
/// part of the parser's error instead of a line of its own on stderr.
template <typename Options>
void registerPipeline(llvm::StringRef name, llvm::StringRef summary,
                      std::function<void(mlir::OpPassManager &, const Options &)> build) {
  mlir::registerPassPipeline(
      name, summary,
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
      [](llvm::function_ref<void(const mlir::detail::PassOptions &)> handle) { handle(Options()); });
}

} // namespace qopt::pipelines

#endif // QOPT_PASSES_PIPELINEOPTIONS_H
