//===- Scheme.h - What a quantization scheme is ---------------------------===//
//
// One description per scheme (lib/Dialect/Qopt/Schemes): its name, its options, what it
// makes of weights and activations, what must be measured for that and what it
// reproduces. Pipelines, passes, reports, the command line and docs/Quantization.md
// read it. What a WeightMethod computes is lib/Calibration/WeightQuantizer.cpp's.
//
// As text a scheme is its name and the options that are given:
// `gptq-int4{group-size=32 act-order=false}`. A Scheme has a value for every option.
//
//===----------------------------------------------------------------------===//
#ifndef QOPT_DIALECT_QOPT_SCHEME_H
#define QOPT_DIALECT_QOPT_SCHEME_H

#include "qopt/Support/Result.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/Hashing.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include <variant>
#include <vector>

namespace qopt {

enum class StatisticSet : uint32_t; // QoptOps.td

/// What becomes of the weights of a linear layer.
enum class WeightMethod {
  Float,         ///< stay as they are
  Channels,      ///< int8, one scale per row
  HalfChannels,  ///< the same of weights that pass through float16 first
  KeptChannels,  ///< the same without the columns that calibration chooses, which are kept
  RoundedGroups, ///< integers of `weightBits` in groups, each weight rounded to nearest
  GptqGroups,    ///< the same, so that the layer's output stays close
  MinMaxGroups,  ///< the same from the smallest weight to the largest, with float zero points
  HqqGroups,     ///< the same with zero points of least error by HQQ
  Nf4Blocks,     ///< the 16 numbers of bitsandbytes' NF4, in blocks
  Fp4Blocks,     ///< those of its FP4
  MxBlocks,      ///< float4 e2m1 in blocks whose scales are powers of two (OCP MX)
  NvBlocks,      ///< float4 e2m1 in blocks whose scales are float8 e4m3 (NVFP4)
  Float8Rows,    ///< float8 e4m3, one scale per row
};

/// How activations enter the product.
enum class ActivationMethod {
  Float,
  PerTensor,      ///< int8, one scale, which calibration chooses
  PerToken,       ///< int8, a scale per token at run time
  PerGroup,       ///< int8, a scale per token and group of inputs at run time
  SplitColumns,   ///< per token, but for the outlier columns of the call
  SplitColumnsAt, ///< per token, but for the columns that calibration chose
};

//===----------------------------------------------------------------------===//
// Options
//===----------------------------------------------------------------------===//

/// A word is its index among the choices.
using OptionValue = std::variant<bool, int64_t, double>;

/// One option, declared once (SchemeOptions.h) and listed by every scheme that has it.
struct OptionInfo {
  llvm::StringLiteral name; ///< "group-size"
  llvm::StringLiteral help;
  OptionValue initial;
  llvm::ArrayRef<llvm::StringLiteral> choices; ///< of words; empty: a number, or true and false
  bool (*isAllowed)(double);                   ///< of numbers
  llvm::StringLiteral expected;                ///< "a group size of at least 1, or -1,"

  bool isWord() const { return !choices.empty(); }
  bool isFlag() const { return std::holds_alternative<bool>(initial); }
  /// Reads and checks; an error says what is allowed.
  Result<OptionValue> parse(llvm::StringRef text) const;
  /// What parse() reads, the shortest there is.
  std::string text(OptionValue value) const;
  /// "grid "search" or "minmax"", "a group size of at least 1, or -1,".
  std::string describeValues() const;
};

/// An option whose values are of type T: bool, int64_t, double or an enum of words.
template <typename T>
struct SchemeOption : OptionInfo {};

struct Setting {
  const OptionInfo *option;
  OptionValue value;
};

//===----------------------------------------------------------------------===//
// Descriptions
//===----------------------------------------------------------------------===//

/// What a scheme does. Schemes for which an option changes that have several.
struct SchemeVariant {
  llvm::StringLiteral setting = ""; ///< "outliers=static": with this option; empty: else
  llvm::StringLiteral product;      ///< the operation that a linear becomes
  WeightMethod weights = WeightMethod::Float;
  ActivationMethod activations = ActivationMethod::Float;
  int weightBits = 32;                    ///< of a code, without scales
  StatisticSet weightStatistics = {};     ///< what the codes of weights depend on
  StatisticSet activationStatistics = {}; ///< what the codes of activations depend on
  llvm::StringLiteral weightText = "";    ///< "int8, one scale per row"
  llvm::StringLiteral activationText = "";
  llvm::StringLiteral reproduces = "";
};

/// The choices of a package that the scheme can repeat (`--compat=NAME`).
struct SchemePreset {
  llvm::StringLiteral name;
  llvm::StringLiteral settings; ///< "grid=minmax polish=0": for options that are not given
};

struct SchemeInfo {
  llvm::StringLiteral name;
  llvm::StringLiteral summary;
  llvm::ArrayRef<const OptionInfo *> options = {};
  llvm::ArrayRef<SchemePreset> presets = {};
  llvm::ArrayRef<SchemeVariant> variants; ///< the last one has no setting
  llvm::StringLiteral head = "";          ///< scheme of the output layer; empty: float

  const OptionInfo *findOption(llvm::StringRef option) const;
  const SchemePreset *findPreset(llvm::StringRef preset) const;
  bool isFloat() const { return variants.back().weights == WeightMethod::Float; }
  /// Whether calibration data is needed with some choice of options.
  bool mayNeedData() const;
};

/// All schemes, the float one first.
llvm::ArrayRef<const SchemeInfo *> allSchemes();
/// Null when there is none of this name.
const SchemeInfo *findScheme(llvm::StringRef name);
/// "a, b and c" of those that `filter` takes.
std::string listSchemes(llvm::function_ref<bool(const SchemeInfo &)> filter);
/// Packages that some scheme can repeat, each once.
std::vector<std::string> allPresets();

//===----------------------------------------------------------------------===//
// Schemes
//===----------------------------------------------------------------------===//

/// What text says: a scheme, and the options that it names.
struct SchemeSpec {
  const SchemeInfo *info = nullptr;
  std::vector<Setting> settings;

  /// Reads `NAME` or `NAME{option=value ...}`; `skip` is another name of float.
  static Result<SchemeSpec> parse(llvm::StringRef text);
  std::string text() const;
};

/// Reads `option=value ...` of a scheme.
Result<std::vector<Setting>> parseSettings(const SchemeInfo &info, llvm::StringRef text);

/// A scheme with a value for every option.
class Scheme {
public:
  explicit Scheme(const SchemeInfo &info);

  const SchemeInfo &info() const { return *description; }
  llvm::StringRef name() const { return description->name; }
  const SchemeVariant &variant() const;

  bool has(const OptionInfo &option) const;
  /// The value of an option that the scheme has.
  template <typename T>
  T get(const SchemeOption<T> &option) const {
    if constexpr (std::is_enum_v<T>)
      return static_cast<T>(std::get<int64_t>(value(option)));
    else
      return std::get<T>(value(option));
  }
  OptionValue value(const OptionInfo &option) const;
  /// Sets an option that the scheme has.
  void set(const OptionInfo &option, OptionValue value);
  /// Sets those of `settings` that the scheme has.
  void apply(llvm::ArrayRef<Setting> settings);

  /// The options that differ from the default.
  std::vector<Setting> settings() const;

  bool operator==(const Scheme &other) const { return description == other.description && values == other.values; }
  friend llvm::hash_code hash_value(const Scheme &scheme);

private:
  const SchemeInfo *description;
  std::vector<OptionValue> values; ///< in the order of the description
};

} // namespace qopt

#endif // QOPT_DIALECT_QOPT_SCHEME_H
