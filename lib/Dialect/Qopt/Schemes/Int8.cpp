//===- Int8.cpp - Schemes with int8 weights, one scale per output ---------===//
//
// They differ in what becomes of the activations.
//
//===----------------------------------------------------------------------===//
#include "Schemes.h"

using namespace qopt;

//===----------------------------------------------------------------------===//
// Weights alone
//===----------------------------------------------------------------------===//

static constexpr SchemeVariant kWeights[] = {{
    .product = MatmulW8A16Op::getOperationName(),
    .weights = WeightMethod::Channels,
    .weightBits = 8,
    .weightText = "int8, one scale per row",
    .activationText = "float",
    .reproduces = "quanto qint8 (`--compat=quanto`), torchao int8wo (`--compat=torchao`), EETQ (`--compat=eetq`)",
}};
static constexpr const OptionInfo *kWeightsOptions[] = {&options::rowSteps};
static constexpr SchemePreset kWeightsPresets[] = {{"quanto", ""}, {"torchao", "steps=127.5"}, {"eetq", "steps=128"}};

//===----------------------------------------------------------------------===//
// One scale of activations, measured
//===----------------------------------------------------------------------===//

static constexpr SchemeVariant kStatic[] = {{
    .product = MatmulW8A8Op::getOperationName(),
    .weights = WeightMethod::Channels,
    .activations = ActivationMethod::PerTensor,
    .weightBits = 8,
    .activationStatistics = StatisticSet::AbsMax,
    .weightText = "int8, one scale per row",
    .activationText = "int8, one scale per tensor, measured",
    .reproduces = "quanto qint8 with calibrated activations (`--compat=quanto`)",
}};
static constexpr const OptionInfo *kStaticOptions[] = {
    &options::observer, &options::mseNorm,    &options::mseShrink,   &options::msePatience,
    &options::momentum, &options::percentile, &options::entropyBins, &options::batchSize,
};
static constexpr SchemePreset kStaticPresets[] = {{"quanto", "observer=moving-average batch-size=2"}};

//===----------------------------------------------------------------------===//
// A scale per token, and LLM.int8
//===----------------------------------------------------------------------===//

static constexpr SchemeVariant kDynamic[] = {{
    .product = MatmulW8A8Op::getOperationName(),
    .weights = WeightMethod::HalfChannels,
    .activations = ActivationMethod::PerToken,
    .weightBits = 8,
    .weightText = "int8, one scale per row",
    .activationText = "int8, one scale per token, at run time",
    .reproduces = "bitsandbytes Linear8bitLt, threshold 0 (`--compat=bitsandbytes`)",
}};

/// Its layers are computed alike; it leaves the head in float.
static constexpr SchemePreset kBitsandbytes[] = {{"bitsandbytes", ""}};

static constexpr SchemeVariant kLlmInt8[] = {
    {
        .setting = "outliers=static",
        .product = MatmulW8A8Op::getOperationName(),
        .weights = WeightMethod::KeptChannels,
        .activations = ActivationMethod::SplitColumnsAt,
        .weightBits = 8,
        .weightStatistics = StatisticSet::ColumnAbsMax,
        .weightText = "int8, one scale per row; outlier columns float16",
        .activationText = "int8 per token, outlier columns in float16",
        .reproduces = "-",
    },
    {
        .product = MatmulW8A8Op::getOperationName(),
        .weights = WeightMethod::HalfChannels,
        .activations = ActivationMethod::SplitColumns,
        .weightBits = 8,
        .weightText = "int8, one scale per row",
        .activationText = "int8 per token, outlier columns in float16",
        .reproduces = "bitsandbytes Linear8bitLt, threshold 6 (`--compat=bitsandbytes`)",
    },
};
static constexpr const OptionInfo *kLlmInt8Options[] = {&options::threshold, &options::outliers};

static constexpr SchemeInfo kSchemes[] = {
    {
        .name = "int8-weights",
        .summary = "int8 weights with a scale per output (quanto qint8, torchao int8wo, EETQ)",
        .options = kWeightsOptions,
        .presets = kWeightsPresets,
        .variants = kWeights,
        .head = schemes::kHead,
    },
    {
        .name = "int8-static",
        .summary = "int8 weights, int8 activations with calibrated scales",
        .options = kStaticOptions,
        .presets = kStaticPresets,
        .variants = kStatic,
        .head = schemes::kHead,
    },
    {
        .name = "int8-dynamic",
        .summary = "int8 weights, int8 activations with a scale per token",
        .presets = kBitsandbytes,
        .variants = kDynamic,
        .head = schemes::kHead,
    },
    {
        .name = "llm-int8",
        .summary = "int8 with a scale per token, outlier columns in float (LLM.int8)",
        .options = kLlmInt8Options,
        .presets = kBitsandbytes,
        .variants = kLlmInt8,
        .head = schemes::kHead,
    },
};

llvm::ArrayRef<SchemeInfo> schemes::int8() { return kSchemes; }
