//===- Int4.cpp - Schemes with int4 weights in groups of inputs -----------===//
//
// They differ in how codes are found; the products and what they take are the same.
//
//===----------------------------------------------------------------------===//
#include "Schemes.h"

using namespace qopt;

//===----------------------------------------------------------------------===//
// Round to nearest
//===----------------------------------------------------------------------===//

static constexpr SchemeVariant kRounded[] = {
    {
        .setting = "activations=int8",
        .product = MatmulW4A8Op::getOperationName(),
        .weights = WeightMethod::RoundedGroups,
        .activations = ActivationMethod::PerGroup,
        .weightBits = 4,
        .weightText = "int4, one scale per group",
        .activationText = "int8, one scale per token and group, at run time",
        .reproduces = "-",
    },
    {
        .product = MatmulW4A16Op::getOperationName(),
        .weights = WeightMethod::RoundedGroups,
        .weightBits = 4,
        .weightText = "int4, one scale per group",
        .activationText = "float",
        .reproduces = "round to nearest of the GPTQ repository (`--compat=gptq`)",
    },
};
static constexpr const OptionInfo *kRoundedOptions[] = {
    &options::groupSize,      &options::symmetric,   &options::grid,
    &options::exactReference, &options::activations, &options::activationGroupSize,
};
static constexpr SchemePreset kRoundedPresets[] = {{"gptq", "grid=minmax exact-reference=true activations=float"}};

//===----------------------------------------------------------------------===//
// GPTQ
//===----------------------------------------------------------------------===//

static constexpr SchemeVariant kGptq[] = {
    {
        .setting = "activations=int8",
        .product = MatmulW4A8Op::getOperationName(),
        .weights = WeightMethod::GptqGroups,
        .activations = ActivationMethod::PerGroup,
        .weightBits = 4,
        .weightStatistics = StatisticSet::Hessian,
        .weightText = "int4, one scale per group",
        .activationText = "int8, one scale per token and group, at run time",
        .reproduces = "-",
    },
    {
        .product = MatmulW4A16Op::getOperationName(),
        .weights = WeightMethod::GptqGroups,
        .weightBits = 4,
        .weightStatistics = StatisticSet::Hessian,
        .weightText = "int4, one scale per group",
        .activationText = "float",
        .reproduces = "the reference GPTQ (`--compat=gptq`)",
    },
};
static constexpr const OptionInfo *kGptqOptions[] = {
    &options::groupSize,   &options::symmetric,      &options::grid,        &options::dampPercent,
    &options::actOrder,    &options::staticGroups,   &options::polish,      &options::refit,
    &options::floatTarget, &options::exactReference, &options::activations, &options::activationGroupSize,
};
/// The reference has none of the later improvements.
static constexpr SchemePreset kGptqPresets[] = {
    {"gptq", "grid=minmax act-order=false static-groups=false polish=0 refit=false float-target=0 "
             "exact-reference=true activations=float"},
};

static constexpr SchemeInfo kSchemes[] = {
    {
        .name = "rtn-int4",
        .summary = "int4 weights in groups, rounded to nearest",
        .options = kRoundedOptions,
        .presets = kRoundedPresets,
        .variants = kRounded,
        .head = schemes::kHead,
    },
    {
        .name = "gptq-int4",
        .summary = "int4 weights in groups by GPTQ",
        .options = kGptqOptions,
        .presets = kGptqPresets,
        .variants = kGptq,
        .head = schemes::kHead,
    },
};

llvm::ArrayRef<SchemeInfo> schemes::int4() { return kSchemes; }
