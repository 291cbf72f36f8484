//===- Groups.cpp - Schemes with integer weights in groups of inputs ------===//
//
// They differ in how codes are found and in how many bits they have; the products and what they
// take are the same. A name with its bits, as in gptq-int3, is one scheme.
//
//===----------------------------------------------------------------------===//
#include "Schemes.h"
#include <array>

using namespace qopt;

namespace {

/// What a method makes of weights of so many bits. Codes of up to four are stored in four, and
/// may be multiplied by int8.
constexpr SchemeVariant floatVariant(WeightMethod method, int bits, llvm::StringLiteral weightText,
                                     StatisticSet statistics, llvm::StringLiteral reproduces) {
  return {
      .product = bits > 4 ? MatmulW8A16Op::getOperationName() : MatmulW4A16Op::getOperationName(),
      .weights = method,
      .weightBits = bits,
      .weightStatistics = statistics,
      .weightText = weightText,
      .activationText = "float",
      .reproduces = reproduces,
  };
}

constexpr std::array<SchemeVariant, 2> variants(WeightMethod method, int bits, llvm::StringLiteral weightText,
                                                StatisticSet statistics, llvm::StringLiteral reproduces) {
  SchemeVariant integer = floatVariant(method, bits, weightText, statistics, "-");
  integer.setting = "activations=int8";
  integer.product = MatmulW4A8Op::getOperationName();
  integer.activations = ActivationMethod::PerGroup;
  integer.activationText = "int8, one scale per token and group, at run time";
  return {integer, floatVariant(method, bits, weightText, statistics, reproduces)};
}

constexpr llvm::StringLiteral kInt2 = "int2 in 4 bits, one scale per group",
                              kInt3 = "int3 in 4 bits, one scale per group", kInt4 = "int4, one scale per group",
                              kInt8 = "int8, one scale per group";

//===----------------------------------------------------------------------===//
// Round to nearest
//===----------------------------------------------------------------------===//

constexpr llvm::StringLiteral kRtnText = "round to nearest of the GPTQ repository (`--compat=gptq`)";
constexpr auto kRtn2 = variants(WeightMethod::RoundedGroups, 2, kInt2, StatisticSet::None, kRtnText);
constexpr auto kRtn3 = variants(WeightMethod::RoundedGroups, 3, kInt3, StatisticSet::None, kRtnText);
constexpr auto kRtn4 = variants(WeightMethod::RoundedGroups, 4, kInt4, StatisticSet::None, kRtnText);
constexpr SchemeVariant kRtn8[] = {floatVariant(WeightMethod::RoundedGroups, 8, kInt8, StatisticSet::None, kRtnText)};

constexpr const OptionInfo *kRtnOptions[] = {
    &options::groupSize,      &options::symmetric,   &options::grid,
    &options::exactReference, &options::activations, &options::activationGroupSize,
};
/// Without those of activations, which codes of eight bits take as floats.
constexpr llvm::ArrayRef<const OptionInfo *> kRtn8Options(kRtnOptions, std::size(kRtnOptions) - 2);
constexpr SchemePreset kRtnPresets[] = {{"gptq", "grid=minmax exact-reference=true activations=float"}};
constexpr SchemePreset kRtn8Presets[] = {{"gptq", "grid=minmax exact-reference=true"}};

//===----------------------------------------------------------------------===//
// GPTQ
//===----------------------------------------------------------------------===//

constexpr llvm::StringLiteral kGptqText = "the reference GPTQ (`--compat=gptq`), AutoGPTQ (`autogptq`), GPTQModel "
                                          "(`gptqmodel`), llm-compressor (`llm-compressor`)";
constexpr auto kGptq2 = variants(WeightMethod::GptqGroups, 2, kInt2, StatisticSet::Hessian, kGptqText);
constexpr auto kGptq3 = variants(WeightMethod::GptqGroups, 3, kInt3, StatisticSet::Hessian, kGptqText);
constexpr auto kGptq4 = variants(WeightMethod::GptqGroups, 4, kInt4, StatisticSet::Hessian, kGptqText);
constexpr SchemeVariant kGptq8[] = {floatVariant(WeightMethod::GptqGroups, 8, kInt8, StatisticSet::Hessian, kGptqText)};

constexpr const OptionInfo *kGptqOptions[] = {
    &options::groupSize,           &options::symmetric,      &options::grid,
    &options::dampPercent,         &options::actOrder,       &options::actGroupAware,
    &options::staticGroups,        &options::polish,         &options::refit,
    &options::floatTarget,         &options::exactReference, &options::activations,
    &options::activationGroupSize,
};
constexpr llvm::ArrayRef<const OptionInfo *> kGptq8Options(kGptqOptions, std::size(kGptqOptions) - 2);
/// None of the packages has the later improvements. They differ in the order of columns, in when
/// scales are taken, and in damping.
constexpr SchemePreset kGptqPresets[] = {
    {"gptq", "act-order=false static-groups=false "
             "grid=minmax polish=0 refit=false float-target=0 exact-reference=true activations=float"},
    {"autogptq", "group-size=-1 act-order=true static-groups=false "
                 "grid=minmax polish=0 refit=false float-target=0 exact-reference=true activations=float"},
    {"gptqmodel", "damp-percent=0.05 act-order=false act-group-aware=true static-groups=false "
                  "grid=minmax polish=0 refit=false float-target=0 exact-reference=true activations=float"},
    {"llm-compressor", "act-order=true static-groups=true "
                       "grid=minmax polish=0 refit=false float-target=0 exact-reference=true activations=float"},
};
constexpr SchemePreset kGptq8Presets[] = {
    {"gptq", "act-order=false static-groups=false "
             "grid=minmax polish=0 refit=false float-target=0 exact-reference=true"},
    {"autogptq", "group-size=-1 act-order=true static-groups=false "
                 "grid=minmax polish=0 refit=false float-target=0 exact-reference=true"},
    {"gptqmodel", "damp-percent=0.05 act-order=false act-group-aware=true static-groups=false "
                  "grid=minmax polish=0 refit=false float-target=0 exact-reference=true"},
    {"llm-compressor", "act-order=true static-groups=true "
                       "grid=minmax polish=0 refit=false float-target=0 exact-reference=true"},
};

//===----------------------------------------------------------------------===//
// From the smallest weight to the largest
//===----------------------------------------------------------------------===//

constexpr SchemeVariant kMinMax4[] = {
    floatVariant(WeightMethod::MinMaxGroups, 4, "int4, scale and float zero point per group", StatisticSet::None,
                 "torchao int4wo (`--compat=torchao`), quanto qint4 (`--compat=quanto`)")};
constexpr SchemeVariant kMinMax2[] = {floatVariant(WeightMethod::MinMaxGroups, 2,
                                                   "int2 in 4 bits, scale and float zero point per group",
                                                   StatisticSet::None, "quanto qint2 (`--compat=quanto`)")};
constexpr const OptionInfo *kMinMaxOptions[] = {&options::groupSize, &options::dividingGroups};
constexpr SchemePreset kMinMax4Presets[] = {{"torchao", ""}, {"quanto", "dividing-groups=true"}};
constexpr SchemePreset kMinMax2Presets[] = {{"quanto", "dividing-groups=true"}};

//===----------------------------------------------------------------------===//
// HQQ
//===----------------------------------------------------------------------===//

constexpr llvm::StringLiteral kHqqText = "hqq's HQQLinear, axis 1 (`--compat=hqq`)";
constexpr SchemeVariant kHqq2[] = {floatVariant(
    WeightMethod::HqqGroups, 2, "int2 in 4 bits, scale and float zero point per group", StatisticSet::None, kHqqText)};
constexpr SchemeVariant kHqq3[] = {floatVariant(
    WeightMethod::HqqGroups, 3, "int3 in 4 bits, scale and float zero point per group", StatisticSet::None, kHqqText)};
constexpr SchemeVariant kHqq4[] = {floatVariant(
    WeightMethod::HqqGroups, 4, "int4, scale and float zero point per group", StatisticSet::None, kHqqText)};
constexpr const OptionInfo *kHqqOptions[] = {&options::groupSize64};
constexpr SchemePreset kHqqPresets[] = {{"hqq", ""}};

//===----------------------------------------------------------------------===//
// All of them
//===----------------------------------------------------------------------===//

constexpr SchemeInfo makeScheme(llvm::StringLiteral name, llvm::StringLiteral summary,
                                llvm::ArrayRef<const OptionInfo *> options, llvm::ArrayRef<SchemePreset> presets,
                                llvm::ArrayRef<SchemeVariant> variants) {
  return {name, summary, options, presets, variants, schemes::kHead};
}

constexpr SchemeInfo kSchemes[] = {
    makeScheme("rtn-int2", "int2 weights in groups, rounded to nearest", kRtnOptions, kRtnPresets, kRtn2),
    makeScheme("rtn-int3", "int3 weights in groups, rounded to nearest", kRtnOptions, kRtnPresets, kRtn3),
    makeScheme("rtn-int4", "int4 weights in groups, rounded to nearest", kRtnOptions, kRtnPresets, kRtn4),
    makeScheme("rtn-int8", "int8 weights in groups, rounded to nearest", kRtn8Options, kRtn8Presets, kRtn8),
    makeScheme("gptq-int2", "int2 weights in groups by GPTQ", kGptqOptions, kGptqPresets, kGptq2),
    makeScheme("gptq-int3", "int3 weights in groups by GPTQ", kGptqOptions, kGptqPresets, kGptq3),
    makeScheme("gptq-int4", "int4 weights in groups by GPTQ", kGptqOptions, kGptqPresets, kGptq4),
    makeScheme("gptq-int8", "int8 weights in groups by GPTQ", kGptq8Options, kGptq8Presets, kGptq8),
    makeScheme("int2-weights", "int2 weights in groups from the smallest to the largest (quanto qint2)", kMinMaxOptions,
               kMinMax2Presets, kMinMax2),
    makeScheme("int4-weights", "int4 weights in groups from the smallest to the largest (torchao int4wo, quanto qint4)",
               kMinMaxOptions, kMinMax4Presets, kMinMax4),
    makeScheme("hqq-int2", "int2 weights in groups, zero points by HQQ", kHqqOptions, kHqqPresets, kHqq2),
    makeScheme("hqq-int3", "int3 weights in groups, zero points by HQQ", kHqqOptions, kHqqPresets, kHqq3),
    makeScheme("hqq-int4", "int4 weights in groups, zero points by HQQ", kHqqOptions, kHqqPresets, kHqq4),
};

} // namespace

llvm::ArrayRef<SchemeInfo> schemes::groups() { return kSchemes; }
