//===- SchemeOptions.h - The options that schemes choose from -------------===//
//
// Each option is declared here and nowhere else; a scheme lists those that it has, in
// its description. The values of `--pass-pipeline`, `--override` and `#qopt.scheme` are
// read and checked by these declarations, and code asks for them with Scheme::get().
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_SCHEMEOPTIONS_H
#define QOPT_DIALECT_QOPT_SCHEMEOPTIONS_H

#include "qopt/Dialect/Qopt/Scheme.h"
#include <limits>

namespace qopt {

/// When it is decided which columns are outliers.
enum class OutlierColumns { Dynamic, Static };

/// How an `absmax` observer comes from what it saw to its one value.
enum class RangeRule {
  LeastSquares,  ///< the clipping point of least error
  Largest,       ///< the largest magnitude
  MovingAverage, ///< over batches; depends on the batch size
  Percentile,    ///< the magnitude that most values do not exceed
  Entropy,       ///< where the clipped distribution diverges least from the whole one
};

/// How activations enter products with int4 weights. qopt-assign-scheme decides what is
/// left to it, so that no layer of a model has `Auto`.
enum class Int4Activations { Auto, Int8, Float };

/// How the scale of a group is chosen.
enum class ScaleChoice { Search, MinMax };

/// The code of the largest weight of a row, as ChannelSteps in qopt/Numerics/Quantizers.h.
enum class RowSteps { Steps127, Steps127Half, Steps128 };

/// Which weights of float8 share a scale, as Float8Scales there.
enum class Float8Granularity { Row, Tensor, Block };

/// The scale of a block of MXFP4, as MxRule in qopt/Numerics/SmallFloats.h.
enum class MxScale { Even, Floor, Ceil, Rceil };

/// `NAME{bits=B ...}` as the scheme `NAME-intB{...}`, where there are such schemes but none of
/// that name; without bits those of four. Other text as it is. Error: no scheme of so many bits.
Result<std::string> resolveBits(llvm::StringRef text);

namespace options {

template <typename T>
constexpr SchemeOption<T> number(llvm::StringLiteral name, T initial, bool (*isAllowed)(double),
                                 llvm::StringLiteral expected, llvm::StringLiteral help) {
  return {{name, help, initial, {}, isAllowed, expected}};
}

constexpr SchemeOption<bool> flag(llvm::StringLiteral name, bool initial, llvm::StringLiteral help) {
  return {{name, help, initial, {}, nullptr, "true or false"}};
}

template <typename Enum>
constexpr SchemeOption<Enum> word(llvm::StringLiteral name, llvm::ArrayRef<llvm::StringLiteral> choices, Enum initial,
                                  llvm::StringLiteral help) {
  return {{name, help, static_cast<int64_t>(initial), choices, nullptr, ""}};
}

inline constexpr auto groupSize = number<int64_t>(
    "group-size", 128, [](double n) { return n >= 1 || n == -1; }, "a group size of at least 1, or -1,",
    "inputs per scale; -1: a whole row");
/// The same where a package's default is another.
inline constexpr auto groupSize64 =
    number<int64_t>("group-size", 64, groupSize.isAllowed, groupSize.expected, groupSize.help);
inline constexpr auto dividingGroups =
    flag("dividing-groups", false, "groups smaller by 32 while they do not divide a row, else a whole row");
inline constexpr auto symmetric = flag("sym", true, "codes around a fixed zero point");

inline constexpr llvm::StringLiteral kInt4Activations[] = {"auto", "int8", "float"};
inline constexpr auto activations =
    word("activations", kInt4Activations, Int4Activations::Auto,
         "int8 in groups of inputs, or float; auto: what is faster on the targets and fits the layer");
inline constexpr auto activationGroupSize = number<int64_t>(
    "activation-group-size", -1, [](double n) { return n >= 1 || n == -1; },
    "an activation group size of at least 1, or -1,", "inputs per scale of int8 activations; -1: as the weights");

inline constexpr llvm::StringLiteral kScaleChoices[] = {"search", "minmax"};
inline constexpr auto grid = word("grid", kScaleChoices, ScaleChoice::Search,
                                  "scales of least squared error, or from the smallest and largest weight");
inline constexpr auto exactReference =
    flag("exact-reference", false, "scales in float32 and as find_params of the reference implementation");

inline constexpr llvm::StringLiteral kRowSteps[] = {"127", "127.5", "128"};
inline constexpr auto rowSteps = word("steps", kRowSteps, RowSteps::Steps127,
                                      "steps from zero to the largest weight of a row, rounded as the packages do");
inline constexpr auto doubleQuant = flag("double-quant", false, "scales of 8 bits, as bitsandbytes nests them");
inline constexpr llvm::StringLiteral kMxScales[] = {"even", "floor", "ceil", "rceil"};
inline constexpr auto mxScale = word("scale-rule", kMxScales, MxScale::Even,
                                     "which power of two scales a block: of the largest weight rounded to one bit, "
                                     "rounded down, rounded up, or the smallest that clamps nothing");
inline constexpr llvm::StringLiteral kFloat8Granularity[] = {"row", "tensor", "block"};
inline constexpr auto float8Granularity = word("scales", kFloat8Granularity, Float8Granularity::Row,
                                               "one for a row, for all weights, or for 128 x 128 of them");

inline constexpr auto dampPercent = number<double>(
    "damp-percent", 0.01, [](double n) { return n >= 0 && n <= 1; }, "a damping between 0 and 1",
    "share of mean(diag(H)) added to the diagonal");
inline constexpr auto actOrder = flag("act-order", true, "columns by falling diag(H)");
inline constexpr auto actGroupAware =
    flag("act-group-aware", false, "groups by falling max(diag(H)), and columns of each by falling diag(H)");
inline constexpr auto staticGroups = flag("static-groups", true, "scales from the weights before any update");
inline constexpr auto polish = number<int64_t>(
    "polish", 4, [](double n) { return n >= 0 && n <= 1000; }, "0 to 1000 polishing passes",
    "passes of coordinate descent afterwards, at most");
inline constexpr auto refit = flag("refit", true, "least-squares scales before each of these passes");
inline constexpr auto floatTarget = number<double>(
    "float-target", 0.75,
    [](double n) { return n >= -std::numeric_limits<double>::max() && n <= std::numeric_limits<double>::max(); },
    "a finite weight of the float target", "how far the float model's activations are the target; 0: not at all");

inline constexpr auto threshold = number<double>(
    "threshold", 6, [](double n) { return n > 0 && n <= double(std::numeric_limits<float>::max()); },
    "a threshold above 0", "magnitude from which a column stays in float");
inline constexpr llvm::StringLiteral kOutlierColumns[] = {"dynamic", "static"};
inline constexpr auto outliers = word("outliers", kOutlierColumns, OutlierColumns::Dynamic,
                                      "these columns are found in each call, or by calibration");

inline constexpr llvm::StringLiteral kRangeRules[] = {"mse", "absmax", "moving-average", "percentile", "entropy"};
inline constexpr auto observer =
    word("observer", kRangeRules, RangeRule::LeastSquares,
         "input scales of least error, of the largest magnitude, of its moving average, of a percentile of all "
         "magnitudes, or where the clipped distribution diverges least");
inline constexpr auto mseNorm = number<double>(
    "mse-norm", 2, [](double n) { return n > 0 && n <= 10; }, "an mse-norm above 0, at most 10",
    "mse: the power of errors that is summed (llm-compressor: 2.4)");
inline constexpr auto mseShrink = number<double>(
    "mse-shrink", 0.8, [](double n) { return n >= 0.01 && n <= 1; }, "an mse-shrink of .01 to 1",
    "mse: by how much of the largest magnitude, in steps of .01, it looks (llm-compressor: .2)");
inline constexpr auto msePatience = number<int64_t>(
    "mse-patience", 0, [](double n) { return n >= 0; }, "an mse-patience of at least 0",
    "mse: steps without a gain that end the search (llm-compressor: 5); 0: none do");
inline constexpr auto momentum = number<double>(
    "momentum", 0.9, [](double n) { return n >= 0 && n < 1; }, "a momentum of at least 0, below 1",
    "moving-average: the share of what came before (quanto: .9; ONNX Runtime and llm-compressor: .99)");
inline constexpr auto percentile = number<double>(
    "percentile", 99.999, [](double n) { return n > 0 && n <= 100; }, "a percentile above 0, at most 100",
    "percentile: of all magnitudes");
inline constexpr auto entropyBins = number<int64_t>(
    "entropy-bins", 2048, [](double n) { return n >= 128 && n <= 8192; }, "128 to 8192 entropy-bins",
    "entropy: bins of the distribution, of which 128 levels are made (ONNX Runtime: 128)");
inline constexpr auto batchSize = number<int64_t>(
    "batch-size", 0, [](double n) { return n >= 0 && n <= 4096; }, "a batch size of 0 to 4096",
    "windows that calibration measures at a time, which a moving average depends on; 0: any");

} // namespace options
} // namespace qopt

#endif // QOPT_DIALECT_QOPT_SCHEMEOPTIONS_H
