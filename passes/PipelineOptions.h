//===- PipelineOptions.h - What follows a pipeline's name -----------------===//
//
// Options as MLIR writes them, NAME{option=value ...}, of the pipelines that are no
// scheme's. Only Pipelines.cpp and TransformPipelines.cpp include this.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_PASSES_PIPELINEOPTIONS_H
#define QOPT_PASSES_PIPELINEOPTIONS_H

#include "SchemePipelines.h"
#include "qopt/Dialect/Qopt/SchemeOptions.h"
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

// Values of transformations are read as those of schemes are, so that errors say what is allowed.
inline constexpr auto kSmoothAlpha = qopt::options::number<double>(
    "alpha", 0.5, [](double a) { return a >= 0 && a <= 1; }, "an alpha between 0 and 1",
    "how much of the difficulty moves into the weights: 0 to 1");
inline constexpr auto kRotateSeed =
    qopt::options::number<int64_t>("seed", 0, [](double n) { return n >= 0; }, "a seed of at least 0", "of the signs");
inline constexpr auto kRotateHeads = qopt::options::flag("heads", true, "rotate the values of attention, too");
inline constexpr auto kAwqDuo = qopt::options::flag("duo", true, "scales depend on the weights, too");
inline constexpr auto kAwqClip = qopt::options::flag("clip", true, "search the largest weight of each group");

/// Options that are read by their declarations.
struct TransformationOptions : virtual mlir::detail::PassOptions {
  /// One of them, in the class that derives from this.
  struct Text : Option<std::string> {
    Text(TransformationOptions &parent, const OptionInfo &info)
        : Option<std::string>(parent, info.name, llvm::cl::desc(info.help), llvm::cl::init(info.text(info.initial))) {}
  };
  /// Reads `text` into `to`.
  template <typename Value, typename To>
  static Status read(const SchemeOption<Value> &info, const std::string &text, To &to) {
    Result<OptionValue> value = info.parse(text);
    if (!value)
      return value.error();
    to = std::get<Value>(*value);
    return {};
  }
};

/// Options of `smoothquant`.
struct SmoothQuantOptions : mlir::PassPipelineOptions<SmoothQuantOptions>, TransformationOptions {
  Text alpha{*this, kSmoothAlpha};
  Option<std::string> calibration{*this, "calibration", llvm::cl::desc("token ids [n, length] as .npy")};
};

/// Options of `rotate`.
struct RotateOptions : mlir::PassPipelineOptions<RotateOptions>, TransformationOptions {
  Text seed{*this, kRotateSeed};
  Text heads{*this, kRotateHeads};
};

/// Options of `awq`.
struct AwqOptions : mlir::PassPipelineOptions<AwqOptions>, TransformationOptions {
  Option<std::string> scheme{*this, "scheme", llvm::cl::desc("how weights are rounded in the search, without data"),
                             llvm::cl::init("rtn-int4")};
  Text duo{*this, kAwqDuo};
  Text clip{*this, kAwqClip};
  Option<std::string> calibration{*this, "calibration", llvm::cl::desc("token ids [n, length] as .npy")};
};

inline constexpr llvm::StringLiteral kGranularities[] = {"row", "tensor"};
enum class Granularity { Row, Tensor };
inline constexpr auto kRoundInputs = qopt::options::word("inputs", kGranularities, Granularity::Row,
                                                         "one scale of activations for each token, or for a call");
inline constexpr auto kRoundWeights = qopt::options::word("weights", kGranularities, Granularity::Row,
                                                          "one scale of weights for each output, or for the layer");
inline constexpr auto kRoundZeroPoint =
    qopt::options::flag("zero-point", false, "codes span from the smallest to the largest number");
inline constexpr auto kRoundThreshold = qopt::options::number<double>(
    "threshold", 0, [](double t) { return t >= 0 && t < 1e30; }, "a threshold of at least 0",
    "magnitude from which a feature stays in float; 0: none does");

/// Options of `round-int8`.
struct RoundInt8PipelineOptions : mlir::PassPipelineOptions<RoundInt8PipelineOptions>, TransformationOptions {
  Text inputs{*this, kRoundInputs};
  Text weights{*this, kRoundWeights};
  Text zeroPoint{*this, kRoundZeroPoint};
  Text threshold{*this, kRoundThreshold};
  ListOption<std::string> skip{*this, "skip", llvm::cl::desc("globs of layers that stay; by default lm_head")};
};

/// Options of `qopt-linalg`.
struct LinalgOptions : mlir::PassPipelineOptions<LinalgOptions> {
  Option<bool> quantTypes{*this, "quant-types", llvm::cl::desc("Weights as types of the quant dialect"),
                          llvm::cl::init(false)};
};

/// As mlir::PassPipelineRegistration, but what is wrong with the options becomes
/// part of the parser's error instead of a line of its own on stderr. `build` may return an error about them.
template <typename Options = mlir::EmptyPipelineOptions, typename Build>
NamedPipeline makePipeline(llvm::StringRef name, llvm::StringRef summary, Build build) {
  return {name.str(), summary.str(),
          [build](mlir::OpPassManager &pm, llvm::StringRef text,
                  llvm::function_ref<mlir::LogicalResult(const llvm::Twine &)> errorHandler) {
            Options options;
            std::string message;
            llvm::raw_string_ostream stream(message);
            if (failed(options.parseFromString(text, stream)))
              return errorHandler(llvm::StringRef(message).trim());
            if constexpr (std::is_invocable_v<Build, mlir::OpPassManager &>) {
              build(pm); // has none
            } else if constexpr (std::is_same_v<decltype(build(pm, options)), Status>) {
              if (Status status = build(pm, options); !status)
                return errorHandler(status.error().message);
            } else {
              build(pm, options);
            }
            return mlir::success();
          },
          [](llvm::function_ref<void(const mlir::detail::PassOptions &)> handle) { handle(Options()); }};
}

} // namespace qopt::pipelines

#endif // QOPT_PASSES_PIPELINEOPTIONS_H
